"""`fidokit server authorize`: keys into accounts, and out of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.progress import Counter
from fidokit.cli.render import Lines, show, styled
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode
from fidokit.prompt.text import BAD, GOOD, escape, note

if TYPE_CHECKING:
    from fidokit.server.authorize.authorization import AuthorizeTarget
    from fidokit.server.authorize.bulk import BulkRow
    from fidokit.server.authorize.lines import Change
    from fidokit.server.authorize.outcome import Authorized

MOST_NAMED = 10
"""Users as whom a key is proved to be out; JSON has all of them."""

ATTESTED = ("attestation", "challenge", "require_certified")


@verb()
@click.argument("keys", nargs=-1)
@click.option("--user", metavar="NAME", help="The account on this machine.  [default: yours]")
@click.option(
    "--host", "destination", metavar="[USER@]HOST", help="An account on another machine, by ssh."
)
@click.option(
    "-e",
    "--ssh",
    metavar="COMMAND",
    default="ssh",
    help="The command to reach it, such as 'ssh -p 2222'.  [default: ssh]",
)
@click.option("--path", metavar="FILE", help="Use this file instead of the one that sshd reads.")
@click.option("--verify-required", is_flag=True, help="Require the PIN or a fingerprint each time.")
@click.option("--no-touch-required", is_flag=True, help="Accept the key without a touch.")
@click.option("--restrict", is_flag=True, help="Allow no forwarding, no terminal and no ~/.ssh/rc.")
@click.option(
    "--from", "from_", metavar="PATTERNS", help="Accept the key only from these hosts or networks."
)
@click.option(
    "--command", metavar="COMMAND", help="Always run COMMAND instead of what the user asks for."
)
@click.option(
    "--expiry-time",
    metavar="YYYYMMDD[HHMM]",
    help="Accept the key until then, in the server's time zone.",
)
@click.option(
    "-O", "extra", metavar="NAME[=VALUE]", multiple=True, help="Any other option of sshd(8)."
)
@click.option(
    "--as-authority",
    is_flag=True,
    help="Trust certificates that the token's key signs, for `agent session`. Needs --principals "
    "and --expiry-time.",
)
@click.option(
    "--principals",
    metavar="NAMES",
    help="With --as-authority: the names that certificates may have.",
)
@click.option("--only-hardware", is_flag=True, help="Leave out keys that are not on a token.")
@click.option("--no-backup", is_flag=True, help="Leave out the backups of the keys.")
@click.option(
    "--exclusive", is_flag=True, help="Remove every other key, after one key is proved to work."
)
@click.option("--yes-unproved", is_flag=True, help="With --exclusive: continue without proof.")
@click.option(
    "--login", is_flag=True, help="Prove the keys by a login; asks for the PIN and a touch."
)
@click.option(
    "--attestation", metavar="FILE", help="Add the key only if FILE proves that a token made it."
)
@click.option(
    "--challenge", metavar="FILE", help="With --attestation: the challenge that the token signed."
)
@click.option(
    "--require-certified", is_flag=True, help="With --attestation: require a certified model."
)
@click.option(
    "--from-file", metavar="FILE", help="Keys of many users: each line has NAME, KEY and OPTIONS."
)
@click.option(
    "--revoke", is_flag=True, help="Remove the keys instead; KEYS can be SHA256:... fingerprints."
)
@click.option(
    "--all-users", is_flag=True, help="With --revoke: remove them from every account here."
)
@click.option("--sshd", metavar="PROGRAM", help="The sshd program.  [default: the installed one]")
@click.option("--config", metavar="FILE", help="Use this sshd_config instead of the default one.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def authorize(
    settings: Settings,
    *,
    keys: tuple[str, ...],
    revoke: bool,
    from_file: str | None,
    dry_run: bool,
    **given: Any,
) -> None:
    """Add keys to an account, or remove them.

    The account is on this machine or another one. KEYS are public key files, whose options are
    kept; gh:NAME, gl:NAME or lp:NAME for the keys that an account on GitHub, GitLab or Launchpad
    publishes; or https addresses. A key is not added twice, and other lines stay unchanged, byte
    for byte. After that, fidokit asks the installed sshd whether it accepts the key.
    """
    place = _place(given)
    _check_authority(given)
    if from_file is not None:
        if keys or revoke:
            raise click.UsageError("--from-file names users and keys itself")
        _many(settings, from_file, place, given, dry_run=dry_run)
        return
    if not keys:
        raise click.UsageError("name a key: a file, gh:NAME, or an https address")
    if revoke:
        refused = ("exclusive", "login", "yes_unproved", "as_authority", *ATTESTED)
        _refuse(given, "with --revoke", refused)
        done = _revoked(settings, keys, place, given, dry_run=dry_run)
    else:
        _refuse(given, "without --revoke", ("all_users",))
        done = _let_in(keys, place, given, dry_run=dry_run)
        if not dry_run:
            _note(done, place)
    _print(settings, done, dry_run=dry_run)
    if not is_good(done):
        raise click.exceptions.Exit(ExitCode.OTHER)


def _note(done: Authorized, place: AuthorizeTarget) -> None:
    """Note in the inventory who knows the keys now; the one-file program has none."""
    with suppress(ModuleNotFoundError):
        from fidokit.keys.bookkeeping import note_authorized

        note_authorized(note, done, place)


def is_good(done: Authorized) -> bool:
    """Whether no key is known to be kept out that was let in, or to get in that was to go."""
    from fidokit.server.authorize.standing import Admittance

    return not done.failures and all(one.standing != Admittance.REFUSED for one in done.standings)


def _place(given: Mapping[str, Any]) -> AuthorizeTarget:
    from fidokit.server.authorize.authorization import AuthorizeTarget

    return AuthorizeTarget(
        given["user"],
        given["destination"],
        tuple(shlex.split(given["ssh"])),
        given["path"],
        given["sshd"],
        given["config"],
    )


def _refuse(given: Mapping[str, Any], where: str, names: tuple[str, ...]) -> None:
    for name in names:
        if given[name]:
            raise click.UsageError(f"--{name.replace('_', '-')} is not possible {where}")


def _check_authority(given: Mapping[str, Any]) -> None:
    """An authority for any name, or for ever, is more than a session wants."""
    if not given["as_authority"]:
        _refuse(given, "without --as-authority", ("principals",))
        return
    if not (given["principals"] and given["expiry_time"]):
        raise click.UsageError("--as-authority wants --principals and --expiry-time")
    # sshd demands neither of an authority's signature, and who asks for it expects that it does
    _refuse(given, "with --as-authority", ("verify_required", "no_touch_required"))


def _let_in(
    keys: tuple[str, ...], place: AuthorizeTarget, given: Mapping[str, Any], *, dry_run: bool
) -> Authorized:
    from fidokit.server.authorize.authorization import authorize_keys, key_options
    from fidokit.server.authorize.outcome import How

    only = _require_attested(keys, given)
    return authorize_keys(
        keys,
        place,
        options=key_options([*_named(given), *given["extra"]]),
        only_hardware=given["only_hardware"] or given["as_authority"],
        backups=not (given["no_backup"] or given["as_authority"] or only),
        how=How(given["exclusive"], given["yes_unproved"], given["login"], dry_run),
        only=only,
    )


def _require_attested(keys: tuple[str, ...], given: Mapping[str, Any]) -> str:
    """The fingerprint of the key that a token is proved to have made; empty if none has to be."""
    attestation, challenge = given["attestation"], given["challenge"]
    if not attestation:
        _refuse(given, "without --attestation", ("challenge", "require_certified"))
        return ""
    if not challenge or len(keys) != 1:
        raise click.UsageError("--attestation goes with one key and its --challenge FILE")
    from fidokit.keys.attestation import require_certified, verify_attestation
    from fidokit.keys.fingerprints import show as shown_keys

    key = _public_half(Path(keys[0]))
    verified = verify_attestation(Path(attestation), key, Path(challenge))
    if given["require_certified"]:
        require_certified(verified)
    return next(shown_keys(key)).fingerprint


def _public_half(path: Path) -> Path:
    """The file that is read for a key: the public one beside a private one."""
    beside = path.with_name(f"{path.name}.pub")
    return beside if path.suffix != ".pub" and beside.exists() else path


def _revoked(
    settings: Settings,
    keys: tuple[str, ...],
    place: AuthorizeTarget,
    given: Mapping[str, Any],
    *,
    dry_run: bool,
) -> Authorized:
    from fidokit.server.authorize.authorization import revoke_keys

    with Counter(settings, "asking sshd about users") as progress:
        return revoke_keys(
            keys,
            place,
            all_users=given["all_users"],
            dry_run=dry_run,
            progress=progress.show,
        )


_FLAGS = ("verify_required", "no_touch_required", "restrict")
_VALUES = ("from_", "command", "expiry_time", "principals")


def _named(given: Mapping[str, Any]) -> Iterator[str]:
    """The options that have a switch of their own, in the order of sshd(8)."""
    if given["as_authority"]:
        yield "cert-authority"
    for name in (*_FLAGS, *_VALUES):
        option = name.rstrip("_").replace("_", "-")
        if name in _FLAGS and given[name]:
            yield option
        elif name in _VALUES and given[name] is not None:
            yield f"{option}={given[name]}"


# --- many users ------------------------------------------------------------------------------


def _many(
    settings: Settings,
    path: str,
    place: AuthorizeTarget,
    given: Mapping[str, Any],
    *,
    dry_run: bool,
) -> None:
    elsewhere = ("user", "destination", "path", "exclusive", "login", "all_users", *ATTESTED)
    _refuse(given, "with --from-file", elsewhere)
    from fidokit.server.authorize.authorization import key_options
    from fidokit.server.authorize.bulk import authorize_many

    options = key_options([*_named(given), *given["extra"]])
    rows = authorize_many(Path(path), place, options=options, dry_run=dry_run)
    for row in rows:
        for warning in row.done.warnings if row.done else ():
            note(f"warning: line {row.number}, {row.user}: {warning}")
    show(
        settings,
        {"rows": [schema.authorized_row(row, dry_run) for row in rows]},
        Lines([line for row in rows for line in _row_lines(row, dry_run)]),
    )
    if not all(row.done and is_good(row.done) for row in rows):
        raise click.exceptions.Exit(ExitCode.OTHER)


def _row_lines(row: BulkRow, dry_run: bool) -> Iterator[str]:
    head = f"line {row.number}  {row.user}: "
    if row.done is None:
        yield head + row.error
        return
    for word, names in _names(row.done, dry_run):
        yield from (f"{head}{word}  {name}" for name in names)
    yield from (f"{head}{line}" for line in _standing_lines(row.done))


# --- what is shown ---------------------------------------------------------------------------


def _print(settings: Settings, done: Authorized, *, dry_run: bool) -> None:
    for warning in done.warnings:
        note(f"warning: {warning}")
    for failure in done.failures:
        note(f"not done: {failure}")
    lines = [*_told(done, dry_run)]
    if dry_run and not settings.json:
        print("\n".join([*map(escape, lines), *map(_colored, _diff(done))]))
        return
    show(settings, {"authorized": schema.authorized(done, dry_run)}, Lines(lines))


def _told(done: Authorized, dry_run: bool) -> Iterator[str]:
    for source in done.sources:
        left_out = f", {source.left_out} not on a token left out" if source.left_out else ""
        number = len(source.keys)
        yield f"{source.source}: {number} {'key' if number == 1 else 'keys'}{left_out}"
    for word, names in _names(done, dry_run):
        yield from (f"{word}  {name}" for name in names)
    if done.change.unreadable:
        numbers = ", ".join(str(line.line_number) for line in done.change.unreadable[:10])
        yield f"sshd ignores its unreadable lines: {numbers}"
    changed = {file.where: not file.change.is_empty for file in done.files}
    changed |= {file.where: True for file in done.files if not file.change.is_empty}
    yield from (f"{'File:' if c else 'Nothing changes in'} {w}" for w, c in changed.items())
    if not done.files:
        yield "No file has the key."
    yield from _standing_lines(done)
    if len(done.proved) > MOST_NAMED:
        more = len(done.proved) - MOST_NAMED
        named = ", ".join(done.proved[:MOST_NAMED])
        yield f"Proved: sshd accepts none of them for {named} and {more} more users now."
    else:
        yield from (f"Proved: sshd accepts none of them for {user} now." for user in done.proved)


def _standing_lines(done: Authorized) -> Iterator[str]:
    from fidokit.server.authorize.standing import WORDS

    for one in done.standings:
        name = one.key.comment or one.key.fingerprint
        yield f"{WORDS[one.standing]}: {name}" + (f" ({one.why})" if one.why else "")
        if one.how:
            yield f"  to find out or fix it: {one.how}"


def _names(done: Authorized, dry_run: bool) -> Iterator[tuple[str, list[str]]]:
    from fidokit.server.authorize.lines import line_name

    change, would = done.change, "would be " if dry_run else ""
    yield f"{would}added", [line_name(line) for line in change.added]
    yield f"{would}changed", [line_name(line) for line in change.changed]
    yield "was there", [line_name(line) for line in change.present]
    yield f"{would}removed", [line_name(line) for line in change.removed]


def _diff(done: Authorized) -> list[str]:
    return [line for file in done.files for line in _file_diff(file.where, file.change)]


def _file_diff(where: str, change: Change) -> list[str]:
    from difflib import unified_diff

    before, after = (
        text.decode("utf-8", "backslashreplace").splitlines()
        for text in (change.before, change.after)
    )
    diff = unified_diff(before, after, where, where, "before", "after", lineterm="", n=1)
    return [escape(line) for line in diff]


def _colored(line: str) -> str:
    return {"+": styled(line, GOOD), "-": styled(line, BAD)}.get(line[:1], line)
