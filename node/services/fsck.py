"""Whether what a node keeps agrees with itself: named checks, some with a remedy.

`node doctor` asks whether the node can work; this asks whether what it has stored is right, which
takes as long as reading all of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from node.services.catalogue import Catalogue, Difference
from node.services.upload_index import UploadIndex
from node.storage.engine import Store
from protocol.errors import UnavailableError

Step = Callable[[int, int], None]
"""Is told from time to time how much of a check is done, and of how much."""

Progress = Callable[[str, int, int], None]
"""The same, with the name of the check."""


@dataclass(frozen=True)
class Finding:
    """What was found of one kind of damage.

    Attributes:
        check: its name.
        ok: whether everything agrees.
        sentence: what was found.
        mendable: whether what is wrong can be made anew from the rest.
    """

    check: str
    ok: bool
    sentence: str
    mendable: bool = False


class IndexCheck:
    """The pdq index holds what the database holds."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def look(self, _step: Step) -> Sequence[Finding]:
        """Compares every entry of both."""
        try:
            found = self._catalogue.compare()
        except UnavailableError as error:
            return [Finding("index", ok=False, sentence=str(error), mendable=True)]
        if found.is_wrong():
            sentence = f"The index and the database differ: {_differing(found, 'statement')}."
            return [Finding("index", ok=False, sentence=sentence, mendable=True)]
        sentence = "The index finds every entry of the database, and nothing else that matches."
        if found.withdrawn:
            sentence += f" It still holds {found.withdrawn} withdrawn ones."
        return [Finding("index", ok=True, sentence=sentence)]

    def mend(self) -> Sequence[Finding]:
        """Makes the index anew from the database."""
        count = self._catalogue.rebuild()
        return [Finding("index", ok=True, sentence=f"The index was made anew: {count} entries.")]


class UploadsCheck:
    """The index of registered uploads holds what was registered."""

    def __init__(self, store: Store, index: UploadIndex) -> None:
        self._store = store
        self._index = index

    def look(self, _step: Step) -> Sequence[Finding]:
        """Compares every upload of both."""
        try:
            with self._store.read() as transaction:
                found = self._index.compare(transaction)
        except UnavailableError as error:
            return [Finding("uploads", ok=False, sentence=str(error), mendable=True)]
        if found.is_wrong():
            sentence = (
                f"The index of uploads and the database differ: {_differing(found, 'upload')}."
            )
            return [Finding("uploads", ok=False, sentence=sentence, mendable=True)]
        return [Finding("uploads", ok=True, sentence="The index of uploads finds all of them.")]

    def mend(self) -> Sequence[Finding]:
        """Makes the index anew from the database."""
        with self._store.read() as transaction:
            count = self._index.rebuild(transaction)
        sentence = f"The index of uploads was made anew: {count} entries."
        return [Finding("uploads", ok=True, sentence=sentence)]


@dataclass(frozen=True)
class Check:
    """One thing to look at, and what mends it where anything can."""

    look: Callable[[Step], Sequence[Finding]]
    mend: Callable[[], Sequence[Finding]] | None = None


class Fsck:
    """All checks, in the order in which they are made."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks

    def run(
        self, *, rebuild: bool = False, progress: Progress = lambda _check, _done, _all: None
    ) -> list[Finding]:
        """Returns what each check found; with `rebuild`, what was mended where it can be.

        Raises:
            UnavailableError: another process is at work on what is to be mended.
        """
        found: list[Finding] = []
        for name, check in self._checks.items():
            if rebuild and check.mend is not None:
                found += check.mend()
            else:
                found += check.look(partial(progress, name))
        return found


def _differing(found: Difference, owner: str) -> str:
    parts = {
        "are missing": found.missing,
        "have another pdq": found.altered,
        f"are of no {owner}": found.unknown,
    }
    return ", ".join(f"{count} {what}" for what, count in parts.items() if count)
