"""Where this node lets itself be sent: addresses that others have chosen, looked at before a call.

What a descriptor or a platform names is somebody else's word, and this node stands inside
somebody's network. So a name is resolved once for each connection, every address that it has is
looked at, and what is dialled is one of those: a name that changes between the look and the call
(DNS rebinding) leads nowhere else. Shared by the calls to other nodes (`federation.lines`) and to
webhooks (`node.webhook_sender`). What it is not: a say about who answers there, which TLS and
signatures show.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import Final, TypeAlias

from protocol.errors import PeerOutOfReachError

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK: Final[tuple[Network, ...]] = (
    ipaddress.IPv4Network("127.0.0.0/8"),
    ipaddress.IPv6Network("::1/128"),
)
"""This machine."""

MOST_ADDRESSES: Final = 16
"""Addresses of one name that are looked at; a name with more is refused."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
_ONLY_HERE: Final[tuple[Network, ...]] = (
    ipaddress.IPv4Network("192.0.0.0/24"),  # RFC 6890: DS-Lite, and what else a provider needs
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # RFC 8215: NAT64 for one's own network
    ipaddress.IPv6Network("fec0::/10"),  # RFC 3879: site-local, deprecated and still routed
    ipaddress.IPv6Network("::/96"),  # RFC 4291 section 2.5.5.1: IPv4-compatible, deprecated
)
"""What Python's ipaddress takes for global, and is not."""


@dataclass(frozen=True)
class Reach:
    """What may be called.

    Attributes:
        networks: allowed beside public addresses.
        everything: whether all addresses are: for what the operator or flagger types themselves.
    """

    networks: tuple[Network, ...] = ()
    everything: bool = False

    def allows(self, address: str) -> bool:
        """Whether an IP address may be called; what is none may not."""
        try:
            found = _plain(address)
        except ValueError:
            return False
        return (
            self.everything
            or any(found.version == one.version and found in one for one in self.networks)
            or is_public(address)
        )

    async def resolve(self, host: str, port: int) -> list[str]:
        """Returns the addresses of a host, each once, in the order of the system's resolver.

        A connection goes to one of these, and to no name.

        Raises:
            PeerOutOfReachError: one of them must not be called. One that is not public among public
                ones is no accident, so then none of them is.
            OSError: the name has none.
        """
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found = list(dict.fromkeys(str(info[4][0]) for info in infos))
        if len(found) > MOST_ADDRESSES or not all(map(self.allows, found)):
            raise PeerOutOfReachError(
                "The address leads into a private network, or to this machine, and the operator "
                "has not allowed that."
            )
        return found


ANYWHERE: Final = Reach(everything=True)
"""For an address that somebody typed into this machine themselves."""

PUBLIC: Final = Reach()
"""For an address that somebody else has chosen."""


def parse_networks(text: str) -> tuple[Network, ...]:
    """Returns networks in CIDR form that are divided by blanks or commas.

    Raises:
        ValueError: one is none; also where bits behind its prefix are set.
    """
    return tuple(ipaddress.ip_network(one) for one in text.replace(",", " ").split())


def is_public(address: str) -> bool:
    """Whether an IP address can be anybody's on the internet, and not only somebody's here.

    Private, loopback, link-local, shared (RFC 6598, carriers' NAT), multicast, reserved and
    documentation addresses are not. An IPv4 address in an IPv6 one (mapped, 6to4, NAT64) is judged
    as what it is.
    """
    try:
        found = _plain(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.sixtofour
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
    if any(found.version == one.version and found in one for one in _ONLY_HERE):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved)


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Returns an address without its zone, and an IPv4 address that is mapped into IPv6 as one."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return found if mapped is None else mapped
