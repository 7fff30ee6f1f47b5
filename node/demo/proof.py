"""How the demo sees for itself: on the nodes' disks, and in the logs that they sign."""

import time

from federation.client import PeerClient
from federation.descriptors import open_descriptor, pin
from node.demo.cast import PLATFORM_A, PLATFORM_B, Member
from node.demo.scene import Scene
from node.services.keys import key_file
from node.storage.engine import Store
from protocol.limits import MAX_ENTRIES_PER_REQUEST
from protocol.merkle import Frontier
from signing.keys import KeyUse
from signing.keystore import load_key
from signing.notes import open_checkpoint

_SEARCHED_BYTES = 48


def stored_part(member: Member, statement: str) -> bytes:
    """A stretch of a statement's envelope as the node keeps it, to be searched for on its disk."""
    store = Store(f"sqlite:///{member.directory}/node.db")
    try:
        with store.read() as transaction:
            record = transaction.statements.by_id(statement)
            assert record is not None
            body = transaction.statements.envelopes([record.log_index])[record.log_index]
    finally:
        store.close()
    middle = len(body) // 2
    return body[middle : middle + _SEARCHED_BYTES]


def is_on_disk(member: Member, part: bytes) -> bool:
    """Whether a stretch of bytes stands anywhere in the files of a node's database."""
    return any(part in path.read_bytes() for path in member.directory.glob("node.db*"))


def verified_size(scene: Scene, name: str) -> int:
    """Pulls a node's whole log as a peer would; returns its size if it is the one it signed."""
    node = scene.members[name]
    reader = scene.members[PLATFORM_B if name != PLATFORM_B else PLATFORM_A].directory
    passphrase = (reader / "secrets" / "passphrase").read_bytes().strip()
    key = load_key(key_file(reader, KeyUse.REQUEST), passphrase, use=KeyUse.REQUEST)
    descriptor, statement_id = open_descriptor(
        node.node.descriptor_file.read_bytes(), now=int(time.time())
    )
    pinned = pin(descriptor, statement_id, authority=False)

    async def pull(client: PeerClient) -> int:
        note = await client.checkpoint()
        signed = open_checkpoint(note, origin=pinned.log_origin, key=pinned.log_key)
        found = await client.entries(0, MAX_ENTRIES_PER_REQUEST)
        entries = [bytes.fromhex(one) for one in found.entries[: signed.size]]
        grown = Frontier.EMPTY.append(entries)
        return grown.size if grown.root() == signed.root else 0

    return scene.talk(pull, node, key)
