"""Turned and mirrored pdqs: whichever of two is turned, they lie as far apart."""

from hypothesis import given
from hypothesis import strategies as st

from node.matching.turned import in_all_forms
from node.matching.variant_names import DIHEDRAL, VARIANTS
from protocol.pdq import Pdq, distance

VALUES = st.binary(min_size=32, max_size=32)


@given(VALUES, VALUES)
def test_of_a_list_and_an_upload_it_does_not_matter_which_is_turned(
    some: bytes, other: bytes
) -> None:
    for families in (("mirror",), ("rotation",), ("mirror", "rotation")):
        upload = sorted(distance(Pdq(one), Pdq(other)) for one in in_all_forms([some], families))
        listed = sorted(distance(Pdq(some), Pdq(one)) for one in in_all_forms([other], families))
        assert upload == listed
        assert len(upload) == 1 + sum(VARIANTS[name] <= set(families) for name in DIHEDRAL)
