"""`verify`: a statement, a receipt or a whole log, checked with files alone.

No node, no database, no network: whoever has the files and compares the fingerprint that is printed
can check them on any machine, years later.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import options
from node.cli.output import note, progress, show, show_fields, show_json
from node.cli.verbs.erasures import erasure

if TYPE_CHECKING:
    from federation.offline import FileNode
    from protocol.fields import StatementId
    from protocol.statements import Statement

NodeFiles = Annotated[
    list[Path],
    typer.Option(
        "--node",
        help="Descriptor of a node that you believe; may be repeated, for every version of it and "
        "for every node that counts.",
        metavar="FILE",
    ),
]
Policy = Annotated[
    Path | None,
    typer.Option(
        help="Which witnesses have to have cosigned it, as a C2SP tlog-policy file.",
        metavar="FILE",
    ),
]
Envelope = Annotated[
    Path, typer.Argument(help="The statement, as the envelope that was signed.", metavar="FILE")
]


def register(app: options.Group) -> None:
    """Adds the verbs to the command."""
    verbs = options.group("Check with files alone: no node, no network.")
    for name, verb in (
        ("statement", statement),
        ("receipt", receipt),
        ("log", log),
        ("erasure", erasure),
        ("evidence", evidence),
    ):
        verbs.command(name)(verb)
    app.add_typer(verbs, name="verify")


def statement(
    envelope: Envelope,
    node: NodeFiles = [],  # noqa: B006  # Typer takes a list as the default of a list
    card: Annotated[
        Path | None,
        typer.Option(
            help="Card of the flagger: then only the signature is checked, and nobody's word for "
            "the key.",
            metavar="FILE",
        ),
    ] = None,
    known: Annotated[
        list[Path],
        typer.Option(
            "--with",
            help="A statement on which it rests, such as the accreditation of its flagger, or what "
            "it points at; may be repeated.",
            metavar="FILE",
        ),
    ] = [],  # noqa: B006  # Typer takes a list as the default of a list
    as_json: options.Json = False,
) -> None:
    """Check who said something.

    The signature, the key, and whether that key might say it then. Whether it is true, or still
    holds, is another question.
    """
    from node.cli.key_files import read_file
    from protocol.limits import MAX_ENVELOPE_BYTES

    if (card is None) == (not node):
        raise typer.BadParameter(
            "say whom you believe: --node for a node's descriptor, or --card for a flagger's card",
            param_hint="--node",
        )
    data = read_file(envelope, MAX_ENVELOPE_BYTES)
    nodes: dict[str, FileNode] = {}
    if card is not None:
        found, keyid, said = _by_card(data, card)
    else:
        nodes, (found, keyid, said) = _by_nodes(data, node, known)
    facts = {
        "id": found,
        "kind": said.KIND,
        "issuer": said.issuer,
        "issued": said.issued,
        "key_id": keyid,
        "vouched": card is None,
    }
    if as_json:
        show_json(facts | {"nodes": _nodes_json(nodes)})
        return
    show(f"statement {found}")
    show(f"  {said.issuer} said this {said.KIND} on {said.issued}, and signed it with {keyid}")
    show("  its node vouches for that key" if card is None else "  the key is the one on the card")
    _show_nodes(nodes)


def _by_card(data: bytes, card: Path) -> "tuple[StatementId, str, Statement]":
    from federation.offline import verify_with_key
    from node.cli.cards import read_card
    from protocol.kinds import KINDS

    found = read_card(card)
    verified = verify_with_key(data, issuer=found.name, key=found.key, kinds=KINDS)
    return verified.id, verified.keyid, verified.statement


def _by_nodes(
    data: bytes, files: list[Path], known: list[Path]
) -> "tuple[dict[str, FileNode], tuple[StatementId, str, Statement]]":
    from federation.offline import FileDirectory
    from federation.trust import verify_statement
    from node.cli.key_files import read_envelopes, read_nodes
    from protocol.errors import UnknownKeyError

    nodes = read_nodes(files)
    directory = FileDirectory(nodes)
    now = int(time.time())
    directory.learn((one for path in known for one in read_envelopes(path)), now=now)
    try:
        trusted = verify_statement(data, directory, now=now)
    except UnknownKeyError as error:
        raise UnknownKeyError(
            f"{error} For a flagger's, hand over the accreditation too, with --with; or check with "
            "the flagger's card alone, with --card."
        ) from None
    verified = trusted.verified
    return nodes, (verified.id, trusted.keyid, verified.statement)


def receipt(
    *,
    receipt_file: Annotated[
        Path, typer.Argument(help="The receipt, a C2SP tlog-proof.", metavar="FILE")
    ],
    node: NodeFiles,
    statement_file: Annotated[
        Path | None,
        typer.Option(
            "--statement",
            help="The statement that it is for, as the envelope that was signed.",
            metavar="FILE",
        ),
    ] = None,
    statement_id: Annotated[
        str | None,
        typer.Option(
            "--id",
            help="The id of that statement, where you do not have it.",
            metavar="ID",
            callback=options.check_statement_id,
        ),
    ] = None,
    policy: Policy = None,
    as_json: options.Json = False,
) -> None:
    """Check that a statement is in a node's log.

    The checkpoint, under the node's log key, and the proof. The cosignatures of all nodes whose
    descriptors are given are checked and told.
    """
    from federation.offline import cosigners, node_of, verify_receipt
    from node.cli.key_files import read_file, read_nodes
    from protocol.envelope import parse_envelope
    from protocol.fields import StatementId
    from protocol.limits import MAX_ENVELOPE_BYTES, MAX_RECEIPT_BYTES
    from protocol.receipts import parse_log_proof

    if (statement_file is None) == (statement_id is None):
        raise typer.BadParameter(
            "say which statement it is for: --statement FILE, or --id ID", param_hint="--statement"
        )
    data = read_file(receipt_file, MAX_RECEIPT_BYTES)
    if statement_file is not None:
        entry = parse_envelope(read_file(statement_file, MAX_ENVELOPE_BYTES)).statement_id
    else:
        assert statement_id is not None
        entry = StatementId(statement_id)
    nodes = read_nodes(node)
    logged = verify_receipt(
        data, entry=entry, node=node_of(parse_log_proof(data).note, nodes.values())
    )
    seen = cosigners(logged.proof.note, nodes.values())
    _check_policy(logged.proof.note, policy)
    checkpoint = logged.checkpoint
    if as_json:
        show_json(
            {
                "id": entry,
                "index": logged.proof.index,
                "origin": checkpoint.origin,
                "size": checkpoint.size,
                "cosigned": _times(seen),
                "nodes": _nodes_json(nodes),
            }
        )
        return
    show(f"statement {entry}")
    show(f"  it is entry {logged.proof.index} of the log {checkpoint.origin},")
    show(f"  whose node has signed the first {checkpoint.size} entries, this one among them")
    _show_cosigned(seen)
    _show_nodes(nodes)


def log(
    directory: Annotated[
        Path,
        typer.Argument(
            help="Folder of the log: `checkpoint` and `tile/`, as `node log export` writes it.",
            metavar="DIR",
        ),
    ],
    node: NodeFiles,
    policy: Policy = None,
    as_json: options.Json = False,
) -> None:
    """Check a whole log, from its first entry to its root.

    Every entry and every tile is hashed anew and compared with the checkpoint, and that with the
    node's log key.
    """
    from federation.log_files import CHECKPOINT_FILE, verify_log
    from federation.offline import cosigners, node_of
    from node.cli.key_files import read_nodes
    from node.cli.log_folder import LogFolder
    from protocol.checkpoint import parse_checkpoint, parse_note
    from protocol.errors import NotFoundError
    from protocol.limits import MAX_NOTE_BYTES

    nodes = read_nodes(node)
    folder = LogFolder(directory)
    first = folder.read(CHECKPOINT_FILE, MAX_NOTE_BYTES)
    if first is None:
        raise NotFoundError(f"{directory}: there is no log here: `checkpoint` is missing")
    whose = node_of(first, nodes.values())
    tiles = parse_checkpoint(parse_note(first).text).size >> 8
    with progress("Hashing the log", tiles) as step:
        checkpoint, note_bytes = verify_log(folder.read, whose, step=lambda _entries: step())
    seen = cosigners(note_bytes, nodes.values())
    _check_policy(note_bytes, policy)
    if as_json:
        show_json(
            {
                "origin": checkpoint.origin,
                "size": checkpoint.size,
                "root": checkpoint.root.hex(),
                "cosigned": _times(seen),
                "nodes": _nodes_json(nodes),
            }
        )
        return
    show(f"log {checkpoint.origin}")
    show(f"  all {checkpoint.size} entries and all tiles have the root that its node has signed")
    _show_cosigned(seen)
    _show_nodes(nodes)


def evidence(
    file: Annotated[
        Path,
        typer.Argument(help="The evidence, as `node evidence export` writes it.", metavar="FILE"),
    ],
    as_json: options.Json = False,
) -> None:
    """Check what proves that a node has contradicted itself.

    Everything that is needed stands in the file; whoever wrote it is believed in nothing. Compare
    the fingerprint: the file says which keys are that node's, and the telephone that they are.
    """
    from federation.evidence import verify_evidence
    from node.cli.key_files import read_file
    from protocol.evidence import parse_evidence
    from protocol.limits import MAX_EVIDENCE_BYTES

    found = parse_evidence(read_file(file, MAX_EVIDENCE_BYTES))
    shown = verify_evidence(found)
    if as_json:
        show_json(
            {
                "node": found.node,
                "kind": shown.kind,
                "sentence": shown.sentence,
                "found": found.found,
                "nodes": _nodes_json({found.node: shown.node}),
            }
        )
        return
    show(f"evidence against {found.node}")
    show(f"  {shown.sentence}")
    _show_nodes({found.node: shown.node})


def _check_policy(note_bytes: bytes, policy: Path | None) -> None:
    if policy is None:
        return
    from federation.offline import check_policy
    from node.cli.key_files import about, read_file
    from protocol.errors import ProtocolError
    from protocol.witness_policy import MAX_POLICY_BYTES, parse_witness_policy

    try:
        asked = parse_witness_policy(read_file(policy, MAX_POLICY_BYTES))
    except ProtocolError as error:
        raise about(policy, error) from None
    check_policy(note_bytes, asked)


def _times(seen: dict[str, int]) -> dict[str, str]:
    from protocol.encoding import format_time

    return {name: format_time(at) for name, at in sorted(seen.items())}


def _show_cosigned(seen: dict[str, int]) -> None:
    for name, at in _times(seen).items():
        show(f"  {name} cosigned it on {at}")
    if not seen:
        show("  none of the nodes whose descriptors were given has cosigned it")


def _nodes_json(nodes: "dict[str, FileNode]") -> list[dict[str, Any]]:
    from protocol.encoding import format_time

    return [
        {
            "name": name,
            "fingerprint": one.node.fingerprint,
            "version": one.version,
            "expires": format_time(one.expires),
        }
        for name, one in sorted(nodes.items())
    ]


def _show_nodes(nodes: "dict[str, FileNode]") -> None:
    if not nodes:
        return
    show()
    show("That holds if these are the fingerprints of the nodes that you mean:")
    show_fields([(name, one.node.fingerprint) for name, one in sorted(nodes.items())])
    now = time.time()
    for one in _nodes_json({name: one for name, one in nodes.items() if one.expires < now}):
        note(
            f"The descriptor of {one['name']} has expired on {one['expires']}: it shows what it "
            "showed then."
        )
