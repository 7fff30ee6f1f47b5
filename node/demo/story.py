"""One offender's path through three nodes, step by step; every step says whether it held."""

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from node.demo.cast import CIRCLE, FLAGGER, NAMES, Member, wait_for
from node.demo.proof import is_on_disk, stored_part, verified_size
from node.demo.scene import Scene
from node.demo_pictures import picture_paths
from node.demo_pictures.manipulations import banner, crop, mirror, recompress, resize
from node.matching.media import MediaHashes, hash_picture
from protocol.encoding import format_time
from protocol.errors import UnavailableError
from protocol.limits import PDQ_MATCH_DISTANCE
from protocol.pdq import Pdq, distance
from protocol.statements import Basis, MediaFlag, MediaItem, Retract, Statement
from signing.envelopes import new_nonce, sign_statement

OFFENDER = {"email": "mallory@example.com", "phone": "+49 30 23125 017"}
OFFENDER_DEVICE = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
OFFENDER_AGAIN = {"email": "fresh.start@example.org", "phone": "(030) 23125-017"}
BYSTANDER = {"email": "nora@example.net", "phone": "+49 30 23125 444"}
SPELLINGS = (b"4930231250", b"23125 017", b"23125-017", b"mallory", b"fresh.start", b"nora@")
"""Parts of every spelling of the identifiers above, to be searched for on the wire."""

_DAY_S = 86_400
_SEARCHED_BYTES = 48


def pictures_for(image: Path | None) -> list[bytes]:
    """Returns the demo's pictures, the reader's own in the first place if there is one."""
    found = [path.read_bytes() for path in picture_paths()]
    return [image.read_bytes(), found[0], found[1]] if image else found[:3]


def tell(scene: Scene) -> None:
    """Plays all steps in order."""
    for step in (_flag, _ban, _uploads, _sign_ups, _feedback, _take_back, _erase):
        step(scene)


def _flag(scene: Scene) -> None:
    with scene.step("flag", "The hotline hashes two pictures at home, signs, submits") as step:
        hashes = [hash_picture(data) for data in scene.pictures[:2]]
        now = int(time.time())
        flag = MediaFlag(
            issuer=FLAGGER,
            nonce=new_nonce(),
            issued=format_time(now),
            audience=("peers",),
            items=tuple(_item(one) for one in hashes),
            category="csam.act.prepub",
            issuer_code="A1",
            basis=Basis(reviewers=2, reviewed=format_time(now)),
            purpose="detection",
            legal_basis="dsa-22",
            review_by=format_time(now + 365 * _DAY_S),
        )
        scene.flag_id = _submit(scene, flag)
        wait_for(lambda: _acknowledged(scene, scene.flag_id), "both platforms have the flag")
        step.ok = not any(
            scene.wire.holds(part) for data in scene.pictures[:2] for part in _parts(data)
        )
        step.lines = [
            f"statement {scene.flag_id[:16]}… with 2 pictures; both platforms acknowledged it"
        ]
        step.kept = "no byte of a picture (searched for in all that crossed)"


def _ban(scene: Scene) -> None:
    with scene.step("ban", "Platform A bans an account: e-mail, telephone, device") as step:
        identifiers = [{"kind": kind, "value": value} for kind, value in OFFENDER.items()]
        identifiers.append({"kind": "device", "value": OFFENDER_DEVICE})
        receipt = scene.first.ask(
            "POST",
            "/v1/accounts/ban",
            json={
                "identifiers": identifiers,
                "category": "account.distribution",
                "reviewers": 2,
                "scope": "person",
                "purpose": "sign-up-check",
                "legal_basis": "gdpr-6-1-f",
                "expires_days": 365,
            },
        )
        scene.ban_id = receipt["id"]
        wait_for(
            lambda: _is_at(scene.second, scene.ban_id) and _is_at(scene.hotline, scene.ban_id),
            "the ban reaches the others",
        )
        step.ok = not _identifiers_crossed(scene)
        step.lines = [
            f"statement {scene.ban_id[:16]}… with 3 fingerprints, made with circle {CIRCLE}",
            "any 2 of the 3 nodes make a fingerprint together, none of them alone",
            "the hotline dealt the shares: right for a demo; a network makes its key by ceremony",
        ]
        step.kept = "no e-mail address, telephone number or device id, in any spelling"


def _uploads(scene: Scene) -> None:
    with scene.step("uploads", "Platform B checks uploads") as step:
        first, second, unrelated = scene.pictures
        cases = {
            "the same file": first,
            "the second picture": second,
            "recompressed (q 40)": recompress(first, 40),
            "resized to half": resize(first, 0.5),
            "cropped by 2 %": crop(first, 2),
            "with a banner": banner(first),
            "mirrored": mirror(first),
            "an unrelated picture": unrelated,
        }
        flagged = [hash_picture(data).pdq for data in (first, second)]
        held = []
        for name, data in cases.items():
            found = scene.second.ask(
                "POST",
                "/v1/media/match-file?surface=public",
                files={"file": ("upload.jpg", data, "image/jpeg")},
            )["result"]
            near = min(distance(Pdq(hash_picture(data).pdq), Pdq(one)) for one in flagged)
            is_found = found["decision"] != "none"
            # What PDQ can find is decided by the distance, and the node must say neither more nor
            # less than that; an unrelated picture and a copy are decided by us.
            held.append(is_found == (near <= PDQ_MATCH_DISTANCE))
            says = f"{found['decision']} by rule {found['rule']}" if is_found else "not found"
            step.lines.append(f"{name:<22} {near:>3} of 256 bits differ   {says}")
            if name in ("the same file", "recompressed (q 40)", "the second picture"):
                held.append(is_found)
        held.append(not is_found)
        step.ok = all(held)
        step.kept = "the uploads: they are compared inside the platform's own node"


def _sign_ups(scene: Scene) -> None:
    with scene.step("sign-ups", "Platform B checks two sign-ups") as step:
        offender = _check(scene.second, OFFENDER_AGAIN)
        bystander = _check(scene.second, BYSTANDER)
        kinds = [kind for lead in offender["leads"] for kind in lead["kinds"]]
        step.ok = (
            offender["decision"] == "review"
            and kinds == ["phone"]
            and bystander["decision"] == "none"
            and not bystander["leads"]
            and not _identifiers_crossed(scene)
        )
        step.lines = [
            f"new e-mail, old number as (030) 23125-017: {offender['decision']}; known by "
            + ", ".join(
                f"{', '.join(one['kinds'])} ({one['category']})" for one in offender["leads"]
            ),
            f"somebody else: {bystander['decision']}, no lead",
        ]
        step.kept = "who signed up: the circle saw blinded elements, always 8 at a time"


def _feedback(scene: Scene) -> None:
    with scene.step("feedback", "Platform B reports what became of the matches") as step:
        today = datetime.fromtimestamp(time.time(), UTC).date().isoformat()
        scene.second.ask(
            "POST",
            f"/v1/statements/{scene.flag_id}/feedback",
            json={"day": today, "rows": [{"item": 0, "confirmed": 1}]},
        )

        def seen() -> bool:
            mine = scene.talk(lambda node: node.my_statements(), scene.hotline, scene.flagger)
            return any(one.id == scene.flag_id and one.confirmed == 1 for one in mine.statements)

        wait_for(seen, "the flagger sees the feedback")
        step.ok = True
        step.lines = ["the flagger sees: 1 confirmed, 0 refuted"]
        step.kept = "whose uploads they were: only counts"


def _take_back(scene: Scene) -> None:
    with scene.step("take-back", "One picture was wrong, and so was the ban") as step:
        retract = Retract(
            issuer=FLAGGER,
            nonce=new_nonce(),
            issued=format_time(int(time.time())),
            audience=("peers",),
            target=scene.flag_id,
            items=(1,),
            reason="wrong",
        )
        retract_id = _submit(scene, retract)
        disputed = scene.second.ask(
            "POST", f"/v1/statements/{scene.ban_id}/dispute", json={"reason": "wrong-person"}
        )
        wait_for(lambda: _is_at(scene.first, disputed["id"]), "the dispute reaches platform A")
        upheld = scene.first.ask(
            "POST",
            f"/v1/statements/{scene.ban_id}/resolve",
            json={"dispute": disputed["id"], "outcome": "upheld"},
        )
        for member in scene.members.values():
            for statement in (retract_id, upheld["id"]):
                wait_for(
                    partial(_is_at, member, statement),
                    "everybody has what was taken back",
                )
        states = {member.name: _state(member, scene.ban_id) for member in scene.members.values()}
        gone = scene.second.ask(
            "POST",
            "/v1/media/match-file?surface=public",
            files={"file": ("upload.jpg", scene.pictures[1], "image/jpeg")},
        )["result"]
        again = _check(scene.second, OFFENDER_AGAIN)
        remedies = scene.second.ask("GET", "/v1/remedies")["remedies"]
        restored = {one["statement"] for one in remedies}
        step.ok = (
            set(states.values()) == {"retracted"}
            and gone["decision"] == "none"
            and again["decision"] == "none"
            and restored == {scene.flag_id, scene.ban_id}
        )
        step.lines = [
            "the picture matches no more; the ban is retracted at all three nodes",
            f"platform B is told to restore: {len(remedies)} tasks wait in its queue",
        ]
        step.kept = "the story behind it: only code words for the reasons"


def _erase(scene: Scene) -> None:
    with scene.step("erase", "The ban is erased everywhere; the logs still verify") as step:
        parts = {name: stored_part(scene.members[name], scene.ban_id) for name in NAMES}
        before = [name for name in NAMES if is_on_disk(scene.members[name], parts[name])]
        scene.first.ask(
            "POST", f"/v1/statements/{scene.ban_id}/erase", json={"reason": "subject-request"}
        )
        for member in scene.members.values():
            wait_for(
                partial(_is_erased, member, scene.ban_id),
                "the ban is erased everywhere",
            )
        after = [name for name in NAMES if is_on_disk(scene.members[name], parts[name])]
        sizes = {name: verified_size(scene, name) for name in NAMES}
        step.ok = len(before) == len(NAMES) and not after and all(sizes.values())
        step.lines = [
            f"its body was in {len(before)} databases before, and is in {len(after)} now",
            "logs recomputed from their entries and found as signed: "
            + ", ".join(f"{name} {size}" for name, size in sizes.items()),
        ]
        step.kept = "anything of the account; the id that remains in the logs says nothing"


def _item(hashes: MediaHashes) -> MediaItem:
    return MediaItem(
        pdq=hashes.pdq.hex(),
        quality=hashes.quality,
        sha256=hashes.sha256,
        sha1=hashes.sha1,
        md5=hashes.md5,
    )


def _submit(scene: Scene, statement: Statement) -> str:
    envelope = sign_statement(statement, scene.flagger)
    return scene.talk(lambda node: node.submit(envelope), scene.hotline, scene.flagger).id


def _parts(data: bytes) -> list[bytes]:
    """A few stretches of a picture's file, long enough to be no accident."""
    return [data[at : at + _SEARCHED_BYTES] for at in range(256, len(data), len(data) // 8)]


def _identifiers_crossed(scene: Scene) -> bool:
    device = OFFENDER_DEVICE.encode()
    wanted = (*SPELLINGS, device, device.replace(b"-", b""), device.upper())
    return any(scene.wire.holds(part) for part in wanted)


def _check(member: Member, identifiers: dict[str, str]) -> Any:
    listed = [{"kind": kind, "value": value} for kind, value in identifiers.items()]
    return member.ask("POST", "/v1/accounts/check", json={"identifiers": listed, "region": "DE"})


def _state(member: Member, statement: str) -> str | None:
    """What has become of a statement at a node; None while it is not there."""
    try:
        return str(member.ask("GET", f"/v1/statements/{statement}")["state"])
    except UnavailableError:
        return None


def _is_erased(member: Member, statement: str) -> bool:
    return _state(member, statement) == "erased"


def _is_at(member: Member, statement: str) -> bool:
    return _state(member, statement) is not None


def _acknowledged(scene: Scene, statement: str) -> bool:
    mine = scene.talk(lambda node: node.my_statements(), scene.hotline, scene.flagger)
    return any(
        one.id == statement and all(peer.state == "acknowledged" for peer in one.peers)
        for one in mine.statements
    )
