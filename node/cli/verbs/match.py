"""`match`: hash pictures and films here, and ask the own node what they resemble."""

from typing import Annotated, Any, Final

import typer

from node.cli import options
from node.cli.failures import ExitCode
from node.cli.output import note, progress, show, show_json

_DIGESTS: Final = ("sha256", "sha1", "md5")
_PLAIN: Final = "plain"


def register(app: options.Group) -> None:
    """Adds the verb to the command."""
    app.command("match")(match)


def match(
    *,
    files: options.Pictures,
    surface: Annotated[
        options.SurfaceName,
        typer.Option(
            help="Where the pictures were met: public, hosted or private.", metavar="WHERE"
        ),
    ] = options.SurfaceName.PUBLIC,
    node: options.OwnNodeUrl = options.OWN_NODE,
    api_key_file: options.ApiKeyFile = None,
    workers: options.Workers = options.WORKERS,
    interval_ms: options.FrameInterval = options.INTERVAL_MS,
    as_json: options.Json = False,
) -> None:
    """Ask your node what pictures and films resemble.

    Their media hashes go to your own node, never the files; those of pictures also as they would be
    turned, trimmed and uncropped, where your policy asks for such variants.
    """
    from node.cli.gather import find_pictures, hash_pictures
    from node.cli.own_node import Platform
    from node.cli.passphrases import read_api_key
    from node.cli.sheet import in_parts
    from node.matching.variant_names import FAMILIES

    found = find_pictures(files)
    platform = Platform(node, read_api_key(api_key_file))
    # which of them the policy asks for is the node's to say
    read = hash_pictures(found, workers=workers, interval_ms=interval_ms, variants=FAMILIES)
    hashed = [one for one in read if one.hashes is not None]
    # neither is bounded higher than the other
    parts = in_parts(
        hashed,
        frames=lambda one: sum(
            len(getattr(one.hashes, name, ())) for name in ("frames", "variants")
        ),
    )
    results: list[dict[str, Any]] = []
    with progress("Asking the node", len(parts)) as step:
        for part in parts:
            items = [_item(one.hashes) for one in part]
            answer = platform.post("/v1/media/match", {"surface": surface.value, "items": items})
            results += [
                {"file": one.name, **result}
                for one, result in zip(part, answer["results"], strict=True)
            ]
            step()
    failed = [{"file": one.name, "why": one.problem} for one in read if one.hashes is None]
    if as_json:
        show_json({"results": results, "failed": failed})
    else:
        for result in results:
            _show(result)
    for one in failed:
        note(f"{one['file']}: {one['why']}")
    if failed:
        raise typer.Exit(ExitCode.FAILED)


def _item(hashes: Any) -> dict[str, Any]:
    import msgspec

    from node.cli.assess import frames_of

    exact = {name: getattr(hashes, name) for name in _DIGESTS}
    if frames := frames_of(hashes):
        return {"frames": msgspec.to_builtins(frames), **exact}
    if not hasattr(hashes, "pdq"):
        return exact
    variants = [
        {"name": one.name, "pdq": one.pdq.hex(), "quality": one.quality} for one in hashes.variants
    ]
    return {"pdq": hashes.pdq.hex(), "quality": hashes.quality, "variants": variants, **exact}


def _show(result: dict[str, Any]) -> None:
    rule = f" by the rule {result['rule']!r}" if result.get("rule") else ""
    show(f"{result['file']}: {result['decision']}{rule}")
    grouped: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for one in result["matches"]:
        grouped.setdefault((one["statement"], one["item"]), []).append(one)
    for (statement, item), found in grouped.items():
        one = found[0]
        remarks = ["accredited"] * one["accredited"] + ["disputed"] * one["disputed"]
        said_by = " and ".join(one["issuers"])
        show(f"  {', '.join([_signals(found), one['category'], f'said by {said_by}', *remarks])}")
        show(f"    statement {statement} item {item}")
    for sentence in result["why"] if result["matches"] else ():
        show(f"  {sentence}")


def _signals(found: list[dict[str, Any]]) -> str:
    """Returns by what one entry was found: pdq or frames with distances, and exact digests."""
    # the nearest stands first
    kinds = {one["kind"]: one for one in reversed(found)}
    exact = [name for name in _DIGESTS if name in kinds]
    near = [_like(kinds[kind]) for kind in ("pdq", "frame", "film") if kind in kinds]
    return " and ".join([*near, *(["the very same file"] if exact else [])])


def _like(one: dict[str, Any]) -> str:
    """Returns what a picture or film is like, with how near, how much and where."""
    variant = one.get("variant", _PLAIN)
    near = f"pdq at distance {one['distance']}" + (f" ({variant})" if variant != _PLAIN else "")
    if one["kind"] == "frame":
        return f"like the frame of a film at {clock(one['at_ms'])}, {near}"
    film = one.get("film")
    if film is None:
        return near
    where = _span(film["query"])
    if film["target"] is None:
        return f"a flagged picture at {where}, pdq at distance {one['distance']}"
    return (
        f"{film['query_share']} % of it, at {where}, are {film['target_share']} % of a flagged "
        f"film, at {_span(film['target'])}"
    )


def _span(span: dict[str, int]) -> str:
    begin, end = clock(span["from_ms"]), clock(span["to_ms"])
    return begin if begin == end else f"{begin} to {end}"


def clock(ms: int) -> str:
    """Returns a place in a film as players show it: hours if there are any, minutes, seconds."""
    seconds = ms // 1_000
    hours, minutes = seconds // 3_600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"
