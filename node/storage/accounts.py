"""Fingerprints of banned accounts, by equality and nothing else; and avatars, for their index."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    except_,
    false,
    insert,
    not_,
    or_,
    select,
    tuple_,
)

from node.storage.circle_rows import ReissueRow
from node.storage.rows import AvatarRow, FingerprintRow
from node.storage.sql import insert_new, table

_FINGERPRINT = table(FingerprintRow)
_AVATAR = table(AvatarRow)
_CHUNK = 400
_REISSUE = table(ReissueRow)

# Built once: a sign-up check passes here, and to build one takes longer than to execute it.
_AT_PLACES = select(_FINGERPRINT).where(
    tuple_(_FINGERPRINT.c.log_index, _FINGERPRINT.c.slot).in_(bindparam("places", expanding=True))
)


@dataclass(frozen=True, repr=False)
class FingerprintRecord:
    """One fingerprint of one account-ban."""

    log_index: int
    slot: int
    kind: str
    circle: str
    epoch: int
    scheme: str
    value: bytes


@dataclass(frozen=True)
class Closed:
    """Keys of a circle that are over: up to the number `newest`, all but those that are running."""

    circle: str
    newest: int
    running: frozenset[int]


class AccountRepository:
    """Fingerprints by value."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, fingerprints: Sequence[FingerprintRecord]) -> None:
        """Stores the fingerprints of one account-ban."""
        self._connection.execute(insert(_FINGERPRINT), [dict(vars(one)) for one in fingerprints])

    def with_values(self, values: Sequence[bytes]) -> list[FingerprintRecord]:
        """Returns every fingerprint that equals one of `values`.

        The query is the same, and looks at as many values, whether or not anything is found.
        """
        found = self._connection.execute(
            select(_FINGERPRINT).where(_FINGERPRINT.c.value.in_(list(values)))
        )
        return [FingerprintRecord(**row) for row in found.mappings()]

    def at_places(self, places: Sequence[tuple[int, int]]) -> list[FingerprintRecord]:
        """Returns the fingerprints at these (log_index, slot)."""
        found = self._connection.execute(_AT_PLACES, {"places": list(places)})
        return [FingerprintRecord(**row) for row in found.mappings()]

    def fingerprints_from(self, log_index: int, *, limit: int) -> list[FingerprintRecord]:
        """Returns the fingerprints of the bans from a place in the log on, in its order.

        Args:
            log_index: first place.
            limit: about how many; a ban's fingerprints are never cut apart.
        """
        index = _FINGERPRINT.c.log_index
        wanted = index >= log_index
        last = self._connection.execute(
            select(index).where(wanted).order_by(index).limit(1).offset(limit)
        ).scalar()
        if last is not None:
            # The ban at `last` goes whole, even where it began before the limit.
            wanted &= index <= last
        found = self._connection.execute(
            select(_FINGERPRINT).where(wanted).order_by(index, _FINGERPRINT.c.slot)
        )
        return [FingerprintRecord(**row) for row in found.mappings()]

    def aged(self, closed: Sequence[Closed], *, limit: int) -> list[int]:
        """Returns the places in the log of bans with no fingerprint but of closed keys."""
        over = or_(
            false(),
            *(
                and_(
                    _FINGERPRINT.c.circle == one.circle,
                    _FINGERPRINT.c.epoch <= one.newest,
                    _FINGERPRINT.c.epoch.not_in(one.running),
                )
                for one in closed
            ),
        )
        index = _FINGERPRINT.c.log_index
        found = except_(select(index).where(over), select(index).where(not_(over)))
        return [row.log_index for row in self._connection.execute(found.limit(limit))]

    def link(self, log_index: int, successor: int) -> bool:
        """Keeps which ban was made again as which; returns whether none was before."""
        values = {"log_index": log_index, "successor": successor}
        return insert_new(self._connection, _REISSUE, values)

    def successor(self, log_index: int) -> int | None:
        """Returns the place in the log of the ban that one was made again as."""
        return self._connection.execute(
            select(_REISSUE.c.successor).where(_REISSUE.c.log_index == log_index)
        ).scalar_one_or_none()

    def linked(self, log_index: int) -> list[int]:
        """Returns the places of all bans that say the same under other keys, older and newer."""
        found, waiting = {log_index}, [log_index]
        while waiting:
            at = waiting.pop()
            rows = self._connection.execute(
                select(_REISSUE).where((_REISSUE.c.log_index == at) | (_REISSUE.c.successor == at))
            )
            new = {place for row in rows for place in row} - found
            found |= new
            waiting += new
        return sorted(found - {log_index})

    def add_avatar(self, log_index: int, pdq: bytes) -> None:
        """Stores the avatar of one account-ban."""
        self._connection.execute(insert(_AVATAR), {"log_index": log_index, "pdq": pdq})

    def avatars_at(self, places: Sequence[int]) -> set[int]:
        """Returns which of these places in the log have an avatar."""
        return {
            row.log_index
            for at in range(0, len(places), _CHUNK)
            for row in self._connection.execute(
                select(_AVATAR.c.log_index).where(
                    _AVATAR.c.log_index.in_(list(places[at : at + _CHUNK]))
                )
            )
        }

    def avatars_from(self, log_index: int, *, limit: int) -> list[tuple[int, bytes]]:
        """Returns the avatars from a place in the log on, in its order, each with its place."""
        index = _AVATAR.c.log_index
        found = self._connection.execute(
            select(_AVATAR).where(index >= log_index).order_by(index).limit(limit)
        )
        return [(row.log_index, row.pdq) for row in found]

    def forget(self, log_index: int) -> None:
        """Deletes the fingerprints of a statement, and its avatar."""
        self._connection.execute(delete(_AVATAR).where(_AVATAR.c.log_index == log_index))
        self._connection.execute(delete(_FINGERPRINT).where(_FINGERPRINT.c.log_index == log_index))
