"""Whatever is asked and whenever, no day and no minute has more than its budget."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.services.budgets import Allowance, Budgets
from node.storage.engine import Store
from protocol.circles import Member
from simulator import NOW
from worlds import HOTLINE, PLATFORM, Clock, circle_descriptor

PER_DAY, PER_MINUTE = 60, 20
MIDNIGHT = NOW + 14 * 3600
_numbers = itertools.count()
ASKED = st.lists(
    st.tuples(
        st.floats(0, 50, allow_nan=False),
        st.sampled_from([1, 8, 13]),
        st.sampled_from([PLATFORM, "sister.example"]),
    ),
    min_size=1,
    max_size=40,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path_factory.mktemp('budgets') / 'node.db'}")
    made.migrate()
    yield made
    made.close()


@settings(max_examples=40, deadline=None)
@given(asked=ASKED)
def test_no_day_and_no_minute_has_more_than_its_budget(store, asked):
    clock = Clock(MIDNIGHT - 300)
    granted = []
    # A circle of its own for each example: budgets are one circle's.
    described = circle_descriptor(
        circle=f"{HOTLINE}/circle-{next(_numbers)}",
        members=(
            Member(node=HOTLINE, budget_per_day=0),
            Member(node=PLATFORM, budget_per_day=PER_DAY, burst_per_minute=PER_MINUTE),
            Member(node="sister.example", budget_per_day=5_000, party=PLATFORM),
        ),
    )
    budgets = Budgets(store, name=HOTLINE, most=Allowance(5_000, 5_000), clock=clock)
    for wait_s, elements, node in asked:
        clock.tick(wait_s)
        digest = next(_numbers).to_bytes(32, "big")
        with store.write() as transaction:
            refusal = budgets.take(transaction, described, node, elements=elements, digest=digest)
        if refusal is None:
            granted.append((clock.now, elements))
        else:
            assert refusal.retry_after_s > 0
    for start, _ in granted:
        window = sum(count for at, count in granted if start <= at < start + 60)
        assert window <= PER_MINUTE
    for first, last in ((0, MIDNIGHT), (MIDNIGHT, MIDNIGHT + 86_400)):
        assert sum(count for at, count in granted if first <= at < last) <= PER_DAY
