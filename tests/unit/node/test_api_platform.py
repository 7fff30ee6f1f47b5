"""What platforms get: look-ups, files, sign-ups, and what happens while something is down."""

import pytest
from fastapi.testclient import TestClient

import api_fakes
from api_fakes import bearer
from node.api import examples
from node.api.app import build_api
from node.api.platform import ANSWER_BLOCK_BYTES
from node.matching.variant_names import MAX_VARIANTS
from node.services.variants import QueryVariant
from protocol.statements import FeedbackRow, MediaItem

URL = "http://127.0.0.1:8440"
LISTED = {"pdq": "ab" * 32, "quality": 90}


@pytest.fixture
def services(tmp_path):
    return api_fakes.fake_services(tmp_path, url=URL)


@pytest.fixture
def client(services):
    return TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))


def match(client, *items):
    body = {"surface": "public", "items": list(items)}
    return client.post("/v1/media/match", json=body, headers=bearer("match"))


def test_each_item_gets_its_result_in_the_order_asked(client):
    found = match(client, {"md5": "a" * 32}, LISTED).json()
    assert [one["decision"] for one in found["results"]] == ["none", "block"]
    assert found["results"][1]["matches"][0]["distance"] == 4
    assert found["list"] == {"entries": 7, "size": 1, "age_s": None}


def test_a_thousand_items_are_taken_and_one_more_is_not(client):
    assert len(match(client, *[LISTED] * 1_000).json()["results"]) == 1_000
    problem = match(client, *[LISTED] * 1_001).json()
    assert problem["errors"][0]["field"] == "items"


def test_the_fields_at_fault_are_named_and_no_more_than_twenty(client):
    problem = match(client, {"md5": "b"}, {"pdq": "zz", "quality": 101}).json()
    assert {one["field"] for one in problem["errors"]} == {
        "items[0].md5",
        "items[1].pdq",
        "items[1].quality",
    }
    assert len(match(client, *[{"md5": "b"}] * 900).json()["errors"]) == 20


@pytest.mark.parametrize(
    ("item", "word"), [({}, "At least one"), ({"quality": 3, "md5": "a" * 32}, "with its pdq")]
)
def test_an_item_that_says_nothing_is_refused(client, item, word):
    problem = match(client, item).json()
    assert word in problem["errors"][0]["message"]
    assert problem["errors"][0]["field"] == "items[0]"


def test_a_pdq_may_be_looked_up_without_its_quality_but_not_flagged(client):
    assert match(client, {"pdq": "ab" * 32}).status_code == 200
    body = {**examples.FLAG, "items": [{"pdq": "ab" * 32}]}
    response = client.post("/v1/media/flag", json=body, headers=bearer("flag"))
    assert response.status_code == 422
    assert "quality" in response.json()["detail"]


def test_a_flag_hands_over_everything_that_was_said(client, services):
    response = client.post("/v1/media/flag", json=examples.FLAG, headers=bearer("flag"))
    assert response.json() == {"id": services.flags.ids[-1], "index": 1}
    said = services.flags.last
    assert said["items"] == [
        MediaItem(pdq=examples.PDQ, quality=98, sha256=examples.SHA256, sha1=None, md5=None)
    ]
    for name in set(examples.FLAG) - {"items"}:
        expected = examples.FLAG[name]
        assert said[name] == (tuple(expected) if isinstance(expected, list) else expected)
    assert said["client"].name == "flag"


def post_file(client, content, *, surface="public", **header):
    return client.post(
        f"/v1/media/match-file?surface={surface}",
        content=content,
        headers=bearer("match") | {name.replace("_", "-"): one for name, one in header.items()},
    )


@pytest.mark.parametrize("content_type", ["image/jpeg", "IMAGE/PNG", "application/octet-stream"])
def test_a_file_is_hashed_and_looked_up(client, services, content_type):
    found = post_file(client, b"PICTURE", Content_Type=content_type).json()
    assert found["result"]["decision"] == "block"
    assert found["hashes"]["pdq"] == "ab" * 32
    assert found["hashes"]["format"] == "PNG"
    assert services.lookups.asked[0].sha256 == "1" * 64


def test_of_a_file_only_the_variants_that_the_policy_asks_for_are_computed(client, services):
    services.lookups.variants = frozenset({"mirror"})
    found = post_file(client, b"PICTURE", Content_Type="image/png").json()
    assert services.lookups.asked[0].variants == (QueryVariant("mirrored", "cd" * 32, 90),)
    assert "variants" not in found["hashes"]
    post_file(client, b"PICTURE", surface="hosted", Content_Type="image/png")
    assert services.lookups.asked[0].variants == ()


VARIANT = {"name": "mirrored", "pdq": "cd" * 32, "quality": 90}


def test_an_item_may_bring_its_own_variants(client, services):
    found = match(client, {"pdq": "ab" * 32, "quality": 90, "variants": [VARIANT]}).json()
    assert services.lookups.asked[0].variants == (QueryVariant(**VARIANT),)
    assert found["results"][0]["matches"][0]["variant"] == "plain"


@pytest.mark.parametrize(
    "item",
    [
        {"sha256": "1" * 64, "variants": [VARIANT]},
        {"pdq": "ab" * 32, "variants": [VARIANT] * (MAX_VARIANTS + 1)},
        {"pdq": "ab" * 32, "variants": [VARIANT | {"name": "plain"}]},
        {"pdq": "ab" * 32, "variants": [VARIANT | {"name": "upside-down"}]},
        {"pdq": "ab" * 32, "variants": [VARIANT | {"pdq": "CD" * 32}]},
        {"pdq": "ab" * 32, "variants": [VARIANT | {"quality": 101}]},
        {"pdq": "ab" * 32, "variants": [{"name": "mirrored", "pdq": "cd" * 32}]},
        {"pdq": "ab" * 32, "variants": [VARIANT | {"more": 1}]},
    ],
)
def test_variants_that_are_none_or_too_many_are_refused(client, services, item):
    response = match(client, item)
    assert response.status_code == 422
    assert "cd" * 32 not in response.text
    assert services.lookups.asked == []


def test_all_items_together_have_a_most_of_variants(client):
    item = {"pdq": "ab" * 32, "variants": [VARIANT] * 40}
    assert match(client, *[item] * 100).status_code == 200
    response = match(client, *[item] * 101)
    assert response.status_code == 422
    assert "at most 4000 variants" in response.text


def test_what_is_flagged_or_registered_has_no_variants(client):
    item = {**examples.FLAG["items"][0], "variants": [VARIANT]}
    body = {**examples.FLAG, "items": [item]}
    assert client.post("/v1/media/flag", json=body, headers=bearer("flag")).status_code == 422


@pytest.mark.parametrize(("draft", "quality"), [(False, 90), (True, 80)])
def test_a_draft_is_hashed_only_where_the_operator_said_so(tmp_path, draft, quality):
    services = api_fakes.fake_services(tmp_path, url=URL, lookup_draft=draft)
    client = TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))
    found = post_file(client, b"PICTURE", Content_Type="image/jpeg").json()
    assert found["hashes"]["quality"] == quality


def test_a_file_may_come_as_a_form(client):
    response = client.post(
        "/v1/media/match-file?surface=public",
        files={"file": ("../../etc/passwd", b"PICTURE\r\n--not the end", "text/html")},
        headers=bearer("match"),
    )
    assert response.json()["result"]["decision"] == "block"


FORM = 'multipart/form-data; boundary="b"'


def part(content: bytes, end: bytes = b"--") -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
    return head + content + b"\r\n--b" + end + b"\r\n"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", part(b"PICTURE")),
        ('multipart/form-data; boundary=""', part(b"PICTURE")),
        (f"multipart/form-data; boundary={'b' * 71}", part(b"PICTURE")),
        (FORM, b""),
        (FORM, b"--b--\r\n"),
        (FORM, b"PICTURE"),
        (FORM, part(b"PICTURE")[:-5]),
        (FORM, part(b"PICTURE", b"")),
        (FORM, part(b"PICTURE", b"") + part(b"PICTURE")),
        (FORM, part(b"PICTURE", b"")[:-2] + b"\r\nA: b\r\n\r\nc\r\n--b--\r\n"),
        (FORM, b"--b\r\n" + b"A: " + b"b" * 10_000 + b"\r\n\r\nPICTURE\r\n--b--\r\n"),
        (FORM, b"--b\r\n" + b"A: b\r\n" * 100 + b"\r\nPICTURE\r\n--b--\r\n"),
        (FORM, b"--b\r\nbroken\xff\r\n\r\nPICTURE\r\n--b--\r\n"),
    ],
)
def test_a_form_that_is_not_exactly_one_file_is_refused(client, content_type, body):
    response = post_file(client, body, Content_Type=content_type)
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("content_type", ["video/webm", "application/octet-stream", FORM])
def test_a_film_is_hashed_frame_by_frame_whatever_it_calls_itself(client, services, content_type):
    body = part(api_fakes.FILM) if content_type == FORM else api_fakes.FILM
    response = post_file(client, body, Content_Type=content_type)
    assert response.status_code == 200, response.text
    hashes = response.json()["hashes"]
    assert (hashes["format"], hashes["duration_ms"], hashes["pdq"]) == ("WEBM", 1_900, None)
    assert [one["at_ms"] for one in hashes["frames"]] == [0, 1_000]
    (query,) = services.lookups.asked
    assert (query.sha256, [one.at_ms for one in query.frames]) == ("1" * 64, [0, 1_000])


def frames_of(count, **changes):
    one = {"pdq": "ab" * 32, "quality": 90, "at_ms": 0} | changes
    return [{**one, "at_ms": at} if "at_ms" not in changes else one for at in range(count)]


def test_frames_alone_are_an_item(client, services):
    assert match(client, {"frames": frames_of(3)}).status_code == 200
    (query,) = services.lookups.asked
    assert [one.at_ms for one in query.frames] == [0, 1, 2]


@pytest.mark.parametrize(
    "items",
    [
        [{"frames": []}],
        [{"frames": frames_of(3_601)}],
        [{"frames": frames_of(2_001)}, {"frames": frames_of(2_000)}],
        [{"frames": frames_of(1, pdq="AB" * 32)}],
        [{"frames": frames_of(1, quality=101)}],
        [{"frames": frames_of(1, at_ms=-1)}],
        [{"frames": [{"pdq": "ab" * 32, "at_ms": 0}]}],
    ],
    ids=["none", "too many", "too many together", "form", "quality", "time", "no quality"],
)
def test_frames_that_are_none_or_too_many_are_refused(client, items):
    response = match(client, *items)
    assert response.status_code == 422
    assert "abab" not in response.text


def test_what_is_no_picture_is_refused_with_the_sentence_of_the_pool(client):
    response = post_file(client, b"not one", Content_Type="image/png")
    assert response.status_code == 422
    assert "not a picture" in response.json()["detail"]


@pytest.mark.parametrize("surface", ["", "secret", "Public", "public,hosted"])
def test_a_file_needs_a_known_surface(client, surface):
    response = post_file(client, b"PICTURE", surface=surface, Content_Type="image/png")
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "surface"


def test_a_file_may_be_larger_than_other_bodies_and_not_larger_than_set(tmp_path):
    services = api_fakes.fake_services(tmp_path, url=URL, max_upload_bytes=3 << 20)
    client = TestClient(build_api(services), base_url=URL)
    large = b"PICTURE" + bytes((3 << 20) - 7)
    assert post_file(client, large, Content_Type="image/png").status_code == 200
    assert post_file(client, large + b"1", Content_Type="image/png").status_code == 413


def check(client, **more):
    body = {"identifiers": [{"kind": "email", "value": "bad@example.com"}]} | more
    return client.post("/v1/accounts/check", json=body, headers=bearer("check"))


def test_a_sign_up_gets_leads_in_one_shape_whether_or_not_there_are_any(client):
    found = check(client).json()
    none = check(client, identifiers=[{"kind": "email", "value": "good@example.com"}]).json()
    assert found["decision"] == "review"
    assert found["leads"][0]["kinds"] == ["email"]
    assert (none["decision"], none["rule"], none["leads"]) == ("none", None, [])
    assert found.keys() == none.keys()


def test_an_identifier_at_fault_is_named_by_its_place(client):
    problem = check(client, identifiers=[{"kind": "email", "value": "not one"}]).json()
    assert problem["errors"][0]["field"] == "identifiers[0].value"
    assert "not one" not in str(problem)


def test_eight_identifiers_are_taken_and_nine_are_not(client):
    one = {"kind": "username", "value": "someone"}
    assert check(client, identifiers=[one] * 8).status_code == 200
    assert check(client, identifiers=[one] * 9).status_code == 422
    assert check(client, identifiers=[]).status_code == 422


@pytest.mark.parametrize(("mode", "word"), [("closed", "keep it back"), ("open", "let it pass")])
def test_while_the_circle_is_down_the_answer_says_what_the_operator_declared(tmp_path, mode, word):
    services = api_fakes.fake_services(tmp_path, url=URL, check_fail_mode=mode)
    services.accounts.down = services.lookups.down = True
    client = TestClient(build_api(services), base_url=URL)
    refused = [match(client, LISTED), post_file(client, b"PICTURE", Content_Type="image/png")]
    if mode == "closed":
        refused.append(check(client))
    for response in refused:
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) > 0
        problem = response.json()
        assert problem["fail_mode"] == mode
        assert word in problem["detail"]
        assert "secret" not in response.text


def test_an_operator_who_declares_open_gets_an_answer_that_says_that_nothing_was_checked(tmp_path):
    services = api_fakes.fake_services(
        tmp_path, url=URL, check_fail_mode="open", metrics_enabled=True
    )
    services.accounts.down = True
    app = build_api(services)
    client = TestClient(app, base_url=URL)
    response = check(client)
    assert response.status_code == 200
    answer = response.json()
    assert (answer["decision"], answer["rule"], answer["leads"]) == ("none", None, [])
    assert answer["unavailable"]
    assert "Nothing was checked" in answer["why"][0]
    assert "secret" not in response.text
    counted = app.state.metrics.render().decode()
    assert 'decision="unavailable",subject="account"} 1.0' in counted


def test_an_answer_about_a_sign_up_has_one_length_whatever_was_found(client):
    found = check(client, identifiers=[{"kind": "email", "value": "bad@example.com"}])
    nothing = check(client, identifiers=[{"kind": "email", "value": "good@example.com"}])
    assert (found.json()["decision"], nothing.json()["decision"]) == ("review", "none")
    assert len(found.content) == len(nothing.content) == ANSWER_BLOCK_BYTES
    assert found.headers.keys() == nothing.headers.keys()


def test_a_ban_that_cannot_be_made_now_says_so_without_the_reason(client, services):
    services.accounts.down = True
    response = client.post("/v1/accounts/ban", json=examples.BAN, headers=bearer("ban"))
    assert response.status_code == 503
    assert "secret" not in response.text


def test_a_budget_that_is_used_up_says_when_to_come_back(client, services):
    services.accounts.spent = True
    response = check(client)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "77"


def test_a_ban_without_an_audience_leaves_the_choice_to_the_service(client, services):
    body = {name: value for name, value in examples.BAN.items() if name != "audience"}
    response = client.post("/v1/accounts/ban", json=body, headers=bearer("ban"))
    assert response.status_code == 201
    assert services.flags.last["audience"] is None
    assert services.flags.last["expires_days"] == 365


@pytest.mark.parametrize("days", [0, 732, True, "1"])
def test_a_ban_always_ends_within_two_years(client, days):
    body = {**examples.BAN, "expires_days": days}
    response = client.post("/v1/accounts/ban", json=body, headers=bearer("ban"))
    assert response.json()["errors"][0]["field"] == "expires_days"


@pytest.mark.parametrize("verb", ["retract", "erase", "dispute", "resolve", "feedback"])
def test_nothing_is_said_about_a_statement_that_is_not_known(client, verb):
    body = {
        "retract": examples.RETRACT,
        "erase": examples.ERASE,
        "dispute": examples.DISPUTE_BODY,
        "resolve": examples.RESOLVE,
        "feedback": examples.FEEDBACK,
    }[verb]
    response = client.post(
        f"/v1/statements/{'0' * 64}/{verb}", json=body, headers=bearer("statements")
    )
    assert response.status_code == 404


def test_feedback_reaches_the_service_as_rows_of_the_protocol(client, services):
    client.post(
        f"/v1/statements/{api_fakes.KNOWN}/feedback",
        json=examples.FEEDBACK,
        headers=bearer("statements"),
    )
    assert services.flags.last["rows"] == [FeedbackRow(item=0, confirmed=3, refuted=1)]


def test_a_remedy_is_listed_until_it_is_done(client):
    headers = bearer("statements")
    (one,) = client.get("/v1/remedies", headers=headers).json()["remedies"]
    assert one["items"] == [0]
    assert client.post(f"/v1/remedies/{one['id']}/done", headers=headers).status_code == 204
    assert client.get("/v1/remedies", headers=headers).json() == {"remedies": []}
    assert client.post("/v1/remedies/8/done", headers=headers).status_code == 404


def batch(client, *values):
    accounts = [{"identifiers": [{"kind": "email", "value": one}]} for one in values]
    body = {"accounts": accounts}
    return client.post("/v1/accounts/check-batch", json=body, headers=bearer("check"))


def test_a_batch_answers_each_account_as_a_check_would_and_says_what_is_wrong_with_others(client):
    results = batch(client, "good@example.com", "bad@example.com", "not one").json()["results"]
    none, found, wrong = results
    assert found == {"answer": check(client).json(), "error": None}
    assert (none["answer"]["decision"], none["error"]) == ("none", None)
    assert wrong["answer"] is None
    assert wrong["error"]["field"] == "accounts[2].identifiers[0].value"
    assert "not one" not in str(results)


def test_an_answer_about_a_batch_has_one_length_whatever_was_found(client):
    lengths = {
        len(batch(client, *values).content)
        for values in (
            ["good@example.com"] * 3,
            ["bad@example.com"] * 3,
            ["bad@example.com", "not one", "good@example.com"],
        )
    }
    assert lengths == {3 * ANSWER_BLOCK_BYTES}


def test_a_batch_has_64_identifiers_altogether_at_most(client):
    assert batch(client, *["good@example.com"] * 64).status_code == 200
    assert batch(client, *["good@example.com"] * 65).status_code == 422
    assert batch(client).status_code == 422
    one = {"identifiers": [{"kind": "email", "value": "good@example.com"}] * 8}
    body = {"accounts": [one] * 9}
    refused = client.post("/v1/accounts/check-batch", json=body, headers=bearer("check"))
    assert refused.status_code == 422
    assert "64 identifiers altogether" in refused.json()["detail"]


@pytest.mark.parametrize("mode", ["open", "closed"])
def test_a_batch_that_could_not_be_checked_is_refused_whatever_the_operator_declared(
    tmp_path, mode
):
    services = api_fakes.fake_services(tmp_path, url=URL, check_fail_mode=mode)
    client = TestClient(build_api(services), base_url=URL)
    services.accounts.down = True
    refused = batch(client, "good@example.com")
    services.accounts.down, services.accounts.spent = False, True
    spent = batch(client, "good@example.com")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "secret" not in refused.text
    assert (spent.status_code, spent.headers["retry-after"]) == (429, "77")
