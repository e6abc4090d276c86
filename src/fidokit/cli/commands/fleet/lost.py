"""`fidokit lost`: a token is lost, and its keys have to go wherever they let in."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from fidokit.cli.options import verb
from fidokit.cli.progress import Counter
from fidokit.cli.render import Column, Lines, Listing, home_path, show, write_lines
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode
from fidokit.prompt import questions
from fidokit.prompt.text import note

if TYPE_CHECKING:
    from fidokit.fleet.loss.subject import LostKey
    from fidokit.fleet.loss.verdict import LossRow
    from fidokit.fleet.loss.work import KnownKey, LossPlan, LossRequest
    from fidokit.fleet.policy.values import FleetPolicy

COLUMNS: Final = (
    Column("Place", "1", least=20),
    Column("Key", least=10),
    Column("Lost key"),
    Column("Backup"),
)
KNOWN: Final = (
    Column("Key", "1", least=20),
    Column("Token", least=12),
    Column("Backup"),
    Column("Known to"),
)
NOTHING: Final = """The inventory is empty: commands such as `fidokit key list` fill it."""


@verb()
@click.argument("words", nargs=-1, metavar="[TOKEN|KEY]...")
@click.option(
    "--host",
    "hosts",
    metavar="[USER@]HOST",
    multiple=True,
    help="Another account that lets the keys in. Can be repeated.",
)
@click.option(
    "--inventory",
    "file",
    metavar="FILE",
    help="Also the hosts in FILE, one a line (- is standard input).",
)
@click.option(
    "--policy",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take tokens, backups and hosts from this policy, too.",
)
@click.option(
    "-e",
    "--ssh",
    metavar="COMMAND",
    default="ssh",
    help="The command to reach hosts that the inventory does not know.  [default: ssh]",
)
@click.option(
    "--since",
    metavar="TIME",
    help="Until then the token was yours: older signatures stay valid.  [default: now]",
)
@click.option(
    "--krl",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the revocation list here.  [default: ~/.local/state/fidokit/revoked_keys]",
)
@click.option(
    "--login", is_flag=True, help="Prove the backups by logins; asks for the PIN and touches."
)
@click.option("--dry-run", is_flag=True, help="Show what is known, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--not-cloned",
    is_flag=True,
    help="Dismiss the alarm of a signature counter that went back; revokes nothing.",
)
def lost(
    settings: Settings,
    *,
    words: tuple[str, ...],
    hosts: tuple[str, ...],
    file: str | None,
    policy: Path | None,
    ssh: str,
    since: str | None,
    krl: Path | None,
    login: bool,
    dry_run: bool,
    yes: bool,
    not_cloned: bool,
) -> None:
    """Revoke the keys of a lost token wherever they are known.

    Shows from the inventory what was on the token and who knows it, and asks. Then lets the backup
    in at each account and takes the lost key out, writes a revocation list, ends the key's
    signatures in files of allowed signers, and switches ssh and git to the backup. At the end, each
    place proves that the lost key is out and the backup is in; the exit status is 10 unless all do.
    Run it again to finish what could not be reached.

    Name a token by its selector, keys by file, fingerprint or comment. Without a name, shows the
    inventory.
    """
    from fidokit.fleet.loss.work import LossRequest, carry_out, plan_loss

    if not words:
        _show_inventory(settings)
        return
    if not_cloned:
        _dismiss(settings, words)
        return
    if file is not None:
        from fidokit.fleet.hosts.destinations import inventory

        hosts += tuple(host.address for host in inventory(file))
    request = LossRequest(
        *(words, hosts, tuple(shlex.split(ssh)), _moment(since), krl, login), _policy(policy)
    )
    plan = plan_loss(request)
    if not settings.json:
        write_lines(_planned(plan))
    if dry_run:
        if settings.json:
            show(settings, {"lost": _data(plan, None)}, Lines([]))
        return
    if not yes:
        questions.require_yes("Revoke these keys, and let their backups in?")
    with Counter(settings, "places settled") as counter:
        rows = carry_out(plan, request, note, progress=counter.show)
    show(settings, {"lost": _data(plan, rows)}, _verdict(plan, rows))
    if not settings.json:
        write_lines(_rest(rows, _again(request, policy)))
    if not all(row.proved for row in rows):
        raise click.exceptions.Exit(ExitCode.POLICY)


def _moment(since: str | None) -> int | None:
    from fidokit.signing.signatures import verify_time

    return None if since is None else verify_time(since)


def _policy(path: Path | None) -> FleetPolicy | None:
    from fidokit.fleet.policy.reading import read_policy

    return None if path is None else read_policy(path)


def _again(request: LossRequest, policy: Path | None) -> str:
    words = ["fidokit", "lost", *request.words]
    words += ["--krl", str(request.krl)] if request.krl else []
    words += ["--policy", str(policy)] if policy else []
    return shlex.join([*words, *(["--login"] if request.log_in else [])])


# --- the plan --------------------------------------------------------------------------------


def _planned(plan: LossPlan) -> Iterator[str]:
    of = ", ".join(token.id for token in plan.subject.tokens)
    number = len(plan.keys)
    yield f"Lost: {number} {'key' if number == 1 else 'keys'}{f' of {of}' if of else ''}"
    for one in plan.keys:
        yield f"  {one.name}"
        yield f"    {one.key.fingerprint}"
        yield f"    {_backup(one)}"
    yield "Known to:"
    places = [*_places(plan)]
    yield from (f"  {kind:<11}  {place}" for kind, place, _ in places)
    if not places:
        yield "  nobody, as far as the inventory tells; name accounts by --host"
    if plan.subject.doubtful:
        yield "On which token these keys are is not known; name them, too, if they are lost:"
        yield from (f"  {home_path(Path(key.file))}" for key in plan.subject.doubtful)
    yield f"Revocation list: {home_path(plan.krl)}"


def _backup(one: LostKey) -> str:
    if one.standby is None:
        return "no backup is known"
    on = f", on {one.standby.token}" if one.standby.token else ""
    return f"backup: {one.standby.comment or one.standby.fingerprint}{on}"


def _places(plan: LossPlan) -> Iterator[tuple[str, str, str]]:
    """Kind, name and fingerprint of each place and key."""
    for account in plan.accounts:
        yield from (("host", account.name, one.key.fingerprint) for one in account.keys)
    yield from (("forge", one.name, one.place.key) for one in plan.forges)
    yield from (("certificate", one.name, one.place.key) for one in plan.certificates)
    for file in plan.signers:
        yield from (("signers", home_path(file.path), one.key.fingerprint) for one in file.keys)
    for print_, uses in plan.own.items():
        yield from (("here", use, print_) for use in uses)


# --- the verdict -----------------------------------------------------------------------------


def _verdict(plan: LossPlan, rows: Sequence[LossRow]) -> Listing:
    names = {one.key.fingerprint: one.name for one in plan.keys}
    cells = [
        (home_path(Path(row.place)), names.get(row.key, row.key), str(row.old), str(row.backup))
        for row in rows
    ]
    return Listing(COLUMNS, cells, "")


def _rest(rows: Sequence[LossRow], again: str) -> Iterator[str]:
    """What was done, what is in the way, and what is to be done by hand."""
    for row in rows:
        if row.done:
            yield f"{home_path(Path(row.place))}: {', '.join(row.done)}"
        if row.why or row.by_hand:
            word = "note" if row.proved else "NOT PROVED"
            yield f"{home_path(Path(row.place))}: {word}"
            yield from (f"  {sentence}" for sentence in row.why)
            yield from (f"  by hand: {command}" for command in row.by_hand)
    good = sum(row.proved for row in rows)
    if good == len(rows):
        yield f"Proved in all {good} places: the lost keys are out, the backups in."
    else:
        yield f"Not proved in {len(rows) - good} of {len(rows)} places."
        yield f"To finish it: {again}"


def _data(plan: LossPlan, rows: Sequence[LossRow] | None) -> dict[str, object]:
    return {
        "tokens": [
            {"id": one.id, "model": one.model or None, "name": one.name}
            for one in plan.subject.tokens
        ],
        "keys": [
            {
                **_key(one.key),
                "since": plan.since[one.key.fingerprint],
                "backup": _key(one.standby) if one.standby else None,
            }
            for one in plan.keys
        ],
        "doubtful": [_key(key) for key in plan.subject.doubtful],
        "places": [{"kind": k, "place": p, "key": print_} for k, p, print_ in _places(plan)],
        "krl": str(plan.krl),
        "verdict": None if rows is None else [_row(row) for row in rows],
        "proved": None if rows is None else all(row.proved for row in rows),
    }


def _key(key: KnownKey) -> dict[str, object]:
    return {
        "fingerprint": key.fingerprint,
        "comment": key.comment,
        "token": key.token or None,
        "file": key.file or None,
    }


def _row(row: LossRow) -> dict[str, object]:
    return {
        "kind": row.kind,
        "place": row.place,
        "key": row.key,
        "lost_key": str(row.old),
        "backup": str(row.backup),
        "proved": row.proved,
        "done": list(row.done),
        "why": list(row.why),
        "by_hand": list(row.by_hand),
    }


# --- the inventory, and alarms ---------------------------------------------------------------


def _show_inventory(settings: Settings) -> None:
    from fidokit.fleet.loss.work import known_keys

    known = known_keys()
    cells = [
        (key.comment or key.fingerprint, key.token or None, _word(key, backup), str(places))
        for key, backup, places in known
    ]
    data = [{**_key(key), "backup": backup, "places": places} for key, backup, places in known]
    footer = "To revoke what is lost: fidokit lost TOKEN, or fidokit lost KEY"
    show(settings, {"inventory": data}, Listing(KNOWN, cells, NOTHING, footer))


def _word(key: KnownKey, backup: str) -> str:
    if key.backup_of:
        return "is one"
    return "yes" if backup else "none"


def _dismiss(settings: Settings, words: Sequence[str]) -> None:
    from fidokit.fleet.loss.work import dismiss_alarm

    keys = dismiss_alarm(words)
    lines = [f"The count of {key.comment or key.fingerprint} begins anew." for key in keys]
    show(settings, {"dismissed": [_key(key) for key in keys]}, Lines(lines))
