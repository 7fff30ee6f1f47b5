"""Which witnesses have to have cosigned a checkpoint (C2SP tlog-policy).

What it is: strict parsing of the text file, and the quorum as a rule over keys. What it is not: a
look at signatures, which is `signing.cosignatures`' work. A name has no meaning outside its file.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from protocol import limits
from protocol.checkpoint import COSIGNATURE, ED25519, NoteKey, parse_vkey
from protocol.errors import LimitError, MalformedError, ProtocolError

MAX_POLICY_BYTES: Final = 64 << 10
"""Longest policy file."""

MAX_LINES_OF_A_KIND: Final = 64
"""Logs, witnesses and groups in one file; the specification recommends at least 32 of each."""

NONE: Final = b"none"
"""Name of the quorum that asks for no cosignature."""

_FORBIDDEN: Final = re.compile(rb"[^\t\n\x20-\x7e\x80-\xff]")
_BLANKS: Final = re.compile(rb"[ \t]+")
_THRESHOLD: Final = re.compile(rb"[1-9][0-9]{0,3}")


@dataclass(frozen=True)
class PolicyWitness:
    """A witness that a policy names.

    Attributes:
        name: in the file; opaque bytes.
        key: of type `COSIGNATURE`.
        url: where it takes checkpoints, if the file says so.
    """

    name: bytes
    key: NoteKey
    url: str | None


@dataclass(frozen=True)
class _Group:
    threshold: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, repr=False)
class WitnessPolicy:
    """Known logs, known witnesses, and which of them suffice.

    Attributes:
        logs: keys of logs, with their addresses. Empty where the logs are known otherwise.
        witnesses: in the order of the file.
    """

    logs: tuple[tuple[NoteKey, str | None], ...]
    witnesses: tuple[PolicyWitness, ...]
    _groups: Mapping[bytes, _Group]
    _quorum: bytes

    @property
    def keys(self) -> tuple[NoteKey, ...]:
        """The keys of all witnesses."""
        return tuple(one.key for one in self.witnesses)

    def missing(self, cosigned: Collection[NoteKey]) -> int:
        """Returns how many further cosignatures would suffice at the least; 0: the quorum is met.

        Exact, because no name is a member of two groups.

        Args:
            cosigned: keys whose cosignatures on one checkpoint were verified.
        """
        return self._cost(self._quorum, {one.name for one in self._of(cosigned)})

    def is_met(self, cosigned: Collection[NoteKey]) -> bool:
        """Whether the quorum is met by these keys."""
        return self.missing(cosigned) == 0

    def _of(self, keys: Collection[NoteKey]) -> list[PolicyWitness]:
        return [one for one in self.witnesses if one.key in keys]

    def _cost(self, name: bytes, there: Collection[bytes]) -> int:
        if name == NONE:
            return 0
        group = self._groups.get(name)
        if group is None:
            return 0 if name in there else 1
        costs = sorted(self._cost(member, there) for member in group.members)
        return sum(costs[: group.threshold])


def parse_witness_policy(data: bytes) -> WitnessPolicy:
    """Returns the policy that a file holds (tlog-policy, "Policy file syntax and structure").

    Args:
        data: untrusted bytes.

    Raises:
        LimitError: longer than `MAX_POLICY_BYTES`, or more lines of a kind than allowed.
        MalformedError: not such a policy; the sentence names the line.
    """
    if len(data) > MAX_POLICY_BYTES:
        raise LimitError(f"A witness policy has at most {MAX_POLICY_BYTES} bytes.")
    if data and not data.endswith(b"\n"):
        raise MalformedError("The last line of a witness policy ends in a newline, like all.")
    reader = _Reader()
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            reader.read(line)
        except ProtocolError as error:
            raise type(error)(f"line {number}: {error}", where=f"line {number}") from None
    return reader.finish()


class _Reader:
    """What the lines so far have said."""

    def __init__(self) -> None:
        self._logs: list[tuple[NoteKey, str | None]] = []
        self._witnesses: dict[bytes, PolicyWitness] = {}
        self._groups: dict[bytes, _Group] = {}
        self._members: set[bytes] = set()
        self._quorum: bytes | None = None

    def read(self, line: bytes) -> None:
        if _FORBIDDEN.search(line):
            raise MalformedError("A control character, which a policy has not.")
        words = [word for word in _BLANKS.split(line) if word]
        if not words or words[0].startswith(b"#"):
            return
        keyword, *rest = words
        match keyword:
            case b"log":
                self._log(rest)
            case b"witness":
                self._witness(rest)
            case b"group":
                self._group(rest)
            case b"quorum":
                self._end(rest)
            case _:
                raise MalformedError("A line begins with log, witness, group, quorum or #.")

    def finish(self) -> WitnessPolicy:
        if self._quorum is None:
            raise MalformedError("A policy has one quorum line.")
        return WitnessPolicy(
            tuple(self._logs), tuple(self._witnesses.values()), self._groups, self._quorum
        )

    def _log(self, rest: list[bytes]) -> None:
        if len(rest) not in {1, 2}:
            raise MalformedError("A log line is: log <vkey> [<url>].")
        key = _key(rest[0], ED25519)
        if any(known.public_key == key.public_key for known, _ in self._logs):
            raise MalformedError("This log stands in the policy before.")
        self._logs.append((key, _url(rest[1:])))
        _check_count(self._logs)

    def _witness(self, rest: list[bytes]) -> None:
        if len(rest) not in {2, 3}:
            raise MalformedError("A witness line is: witness <name> <vkey> [<url>].")
        name = self._new(rest[0])
        key = _key(rest[1], COSIGNATURE)
        if any(one.key.public_key == key.public_key for one in self._witnesses.values()):
            raise MalformedError("This witness stands in the policy before, by its key.")
        self._witnesses[name] = PolicyWitness(name, key, _url(rest[2:]))
        _check_count(self._witnesses)

    def _group(self, rest: list[bytes]) -> None:
        if len(rest) < 3:  # noqa: PLR2004  # name, threshold and one member
            raise MalformedError("A group line is: group <name> all|any|<k> <name>...")
        name, threshold, *members = rest
        self._new(name)
        for member in members:
            self._known(member)
            if member in self._members:
                raise MalformedError("A name is a member of one group at most, and once.")
            self._members.add(member)
        self._groups[name] = _Group(_threshold(threshold, len(members)), tuple(members))
        _check_count(self._groups)

    def _end(self, rest: list[bytes]) -> None:
        if len(rest) != 1:
            raise MalformedError("A quorum line is: quorum <name>.")
        if self._quorum is not None:
            raise MalformedError("A policy has one quorum line, and this is the second.")
        if rest[0] != NONE:
            self._known(rest[0])
        self._quorum = rest[0]

    def _new(self, name: bytes) -> bytes:
        if name == NONE or name in self._witnesses or name in self._groups:
            raise MalformedError("The name is taken: witnesses and groups share their names.")
        return name

    def _known(self, name: bytes) -> None:
        if name not in self._witnesses and name not in self._groups:
            raise MalformedError("No line before names this witness or group.")


def _check_count(lines: Collection[object]) -> None:
    if len(lines) > MAX_LINES_OF_A_KIND:
        raise LimitError(f"A policy has at most {MAX_LINES_OF_A_KIND} lines of a kind.")


def _threshold(word: bytes, members: int) -> int:
    if word == b"any":
        return 1
    if word == b"all":
        return members
    if not _THRESHOLD.fullmatch(word) or int(word) > members:
        raise MalformedError("A group asks for all, any, or 1 to as many as it has members.")
    return int(word)


def _key(word: bytes, algorithm: int) -> NoteKey:
    try:
        key = parse_vkey(word.decode())
    except UnicodeDecodeError:
        raise MalformedError("The key is not UTF-8.") from None
    if key.algorithm != algorithm:
        raise MalformedError(f"A key here has the signature type 0x{algorithm:02x}.")
    return key


def _url(words: list[bytes]) -> str | None:
    if not words:
        return None
    try:
        url = words[0].decode()
    except UnicodeDecodeError:
        raise MalformedError("The address is not UTF-8.") from None
    if len(url) > limits.MAX_URL_CHARS:
        raise LimitError(f"An address has at most {limits.MAX_URL_CHARS} characters.")
    return url
