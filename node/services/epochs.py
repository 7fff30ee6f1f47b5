"""Which keys of which circles this node checks and bans with now, and whom it asks about them.

Two epochs of a circle overlap: a check meets the bans of each, a ban is made under the newest. A
circle that contradicts itself is used for nothing until the operator has judged, and stops no
other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from federation.descriptors import PinnedNode
from node.services.circles import CONTRADICTED, confirmed_epochs
from node.services.directory import StoredDirectory, pinned
from node.storage.engine import Store
from node.storage.transaction import Transaction
from protocol.circles import CircleDescriptor, Epoch
from protocol.encoding import parse_time
from protocol.errors import ConflictError, UnavailableError

Key = tuple[CircleDescriptor, Epoch]
"""One key of a circle."""


@dataclass(frozen=True)
class Standing:
    """What a sign-up check has to know of circles and nodes, as it was in one moment.

    Attributes:
        confirmed: the epochs of joined circles that the operator has agreed to.
        contradicted: the joined circles that contradict themselves, by name.
        nodes: pinned nodes that are active, by name, some perhaps expired.
        frozen: circle and name of each holder that gave a false answer.
    """

    confirmed: tuple[Key, ...]
    contradicted: tuple[str, ...]
    nodes: Mapping[str, PinnedNode]
    frozen: frozenset[tuple[str, str]]

    @cached_property
    def _times(self) -> list[tuple[int, int, Key]]:
        return [
            (parse_time(key[1].not_before), parse_time(key[1].not_after), key)
            for key in self.confirmed
        ]

    def keys(self, now: int) -> list[Key]:
        """Returns those in use at an instant, in Unix seconds.

        Raises:
            UnavailableError: there is none.
        """
        found = [key for begins, ends, key in self._times if begins <= now <= ends]
        if not found and self.contradicted:
            raise UnavailableError(CONTRADICTED)
        if not found:
            raise UnavailableError(
                "This node takes part in no circle with a current key, so no account can be "
                "checked: join one with `schutznetz node circle join`."
            )
        return found


class Standings:
    """Reads how things stand for every question, and works out what follows when that changed."""

    def __init__(self, store: Store) -> None:
        """Begins with nothing."""
        self._store = store
        self._known: tuple[Any, Standing] | None = None

    def now(self) -> Standing:
        """Returns how things stand."""
        known = self._known
        if known is not None:
            with self._store.read_soon() as transaction:
                if _basis(transaction) == known[0]:
                    return known[1]
        with self._store.read() as transaction:
            basis, found = _basis(transaction), _work_out(transaction)
        self._known = basis, found
        return found


def _basis(transaction: Transaction) -> tuple[object, ...]:
    """Returns all that it depends on: a descriptor never changes at its place in the log."""
    return (
        transaction.trust.circles(),
        transaction.peers.pins(),
        transaction.trust.frozen_holders(),
    )


def _work_out(transaction: Transaction) -> Standing:
    directory = StoredDirectory(transaction)
    joined = [one for one in transaction.trust.circles() if one.joined]
    circles = [directory.circle(one.name) for one in joined if not one.contradicted]
    return Standing(
        # A key that came with a later descriptor binds nobody who has not agreed to it.
        confirmed=tuple(
            (circle, epoch)
            for circle in circles
            if circle is not None
            for epoch in confirmed_epochs(transaction, circle)
        ),
        contradicted=tuple(one.name for one in joined if one.contradicted),
        nodes={one.name: pinned(one) for one in transaction.peers.all() if one.state == "active"},
        frozen=frozenset((one.circle, one.node) for one in transaction.trust.frozen_holders()),
    )


def current_keys(store: Store, *, now: int) -> list[Key]:
    """Returns every epoch, of every circle that this node has joined, that is in use at `now`.

    Raises:
        UnavailableError: there is none, or one of the circles contradicts itself.
    """
    standing = Standings(store).now()
    if standing.contradicted:
        raise UnavailableError(CONTRADICTED)
    return standing.keys(now)


def newest_key(store: Store, *, now: int) -> Key:
    """Returns the key under which a ban is made now.

    Raises:
        ConflictError: this node has joined several circles.
        UnavailableError: as `current_keys`.
    """
    keys = current_keys(store, now=now)
    if len({circle.circle for circle, _ in keys}) > 1:
        raise ConflictError("This node has joined several circles: leave all but one.")
    return max(keys, key=lambda one: one[1].epoch)
