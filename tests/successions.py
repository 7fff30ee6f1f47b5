"""Later descriptors of a simulated node, as its operator makes them with the root key at hand."""

from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from federation.descriptors import parse_descriptor
from protocol.descriptors import NodeDescriptor, NodeKey
from protocol.encoding import format_time, to_base64url
from signing.envelopes import add_signature, sign_statement
from signing.keys import KeyUse, SigningKey
from simulator import DAY_S, NOW, Peer, make_key


@dataclass
class Chain:
    """A node's descriptors from the first to the latest, and the keys that it has.

    Attributes:
        first: envelope of version 1.
        name: of the node.
        at: when later versions are made (Unix time in seconds).
    """

    first: bytes
    name: str
    root: SigningKey
    at: int = NOW
    later: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, peer: Peer) -> "Chain":
        return cls(peer.descriptor_envelope, peer.name, peer.key(KeyUse.ROOT))

    @property
    def latest(self) -> bytes:
        return ([self.first, *self.later])[-1]

    def key(self, use: KeyUse, generation: int = 2) -> SigningKey:
        return make_key(use, self.name, generation)

    def draft(self, *uses: KeyUse, generation: int = 2, **changes: Any) -> NodeDescriptor:
        """The next version, unsigned: new keys for some uses, the old ones end in two weeks."""
        old, old_id = parse_descriptor(self.latest)
        end = format_time(self.at + 14 * DAY_S)
        kept = tuple(
            replace(one, not_after=min(one.not_after, end)) if one.use in uses else one
            for one in old.keys
        )
        new = tuple(
            NodeKey(
                use=use.value,  # type: ignore[arg-type]  # operational uses only
                key=to_base64url(self.key(use, generation).public.raw),
                not_before=format_time(self.at),
                not_after=format_time(self.at + 365 * DAY_S),
            )
            for use in uses
        )
        values = {
            "version": old.version + 1,
            "previous": old_id,
            "issued": format_time(self.at),
            "expires": format_time(self.at + 700 * DAY_S),
            "nonce": to_base64url(old.version.to_bytes(16, "big")),
            "keys": (*kept, *new),
        }
        return replace(old, **(values | changes))

    def go_on(self, *uses: KeyUse, root: SigningKey | None = None, **changes: Any) -> bytes:
        """Makes and keeps the next version; `root` is another root key from then on."""
        draft = self.draft(*uses, **changes)
        if root is None:
            signed = sign_statement(draft, self.root)
        else:
            with_root = replace(draft, root=to_base64url(root.public.raw))
            signed = add_signature(sign_statement(with_root, root), self.root)
            self.root = root
        self.later.append(signed)
        return signed
