"""What a batch of existing accounts resembles: as single checks say it, for a fraction of them."""

import pytest
from sqlalchemy import event

from desks import PLATFORM_PROGRAM, Desk, ban_of, marks
from node.services.accounts import CheckAnswer
from protocol.errors import InvalidError, UnavailableError
from unit.node.test_services_accounts import DEVICE, EMAIL, NORMAL, PHONE, SAME_PHONE, ban, check
from worlds import ANNA

Account = tuple[tuple[str, str], ...]
STRANGERS = [(("email", f"user{number}@example.com"),) for number in range(64)]


@pytest.fixture
def circle_desk(desk: Desk) -> Desk:
    desk.join_circle()
    return desk


def batch(desk: Desk, *accounts: Account) -> list[CheckAnswer | InvalidError]:
    return desk.accounts.check_batch(accounts, [None] * len(accounts), client=PLATFORM_PROGRAM)


def test_each_account_is_answered_as_a_check_of_it_alone_would_be(circle_desk: Desk) -> None:
    ban(circle_desk, EMAIL, PHONE, DEVICE)
    ban(circle_desk, PHONE)
    accounts: list[Account] = [(NORMAL,), (SAME_PHONE, NORMAL), (DEVICE, EMAIL), (NORMAL,)]
    assert batch(circle_desk, *accounts) == [check(circle_desk, *one) for one in accounts]


def test_identifiers_of_two_accounts_are_never_added_up(circle_desk: Desk) -> None:
    ban(circle_desk, EMAIL, PHONE)
    first, second = batch(circle_desk, (EMAIL,), (PHONE,))
    assert isinstance(first, CheckAnswer)
    assert isinstance(second, CheckAnswer)
    assert [lead.kinds for lead in (*first.leads, *second.leads)] == [("email",), ("phone",)]


def test_a_fingerprint_under_the_kind_of_another_account_is_no_lead(circle_desk: Desk) -> None:
    (true,) = ban_of(ANNA, 1, PHONE).fingerprints
    false = type(true)(
        kind="email", circle=true.circle, epoch=1, scheme=true.scheme, value=true.value
    )
    circle_desk.world.submit(ban_of(ANNA, 2, PHONE, **(marks(PHONE) | {"fingerprints": (false,)})))
    for answer in batch(circle_desk, (EMAIL,), (PHONE,)):
        assert isinstance(answer, CheckAnswer)
        assert answer.leads == ()


def test_the_circle_is_asked_once_and_once_about_what_accounts_share(circle_desk: Desk) -> None:
    batch(circle_desk, (EMAIL, DEVICE), (PHONE, DEVICE), (SAME_PHONE,))
    assert circle_desk.circle.asked == [3]


def test_a_batch_buys_no_hints_about_user_names(circle_desk: Desk) -> None:
    batch(circle_desk, (EMAIL, ("username", "wolf")))
    assert circle_desk.circle.asked == [2]


def test_what_is_wrong_with_one_account_is_said_of_it_and_the_others_are_checked(
    circle_desk: Desk,
) -> None:
    ban(circle_desk, EMAIL)
    one, wrong, nine, found = batch(
        circle_desk,
        (NORMAL,),
        (NORMAL, ("email", "no address")),
        (NORMAL,) * 9,
        (EMAIL,),
    )
    assert isinstance(one, CheckAnswer)
    assert isinstance(found, CheckAnswer)
    assert (one.decision, found.decision) == ("none", "review")
    assert isinstance(wrong, InvalidError)
    assert isinstance(nine, InvalidError)
    assert wrong.where == "accounts[1].identifiers[1].value"
    assert "no address" not in str(wrong)
    assert nine.where == "accounts[2].identifiers"


def test_a_batch_is_one_line_of_the_audit_with_counts_alone(circle_desk: Desk) -> None:
    circle_desk.world.submit(ban_of(ANNA, 1, EMAIL))
    batch(circle_desk, (NORMAL,), (EMAIL, PHONE), (("email", "no address"),), (DEVICE,))
    detail = "accounts=4 identifiers=5 refused=1 none=2 review=1"
    assert circle_desk.audited() == [("upload-check", "account.check-batch", None, detail)]


def test_a_batch_that_finds_somebody_asks_the_database_no_more(circle_desk: Desk) -> None:
    ban(circle_desk, EMAIL)
    batch(circle_desk, (EMAIL,))  # whatever is done at the first time only
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    engine = circle_desk.world.store._engine
    event.listen(engine, "before_cursor_execute", note)
    counts = []
    for accounts in ([(NORMAL,)] * 2, [(EMAIL,), (NORMAL,)]):
        asked.clear()
        batch(circle_desk, *accounts)
        counts.append(len(asked))
    event.remove(engine, "before_cursor_execute", note)
    assert counts[0] == counts[1]


def test_a_full_batch_is_taken_and_one_identifier_more_is_not(circle_desk: Desk) -> None:
    assert len(batch(circle_desk, *STRANGERS)) == 64
    with pytest.raises(InvalidError, match="1 to 64 identifiers altogether"):
        batch(circle_desk, *STRANGERS, (NORMAL,))
    with pytest.raises(InvalidError, match="1 to 64 identifiers altogether"):
        batch(circle_desk)
    assert circle_desk.circle.asked == [64]


def test_when_the_circle_does_not_answer_nothing_of_a_batch_is_decided(circle_desk: Desk) -> None:
    circle_desk.circle.down = True
    with pytest.raises(UnavailableError, match="could not be asked"):
        batch(circle_desk, (NORMAL,), (EMAIL,))
    detail = "accounts=2 identifiers=2 refused=0 unavailable"
    assert circle_desk.audited() == [("upload-check", "account.check-batch", None, detail)]
