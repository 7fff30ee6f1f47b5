"""Which keys of which circles this node checks and bans with now.

Two epochs of a circle overlap: a check meets the bans of each, a ban is made under the newest.
"""

from node.services.circles import CONTRADICTED, confirmed_epochs
from node.services.directory import StoredDirectory
from node.storage.engine import Store
from protocol.circles import CircleDescriptor, Epoch
from protocol.encoding import parse_time
from protocol.errors import ConflictError, UnavailableError

Key = tuple[CircleDescriptor, Epoch]
"""One key of a circle."""


def current_keys(store: Store, *, now: int) -> list[Key]:
    """Returns every epoch, of every circle that this node has joined, that is in use at `now`.

    Raises:
        UnavailableError: there is none, or one of the circles contradicts itself: a check that
            left it out in silence would miss its bans.
    """
    with store.read() as transaction:
        directory = StoredDirectory(transaction)
        joined = [one for one in transaction.trust.circles() if one.joined]
        if any(one.contradicted for one in joined):
            raise UnavailableError(CONTRADICTED)
        found = [directory.circle(one.name) for one in joined]
        # A key that came with a later descriptor binds nobody who has not agreed to it.
        keys = [
            (circle, epoch)
            for circle in found
            if circle is not None
            for epoch in confirmed_epochs(transaction, circle)
            if parse_time(epoch.not_before) <= now <= parse_time(epoch.not_after)
        ]
    if not keys:
        raise UnavailableError(
            "This node takes part in no circle with a current key, so no account can be "
            "checked: join one with `schutznetz node circle join`."
        )
    return keys


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
