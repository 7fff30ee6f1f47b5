"""`ban` and `check`: accounts, through the platform's own node.

Identifiers leave this command for the own node only, which turns them into fingerprints. A value
of ``-`` is read from standard input, so that it stands neither in the shell's history nor in the
list of processes.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from node.cli import options
from node.cli.failures import ExitCode
from node.cli.output import ask, is_at_terminal, note, progress, show, show_json

if TYPE_CHECKING:
    from node.cli.screening import Outcome
    from node.cli.user_list import UserList

_MOST: Final = 8
_MOST_FAULTS: Final = 20


Email = Annotated[
    list[str] | None, typer.Option(help="E-mail address; - reads it from input.", metavar="TEXT")
]
Phone = Annotated[
    list[str] | None, typer.Option(help="Phone number; - reads it from input.", metavar="TEXT")
]
Device = Annotated[
    list[str] | None, typer.Option(help="Device id; - reads it from input.", metavar="TEXT")
]
Username = Annotated[
    list[str] | None, typer.Option(help="User name; - reads it from input.", metavar="TEXT")
]
Payment = Annotated[
    list[str] | None,
    typer.Option(help="IBAN, card token or wallet; - reads it from input.", metavar="TEXT"),
]
Invite = Annotated[
    list[str] | None,
    typer.Option(help="Invite link of a group; - reads it from input.", metavar="TEXT"),
]
AvatarFile = Annotated[
    Path | None,
    typer.Option(
        "--avatar",
        help="Picture of the account; it is hashed here, and only its pdq goes to your node.",
        metavar="FILE",
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        help="Country of phone numbers without country code, such as DE.", metavar="COUNTRY"
    ),
]


def register(app: options.Group) -> None:
    """Adds the verbs to the command."""
    app.command("check")(check)
    app.command("ban")(ban)


def check(
    *,
    email: Email = None,
    phone: Phone = None,
    device: Device = None,
    username: Username = None,
    payment: Payment = None,
    invite: Invite = None,
    avatar: AvatarFile = None,
    region: Region = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="Check the accounts of this CSV list instead; - reads it from input.",
            metavar="FILE",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="With --file: where the results go, JSON by lines or, as .csv, CSV.",
            metavar="FILE",
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="With --file: where it is kept how far it has come; OUTPUT.state if not said.",
            metavar="STATE",
        ),
    ] = None,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="With --file: wait where the day's budget is used up."),
    ] = False,
    node: options.OwnNodeUrl = options.OWN_NODE,
    api_key_file: options.ApiKeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Ask whether a sign-up deserves a look, or which of your accounts do.

    Each option may be repeated, eight identifiers at most. Give - as value to type or pipe it in,
    one line each: then it does not stand in the shell's history.

    A list has a column id, with a reference of your own that is no identifier, and columns named
    email, phone, device, payment, username or invite; avatar_pdq and avatar_quality may give the
    account's picture. Neither the results nor the state hold any of those. The same command again
    goes on where the last one ended (exit code 3).
    """
    from node.cli.own_node import Platform
    from node.cli.passphrases import read_api_key
    from node.cli.screening import Results, screen
    from node.cli.user_list import read_users

    named = {
        "email": email,
        "phone": phone,
        "device": device,
        "username": username,
        "payment": payment,
        "invite": invite,
    }
    _check_list_options(named, file, output, beside=wait or resume is not None)
    if file is not None and avatar is not None:
        raise typer.BadParameter("a list has no avatars", param_hint="--avatar")
    api_key = read_api_key(api_key_file)
    platform = Platform(node, api_key)
    about = {"region": region} if region else {}
    if file is not None and output is not None:
        state = resume or output.with_name(f"{output.name}.state")
        results = Results(output, state)
        users = read_users(file)
        gone_on = results.open(users, api_key.encode())
        _show_faults(users, output)
        with progress("Checking accounts", len(users.rows) - results.done) as step:
            outcome = screen(users, platform, results, about=about, wait=wait, step=step, say=note)
        outcome.refused += 0 if gone_on else len(users.faults)
        _show_outcome(outcome, output, as_json=as_json)
        return
    body = {"identifiers": _gather(**named)} | about | _avatar(avatar)
    answer = platform.post("/v1/accounts/check", body)
    if as_json:
        show_json(answer)
        return
    rule = f" by the rule {answer['rule']!r}" if answer.get("rule") else ""
    show(f"{answer['decision']}{rule}")
    for lead in answer["leads"]:
        disputed = ", disputed" if lead["disputed"] else ""
        show(
            f"  the same {' and '.join(lead['kinds'])} as in a ban for {lead['category']}, said by "
            f"{' and '.join(lead['issuers'])}, until {lead['expires']}{disputed}"
        )
        show(f"  statement {lead['statement']}")
    if answer["leads"]:
        show("A hit is a reason to look, never a verdict.")


def _check_list_options(
    named: dict[str, list[str] | None], file: Path | None, output: Path | None, *, beside: bool
) -> None:
    """Refuses what does not go together.

    Raises:
        typer.BadParameter: a list and identifiers, or an option of lists without one.
    """
    if file is None:
        if output is not None or beside:
            raise typer.BadParameter(
                "--output, --resume and --wait are for lists: name one", param_hint="--file"
            )
    elif any(named.values()):
        raise typer.BadParameter(
            "name a list or identifiers, not both of them", param_hint="--file"
        )
    elif output is None:
        raise typer.BadParameter("say where the results go", param_hint="--output")


def _show_faults(users: "UserList", output: Path) -> None:
    for one in users.faults[:_MOST_FAULTS]:
        note(f"left out: line {one.line}: {one.message}")
    if len(users.faults) > _MOST_FAULTS:
        note(f"left out: {len(users.faults) - _MOST_FAULTS} more rows, see {output}")


def _show_outcome(outcome: "Outcome", output: Path, *, as_json: bool) -> None:
    """Shows what a list came to.

    Raises:
        typer.Exit: some rows are left, or could not be checked.
    """
    if as_json:
        show_json(
            {
                "decisions": dict(outcome.decisions),
                "refused": outcome.refused,
                "left": outcome.left,
                "go_on_after_s": outcome.go_on_after_s,
            }
        )
    else:
        said = ", ".join(f"{many} {one}" for one, many in outcome.decisions.most_common())
        show(f"{outcome.decisions.total()} accounts checked{': ' if said else ''}{said}")
        if outcome.refused:
            show(f"{outcome.refused} rows could not be checked; {output} says why")
        if outcome.decisions.total() > outcome.decisions["none"]:
            show("A hit is a reason to look, never a verdict.")
    if outcome.left:
        note(
            f"{outcome.why} {outcome.left} rows are left: give the same command again in "
            f"{outcome.go_on_after_s} s, and it goes on from there."
        )
        raise typer.Exit(ExitCode.UNFINISHED)
    if outcome.refused:
        raise typer.Exit(ExitCode.FAILED)


def ban(
    *,
    category: options.Category,
    reviewers: options.Reviewers,
    days: Annotated[
        int, typer.Option(help="Days until it is forgotten.", metavar="DAYS", min=1, max=731)
    ],
    email: Email = None,
    phone: Phone = None,
    device: Device = None,
    username: Username = None,
    payment: Payment = None,
    invite: Invite = None,
    avatar: AvatarFile = None,
    region: Region = None,
    scope: Annotated[
        Literal["account", "person"],
        typer.Option(help="This account, or whoever holds these identifiers."),
    ] = "account",
    purpose: Annotated[
        str, typer.Option(help="What others may use it for.", metavar="CODE")
    ] = "prevention",
    legal_basis: Annotated[
        str, typer.Option(help="Ground for sharing it.", metavar="CODE")
    ] = "gdpr-6-1-f",
    audience: options.Audience = options.PEERS,
    node: options.OwnNodeUrl = options.OWN_NODE,
    api_key_file: options.ApiKeyFile = None,
    as_json: options.Json = False,
) -> None:
    """Share a ban of an account.

    The identifiers go to your own node, which turns them into fingerprints and stores neither.
    Each option may be repeated, eight identifiers at most. Give - as value to type or pipe it in,
    one line each: then it does not stand in the shell's history.
    """
    from node.cli.own_node import Platform
    from node.cli.passphrases import read_api_key
    from node.cli.sheet import check_category
    from protocol.categories import CategoryKind

    check_category(category, CategoryKind.ACCOUNT)
    platform = Platform(node, read_api_key(api_key_file))
    body: dict[str, Any] = {
        "identifiers": _gather(
            email=email,
            phone=phone,
            device=device,
            username=username,
            payment=payment,
            invite=invite,
        ),
        "category": category,
        "reviewers": reviewers,
        "scope": scope,
        "purpose": purpose,
        "legal_basis": legal_basis,
        "expires_days": days,
        "audience": audience,
        **_avatar(avatar),
    }
    receipt = platform.post("/v1/accounts/ban", body | ({"region": region} if region else {}))
    if as_json:
        show_json(receipt)
        return
    who = options.repeated(node, api_key_file=api_key_file)
    show(f"statement {receipt['id']}")
    show(f"  one account, for {category}, for {days} days; only fingerprints are shared")
    show(f"  who has taken it up:  schutznetz status {receipt['id']}{who}")
    show(f"  to withdraw it:       schutznetz retract {receipt['id']} --reason wrong{who}")


def _gather(**named: list[str] | None) -> list[dict[str, str]]:
    """Returns the identifiers of all options, those of ``-`` read from standard input.

    Raises:
        typer.BadParameter: none, too many, or an empty line.
    """
    pairs = [(kind, value) for kind, values in named.items() for value in values or ()]
    if not pairs:
        raise typer.BadParameter("name at least one identifier", param_hint="--email")
    if len(pairs) > _MOST:
        raise typer.BadParameter(f"name {_MOST} identifiers at most", param_hint="--email")
    return [
        {"kind": kind, "value": _from_input(kind) if value == "-" else value}
        for kind, value in pairs
    ]


def _avatar(path: Path | None) -> dict[str, Any]:
    """Returns the field of a request for a picture, if there is one.

    Raises:
        InvalidError: it cannot be read, is no picture, or has too little detail.
    """
    if path is None:
        return {}
    from node.cli.gather import hash_pictures
    from node.matching.media import MediaHashes
    from protocol.errors import InvalidError
    from protocol.limits import PDQ_MIN_QUALITY
    from protocol.pdq import is_degenerate

    (read,) = hash_pictures([path], workers=1)
    if read.problem is not None:
        raise InvalidError(f"The avatar cannot be used: {read.problem}")
    hashes = read.hashes
    if not isinstance(hashes, MediaHashes):
        raise InvalidError("The avatar cannot be used: it is a film; take one picture of it.")
    if hashes.quality < PDQ_MIN_QUALITY or is_degenerate(hashes.pdq):
        raise InvalidError("The avatar has too little detail to be known again: leave it out.")
    return {"avatar": {"pdq": hashes.pdq.hex(), "quality": hashes.quality}}


def _from_input(kind: str) -> str:
    value = ask(f"{kind}:") if is_at_terminal() else sys.stdin.readline().strip()
    if not value:
        raise typer.BadParameter("there is no line left on standard input", param_hint=f"--{kind}")
    return value
