"""Whether what a node keeps agrees with itself: named checks, some with a remedy.

`node doctor` asks whether the node can work; this asks whether what it has stored is right, which
takes as long as reading all of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from node.services.catalogue import Catalogue, Difference
from protocol.errors import UnavailableError


@dataclass(frozen=True)
class Finding:
    """What one check came to.

    Attributes:
        check: its name.
        ok: whether everything agrees.
        sentence: what was found.
    """

    check: str
    ok: bool
    sentence: str


class IndexCheck:
    """The pdq index holds what the database holds."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def look(self) -> Finding:
        """Compares every entry of both."""
        try:
            found = self._catalogue.compare()
        except UnavailableError as error:
            return Finding("index", ok=False, sentence=str(error))
        if found.is_wrong():
            return Finding("index", ok=False, sentence=_differing(found))
        sentence = "The index finds every entry of the database, and nothing else that matches."
        if found.withdrawn:
            sentence += f" It still holds {found.withdrawn} withdrawn ones."
        return Finding("index", ok=True, sentence=sentence)

    def mend(self) -> Finding:
        """Makes the index anew from the database."""
        count = self._catalogue.rebuild()
        return Finding("index", ok=True, sentence=f"The index was made anew: {count} entries.")


@dataclass(frozen=True)
class Check:
    """One thing to look at, and what mends it where anything can."""

    look: Callable[[], Finding]
    mend: Callable[[], Finding] | None = None


class Fsck:
    """All checks, in the order in which they are made."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks

    def run(self, *, rebuild: bool = False) -> list[Finding]:
        """Returns what each check found; with `rebuild`, what was mended where it can be.

        Raises:
            UnavailableError: another process is at work on what is to be mended.
        """
        return [self._run(check, rebuild=rebuild) for check in self._checks.values()]

    @staticmethod
    def _run(check: Check, *, rebuild: bool) -> Finding:
        return check.mend() if rebuild and check.mend is not None else check.look()


def _differing(found: Difference) -> str:
    parts = {
        "are missing": found.missing,
        "have another pdq": found.altered,
        "are of no statement": found.unknown,
    }
    said = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
    return f"The index and the database differ: {said}."
