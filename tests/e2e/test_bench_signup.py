"""The sign-up bench with few questions: real holders answer, and every figure has a value."""

from node.bench import signup, signup_floor, signup_place
from node.bench.signup import Load

FEW = Load(checks=4, rounds={1: 2, 8: 1}, thresholds=(3,))
FEWER = Load(checks=2, rounds={1: 1}, thresholds=(1,))


def test_holders_are_measured_over_http_and_in_batches_with_both_backends(monkeypatch):
    monkeypatch.setattr(signup_floor, "figures", list)
    # Nothing goes unanswered because the machine is busy: here counts that all of it runs.
    patient = "account_check_deadline_s = 60\npeer_timeout_s = 60\n"
    monkeypatch.setattr(signup_place, "_SETTINGS", signup_place._SETTINGS + patient)
    monkeypatch.setattr(signup, "_WARM_UP", 2)
    document = signup.measure(say=lambda _text: None, load=FEW, portable=FEWER).to_json()
    figures = {one["name"]: one for one in document["figures"]}
    assert set(figures) == {
        "signup.hit_miss_auc",
        "signup.p50_ms_t3",
        "signup.batch_p50_ms_t3_m1",
        "signup.batch_p50_ms_t3_m8",
        "signup.p50_ms_t1_pynacl",
        "signup.batch_p50_ms_t1_m1_pynacl",
    }
    assert all(one["value"] > 0 for one in figures.values())
    assert figures["signup.p50_ms_t3"]["beside"]["unanswered"] == 0
    assert 0.5 <= figures["signup.hit_miss_auc"]["value"] <= 1
    assert document["machine"]["cores"] >= 1
