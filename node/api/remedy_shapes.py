"""Bodies and answers about what is to be restored, and about proofs of erasure."""

from typing import Annotated

from pydantic import Field

from node.api.bodies import Answer, Body, like
from protocol import fields


class Deed(Answer):
    """What was done because of an entry, and for which program."""

    client: str = Field(description="Name of the program that was answered.")
    decision: str = Field(description="What it was told.")
    rule: str | None = Field(None, description="Rule of the policy that said so.")
    reference: str | None = Field(
        None, description="What the program calls the upload, where it gave a name."
    )
    item: int
    count: int
    first: str
    last: str


class RestoreTask(Answer):
    """Something to undo: what was done on the strength of a statement that was taken back."""

    id: int
    statement: str = Field(description="Id of the statement that was taken back.")
    kind: str = Field(description="Kind of that statement.")
    issuer: str = Field(description="Who had issued it.")
    items: tuple[int, ...] = Field(description="Places of the items that had led to an action.")
    reason: str
    since: str
    state: str
    deeds: tuple[Deed, ...] = Field(
        (), description="What is known of it, the latest first; in the list of tasks left out."
    )
    done: str | None = None
    done_by: str | None = None
    note: str | None = None


class RestoreTasks(Answer):
    """Tasks, oldest first."""

    tasks: tuple[RestoreTask, ...]


class RestoredRequest(Body):
    """Says that a task is done."""

    note: Annotated[str, like(fields.Text)] | None = Field(
        description="How, for whoever asks later; no personal data, please."
    )


class ErasureProof(Answer):
    """One node's signed proof that it has erased a statement."""

    node: str
    erased: str = Field(description="When the last of it was gone there.")
    id: str = Field(description="Id of the proof.")
    envelope: str = Field(
        description="Its exact text: with the node's descriptor all that is needed to verify it."
    )


class Erasure(Answer):
    """Who has proved that a statement is gone, and who has not."""

    statement: str
    proofs: tuple[ErasureProof, ...]
    missing: tuple[str, ...] = Field(description="Peers in its audience without a proof.")
