"""What the sign-up bench reckons with; the bench itself runs in e2e."""

import pytest

from node.bench.signup_floor import Operations, client_floor, figures, server_floor


@pytest.mark.parametrize(
    ("threshold", "batch", "elements", "bases"), [(1, 1, 7, 1), (3, 1, 19, 3), (3, 8, 89, 3)]
)
def test_the_floor_of_the_client_is_what_rfc_9497_prescribes(threshold, batch, elements, bases):
    # m blinds; for each holder 2m + 3 and one of the base; m products for each in the sum.
    assert client_floor(threshold, batch) == Operations(elements, bases)


def test_the_floor_of_a_holder_is_an_evaluation_for_each_element_and_one_proof():
    assert server_floor(1) == Operations(4, 1)
    assert server_floor(64) == Operations(130, 1)


def test_every_backend_is_measured_beside_its_own_floor(monkeypatch):
    monkeypatch.setattr("node.bench.signup_floor.THRESHOLDS", (3,))
    monkeypatch.setattr("node.bench.signup_floor._TURN_S", 0.001)
    found = {one.name: one for one in figures()}
    assert found["signup.client_cpu_ratio_floor"].value > 0
    assert found["signup.server_cpu_ratio_floor"].value > 0
    assert "signup.cpu_pynacl_t3_m64_ms" in found
    assert all(one.value and one.value > 0 for one in found.values())
