"""Real nodes that witness one another: what is published, and who reads only that."""

from pathlib import Path

import httpx

from cli_stage import call
from node.demo.cast import PLATFORM_A, PLATFORM_B
from nodes import HOTLINE, media_flag, serving
from protocol.checkpoint import parse_checkpoint, parse_note
from protocol.fields import StatementId
from protocol.witness_policy import parse_witness_policy
from signing.cosignatures import verify_cosignatures
from signing.keys import KeyUse
from waiting import WITHIN_S, wait_for
from witnesses import add_anna, make_nodes, write_policy


def test_a_flag_is_published_when_enough_peers_have_cosigned_and_only_then_read_by_who_asks_for_it(
    tmp_path: Path,
) -> None:
    hotline, first, reader = make_nodes(tmp_path, (HOTLINE, PLATFORM_A, PLATFORM_B))
    anna = add_anna(hotline)
    policy = write_policy(hotline, [first, reader], quorum="all")
    write_policy(reader, [first], quorum="all")
    reader.environ["SCHUTZNETZ_REQUIRE_WITNESSED"] = "true"
    with serving(first, hotline, reader):
        first.stop()
        statement = hotline.submit(media_flag(), anna)

        def missing() -> tuple[str, int]:
            (one,) = hotline.talk(lambda client: client.my_statements(), anna).statements
            return one.published, one.missing

        wait_for(lambda: missing() == ("pending", 1), "the witness that runs has cosigned")
        assert reader.state(statement) is None, "the witness that it asks for has not cosigned"
        with serving(first):
            wait_for(lambda: missing() == ("published", 0), "both have cosigned")
            wait_for(lambda: reader.state(statement) == "active", "the reader takes it over")
        data = hotline.talk(lambda client: client.published(), first.key(KeyUse.REQUEST))
        note = parse_note(data)
        assert parse_checkpoint(note.text).size >= 2
        assert len(verify_cosignatures(note, parse_witness_policy(policy).keys)) == 2
        proof = tmp_path / "flag.tlog-proof"
        flagged = StatementId(statement)
        proof.write_bytes(hotline.talk(lambda client: client.receipt(flagged), anna))
        served = httpx.get(f"{hotline.local}/readyz", trust_env=False, timeout=WITHIN_S)
        assert served.is_success
    # With files alone: the receipt carries what the witnesses have said.
    (tmp_path / "policy.txt").write_bytes(policy)
    verify = ["verify", "receipt", proof, "--id", statement, "--json"]
    verify += ["--node", hotline.made.descriptor_file, "--policy", tmp_path / "policy.txt"]
    assert call(*verify).json["cosigned"] == {}
    for one in (first, reader):
        verify += ["--node", one.made.descriptor_file]
    assert set(call(*verify).json["cosigned"]) == {PLATFORM_A, PLATFORM_B}
    (tmp_path / "policy.txt").write_bytes(policy.replace(PLATFORM_A.encode(), b"other.example"))
    refused = call(*verify)
    assert (refused.code, refused.out) == (1, "")
