"""`fidokit key list`, `download`, `delete` and `rename`: keys on the token, and their files."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.commands.key.short_list import SORTS, short_listing
from fidokit.cli.interaction import open_token
from fidokit.cli.options import verb
from fidokit.cli.passphrase import new_passphrase, new_passphrase_options
from fidokit.cli.render import Check, Checks, Column, Lines, Listing, home_path, show, show_cards
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode, FidokitError, TokenNotFound
from fidokit.prompt import questions
from fidokit.prompt.text import BAD, GOOD, escape, note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fidokit.keys import KeyRow
    from fidokit.keys.resident_keys import Backup, DeleteResult, DownloadResult, RpFailure
    from fidokit.tokens import Session

application_option = click.option(
    "--application",
    metavar="ssh:NAME",
    help="Only keys of this application, even if the token shortened its name.",
)

COLUMNS = (
    Column("Application", "1"),
    Column("User"),
    Column("Type"),
    Column("Fingerprint"),
    Column("Comment"),
    Column("Verify"),
    Column("On token"),
    Column("Backup"),
    Column("Created"),
    Column("File"),
)
EMPTY_STORE = """No keys on this token yet.
Create one: fidokit key generate -t ed25519-sk -O resident"""
NO_FILES = "No key files found. Create one: fidokit key generate"


@verb(pin=True)
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--only-token", is_flag=True, help="Only list keys that are on the token.")
@click.option("--no-token", is_flag=True, help="Only list files; needs no token and no PIN.")
@click.option("--any-rp", is_flag=True, help="Include credentials of websites.")
@application_option
@click.option(
    "--remember/--no-remember",
    default=None,
    help="Remember the right to list this token, so that you need no PIN next time; or do not "
    "use it.",
)
@click.option("--long", "long_", is_flag=True, help="Show all details of each key.")
@click.option("--sort", type=click.Choice(list(SORTS)), help="The order of the keys.")
@click.pass_context
def list_keys(
    ctx: click.Context,
    settings: Settings,
    *,
    folders: tuple[Path, ...],
    only_token: bool,
    no_token: bool,
    any_rp: bool,
    application: str | None,
    remember: bool | None,
    long_: bool,
    sort: str | None,
) -> None:
    """List keys on the token and their files.

    On a terminal, shows one line for each key; --long shows the details. Without a token, only
    files are listed. fidokit looks for key files in ~/.ssh and in FOLDERS. Keys that are not
    resident appear only if their file is found. The Backup column shows whether a key has a backup
    on another token, made with `key generate --also`. If you lose the token, you lose keys without
    a backup.

    With --remember (tokens of CTAP 2.2 and later), fidokit keeps a persistent read-only token in a
    file. Whoever has that file and the security key can list its keys, but cannot sign or change
    anything. The right ends when the PIN is changed, or with `fidokit token forget`.
    """
    from fidokit.keys import resident_keys
    from fidokit.keys.bookkeeping import note_listed

    failed: list[RpFailure] = []
    problems: list[str] = []
    needed = only_token or any_rp or remember is not None or settings.json
    session = None if no_token else _opened_unless_absent(ctx, settings, needed=needed)
    asked = session is not None
    if session is None:
        rows = resident_keys.list_keys(None, folders=folders, application=application)
    else:
        rows = resident_keys.list_keys(
            session,
            folders=folders,
            any_rp=any_rp,
            only_token=only_token,
            remember=remember,
            application=application,
            failed=failed,
            certificates=problems,
        )
    note_listed(note, rows, session)
    rows = sorted(rows, key=SORTS[sort]) if sort else rows  # type: ignore[arg-type]
    states = resident_keys.backup_states(rows)
    cells = [_cells(row, state) for row, state in zip(rows, states, strict=True)]
    columns: Sequence[Column] = COLUMNS
    if any(row.certificates for row in rows):
        columns = (*COLUMNS, Column("Certificate"))
        cells = [(*cell, _certified(row)) for cell, row in zip(cells, rows, strict=True)]
    empty = EMPTY_STORE if asked else NO_FILES
    short = short_listing(rows, states, asked=asked, empty=empty)
    listing = Listing(columns, cells, empty, short=short)
    keys = [
        {**schema.key(row), **schema.certified(row), **schema.backup(state)}
        for row, state in zip(rows, states, strict=True)
    ]
    if long_ and not settings.json:
        show_cards(listing)
    else:
        show(settings, {"keys": keys, "failed": [schema.unlisted(one) for one in failed]}, listing)
    for one in failed:
        note(f"The keys of {escape(one.application)} are not listed: {escape(one.error.message)}.")
    _note_problems(problems)
    if failed:
        ctx.exit(failed[0].error.exit_code)


def _opened_unless_absent(
    ctx: click.Context, settings: Settings, *, needed: bool
) -> Session | None:
    """The token, open until the command ends; None if none is there and files will do.

    Args:
        needed: whether nothing but a token will do; so it is where one was named by --token.
    """
    if needed or settings.token is not None:
        return ctx.with_resource(open_token(settings))
    try:
        return ctx.with_resource(open_token(replace(settings, wait=False)))
    except TokenNotFound as error:
        note(f"{error.message[:1].upper()}{error.message[1:]}: this list shows only key files.")
        return None


def _note_problems(problems: Sequence[str]) -> None:
    """What is wrong with certificates on the token; the keys are listed anyway."""
    for problem in problems:
        note(f"Ignored: {escape(problem)}.")


def _certified(row: KeyRow) -> str | None:
    from fidokit.keys.stored_certificates import until

    now = time.time()
    return "; ".join(f"{one.key_id}, {until(one, now)}" for one in row.certificates) or None


def _cells(row: KeyRow, backup: Backup) -> tuple[str | None, ...]:
    created = row.created.astimezone().strftime("%Y-%m-%d") if row.created else None
    files = ", ".join(home_path(path) for path in row.files)
    return (
        row.application,
        row.user,
        _type_word(row),
        row.fingerprint,
        row.comment,
        yes_no(row.verify_required),
        yes_no(row.on_token),
        str(backup),
        created,
        files or "only on the token",
    )


def _type_word(row: KeyRow) -> str:
    if row.key_type:
        return str(row.key_type)
    return "application cut" if row.application_cut else f"{row.other_type}, not SSH"


NOTHING_TO_RECOVER = """No resident SSH keys on this token, so there is nothing to recover.
A key made with -O resident can be: fidokit key generate -O resident"""


def _none_of(application: str) -> str:
    return (
        f"No resident key for {escape(application)} on this token: nothing to recover.\n"
        "What there is: fidokit key list"
    )


@verb(pin=True)
@click.argument("keys", nargs=-1)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where to write the files.  [default: the current folder]",
)
@click.option(
    "--name",
    "template",
    metavar="TEMPLATE",
    help="File names, with {type} {application} {user} {fingerprint} {id}.",
)
@click.option("--any-rp", is_flag=True, help="Include keys whose application is not ssh:.")
@application_option
@new_passphrase_options
@click.pass_context
def download(
    ctx: click.Context,
    settings: Settings,
    *,
    keys: tuple[str, ...],
    folder: Path | None,
    template: str | None,
    any_rp: bool,
    application: str | None,
    passphrase_file: str | None,
    no_passphrase: bool,
    rounds: int,
) -> None:
    """Recover key files from the token.

    Writes the resident keys to files: all, or only KEYS. Files are named as `ssh-keygen -K` names
    them (id_ed25519_sk_rk_NAME). If the token holds a certificate for a key (`cert store`), it is
    written too. Existing files are never overwritten; the others are written, and the exit status
    is 9. KEYS are fingerprints, files, applications, users or comments.
    """
    from fidokit.keys import resident_keys

    results: list[DownloadResult] = []
    problems: list[str] = []
    with open_token(settings) as session:
        try:
            results.extend(
                resident_keys.download_keys(
                    session,
                    folder,
                    selectors=keys,
                    any_rp=any_rp,
                    template=template,
                    passphrase=new_passphrase(passphrase_file, none=no_passphrase),
                    rounds=rounds,
                    application=application,
                    problems=problems,
                )
            )
        except FidokitError as error:
            if not results:
                raise
            _show_downloads(settings, results)  # what was done before the failure counts
            note(f"fidokit: {escape(error.message)}")
            ctx.exit(error.exit_code)
    _note_problems(problems)
    if results or settings.json:
        _show_downloads(settings, results)
    else:
        note(NOTHING_TO_RECOVER if application is None else _none_of(application))
    if refused := [result.error for result in results if result.error]:
        ctx.exit(_worst([error.exit_code for error in refused]))


def _show_downloads(settings: Settings, results: Sequence[DownloadResult]) -> None:
    data = {"keys": [schema.downloaded(result) for result in results]}
    show(settings, data, Checks([_line(result) for result in results]))


def _line(result: DownloadResult) -> Check:
    if result.error is None:
        certificate = f", certificate {result.certificate.name}" if result.certificate else ""
        return Check("saved", GOOD, home_path(result.path), key_name(result.row) + certificate)
    return Check(
        "NOT SAVED", BAD, f"{key_name(result.row)}: {result.error.message}", result.error.hint
    )


def _worst(codes: list[ExitCode]) -> ExitCode:
    """9 where files were in the way and nothing worse happened."""
    return next((code for code in codes if code is not ExitCode.WOULD_OVERWRITE), codes[0])


@verb(pin=True)
@click.argument("keys", nargs=-1)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--any-rp", is_flag=True, help="Include credentials of websites.")
@application_option
@click.pass_context
def delete(
    ctx: click.Context,
    settings: Settings,
    *,
    keys: tuple[str, ...],
    yes: bool,
    any_rp: bool,
    application: str | None,
) -> None:
    """Delete resident keys from the token.

    This cannot be undone. KEYS are fingerprints, files, applications, users, comments or credential
    IDs; without KEYS, --application names the key. A name that matches several keys is refused. Key
    files stay, but no longer work; if the token still signs with them, this is reported. If one key
    cannot be deleted, the others still are.
    """
    from fidokit.keys.resident_keys import delete_keys, list_keys, resolve

    keys = keys or ((application,) if application else ())
    if not keys:
        raise click.UsageError("name the keys, or give --application")
    with open_token(settings) as session:
        rows = list_keys(
            session, any_rp=any_rp, only_token=True, application=application, named=keys
        )
        chosen = list({id(row): row for row in (resolve(key, rows) for key in keys)}.values())
        if not yes:
            note("\n".join(f"  {key_name(row)}" for row in chosen))
            what = "this key" if len(chosen) == 1 else f"these {len(chosen)} keys"
            questions.require_yes(f"Delete {what} from {session.name} for good?")
        results = list(delete_keys(session, chosen, any_rp=any_rp))
    errors = [result.error for result in results if result.error]
    lines = [_deletion(result) for result in results]
    left = [
        home_path(path)
        for result in results
        if result.error is None and not result.still_signs
        for path in result.row.files
    ]
    lines += [f"These files no longer work: {', '.join(left)}"] if left else []
    failed = [schema.undeleted(result) for result in results if result.error]
    deleted = [
        {**schema.key(result.row), "still_signs": result.still_signs}
        for result in results
        if result.error is None
    ]
    show(settings, {"deleted": deleted, "failed": failed}, Lines(lines))
    for result in results:
        if result.still_signs:
            note(_beware(result.row))
    if errors:
        note(f"fidokit: {escape(errors[0].message)}\nhint: {escape(errors[0].hint)}")
        ctx.exit(errors[0].exit_code)


def _beware(row: KeyRow) -> str:
    return (
        f"Beware: until a reset this token still signs with a file of {key_name(row)}.\n"
        f"Take the key out of servers: fidokit server authorize --revoke {row.fingerprint}"
    )


def _deletion(result: DeleteResult) -> str:
    if result.error is None:
        return f"Deleted {key_name(result.row)}."
    return f"NOT deleted {key_name(result.row)}: {escape(result.error.message)}."


@verb(pin=True)
@click.argument("key")
@click.argument("comment", required=False)
@click.option("--user-name", metavar="TEXT", help="Change the user name that is displayed.")
@click.option("--any-rp", is_flag=True, help="Include credentials of websites.")
@application_option
def rename(
    settings: Settings,
    *,
    key: str,
    comment: str | None,
    user_name: str | None,
    any_rp: bool,
    application: str | None,
) -> None:
    """Change the comment stored with a key.

    Changes the COMMENT of KEY on the token. KEY is a fingerprint, file, application, user, comment
    or credential ID. The key, its application and its user stay the same, so files and servers are
    not affected.
    """
    from fidokit.keys.resident_keys import list_keys, rename_key, resolve

    if comment is None and user_name is None:
        raise click.UsageError("give the new comment, or --user-name")
    with open_token(settings) as session:
        rows = list_keys(
            session, any_rp=any_rp, only_token=True, application=application, named=[key]
        )
        row = resolve(key, rows)
        kept = rename_key(session, row, comment=comment, user_name=user_name, any_rp=any_rp)
    data = {"renamed": {**schema.key(row), "new_comment": comment, "new_user_name": user_name}}
    lines = [f"Renamed {key_name(row)}."]
    if comment is not None and kept != comment:
        lines.append(f"The token stored only this part of the comment: {escape(kept) or 'nothing'}")
    show(settings, data, Lines(lines))


def yes_no(value: bool | None) -> str:
    """A flag that may be unknown."""
    return {True: "yes", False: "no", None: "?"}[value]


def key_name(row: KeyRow) -> str:
    """A key in a sentence on one line, harmless for a terminal: what it is for, its fingerprint."""
    user = f" / {row.user}" if row.user else ""
    print_ = row.fingerprint or f"credential {(row.credential_id or b'').hex()[:16]}"
    return escape(f"{row.application}{user} ({print_})")
