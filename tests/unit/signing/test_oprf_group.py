"""The two backends of the group, and what never reaches C code."""

from types import SimpleNamespace

import pytest
from nacl import bindings

from protocol.errors import MalformedError
from signing.oprf import elements, group_pynacl, group_sodium
from signing.oprf.elements import ORDER, PRIME, Element
from signing.oprf.group import default_group
from signing.oprf.group_pynacl import PyNaClGroup
from signing.oprf.group_sodium import SodiumGroup

GROUPS = [group for group in (group_sodium.load_group(), PyNaClGroup()) if group is not None]
NAMES = [group.name for group in GROUPS]


def scalar(number):
    return (number % ORDER).to_bytes(32, "little")


BAD_SCALARS = {
    "the order": ORDER.to_bytes(32, "little"),
    "the greatest number": b"\xff" * 32,
    "one byte short": bytes(31),
    "one byte long": bytes(33),
    "empty": b"",
    "bytearray": bytearray(32),
    "memoryview": memoryview(bytes(32)),
    "text": "0" * 32,
    "number": 1,
    "none": None,
}

BAD_ELEMENTS = {
    "the identity": bytes(32),
    "odd": b"\x01" + bytes(31),
    "the prime": PRIME.to_bytes(32, "little"),
    "above the prime": (PRIME + 1).to_bytes(32, "little"),
    "the top bit set": (2**255 + 2).to_bytes(32, "little"),
    "no square": bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
    "one byte short": bytes(31),
    "one byte long": bytes(33),
    "bytearray": bytearray(scalar(2)),
    "text": "e" * 32,
    "none": None,
}

SCALAR_CALLS = {
    "decode_scalar": lambda group, bad: group.decode_scalar(bad),
    "multiply": lambda group, bad: group.multiply(bad, group.multiply_base(scalar(1))),
    "multiply_base": lambda group, bad: group.multiply_base(bad),
    "multiply_scalars, left": lambda group, bad: group.multiply_scalars(bad, scalar(1)),
    "multiply_scalars, right": lambda group, bad: group.multiply_scalars(scalar(1), bad),
    "add_scalars, left": lambda group, bad: group.add_scalars(bad, scalar(1)),
    "add_scalars, right": lambda group, bad: group.add_scalars(scalar(1), bad),
    "subtract_scalars, left": lambda group, bad: group.subtract_scalars(bad, scalar(1)),
    "subtract_scalars, right": lambda group, bad: group.subtract_scalars(scalar(1), bad),
    "invert_scalar": lambda group, bad: group.invert_scalar(bad),
}

ELEMENT_CALLS = {
    "encode_element": lambda group, bad: group.encode_element(bad),
    "multiply": lambda group, bad: group.multiply(scalar(2), bad),
    "add, left": lambda group, bad: group.add(bad, group.multiply_base(scalar(1))),
    "add, right": lambda group, bad: group.add(group.multiply_base(scalar(1)), bad),
}


@pytest.fixture(params=GROUPS, ids=NAMES)
def group(request):
    return request.param


@pytest.mark.parametrize("bad", BAD_SCALARS.values(), ids=BAD_SCALARS)
@pytest.mark.parametrize("call", SCALAR_CALLS.values(), ids=SCALAR_CALLS)
def test_what_is_no_canonical_scalar_is_refused_by_every_operation(group, call, bad):
    with pytest.raises(MalformedError, match=r"scalar|group value"):
        call(group, bad)


@pytest.mark.parametrize("bad", BAD_ELEMENTS.values(), ids=BAD_ELEMENTS)
def test_what_is_no_canonical_element_is_refused(group, bad):
    with pytest.raises(MalformedError, match=r"element|group value"):
        group.decode_element(bad)


@pytest.mark.parametrize(
    "foreign", [Element(), scalar(2), None], ids=["of another backend", "bytes", "none"]
)
@pytest.mark.parametrize("call", ELEMENT_CALLS.values(), ids=ELEMENT_CALLS)
def test_an_element_that_the_backend_did_not_make_is_refused(group, call, foreign):
    with pytest.raises(MalformedError, match="not one of this backend"):
        call(group, foreign)


@pytest.mark.parametrize("bad", [bytes(63), bytes(65), bytearray(64), None], ids=repr)
def test_uniform_bytes_are_exactly_64(group, bad):
    with pytest.raises(MalformedError, match=r"group value|bytes"):
        group.element_from_uniform(bad)
    with pytest.raises(MalformedError, match=r"group value|bytes"):
        group.reduce_scalar(bad)


def test_the_top_bit_of_an_element_is_not_ignored(group):
    # libsodium 1.0.18 does ignore it: every element would have two encodings.
    encoded = group.encode_element(group.multiply_base(scalar(7)))
    with pytest.raises(MalformedError, match="not a valid encoding"):
        group.decode_element(encoded[:31] + bytes([encoded[31] | 0x80]))


def test_no_operation_gives_the_identity(group):
    two, minus_two = group.multiply_base(scalar(2)), group.multiply_base(scalar(-2))
    with pytest.raises(MalformedError, match="no valid result"):
        group.add(two, minus_two)
    with pytest.raises(MalformedError, match="no valid result"):
        group.multiply(scalar(0), two)
    with pytest.raises(MalformedError, match="no valid result"):
        group.multiply_base(scalar(0))


def test_uniform_bytes_that_map_to_the_identity_are_refused(group):
    # t with r = -D: the denominator v of RFC 9496 4.3.4 vanishes, and MAP(t) is the identity.
    t = 55317625704484474054323040104211100889138369048739196775942058122275509756997
    with pytest.raises(MalformedError, match="no valid result"):
        group.element_from_uniform(t.to_bytes(32, "little") * 2)


def test_zero_has_no_inverse(group):
    with pytest.raises(MalformedError, match="no valid result"):
        group.invert_scalar(scalar(0))


def test_scalars_are_a_field(group):
    a, b = group.random_scalar(), group.random_scalar()
    assert group.multiply_scalars(a, group.invert_scalar(a)) == scalar(1)
    assert group.subtract_scalars(group.add_scalars(a, b), b) == a
    assert group.decode_scalar(scalar(0)) == scalar(0)
    assert group.reduce_scalar((2**511 + 5).to_bytes(64, "little")) == scalar(2**511 + 5)


def test_a_decoded_element_is_encoded_as_it_was(group):
    encoded = group.encode_element(group.multiply_base(scalar(7)))
    assert group.encode_element(group.decode_element(encoded)) == encoded


def test_decoded_and_computed_elements_add_up(group):
    three = group.encode_element(group.multiply_base(scalar(3)))
    five = group.add(group.decode_element(three), group.multiply_base(scalar(2)))
    assert group.encode_element(five) == group.encode_element(group.multiply_base(scalar(5)))


def test_a_random_scalar_is_never_zero(group, monkeypatch):
    draws = iter([bytes(64), b"\x01" + bytes(63)])
    monkeypatch.setattr(elements.secrets, "token_bytes", lambda length: next(draws)[:length])
    assert group.random_scalar() == scalar(1)


def test_an_element_shows_nothing_of_itself(group):
    element = group.multiply_base(scalar(3))
    assert group.encode_element(element).hex() not in repr(element)
    assert "\\x" not in repr(element)


def test_the_constants_are_those_that_rfc_9496_derives():
    p, d = PRIME, group_pynacl.D
    assert d * 121666 % p == -121665 % p
    assert group_pynacl.SQRT_M1**2 % p == p - 1
    assert group_pynacl.SQRT_AD_MINUS_ONE**2 % p == (-d - 1) % p
    assert group_pynacl.INVSQRT_A_MINUS_D**2 * (-1 - d) % p == 1
    assert (1 - d * d) % p == group_pynacl.ONE_MINUS_D_SQ
    assert (d - 1) ** 2 % p == group_pynacl.D_MINUS_ONE_SQ


class FakeFunction:
    """A C function that answers one thing; ctypes' two attributes may be set on it."""

    argtypes = restype = None

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, *_arguments):
        if isinstance(self.answer, AssertionError):
            raise self.answer
        return self.answer


def fake_library(answer, version=b"1.0.18", start=0):
    """A libsodium of which every ristretto255 function gives the same answer."""
    functions = {name: FakeFunction(answer) for name, *_ in group_sodium._FUNCTIONS}
    return SimpleNamespace(
        sodium_version_string=FakeFunction(version), sodium_init=FakeFunction(start), **functions
    )


@pytest.mark.parametrize("bad", BAD_SCALARS.values(), ids=BAD_SCALARS)
def test_no_bad_scalar_reaches_libsodium(bad):
    group = SodiumGroup(fake_library(AssertionError("a bad value reached C")))
    for name, call in SCALAR_CALLS.items():
        if name != "multiply":  # needs a good element first
            with pytest.raises(MalformedError):
                call(group, bad)
    with pytest.raises(MalformedError):
        group.multiply(bad, group_sodium.SodiumElement(scalar(2)))


def test_no_bad_element_or_length_reaches_libsodium():
    group = SodiumGroup(fake_library(AssertionError("a bad value reached C")))
    for name, bad in BAD_ELEMENTS.items():
        if name != "no square":  # that is for libsodium to find
            with pytest.raises(MalformedError):
                group.decode_element(bad)
    for bad in (bytes(32), bytes(63), bytes(65), bytearray(64), None):
        with pytest.raises(MalformedError):
            group.element_from_uniform(bad)
        with pytest.raises(MalformedError):
            group.multiply(scalar(2), bad)


def test_every_failure_that_libsodium_reports_is_an_error():
    group = SodiumGroup(fake_library(-1))
    element = group_sodium.SodiumElement(scalar(2))
    for call in (
        lambda: group.element_from_uniform(bytes(64)),
        lambda: group.multiply(scalar(2), element),
        lambda: group.multiply_base(scalar(2)),
        lambda: group.add(element, element),
        lambda: group.invert_scalar(scalar(2)),
    ):
        with pytest.raises(MalformedError, match="no valid result"):
            call()


@pytest.mark.parametrize(
    ("version", "start", "is_usable"),
    [
        (b"1.0.18", 0, True),
        (b"1.0.20-stable", 1, True),
        (b"2.0.0", 0, True),
        (b"1.0.17", 0, False),
        (b"unknown", 0, False),
        (b"1.0.18", -1, False),
    ],
)
def test_a_libsodium_is_used_if_it_is_new_enough_and_starts(version, start, is_usable, monkeypatch):
    library = fake_library(0, version, start)
    monkeypatch.setattr(group_sodium.ctypes, "CDLL", lambda _name: library)
    assert (group_sodium.load_group() is not None) == is_usable


def test_a_library_that_is_absent_or_lacks_ristretto_is_passed_over(monkeypatch):
    poor = fake_library(0)
    del poor.crypto_scalarmult_ristretto255

    def load(name):
        if name == "absent":
            raise OSError(name)
        return {"foreign": SimpleNamespace(), "poor": poor, "good": fake_library(0)}[name]

    monkeypatch.setattr(group_sodium.ctypes, "CDLL", load)
    assert group_sodium.load_group(["absent", "foreign", "poor"]) is None
    assert group_sodium.load_group(["absent", "foreign", "poor", "good"]) is not None


@pytest.mark.parametrize("system", [SodiumGroup(fake_library(0)), None], ids=["with", "without"])
def test_the_default_is_libsodium_where_the_system_has_it(system, monkeypatch):
    monkeypatch.setattr(group_sodium, "load_group", lambda: system)
    default_group.cache_clear()
    try:
        assert default_group() is default_group()
        assert default_group().name == ("libsodium" if system else "pynacl")
    finally:
        default_group.cache_clear()


@pytest.mark.parametrize("missing", ["has_crypto_core_ed25519", "has_crypto_scalarmult_ed25519"])
def test_a_pynacl_without_edwards25519_stops_the_start(missing, monkeypatch):
    monkeypatch.setattr(bindings, missing, False)
    with pytest.raises(RuntimeError, match="without edwards25519"):
        PyNaClGroup()
