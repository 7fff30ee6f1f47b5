"""Media hashes and fingerprints: equality, the pages of the index, withdrawal and deletion."""

import hashlib

import pytest
from sqlalchemy import event

from node.storage.accounts import FingerprintRecord
from node.storage.engine import Store
from node.storage.media import MediaHash, PdqColumns

MANY = 1_203  # more than two chunks of a query


def digest(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def add(store: Store, *hashes: MediaHash) -> None:
    with store.write() as transaction:
        transaction.media.add(hashes)


def fingerprint(log_index: int, slot: int, value: bytes) -> FingerprintRecord:
    return FingerprintRecord(
        log_index, slot, "email", "hotline.example/minors-1", 1, "email-v1", value
    )


def test_exact_digests_are_found_by_equality_and_pdqs_are_not(store: Store) -> None:
    found = [MediaHash(0, slot, 0, kind, digest(1)) for slot, kind in enumerate(("sha256", "md5"))]
    add(store, *found, MediaHash(0, 2, 0, "pdq", digest(1)), MediaHash(0, 3, 0, "frame", digest(1)))
    with store.read() as transaction:
        assert set(transaction.media.with_values([digest(1), digest(1), digest(2)])) == set(found)
        assert transaction.media.with_values([]) == []


def test_any_number_of_media_hashes_is_looked_up_at_once(store: Store) -> None:
    stored = [MediaHash(at // 10, at % 10, 0, "sha256", digest(at)) for at in range(MANY)]
    add(store, *stored)
    asked = [digest(at) for at in range(MANY + 50)]
    slots = [(at // 10, at % 10) for at in range(MANY + 50)]
    with store.read() as transaction:
        assert set(transaction.media.with_values(asked)) == set(stored)
        assert transaction.media.at_slots(slots) == {
            (one.log_index, one.slot): one for one in stored
        }
        assert transaction.media.at_slots([]) == {}
        assert transaction.media.count() == MANY


def test_a_frame_keeps_its_place_and_is_found_with_the_pdqs(store: Store) -> None:
    frames = [MediaHash(0, slot, 0, "frame", digest(slot), slot * 500) for slot in range(3)]
    add(store, *frames, MediaHash(0, 3, 0, "sha256", digest(3)))
    with store.read() as transaction:
        assert transaction.media.pdqs_from(0, limit=10) == frames
        assert transaction.media.at_slots([(0, 2)]) == {(0, 2): frames[2]}


def test_a_film_has_as_many_frames_as_differ_and_are_active(store: Store) -> None:
    values = [(0, 1), (0, 1), (0, 2), (1, 1), (2, 5)]
    add(
        store,
        *(
            MediaHash(4, slot, item, "frame", digest(value), slot)
            for slot, (item, value) in enumerate(values)
        ),
        MediaHash(4, 9, 0, "pdq", digest(9)),
        MediaHash(5, 0, 0, "frame", digest(1), 0),
    )
    with store.write() as transaction:
        transaction.media.withdraw(4, [2])
        found = transaction.media.frames_in([(4, 0), (4, 1), (4, 2), (4, 3)])
    assert found == {(4, 0): 2, (4, 1): 1}


def test_what_was_withdrawn_is_found_nowhere_and_the_rest_is(store: Store) -> None:
    hashes = [MediaHash(0, 0, 0, "pdq", digest(0)), MediaHash(0, 1, 0, "sha256", digest(1))]
    hashes += [MediaHash(0, 2, 1, "pdq", digest(2)), MediaHash(0, 3, 1, "sha256", digest(3))]
    other = MediaHash(1, 0, 0, "sha256", digest(1))
    add(store, *hashes, other)
    with store.write() as transaction:
        assert transaction.media.withdraw(0, [0]) == 2
        assert set(transaction.media.with_values([digest(1), digest(3)])) == {hashes[3], other}
        assert transaction.media.pdqs_from(0, limit=10) == [hashes[2]]
        assert set(transaction.media.at_slots([(0, 0), (0, 2)])) == {(0, 2)}
        assert transaction.media.count() == 3
        assert transaction.media.withdraw(0, []) == 0
        assert transaction.media.withdraw(7, []) == 0
        assert transaction.media.count() == 1


def test_all_items_of_the_largest_statement_are_withdrawn_at_once(store: Store) -> None:
    add(store, *(MediaHash(0, at, at, "sha256", digest(at)) for at in range(1_000)))
    with store.write() as transaction:
        assert transaction.media.withdraw(0, range(999)) == 1
        assert transaction.media.withdraw(0, [999]) == 0


@pytest.mark.parametrize("limit", [1, 3, 4, 5, 7, 100])
def test_pages_of_pdqs_follow_the_log_and_cut_no_statement_apart(store: Store, limit: int) -> None:
    lengths = {2: 3, 3: 1, 5: 6, 9: 2, 11: 1}
    stored = [
        MediaHash(at, slot, slot, "pdq", digest(100 * at + slot))
        for at, length in lengths.items()
        for slot in range(length)
    ]
    add(store, *stored, MediaHash(4, 0, 0, "sha256", digest(1)))
    seen: list[MediaHash] = []
    following = 0
    with store.read() as transaction:
        while page := transaction.media.pdqs_from(following, limit=limit):
            assert {one.log_index for one in page}.isdisjoint({one.log_index for one in seen})
            # One statement may exceed the limit, and the next one is not begun behind it.
            assert len(page) <= limit + max(lengths.values())
            columns = transaction.media.pdq_columns_from(following, limit=limit)
            assert columns == tuple(
                list(column)
                for column in zip(*[(o.log_index, o.slot, o.value) for o in page], strict=True)
            )
            seen += page
            following = page[-1].log_index + 1
        assert transaction.media.pdq_columns_from(following, limit=limit) is None
    assert seen == stored


def test_pictures_are_stored_as_their_media_hashes_would_be(store: Store) -> None:
    pdqs = [digest(number) for number in range(3)]
    with store.write() as transaction:
        transaction.media.add_pictures(4, pdqs)
    add(store, *[MediaHash(5, at, at, "pdq", pdq) for at, pdq in enumerate(pdqs)])
    with store.read() as transaction:
        found = transaction.media.pdqs_from(0, limit=10)
    assert [one._replace(log_index=4) for one in found] == found[:3] * 2


def test_columns_of_pdqs_show_no_pdq() -> None:
    assert repr(PdqColumns([1], [2], [digest(3)])) == "PdqColumns(hidden)"


def test_fingerprints_are_found_by_equality_until_they_are_forgotten(store: Store) -> None:
    stored = [fingerprint(0, 0, digest(0)), fingerprint(0, 1, digest(1))]
    other = fingerprint(1, 0, digest(1))
    with store.write() as transaction:
        transaction.accounts.add(stored)
        transaction.accounts.add([other])
        assert transaction.accounts.with_values([digest(0), digest(9)]) == [stored[0]]
        found = transaction.accounts.with_values([digest(1)])
        assert sorted(found, key=lambda one: one.log_index) == [stored[1], other]
        transaction.accounts.forget(0)
        assert transaction.accounts.with_values([digest(0), digest(1)]) == [other]
        assert transaction.accounts.with_values([]) == []


def test_nothing_that_holds_a_hash_shows_it() -> None:
    for one in (MediaHash(0, 0, 0, "pdq", b"SECRET"), fingerprint(0, 0, b"SECRET")):
        assert "SECRET" not in f"{one!r}{one}"


def test_an_exact_digest_is_looked_for_in_an_index_that_holds_no_pdq(store: Store) -> None:
    if store.dialect != "sqlite":
        return
    add(store, *(MediaHash(0, at, at, "pdq", digest(at)) for at in range(5)))
    with store.read() as transaction:
        asked: list[str] = []
        connection = transaction.media._connection
        event.listen(connection, "before_cursor_execute", lambda *seen: asked.append(seen[2]))
        transaction.media.with_values([digest(1)])
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[-1]}", (digest(1),))
        assert "ix_media_hash_digest" in str(plan.all())
