"""`match`: hash pictures here, and ask the own node what they resemble."""

from typing import Annotated, Any, Final

import typer

from node.cli import options
from node.cli.failures import ExitCode
from node.cli.output import note, progress, show, show_json

_DIGESTS: Final = ("sha256", "sha1", "md5")


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
    as_json: options.Json = False,
) -> None:
    """Ask your node what pictures resemble.

    Their media hashes go to your own node, never the pictures.
    """
    from node.cli.gather import find_pictures, hash_pictures
    from node.cli.own_node import Platform
    from node.cli.passphrases import read_api_key
    from protocol.limits import MAX_ITEMS

    found = find_pictures(files)
    platform = Platform(node, read_api_key(api_key_file))
    read = hash_pictures(found, workers=workers)
    hashed = [one for one in read if one.hashes is not None]
    starts = range(0, len(hashed), MAX_ITEMS)
    results: list[dict[str, Any]] = []
    with progress("Asking the node", len(starts)) as step:
        for at in starts:
            part = hashed[at : at + MAX_ITEMS]
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
    exact = {name: getattr(hashes, name) for name in _DIGESTS}
    return {"pdq": hashes.pdq.hex(), "quality": hashes.quality, **exact}


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
    """Returns by what one entry was found: the pdq with its distance in bits, and exact digests."""
    kinds = {one["kind"]: one["distance"] for one in found}
    exact = [name for name in _DIGESTS if name in kinds]
    near = [f"pdq at distance {kinds['pdq']}"] if "pdq" in kinds else []
    return " and ".join([*near, *(["the very same file"] if exact else [])])
