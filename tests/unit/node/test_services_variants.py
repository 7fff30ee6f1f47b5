"""What the variants of an upload are compared with, and when they count."""

import hashlib

import pytest

from desks import OPEN_POLICY, PLATFORM_PROGRAM, Desk, pdq_at, picture
from node.matching.turned import turned_pdqs
from node.matching.variant_names import FAMILIES, PLAIN
from node.services.judging import MOST_PER_VOICE
from node.services.lookups import MediaQuery
from node.services.variants import QueryVariant, compared
from protocol.statements import Frame, MediaItem
from simulator import media_flag
from uploads import ask_one, flag
from worlds import ANNA, PDQ

OTHER = hashlib.sha256(b"another picture").hexdigest()
LOGO = hashlib.sha256(b"a logo").hexdigest()
LOW_QUALITY = 49
VARIED = OPEN_POLICY.replace("max_distance = 31", 'max_distance = 31\nvariants = ["{}"]')


def asking_for(*families: str, distance: int = 31) -> str:
    """A policy whose rule about media asks for these variants."""
    text = VARIED.format('", "'.join(families))
    return text.replace("max_distance = 31", f"max_distance = {distance}")


def follow(desk: Desk, policy: str) -> None:
    """The policy is this one; it may have been another a moment ago."""
    desk.set_policy(policy)
    desk.world.clock.tick(2)


def variant(name: str, pdq: str = PDQ, quality: int = 90) -> QueryVariant:
    return QueryVariant(name, pdq, quality)


def varied(desk: Desk, *variants: QueryVariant, pdq: str = OTHER, quality: int = 90):
    return ask_one(desk, pdq=pdq, quality=quality, variants=variants)


def test_without_a_rule_that_asks_for_it_no_variant_is_compared(desk: Desk) -> None:
    flag(desk)
    result = varied(desk, variant("mirrored"), variant("border-trimmed"))
    assert (result.decision, result.matches) == ("none", ())


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("mirrored", "mirror"),
        ("turned-180", "rotation"),
        ("border-trimmed", "border"),
        ("banner-trimmed", "banner"),
        ("banner-covered", "banner"),
        ("extended", "crop"),
        ("cropped", "crop"),
    ],
)
def test_a_variant_counts_where_a_rule_asks_for_its_family(
    desk: Desk, name: str, family: str
) -> None:
    flag(desk)
    follow(desk, asking_for(family))
    result = varied(desk, variant(name))
    (match,) = result.matches
    assert (result.decision, match.kind, match.distance, match.variant) == ("block", "pdq", 0, name)
    follow(desk, asking_for(*(set(FAMILIES) - {family})))
    assert varied(desk, variant(name)).matches == ()


def test_what_is_mirrored_and_turned_needs_both_families(desk: Desk) -> None:
    flag(desk)
    for families, decision in (
        (("mirror",), "none"),
        (("rotation",), "none"),
        (("mirror", "rotation"), "block"),
    ):
        follow(desk, asking_for(*families))
        assert varied(desk, variant("mirrored-turned-90")).decision == decision


def test_a_combination_needs_every_family_that_it_is_made_of(desk: Desk) -> None:
    flag(desk)
    families = ("mirror", "border", "combined")
    for missing in families:
        follow(desk, asking_for(*(set(FAMILIES) - {missing})))
        assert varied(desk, variant("border-trimmed-mirrored")).matches == ()
    follow(desk, asking_for(*families))
    result = varied(desk, variant("border-trimmed-mirrored"))
    assert (result.decision, result.matches[0].variant) == ("block", "border-trimmed-mirrored")


def test_the_upload_itself_is_plain_and_always_compared(desk: Desk) -> None:
    flag(desk)
    follow(desk, asking_for(*FAMILIES))
    (match,) = varied(desk, pdq=PDQ).matches
    assert match.variant == PLAIN


def test_a_rules_distance_holds_for_variants_as_well(desk: Desk) -> None:
    flag(desk)
    follow(desk, asking_for("border", distance=8))
    assert varied(desk, variant("border-trimmed", pdq_at(8))).decision == "block"
    assert varied(desk, variant("border-trimmed", pdq_at(9))).decision == "none"


def test_a_rule_that_asks_for_no_variant_says_so_where_another_does(desk: Desk) -> None:
    flag(desk)
    both = asking_for("mirror").replace('"block-media"', '"vary"').replace("block", "review")
    (_, rules) = OPEN_POLICY.split("match_private_messages = true")
    follow(desk, both + rules.replace("review-accounts", "more-accounts"))
    result = varied(desk, variant("mirrored"))
    assert (result.decision, result.rule) == ("review", "vary")
    (why,) = [one for one in result.why if one.startswith("block-media")]
    assert why.endswith("only as a variant that the rule does not ask for (mirrored)")


def test_rules_of_another_surface_ask_for_nothing_here(desk: Desk) -> None:
    flag(desk)
    follow(desk, asking_for("mirror").replace('"public", "hosted", "private"', '"hosted"'))
    assert desk.lookups.families("hosted") == {"mirror"}
    assert desk.lookups.families("public") == frozenset()


def test_private_messages_are_left_alone_in_every_variant(desk: Desk) -> None:
    text = asking_for("mirror")
    follow(desk, text)
    assert desk.lookups.families("private") == {"mirror"}
    follow(desk, text.replace("match_private_messages = true", ""))
    assert desk.lookups.families("private") == frozenset()


# the pdq alone


def test_the_turned_forms_of_a_pdq_that_comes_alone_are_derived(desk: Desk) -> None:
    ((_, mirrored),) = turned_pdqs(bytes.fromhex(PDQ), ["mirror"])
    flag(desk)
    assert varied(desk, pdq=mirrored.hex()).decision == "none"
    follow(desk, asking_for("mirror"))
    result = varied(desk, pdq=mirrored.hex())
    (match,) = result.matches
    assert (result.decision, match.variant) == ("block", "mirrored")


def test_nothing_is_derived_where_the_client_says_what_the_forms_are(desk: Desk) -> None:
    ((_, mirrored),) = turned_pdqs(bytes.fromhex(PDQ), ["mirror"])
    flag(desk)
    follow(desk, asking_for("mirror"))
    assert varied(desk, variant("turned-90", OTHER), pdq=mirrored.hex()).matches == ()


def test_a_form_of_a_pdq_of_unknown_quality_is_not_sure(desk: Desk) -> None:
    ((_, mirrored),) = turned_pdqs(bytes.fromhex(PDQ), ["mirror"])
    flag(desk)
    follow(desk, asking_for("mirror"))
    assert ask_one(desk, pdq=mirrored.hex()).decision == "review"


# what is not fit for matching


def test_a_variant_of_low_quality_or_nearly_one_colour_is_not_compared() -> None:
    flat = variant("border-trimmed", "00" * 32)
    vague = variant("border-trimmed", quality=LOW_QUALITY)
    assert compared(0, None, None, [flat, vague], FAMILIES) == []


def test_a_variant_may_be_fit_where_the_upload_is_not(desk: Desk) -> None:
    flag(desk)
    follow(desk, asking_for("border"))
    result = varied(desk, variant("border-trimmed"), pdq=PDQ, quality=LOW_QUALITY)
    assert [one.variant for one in result.matches] == ["border-trimmed"]
    assert result.why[0] == "The pdq's quality is below 50: it was not compared."


# what counts of several


def test_an_entry_is_said_once_where_the_upload_itself_is_nearest(desk: Desk) -> None:
    flag(desk)
    follow(desk, asking_for(*FAMILIES))
    near = variant("border-trimmed", pdq_at(6))
    (match,) = varied(desk, near, pdq=pdq_at(4)).matches
    assert (match.variant, match.distance) == (PLAIN, 4)


def test_a_nearer_variant_stands_beside_the_upload_itself(desk: Desk) -> None:
    flag(desk)
    follow(desk, asking_for(*FAMILIES))
    found = varied(desk, variant("border-trimmed", pdq_at(2)), pdq=pdq_at(20)).matches
    assert [(one.variant, one.distance) for one in found] == [("border-trimmed", 2), (PLAIN, 20)]


def test_of_several_guesses_by_one_name_the_nearest_counts(desk: Desk) -> None:
    flag(desk)
    follow(desk, asking_for("crop"))
    guesses = [variant("extended", pdq_at(distance)) for distance in (9, 3, 12)]
    (match,) = varied(desk, *guesses).matches
    assert (match.variant, match.distance) == ("extended", 3)


def test_a_picture_found_as_two_variants_is_one_issuers_word(desk: Desk) -> None:
    flag(desk)
    follow(desk, asking_for("border", "banner").replace("min_issuers = 1", "min_issuers = 2"))
    result = varied(desk, variant("border-trimmed"), variant("banner-trimmed", pdq_at(1)))
    assert len(result.matches) == 2
    assert result.decision == "none"


def test_a_flood_of_one_voice_is_heard_once_for_all_variants(desk: Desk) -> None:
    follow(desk, asking_for(*FAMILIES))
    flood = tuple(picture(f"{int(PDQ, 16) ^ number:064x}") for number in range(600))
    desk.world.submit(media_flag(ANNA, 1, items=flood))
    forms = [variant(name) for name in ("border-trimmed", "banner-trimmed", "extended", "cropped")]
    result = varied(desk, *forms, pdq=PDQ)
    assert result.decision == "block"
    assert len(result.matches) <= MOST_PER_VOICE


def test_one_frame_of_a_film_is_not_sure_in_any_variant(desk: Desk) -> None:
    follow(desk, asking_for("mirror"))
    frames = tuple(Frame(pdq=pdq_at(2 * at), quality=90, at_ms=at * 1_000) for at in range(3))
    flag(desk, items=(MediaItem(sha256="ab" * 32, frames=frames),))
    result = varied(desk, variant("mirrored"))
    assert [(one.kind, one.distance, one.variant) for one in result.matches] == [
        ("frame", 0, "mirrored")
    ]
    assert result.decision == "review"


def test_an_allowed_picture_within_an_upload_excuses_no_more_than_itself(desk: Desk) -> None:
    flag(desk, items=(picture(LOGO), picture(PDQ)))
    follow(desk, asking_for("border"))
    desk.allow_list.add("pdq", LOGO, radius=8, reason="our logo", days=1, actor="op")
    assert varied(desk, variant("border-trimmed", LOGO)).matches == ()
    both = [variant("border-trimmed", one) for one in (LOGO, PDQ)]
    assert varied(desk, *both).decision == "block"


def test_the_repr_of_a_variant_holds_no_pdq() -> None:
    assert PDQ not in repr(variant("mirrored"))
    assert PDQ not in repr(compared(0, PDQ, 90, [], FAMILIES))


def test_what_a_variant_finds_is_not_answered_as_nothing_at_once(desk: Desk) -> None:
    ((_, mirrored),) = turned_pdqs(bytes.fromhex(PDQ), ["mirror"])
    flag(desk)
    follow(desk, asking_for("mirror", "border"))
    varied(desk)
    alone = MediaQuery(pdq=mirrored.hex(), quality=90)
    framed = MediaQuery(pdq=OTHER, quality=90, variants=(variant("border-trimmed"),))
    for query, is_nothing in (
        (alone, False),
        (framed, False),
        (MediaQuery(pdq=OTHER, quality=90), True),
    ):
        found = desk.lookups.match_at_once(query, surface="public", client=PLATFORM_PROGRAM)
        assert (found is not None) is is_nothing
