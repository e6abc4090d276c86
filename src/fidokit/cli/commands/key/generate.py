"""`fidokit key generate`: create a key and its backups, in ssh-keygen's letters."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fidokit.cli import schema
from fidokit.cli.habits import LETTERS
from fidokit.cli.interaction import open_token
from fidokit.cli.options import verb
from fidokit.cli.passphrase import new_passphrase, new_passphrase_options, old_passphrase
from fidokit.cli.render import Lines, home_path, show
from fidokit.cli.settings import Settings
from fidokit.errors import (
    CredentialInTheWay,
    FidokitError,
    FileInTheWay,
    UsageError,
    WouldOverwrite,
)
from fidokit.prompt import questions
from fidokit.prompt.text import escape, is_fancy, note
from fidokit.types import KeyType

if TYPE_CHECKING:
    from fidokit.keys.generation import GeneratedKey, GenerateRequest, OrphanedCredential
    from fidokit.tokens import Session
    from fidokit.types import PassphraseSource

FLAGS = ("resident", "verify-required", "no-touch-required", "enterprise-attestation")
VALUES = ("application", "user", "device", "challenge", "write-attestation")
OPTIONS_HELP = (
    "One of: resident, verify-required, no-touch-required, application=ssh:NAME, user=NAME, "
    "device=SELECTOR, challenge=FILE, write-attestation=FILE, enterprise-attestation. Can be "
    "repeated."
)

MANAGED = 2
"""enterpriseAttestation in CTAP: as whoever manages this machine wants it (2.3 section 7.1.2)."""

NOT_HERE = {
    "-N": "every user of this machine can read a passphrase on the command line; "
    "use --passphrase-file FILE or --no-passphrase, or wait for the question",
    "-b": "the size of these keys is fixed: leave out -b",
    "-Z": "the cipher of key files is fixed (aes256-ctr): leave out -Z",
    "-w": "choose the token with --token; no provider library is needed",
    **{letter: LETTERS[letter] for letter in ("-B", "-K", "-L", "-P", "-Y", "-l", "-p", "-y")},
}


def _parse_options(_ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> Any:
    """-O name[=value], as a mapping; a flag's value is ""."""
    parsed: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if name not in (VALUES if equals else FLAGS):
            raise click.BadParameter(_refusal(name, bool(equals)))
        parsed[name] = value
    return parsed


def _refusal(name: str, has_value: bool) -> str:
    if name in VALUES:
        return f"-O {name} needs a value: -O {name}=..."
    if has_value and name in FLAGS:
        return f"-O {name} takes no value"
    return f"there is no -O {name}; there are {', '.join((*FLAGS, *(f'{v}=' for v in VALUES)))}"


def _refuse(_ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value is not None:  # the value itself is never repeated: it may be a passphrase
        letter = param.opts[0]
        raise click.UsageError(f"there is no {letter}: {NOT_HERE[letter]}")


def _refused_letters(command: click.Command) -> click.Command:
    """Letters of ssh-keygen that fingers will type, answered with what to do instead."""
    for letter in NOT_HERE:
        # flag_value: also when nothing follows the letter, it is this message that counts
        option = click.Option(
            [letter, f"refused_{letter[1:]}"],
            hidden=True,
            expose_value=False,
            is_eager=True,
            is_flag=False,
            flag_value="",
            callback=_refuse,
        )
        command.params.append(option)
    return command


@verb(pin=True)
@click.option(
    "-t",
    "key_type",
    type=click.Choice(list(map(str, reversed(KeyType)))),
    help="Key type.  [default: ed25519-sk if the token supports it]",
)
@click.option(
    "-f",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Private key file; the public key file is FILE.pub.",
)
@click.option(
    "-C", "comment", metavar="TEXT", help="Comment of the public key.  [default: user@host]"
)
@click.option(
    "-O",
    "options",
    metavar="NAME[=VALUE]",
    multiple=True,
    callback=_parse_options,
    help=OPTIONS_HELP,
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing on success.")
@click.option(
    "--force",
    is_flag=True,
    help="Replace existing files, and a resident key of the same application and user.",
)
@click.option(
    "--allow-any-application", is_flag=True, help="Allow applications that do not start with ssh:."
)
@click.option(
    "--large-blob", is_flag=True, help="Let the resident key have a blob: fidokit blob set."
)
@click.option(
    "--also",
    metavar="SELECTOR",
    multiple=True,
    help="Also make a backup on this token. Can be repeated.",
)
@click.option(
    "--also-pin-file",
    metavar="FILE",
    multiple=True,
    help="Read the PIN of the --also token from FILE; in the same order.",
)
@click.option(
    "--backup-of",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Make a backup of the key in this private key file, with the same options, name and "
    "comment.",
)
@new_passphrase_options
def generate(
    settings: Settings,
    *,
    key_type: str | None,
    path: Path | None,
    options: dict[str, str],
    also: tuple[str, ...],
    also_pin_file: tuple[str, ...],
    backup_of: Path | None,
    quiet: bool,
    passphrase_file: str | None,
    no_passphrase: bool,
    force: bool,
    **others: Any,
) -> None:
    """Create a key on the token, and its two files.

    The private file holds no secret that works without the token. With -O resident, you can recover
    the key from the token on another computer: fidokit key download.

    With --also, each token makes a key of its own, so that you can still log in if you lose one
    token. The backup is in FILE_backup, and its comment ends in "(backup)". `server authorize` adds
    both keys.
    """
    from fidokit.keys.backup import with_backups
    from fidokit.keys.bookkeeping import note_generated
    from fidokit.keys.generation import warning_before

    settings.token = options.pop("device", settings.token)
    secret = new_passphrase(passphrase_file, none=no_passphrase)
    others |= {"force": force, "replace": force}
    made: list[GeneratedKey] = []
    with opened(settings, also, also_pin_file) as sessions:
        if backup_of is None:
            request = _request(sessions, key_type, path, options, others)
        else:
            _refuse_beside_backup_of(key_type, path, options, others)
            request = _backup_request(backup_of, passphrase_file, options, others)
        requests = with_backups(request, len(also))
        if warning := warning_before(request):
            note(f"Warning: {escape(warning)}.")
        if also:
            requests = _checked(sessions, requests)
        try:
            _make_all(sessions, requests, secret, made)
        finally:
            if made and (settings.json or not quiet):
                show_made(settings, made)
            elif any(not one.touch_required for one in made):
                note(NO_TOUCH)
            if made:
                note_generated(note, made, sessions)


def _make_all(
    sessions: Sequence[Session],
    requests: Sequence[GenerateRequest],
    secret: PassphraseSource,
    made: list[GeneratedKey],
) -> None:
    """Make the key, then its backups; what is made counts, whatever comes after."""
    for session, request in zip(sessions, requests, strict=True):
        try:
            one = _make_or_rescue(session, request, secret)
        except FidokitError as error:
            if made:
                raise no_backup_yet(error, session, made[0].path, request.user) from None
            raise
        if one is None:
            return
        made.append(one)


def _make_or_rescue(
    session: Session, request: GenerateRequest, secret: PassphraseSource
) -> GeneratedKey | None:
    """The key, or None if it is saved under another name than was asked for."""
    from fidokit.keys.generation import OrphanedCredential

    try:
        return _make(session, request, secret)
    except OrphanedCredential as error:
        if not _rescue(session, error):
            raise
        return None


def _checked(sessions: Sequence[Session], requests: list[GenerateRequest]) -> list[GenerateRequest]:
    """The requests, after all was looked at before the first touch."""
    from fidokit.keys.backup import check_ceremony

    try:
        check_ceremony(sessions, requests)
    except FileInTheWay as error:
        _may_replace(error, LOST_FILES, "Overwrite?")
        requests = [replace(request, force=True) for request in requests]
        check_ceremony(sessions, requests)
    return requests


def _refuse_beside_backup_of(
    key_type: str | None, path: Path | None, options: dict[str, str], others: dict[str, Any]
) -> None:
    given = [key_type, path, others["comment"], *(options.get(n) for n in (*FLAGS, "application"))]
    if any(value is not None for value in given) or others["large_blob"]:
        raise click.UsageError("--backup-of takes type, name, comment and options from the key")


def _backup_request(
    path: Path, passphrase_file: str | None, options: dict[str, str], others: dict[str, Any]
) -> GenerateRequest:
    """For one more backup of the key in a file."""
    from fidokit.keys import backup

    secret = old_passphrase(passphrase_file)
    request = backup.backup_of(path, user=options.get("user", ""), passphrase=secret)
    return replace(
        request,
        challenge_file=_path(options.get("challenge")),
        attestation_file=_path(options.get("write-attestation")),
        force=others["force"],
        replace=others["replace"],
        rounds=others["rounds"],
    )


def _request(
    sessions: Sequence[Session],
    key_type: str | None,
    path: Path | None,
    options: dict[str, str],
    others: dict[str, Any],
) -> GenerateRequest:
    from fidokit.keys.generation import GenerateRequest, key_types

    kind, *others_too = key_types(sessions, key_type)
    return GenerateRequest(
        key_type=kind,
        or_types=tuple(others_too),
        path=path or _ask_path(kind),
        enterprise=MANAGED if "enterprise-attestation" in options else None,
        application=options.get("application", "ssh:"),
        user=options.get("user", ""),
        resident="resident" in options,
        verify_required="verify-required" in options,
        touch_required="no-touch-required" not in options,
        challenge_file=_path(options.get("challenge")),
        attestation_file=_path(options.get("write-attestation")),
        **others,
    )


NO_TOUCH = "note: GitHub, GitLab and others refuse keys that sign without a touch"
LOST_FILES = """{what}.
A key that is not resident exists only in its file: overwriting the file loses the key."""
LOST_KEY = """{what}.
A new key destroys it: its files stop working, and servers do not know the new key."""


def _make(session: Session, request: GenerateRequest, secret: PassphraseSource) -> GeneratedKey:
    """Make the key; what is in the way is replaced only where the user says so.

    Raises:
        WouldOverwrite: the answer is no, or nobody can be asked.
    """
    from fidokit.keys import generation

    while True:
        try:
            return generation.generate_key(session, request, passphrase=secret)
        except FileInTheWay as error:
            _may_replace(error, LOST_FILES, "Overwrite?")
            request = replace(request, force=True)
        except CredentialInTheWay as error:
            _may_replace(error, LOST_KEY, "Replace the key on the token?")
            request = replace(request, replace=True)


def _may_replace(error: WouldOverwrite, lost: str, question: str) -> None:
    if not questions.has_terminal():
        raise error
    note(lost.format(what=error.message.removesuffix(", and nothing was changed")))
    if not questions.confirmed(question):
        raise error


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _ask_path(kind: KeyType) -> Path | None:
    """Where to save the key, as ssh-keygen asks; the default if nobody can be asked."""
    default = Path.home() / ".ssh" / f"id_{kind.replace('-', '_')}"
    answer = questions.ask_line(f"File for the key ({home_path(default)}): ")
    return questions.typed_path(answer) if answer else None


def _rescue(session: Session, error: OrphanedCredential) -> bool:
    """The key exists and its files do not: offer to save it elsewhere, or to remove it.

    Returns whether the key was saved after all.
    """
    from fidokit.keys.generation import delete_orphan, save_orphan

    if not questions.has_terminal():
        return False
    note(f"{error.message}.")
    path = questions.typed_path(
        questions.ask_line("Save the key in another file (Enter for no): ") or ""
    )
    if path is not None:
        note(f"Saved: {save_orphan(error.orphan, path)}")
        return True
    if error.orphan.resident and questions.confirmed("Delete the key from the token?"):
        delete_orphan(session, error.orphan)
        note("Deleted from the token.")
    return False


_refused_letters(generate)


# --- several tokens ----------------------------------------------------------------------


@contextmanager
def opened(
    settings: Settings, also: Sequence[str], pin_files: Sequence[str]
) -> Iterator[list[Session]]:
    """The tokens, open: the first as always, then those for backups in their order.

    A PIN from --pin-file is the first one's alone: another token would lose a try by it.
    """
    if len(pin_files) > len(also):
        raise UsageError("there are more --also-pin-file than --also")
    with ExitStack() as ends:
        sessions = [ends.enter_context(open_token(settings))]
        for number, selector in enumerate(also):
            other = copy(settings)
            other.token, other.pin_fd = selector, None
            other.pin_file = pin_files[number] if number < len(pin_files) else None
            sessions.append(ends.enter_context(open_token(other)))
        yield sessions


def no_backup_yet(error: FidokitError, session: Session, first: Path, user: str) -> FidokitError:
    """The error, as of a backup whose first key is there already."""
    command = ["fidokit", "--token", session.selector, "key", "generate", "--backup-of", str(first)]
    command += ["-O", f"user={user}"] if user else []
    error.message = f"the backup on {session.name} was not made: {error.message}"
    later = f"the key itself is there; to make the backup later: {shlex.join(command)}"
    error.hint = f"{error.hint}; {later}" if error.hint else later
    return error


# --- what is shown -----------------------------------------------------------------------


def show_made(settings: Settings, made: Sequence[GeneratedKey]) -> None:
    """Tell of a key and its backups, in that order."""
    data = {"key": schema.generated(made[0])}
    backups = [schema.generated(backup) for backup in made[1:]]
    show(settings, {**data, "backups": backups}, Lines(_said(made)))


def _said(made: Sequence[GeneratedKey]) -> list[str]:
    first, *backups = made
    parts = ["The key is made.", *_parts(first)]
    for backup in backups:
        parts += ["", "Its backup is made.", *_parts(backup)]
    warnings = [f"note: {warning}" for one in made for warning in one.warnings]
    known = "it and its backup" if backups else "it"
    parts += ["", f"Next, let a server know {known}:"]
    needed = [] if first.touch_required else ["no-touch-required"]
    options = "".join(f" --{option}" for option in needed)
    parts += [f"  fidokit server authorize {_typed(first.public_path)} --host user@host{options}"]
    if not backups:
        line = " ".join([*needed, first.public_line])
        parts += ["or add this line to ~/.ssh/authorized_keys there:", f"  {line}"]
    if needed:
        warnings.append(NO_TOUCH)
    return [*parts, *warnings]


def _typed(path: Path) -> str:
    """A path as it is typed into a shell: ~ for the home folder, quotes only where needed."""
    shown = home_path(path)
    if shown.startswith("~/"):
        return f"~/{shlex.quote(shown[2:])}"
    return shlex.quote(f"./{shown}" if shown.startswith("-") else shown)


def _parts(made: GeneratedKey) -> list[str]:
    art = ["", *made.randomart.splitlines()] if is_fancy(sys.stdout) else []
    attested = (
        [f"  attestation  {home_path(made.attestation_path)}"] if made.attestation_path else []
    )
    return [
        f"  private key  {home_path(made.path)}",
        f"  public key   {home_path(made.public_path)}",
        *attested,
        f"  fingerprint  {made.fingerprint}",
        *art,
    ]
