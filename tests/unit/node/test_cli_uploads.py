"""`node uploads import` and `node webhook list`, on a node that does not run."""

import json

import pytest

from node.cli.failures import ExitCode
from node.cli.main import main
from nodes import Node, make_node

HEAD = "id,surface,pdq,quality,sha256\n"
LINES = f"u-1,public,{'f8' * 32},90,\nu-2,hosted,,,{'9c' * 32}\n"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    node = make_node(tmp_path_factory.mktemp("uploads") / "node", "platform.example")
    with node.services() as services:
        services.clients.create("uploader", ["uploads"])
    return node


def run(node: Node, text: str, *, client: str = "uploader") -> int:
    file = node.directory / "uploads.csv"
    file.write_text(text)
    where = [str(node.directory), str(file)]
    return main(["node", "uploads", "import", *where, "--client", client, "--json"])


def test_a_file_is_registered_once(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(node, HEAD + LINES) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out) == {"added": 2, "replaced": 0, "known": 0}
    assert run(node, HEAD + LINES) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out) == {"added": 0, "replaced": 0, "known": 2}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,pdq\n", "columns are"),
        ("id,surface,colour\n", "columns are"),
        (HEAD + "u-1,public,,,\n", "line 2"),
        (HEAD + LINES + f"u 3,public,{'f8' * 32},90,\n", "line 4"),
        (HEAD + f"u-3,public,{'f8' * 32},101,\n", "line 2"),
        (HEAD + f"u-3,public,,90,{'9c' * 32}\n", "line 2"),
        (HEAD + f"u-3,nowhere,{'f8' * 32},90,\n", "line 2"),
        (HEAD + f"u-3,public,{'F8' * 32},90,\n", "line 2"),
        (HEAD + f"u-3,public,{'f8' * 32},90,,more\n", "line 2"),
    ],
)
def test_a_line_that_is_no_upload_is_named_and_not_shown(
    node: Node, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    assert run(node, text) == ExitCode.WRONG_USE
    told = capsys.readouterr().err
    assert sentence in told
    assert "f8f8" not in told


def test_a_key_that_is_not_there_owns_no_uploads(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(node, HEAD + LINES, client="nobody") == ExitCode.WRONG_USE
    assert "no key of this name" in capsys.readouterr().err


def test_the_operator_sees_what_webhooks_have_not_taken(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    with node.services() as services:
        (owner,) = [one for one in services.clients.list() if one.name == "uploader"]
        client = services.clients.create("other", ["uploads"])[0]
        services.webhooks.put("https://platform.example/hook", client=client)
    assert owner.number != client.id
    assert main(["node", "webhook", "list", str(node.directory)]) == ExitCode.DONE
    assert "https://platform.example/hook" in capsys.readouterr().out
    assert main(["node", "webhook", "list", str(node.directory), "--json"]) == ExitCode.DONE
    (hook,) = json.loads(capsys.readouterr().out)["webhooks"]
    assert (hook["client"], hook["waiting"], hook["dead"]) == (client.id, 0, 0)
