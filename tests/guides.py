"""The guides of docs/ as their readers use them: commands out of the text, terminals to type them in.

A ```console block shows a terminal: lines ``who$ command``, each followed by what is printed. What
is shown is what must come, but for what differs from run to run: times, free space, and the words of
the guide's table "What differs at yours". A port in it is given by the test; of any other word the
first output that shows it decides what it stands for. A line ``...`` stands for any number of lines. A block under ``<!-- again -->`` shows
something that takes a moment: its commands are typed again until the output is as shown.
"""

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from waiting import WITHIN_S

DOCS = Path(__file__).resolve().parents[1] / "docs"

_BLOCK = re.compile(r"(<!-- again -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PROMPT = re.compile(r"([a-z]*)\$ (.+)")
_QUESTION = re.compile(r"((?:Fingerprint of|Key id of) \S+:|Send it\? \[y/N\]:) (.+)")
_ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
_VARIES = (
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    r"\d+ (?:s|minutes|hours) ago",
    r"\d+\.\d GiB free",
    r'"age_s": \d+',
    # what peers answer to a retraction takes places of its own, whenever it comes
    r"entry \d+ of the node's log",
    # with or without libsodium: the sentence says which
    r"(?:ok|look) fingerprints .*",
)
_ANSWER_WITHIN_S = 5 * WITHIN_S
_END = "--end-of-this-command--"


@dataclass(frozen=True)
class Step:
    """One command of a guide.

    Attributes:
        who: whose terminal, as the prompt says.
        command: as typed, in one line or more.
        shown: what the guide says is printed.
        again: whether it may take more than one try.
    """

    who: str
    command: str
    shown: tuple[str, ...]
    again: bool


def read_guide(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> Iterator[tuple[bool, str]]:
    """Gives the fenced blocks of a language, and whether each is to be typed again until it fits."""
    for again, found, body in _BLOCK.findall(text):
        if found == language:
            yield bool(again), body


def steps(text: str) -> list[Step]:
    """The commands of all ```console blocks, in order."""
    return [step for again, body in blocks(text, "console") for step in _steps(body, again=again)]


def _steps(body: str, *, again: bool) -> Iterator[Step]:
    lines = body.splitlines()
    assert _PROMPT.match(lines[0]), f"a block begins with a prompt: {lines[0]}"
    starts = [at for at, line in enumerate(lines) if _PROMPT.match(line)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        prompt = _PROMPT.match(lines[start])
        assert prompt is not None
        command, at = prompt[2], start + 1
        while command.endswith("\\"):
            command, at = f"{command}\n{lines[at]}", at + 1
        # What waits for a node to serve says itself how long; a busy machine may need longer.
        waits = "--retry-connrefused" in command
        yield Step(prompt[1], command, tuple(lines[at:end]), again or waits)


def words_of_table(text: str) -> set[str]:
    """The words that the guide's table of what differs explains."""
    table = text.split("## What differs at yours", 1)[1].split("\n## ", 1)[0]
    return set(_ROW.findall(table))


class Terminal:
    """A shell, as a person has it in front of them; what it started ends with it."""

    def __init__(self, place: Path, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=place,
            env=dict(environ),
            start_new_session=True,
        )

    def run(self, command: str, answers: str = "", environ: Mapping[str, str] = {}) -> str:
        """Types a command, and `answers` when it asks; returns what was printed.

        Args:
            command: for the shell.
            answers: lines that the command reads.
            environ: variables for this command alone.
        """
        before = "".join(f"export {name}='{value}'\n" for name, value in environ.items())
        after = "".join(f"unset {name}\n" for name in environ)
        self._write(
            f"{before}{{\n{command}\n}} <<'{_END}'\n{answers}{_END}\n"
            f"printf '\\n%s %s\\n' {_END} $?\n{after}"
        )
        printed, code = self._read().rsplit(f"\n{_END} ", 1)
        assert code.strip() == "0", f"{command}\nended with {code.strip()}:\n{printed}"
        return printed

    def _write(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def _read(self, *, to_end: bool = False) -> str:
        assert self._process.stdout is not None
        data, end = b"", time.monotonic() + _ANSWER_WITHIN_S
        done = re.compile(rb"\n%s \d+\n\Z" % _END.encode())
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while to_end or not done.search(data):
                left = end - time.monotonic()
                assert left > 0, f"no end within {_ANSWER_WITHIN_S:.0f} s: {data.decode()}"
                if selector.select(left):
                    piece = os.read(self._process.stdout.fileno(), 1 << 16)
                    if not piece:
                        assert to_end, f"the shell is gone: {data.decode()}"
                        break
                    data += piece
        return data.decode()

    def close(self) -> None:
        """Ends the shell and everything that it started."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # The process group outlives the shell while a node in it is ending.
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(WITHIN_S)
            self._read(to_end=True)
        finally:
            self._process.stdin.close()
            self._process.stdout.close()


@dataclass
class Walk:
    """A guide being followed.

    Attributes:
        terminals: by the name that prompts have.
        words: that differ at every reader's, as the guide's table lists them.
        known: what those words stand for, filled in on the way.
        environ: variables that a role's commands see, in place of a secret typed unseen.
    """

    terminals: Mapping[str, Terminal]
    words: AbstractSet[str]
    known: dict[str, str] = field(default_factory=dict)
    environ: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def follow(self, step: Step) -> None:
        """Types a command; what is printed is what the guide shows."""
        end = time.monotonic() + WITHIN_S
        while True:
            try:
                self._try(step)
            except AssertionError:
                if not step.again or time.monotonic() > end:
                    raise
            else:
                return

    def _try(self, step: Step) -> None:
        answers = [asked[2] for line in step.shown if (asked := _QUESTION.fullmatch(line))]
        printed = self.terminals[step.who].run(
            self._filled(step.command),
            "".join(f"{self._filled(one)}\n" for one in answers),
            self.environ.get(step.who, {}),
        )
        found = re.fullmatch(self._pattern(step.shown), _plain(printed))
        assert found, f"{step.command}\nprinted\n{printed}\nand not\n" + "\n".join(step.shown)
        self.known |= found.groupdict()

    @property
    def _word(self) -> str:
        return rf"\b(?:{'|'.join(sorted(map(re.escape, self.words)))})\b"

    def _filled(self, text: str) -> str:
        return re.sub(self._word, lambda word: self.known.get(word[0], word[0]), text)

    def _pattern(self, shown: tuple[str, ...]) -> str:
        """Returns the pattern of what has to be printed."""
        named: set[str] = set()
        parts = []
        for line in shown:
            if line.strip() == "...":
                parts.append(r"(?:.*\n)*?")
            elif asked := _QUESTION.fullmatch(line):
                # What is typed is not printed here, and so there is no new line either.
                parts.append(f"{self._line(asked[1], named)} *")
            else:
                parts.append(f"{self._line(line, named)}\n")
        return "".join(parts)

    def _line(self, line: str, named: set[str]) -> str:
        either = "|".join([self._word, *_VARIES])
        plain = _plain(line).rstrip("\n")
        pattern, at = "", 0
        for part in re.finditer(either, plain):
            pattern += re.escape(plain[at : part.start()]) + self._part(part[0], named)
            at = part.end()
        return pattern + re.escape(plain[at:])

    def _part(self, text: str, named: set[str]) -> str:
        """Returns the pattern of a word of the guide, or of what differs from run to run."""
        if text not in self.words:
            return next(one for one in _VARIES if re.fullmatch(one, text))
        if text in self.known:
            return re.escape(_plain(self.known[text]).rstrip("\n"))
        if text in named:
            return f"(?P={text})"
        named.add(text)
        return f"(?P<{text}>[^\\n]+?)"


def _plain(text: str) -> str:
    """Returns lines without what is for the eye alone: blanks that align, and empty lines around."""
    lines = [" ".join(line.split()) for line in text.strip().splitlines()]
    return "".join(f"{line}\n" for line in lines)


def reader_environ() -> dict[str, str]:
    """The environment of somebody who has installed the command and set nothing else.

    But for patience: on a busy machine nobody is to be given up that a reader would have heard.
    """
    environ = {one: value for one, value in os.environ.items() if "SCHUTZNETZ" not in one}
    environ |= {"SCHUTZNETZ_PEER_TIMEOUT_S": "60", "SCHUTZNETZ_ACCOUNT_CHECK_DEADLINE_S": "60"}
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    return environ


@contextmanager
def terminals(place: Path, *names: str) -> Iterator[dict[str, Terminal]]:
    """Opens terminals in a folder, and ends them and what they started."""
    opened = {name: Terminal(place, reader_environ()) for name in names}
    try:
        yield opened
    finally:
        for one in opened.values():
            one.close()
