"""The sign-up bench with few questions: real holders answer, and every figure has a value."""

from node.bench import signup, signup_floor


def test_five_holders_are_measured_over_http_and_in_batches(monkeypatch):
    monkeypatch.setattr(signup_floor, "figures", list)
    monkeypatch.setattr(signup, "PLATFORMS", {3: "platform-3.example"})
    monkeypatch.setattr(signup, "_CHECKS", 4)
    monkeypatch.setattr(signup, "_WARM_UP", 1)
    monkeypatch.setattr(signup, "_ROUNDS", {1: 2, 8: 2, 64: 2})
    document = signup.measure(say=lambda _text: None).to_json()
    figures = {one["name"]: one for one in document["figures"]}
    assert set(figures) == {
        "signup.p50_ms_t3",
        "signup.batch_p50_ms_t3_m1",
        "signup.batch_p50_ms_t3_m8",
        "signup.batch_p50_ms_t3_m64",
    }
    assert figures["signup.p50_ms_t3"]["beside"]["unanswered"] == 0
    assert all(one["value"] > 0 for one in figures.values())
    assert document["machine"]["cores"] >= 1
