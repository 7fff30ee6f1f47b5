"""Uploads that a platform registers, so that what is flagged later is found among them.

They are the platform's own data: they stay on this node, under an id that only the platform
understands, until the platform deletes them or their time is over. No audit line or log names one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from node.services.clients import Client
from node.storage.engine import Store
from node.storage.uploads import UploadRecord
from protocol.errors import NotFoundError

_DAY_S = 86_400


@dataclass(frozen=True, repr=False)
class NewUpload:
    """An upload as its platform registers it; media hashes in hexadecimal.

    Attributes:
        id: what the platform calls it.
        surface: ``public``, ``hosted`` or ``private``.
        uploaded: when, in Unix seconds; only told back.
        keep_days: how long to keep it, where that is shorter than the operator's setting.
    """

    id: str
    surface: str
    pdq: str | None = None
    quality: int | None = None
    sha256: str | None = None
    sha1: str | None = None
    md5: str | None = None
    uploaded: int | None = None
    keep_days: int | None = None


@dataclass(frozen=True)
class Registered:
    """How many were new, took the place of others of their id, or were known just so."""

    added: int
    replaced: int
    known: int


class Uploads:
    """Registers uploads and forgets them."""

    def __init__(self, store: Store, *, kept_days: int, clock: Callable[[], float]) -> None:
        self._store = store
        self._kept_days = kept_days
        self._clock = clock

    def register(self, uploads: Sequence[NewUpload], *, client: Client) -> Registered:
        """Stores uploads; the same again changes nothing, not even when its time is over.

        An upload whose id is known with other media hashes takes the place of that one. Of several
        with one id, the last counts.
        """
        now = int(self._clock())
        wanted = {one.id: self._record(one, client.id, now) for one in uploads}
        with self._store.write() as transaction:
            known = transaction.uploads.of_client(client.id, wanted)
            same = {key for key, one in known.items() if _is_same(one, wanted[key])}
            replaced = [one.number or 0 for key, one in known.items() if key not in same]
            transaction.uploads.remove(replaced)
            transaction.uploads.add([one for key, one in wanted.items() if key not in same])
            done = Registered(len(wanted) - len(known), len(replaced), len(same))
            detail = f"added={done.added} replaced={done.replaced} known={done.known}"
            transaction.journal.audit(
                client.name, "uploads.register", at=now, subject=None, detail=detail
            )
        return done

    def delete(self, ids: Sequence[str], *, client: Client) -> int:
        """Forgets those uploads of a client that have these ids, and their matches.

        Returns how many there were.
        """
        now = int(self._clock())
        with self._store.write() as transaction:
            found = transaction.uploads.of_client(client.id, set(ids))
            numbers = [one.number or 0 for one in found.values()]
            transaction.uploads.remove(numbers)
            transaction.retro.forget_uploads(numbers)
            transaction.journal.audit(
                client.name, "uploads.delete", at=now, subject=None, detail=f"items={len(numbers)}"
            )
        return len(numbers)

    def delete_one(self, upload_id: str, *, client: Client) -> None:
        """Forgets one upload, as `delete` does.

        Raises:
            NotFoundError: the client has registered none of this id.
        """
        if not self.delete([upload_id], client=client):
            raise NotFoundError("No upload of this id is registered.")

    def _record(self, one: NewUpload, client: int, now: int) -> UploadRecord:
        days = min(one.keep_days or self._kept_days, self._kept_days)
        return UploadRecord(
            client=client,
            id=one.id,
            surface=one.surface,
            pdq=_raw(one.pdq),
            quality=one.quality,
            sha256=_raw(one.sha256),
            sha1=_raw(one.sha1),
            md5=_raw(one.md5),
            uploaded=one.uploaded,
            ends=now + days * _DAY_S,
        )


def _is_same(known: UploadRecord, wanted: UploadRecord) -> bool:
    """Whether nothing that is compared differs."""
    return replace(known, number=None, ends=0, uploaded=None) == replace(
        wanted, number=None, ends=0, uploaded=None
    )


def _raw(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)
