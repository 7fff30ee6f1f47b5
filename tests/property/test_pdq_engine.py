"""The compiled index against an oracle that compares every pair."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from node.matching.engine import PdqEngine
from pdq_corpora import (
    KINDS,
    at_chunk_distances,
    corpus,
    families,
    flipped,
    oracle,
    questions_about,
)

DISTANCES = st.sampled_from([0, 1, 2, 15, 16, 31, 32, 47, 48, 64]) | st.integers(0, 255)
SEEDS = st.integers(0, 2**32)


def new_engine():
    engine = PdqEngine(None, small_rows=0, background=False, threads=1)
    assert len(engine) == 0, "it opens when it is first asked something"
    return engine


@given(st.sampled_from(KINDS), st.integers(0, 3000), SEEDS, DISTANCES, st.sampled_from([0, 0.3, 1]))
@settings(max_examples=60, deadline=None)
def test_every_corpus_is_searched_exactly(kind, rows, seed, most, share_in_delta):
    rng = np.random.default_rng(seed)
    pdqs, keys = corpus(kind, rows, rng), rng.permutation(rows) * 3 - 40
    cut = int(rows * share_in_delta)
    engine = new_engine()
    engine.add(keys[:cut], pdqs[:cut])
    engine.build(keys[cut:], pdqs[cut:])
    questions = questions_about(pdqs, 12, rng)
    expected = [oracle(keys, pdqs, one.tobytes(), most) for one in questions]
    assert [engine.query(one.tobytes(), most) for one in questions] == expected
    assert engine.query_many(questions, most) == expected


@given(SEEDS)
@settings(max_examples=12, deadline=None)
def test_no_way_to_spread_the_distance_over_the_chunks_escapes(seed):
    rng = np.random.default_rng(seed)
    rows = 400
    pdqs = corpus("uniform", rows, rng)
    spread = np.empty((rows, 16), np.int64)
    shapes = ([2] * 16, [0, 4] * 8, [1, 3] * 8, [0] * 12 + [8] * 4, [3] * 16, [0, 6] * 8)
    for i in range(rows):
        total, of_it = rng.integers(27, 50), np.roll(shapes[i % 6], rng.integers(16))
        while of_it.sum() != total:
            step = 1 if of_it.sum() < total else -1
            j = rng.integers(16)
            of_it[j] = np.clip(of_it[j] + step, 0, 16)
        spread[i] = of_it
    questions = at_chunk_distances(pdqs, spread, rng)
    engine = new_engine()
    engine.build(np.arange(rows), pdqs)
    for most in (31, 47):
        found = [engine.query(one.tobytes(), most) for one in questions]
        totals = spread.sum(axis=1)
        assert found == [[(i, n)] if n <= most else [] for i, n in enumerate(totals.tolist())]
        assert engine.query_many(questions, most) == found


@given(
    st.lists(st.integers(150, 1200), min_size=1, max_size=4),
    st.integers(0, 900),
    st.sampled_from([0, 8, 60, 128]),
    SEEDS,
    DISTANCES,
)
@settings(max_examples=25, deadline=None)
def test_families_are_in_no_table_and_are_searched_exactly(sizes, others, active, seed, most):
    rng = np.random.default_rng(seed)
    rows = sum(sizes) + others
    pdqs, keys = families(sizes, rows, active, rng), np.arange(rows)
    engine = new_engine()
    engine.build(keys, pdqs)
    shape = engine._ring._view.mounted[0].segment.shape
    if active <= 60:  # where half of the bits differ, a bucket need not hold enough to be noticed
        assert 1 <= shape.families <= len(sizes)
        assert shape.tabled <= rows - max(sizes)
    questions = np.concatenate([questions_about(pdqs, 8, rng), pdqs[:2]])
    expected = [oracle(keys, pdqs, one.tobytes(), most) for one in questions]
    assert [engine.query(one.tobytes(), most) for one in questions] == expected
    assert engine.query_many(questions, most) == expected
    gone = rng.permutation(rows)[: rows // 5]
    engine.remove(gone.tolist())
    kept = np.delete(keys, gone)
    expected = [oracle(kept, pdqs[kept], one.tobytes(), most) for one in questions]
    assert [engine.query(one.tobytes(), most) for one in questions] == expected


@given(st.integers(1, 8), SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_question_just_inside_a_family_or_just_outside_is_answered_by_the_bit(strays, seed):
    rng = np.random.default_rng(seed)
    rows = 400
    value = rng.integers(0, 256, (1, 32)).astype(np.uint8)
    pdqs = np.repeat(value, rows, axis=0)
    pdqs[:strays] = flipped(rng, pdqs[:strays], rng.integers(1, 60, strays))
    engine = new_engine()
    engine.build(np.arange(rows), pdqs)
    assert engine._ring._view.mounted[0].segment.shape.families == 1
    for away in (0, 30, 31, 32, 33, 60, 90, 103, 104):
        question = flipped(rng, value, np.array([away]))[0]
        assert engine.query(bytes(question)) == oracle(np.arange(rows), pdqs, bytes(question), 31)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "build", "remove", "merge", "flush"]), st.integers(0, 300)
    ),
    max_size=12,
)


@given(STEPS, SEEDS, st.sampled_from(KINDS), st.sampled_from([2, 31, 60]))
@settings(max_examples=40, deadline=None)
def test_adds_removals_and_merges_in_any_order_leave_what_they_should(steps, seed, kind, most):
    rng = np.random.default_rng(seed)
    engine = new_engine()
    keys, pdqs = np.empty(0, np.int64), np.empty((0, 32), np.uint8)
    for step, size in steps:
        if step in {"add", "build"}:
            new_keys, new_pdqs = rng.integers(0, 200, size), corpus(kind, size, rng)
            getattr(engine, step)(new_keys, new_pdqs)
            keys, pdqs = np.concatenate([keys, new_keys]), np.concatenate([pdqs, new_pdqs])
        elif step == "remove":
            gone = rng.integers(0, 200, size // 10)
            engine.remove(gone.tolist())
            kept = ~np.isin(keys, gone)
            keys, pdqs = keys[kept], pdqs[kept]
        elif step == "merge":
            assert engine._ring.merge()
        else:
            assert engine.flush()
        assert len(engine) == len(keys)
        questions = questions_about(pdqs, 3, rng)
        expected = [oracle(keys, pdqs, one.tobytes(), most) for one in questions]
        assert [engine.query(one.tobytes(), most) for one in questions] == expected
    found_keys, found_pdqs = engine.entries()
    assert sorted(zip(found_keys.tolist(), map(bytes, found_pdqs), strict=True)) == sorted(
        zip(keys.tolist(), map(bytes, pdqs), strict=True)
    )


@given(st.integers(1, 50), SEEDS)
@settings(max_examples=15, deadline=None)
def test_a_limit_ends_the_search_with_so_many_true_matches(limit, seed):
    rng = np.random.default_rng(seed)
    pdqs = corpus("skewed", 3000, rng)
    engine = new_engine()
    engine.build(np.arange(2500), pdqs[:2500])
    engine.add(np.arange(2500, 3000), pdqs[2500:])
    for question in map(bytes, questions_about(pdqs, 4, rng)):
        everything = oracle(np.arange(3000), pdqs, question, 31)
        found = engine.query(question, limit=limit)
        assert len(found) == min(limit, len(everything))
        assert set(found) <= set(everything)
