"""The demo as a command: plays the story, shows it, and leaves the nodes running."""

import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from node.demo.cast import PLATFORM_B, Member, new_flagger, on_stage
from node.demo.scene import Scene, Step
from node.demo.story import pictures_for, tell
from node.demo.wire import Wire
from node.demo_pictures.manipulations import recompress
from protocol.errors import SchutznetzError


def play(
    *,
    image: Path | None,
    once: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Plays the story and returns `{"steps": [{"name", "ok", "ms", "bytes"}], "ok"}`.

    Args:
        image: a picture of the reader's own, which stays on this machine like the others.
        once: end the nodes at the end of the story, instead of at Ctrl-C.
        say: prints one line for the reader.
    """
    say("Three nodes on this machine: a hotline, platform A and platform B. Starting them ...")
    wire = Wire()
    flagger = new_flagger()
    # Told to end in whatever way, the demo ends its nodes first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="schutznetz-demo-") as place,
            on_stage(Path(place), wire, flagger) as members,
        ):
            for member in members.values():
                say(f"  {member.name:<19} {member.public}   fingerprint {member.node.fingerprint}")
            scene = Scene(
                members, wire, flagger, pictures_for(image), lambda step: _show(step, say)
            )
            failure = _tell(scene)
            if failure:
                say("")
                say(f"The story broke off: {failure}")
            else:
                _summary(scene, say)
            ok = failure is None and all(step.ok for step in scene.done)
            if not once:
                upload = Path(place) / "upload.jpg"
                upload.write_bytes(recompress(scene.pictures[0], 40))
                _stay(members[PLATFORM_B], upload, say)
    finally:
        wire.close()
    return {
        "steps": [
            {"name": step.name, "ok": step.ok, "ms": step.ms, "bytes": step.bytes}
            for step in scene.done
        ],
        "ok": ok,
    }


def _tell(scene: Scene) -> str | None:
    try:
        tell(scene)
    except SchutznetzError as error:
        return str(error)
    return None


def _show(step: Step, say: Callable[[str], None]) -> None:
    say("")
    say(f"{'ok  ' if step.ok else 'NOT '} {step.title}")
    for line in step.lines:
        say(f"       {line}")
    crossed = f"{step.bytes:,} bytes between the organisations, their polling included"
    say(f"       {step.ms} ms, {crossed}")
    say(f"       did not cross: {step.kept}")


def _summary(scene: Scene, say: Callable[[str], None]) -> None:
    say("")
    say(f"{'step':<10} {'held':<5} {'ms':>6} {'bytes':>8}")
    for step in scene.done:
        held = "yes" if step.ok else "NO"
        say(f"{step.name:<10} {held:<5} {step.ms:>6} {step.bytes:>8,}")


def _stay(member: Member, upload: Path, say: Callable[[str], None]) -> None:
    say("")
    say("The nodes go on until Ctrl-C. Ask platform B's node about a recompressed copy, as a")
    say("program of the platform would:")
    say(
        f"  curl -s -H 'Authorization: Bearer {member.node.api_key}' "
        f"-F file=@{upload} '{member.local}/v1/media/match-file?surface=public'"
    )
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        say("Ending the nodes.")
