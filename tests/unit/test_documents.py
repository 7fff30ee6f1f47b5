"""What the documents promise is what the code does, as far as a program can tell."""

import importlib.util
import inspect
import re
import sys
import typing
from pathlib import Path

import msgspec
import pytest

from protocol import endpoints, errors, limits, messages
from protocol.descriptors import NodeDescriptor
from protocol.kinds import KINDS
from protocol.messages import Message
from protocol.statements import Statement
from signing.keys import KeyUse

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PROTOCOL = (DOCS / "protocol.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
ALL_KINDS = KINDS | {NodeDescriptor.KIND: NodeDescriptor}


def load_script(name="make_protocol_examples"):
    path = DOCS / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def section(heading, level="#+"):
    """The text under the first heading of a level that is `heading`, up to the next heading."""
    found = re.search(
        rf"^{level} (?:[\d.]+ )?{re.escape(heading)}$\n(?P<text>.*?)(?=^#{{1,4}} |\Z)",
        PROTOCOL,
        re.DOTALL | re.MULTILINE,
    )
    assert found, f"protocol.md has no section {heading}"
    return found["text"]


def first_cells(text):
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def structs_in(annotation):
    """Each struct that an annotation leads to, and whether it stands in a list."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation, False
        return
    origin = typing.get_origin(annotation)
    for inner in typing.get_args(annotation):
        for struct, listed in structs_in(inner):
            yield struct, listed or origin is tuple


def paths(struct, prefix=""):
    hints = typing.get_type_hints(struct, include_extras=True)
    for name in struct.__struct_fields__:
        yield prefix + name
        for inner, listed in structs_in(hints[name]):
            yield from paths(inner, f"{prefix}{name}{'[]' if listed else ''}.")


def constants(module):
    return {name: value for name, value in vars(module).items() if name.isupper()}


def anchors(text):
    """The anchors of a document's headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def without_code(text):
    return re.sub(
        r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    )


def links(document):
    found = re.findall(r"\]\(([^)\s]+)\)", without_code(document.read_text(encoding="utf-8")))
    return [one for one in found if not re.match(r"[a-z]+:", one)]


def test_the_examples_of_the_protocol_are_what_the_code_computes():
    script = load_script()
    assert script.with_examples(PROTOCOL, script.examples()) == PROTOCOL


def test_the_table_of_the_threat_model_is_what_the_formula_gives():
    text = (DOCS / "threat-model.md").read_text(encoding="utf-8")
    assert load_script("make_guessing_table").with_table(text) == text


def test_an_example_without_a_block_is_noticed():
    script = load_script()
    with pytest.raises(RuntimeError, match="Blocks"):
        script.with_examples("", script.examples())


@pytest.mark.parametrize(("name", "value"), constants(limits).items())
def test_every_limit_stands_in_section_9_with_its_value(name, value):
    assert re.search(rf"^\| `{name}` \| {value} \| \S", section("Limits").strip(), re.MULTILINE)


def test_section_9_names_no_limit_that_the_code_does_not_have():
    assert first_cells(section("Limits")) == set(constants(limits))


def test_a_limit_that_the_text_names_exists():
    named = set(re.findall(r"`((?:MAX|MIN|PDQ|REQUEST|NONCE)_[A-Z_]+)`", PROTOCOL))
    assert named <= set(constants(limits))


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_field_of_every_kind_is_described_and_no_other(kind):
    common = set(paths(Statement))
    assert first_cells(section("Fields of every statement")) == common
    assert first_cells(section(f"`{kind}`")) == set(paths(ALL_KINDS[kind])) - common


MESSAGES = [
    one
    for one in vars(messages).values()
    if inspect.isclass(one) and issubclass(one, Message) and one is not Message
]
NESTED = {
    inner
    for one in MESSAGES
    for path in typing.get_type_hints(one).values()
    for inner, _ in structs_in(path)
}


@pytest.mark.parametrize("message", [one for one in MESSAGES if one not in NESTED])
def test_every_field_of_every_message_is_described_and_no_other(message):
    assert first_cells(section(message.__name__, "####")) == set(paths(message))


def test_every_endpoint_is_described_and_no_other():
    assert first_cells(section("Endpoints")) == set(constants(endpoints).values())


def test_every_error_is_described_and_no_other():
    classes = {
        name
        for name, one in vars(errors).items()
        if inspect.isclass(one) and issubclass(one, errors.SchutznetzError)
    }
    assert first_cells(section("Errors")) == classes


def test_every_use_of_a_key_is_described_and_no_other():
    assert first_cells(section("Keys")) >= {use.value for use in KeyUse}


def test_every_section_that_the_code_cites_exists():
    cited = set()
    for package in ("protocol", "signing", "federation", "node", "tests"):
        for path in (ROOT / package).rglob("*.py"):
            text = re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))
            cited |= set(re.findall(r"protocol\.md`*,? section (\d+(?:\.\d+)?)", text))
    assert cited
    numbers = set(re.findall(r"^#+ (\d+(?:\.\d+)?)\.? ", PROTOCOL, re.MULTILINE))
    assert cited <= numbers


def test_every_section_that_the_text_names_exists():
    numbers = set(re.findall(r"^#+ (\d+(?:\.\d+)?)\.? ", PROTOCOL, re.MULTILINE))
    without_rfcs = re.sub(r"(?:RFC|FIPS) \d+\s+sections? [\d.]+", "", PROTOCOL)
    named = {one.rstrip(".") for one in re.findall(r"sections? (\d+(?:\.\d+)?)", without_rfcs)}
    assert named <= numbers


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: str(one.relative_to(ROOT)))
def test_every_relative_link_resolves(document):
    for link in links(document):
        path, _, anchor = link.partition("#")
        target = (document.parent / path) if path else document
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"no heading {link}"


def test_every_decision_is_in_the_index_with_its_own_title():
    index = (DOCS / "adr" / "README.md").read_text(encoding="utf-8")
    for path in sorted((DOCS / "adr").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0]
        number, _, words = title.removeprefix("# ").partition(": ")
        assert number == path.name[:4], f"{path.name} begins with another number"
        assert f"| [{number}]({path.name}) | {words} |" in index, f"{path.name} is not in the index"


def test_no_two_decisions_have_one_number():
    numbers = [path.name[:4] for path in (DOCS / "adr").glob("[0-9]*.md")]
    assert len(set(numbers)) == len(numbers)


def test_every_test_that_the_threat_model_names_exists():
    text = (DOCS / "threat-model.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert named
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path} has no {name}"


def test_every_weakness_that_a_document_names_exists():
    text = (DOCS / "threat-model.md").read_text(encoding="utf-8")
    listed = text.partition("## Known weaknesses")[2].partition("\n## ")[0]
    numbers = set(re.findall(r"^(\d+)\. ", listed, re.MULTILINE))
    for one in (text, PROTOCOL, (ROOT / "SECURITY.md").read_text(encoding="utf-8")):
        assert set(re.findall(r"weakness (\d+)", one)) <= numbers


def test_the_tables_of_performance_are_made_from_the_figures():
    script = load_script("make_performance")
    text = (DOCS / "performance.md").read_text(encoding="utf-8")
    assert script.rewritten(text) == text, "run: python docs/examples/make_performance.py"
    named = set(re.findall(r"<!-- figures: ([a-z0-9-]+) -->", text))
    assert named | {"variants"} == {path.stem for path in (DOCS / "figures").glob("*.json")}


def test_the_table_of_faults_is_made_from_what_the_suite_wrote():
    text = (DOCS / "faults.md").read_text(encoding="utf-8")
    found = load_script("make_faults")
    assert found.rewritten(text) == text, "run: python docs/examples/make_faults.py"
    assert '"lost": 0' in found.FOUND.read_text(encoding="utf-8")


def test_the_tables_of_matching_are_made_from_the_figures():
    text = (DOCS / "matching.md").read_text(encoding="utf-8")
    rewritten = load_script("make_matching").rewritten(text)
    assert rewritten == text, "run: python docs/examples/make_matching.py"


def test_the_tables_of_scale_are_made_from_what_the_simulation_wrote():
    text = (DOCS / "scale.md").read_text(encoding="utf-8")
    assert load_script("make_scale").rewritten(text) == text, (
        "run: python docs/examples/make_scale.py"
    )
