"""Keys for many users at once, from a list: all of it is checked before any file is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, Malformed, MalformedFile
from fidokit.files.keyfile import read_bounded
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, parse_line
from fidokit.openssh.lines.options import Option, check_options, parse_list
from fidokit.server.accounts import account
from fidokit.server.authorize import download
from fidokit.server.authorize import sources as of
from fidokit.server.authorize.authorization import AuthorizeTarget, let_in, wanted_keys
from fidokit.server.authorize.local import (
    LocalSshd,
    Prover,
    UserFiles,
    files_of,
    local_sshd,
    prover,
)
from fidokit.server.authorize.outcome import Authorized, How
from fidokit.server.authorize.places import place_to_write
from fidokit.server.authorize.sources import Fetch
from fidokit.server.authorize.wishes import WantedKey, check, merged

MAX_LIST: Final = 1 << 24
"""Bytes of a list of users and keys."""

_MOST_NAMED: Final = 10


@dataclass(frozen=True)
class BulkRow:
    """What became of one line of the list.

    Attributes:
        number: of the line, from 1.
        done: what was done; None if it failed.
        error: why it failed; empty if it did not.
    """

    number: int
    user: str
    done: Authorized | None = None
    error: str = ""


@dataclass(frozen=True)
class _Planned:
    number: int
    files: UserFiles
    keys: tuple[WantedKey, ...]
    warnings: tuple[str, ...] = ()


def authorize_many(
    path: Path,
    place: AuthorizeTarget,
    *,
    options: Sequence[Option] = (),
    dry_run: bool = False,
    fetch: Fetch | None = None,
) -> list[BulkRow]:
    """Let keys into the accounts that a list names.

    A line is the name of a user and, behind a blank, either a line of authorized_keys (options,
    type, base64, comment) or a source of keys and the options for it, as in authorized_keys. Empty
    lines and those that begin with # are passed over.

    Args:
        path: the list.
        place: which sshd; users come from the list.
        options: for every key, besides those of its line.
        dry_run: find out and write nothing.
        fetch: gets an address's text; a test's own.

    Returns:
        a row for each line; where one fails while files are written, the others are done.

    Raises:
        MalformedFile: lines that cannot be carried out; names them; nothing was changed.
    """
    with local_sshd(place.sshd, place.config) as server:
        planned = _planned(server, path, options, fetch or download.fetch)
        with prover(server) as asking:
            return [_carry_out(row, asking, dry_run=dry_run) for row in planned]


def _planned(
    server: LocalSshd, path: Path, options: Sequence[Option], fetch: Fetch
) -> list[_Planned]:
    """What is to be done, all of it checked."""
    text = read_bounded(path.expanduser(), MAX_LIST)
    planned: list[_Planned] = []
    wrong: list[str] = []
    for number, line in _lines(text):
        try:
            planned.append(_plan(server, number, line, options, fetch))
        except FidokitError as error:
            wrong.append(f"line {number}: {error.message}")
    if wrong:
        more = f"; and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        raise MalformedFile(
            f"{path} is not carried out: {'; '.join(wrong[:_MOST_NAMED])}{more}",
            hint="fix these lines; nothing was changed",
        )
    return planned


def _lines(text: bytes) -> Iterator[tuple[int, bytes]]:
    for number, raw in enumerate(text.split(b"\n"), 1):
        line = raw.strip(b" \t\r")
        if line and not line.startswith(b"#"):
            yield number, line


def _plan(
    server: LocalSshd, number: int, line: bytes, options: Sequence[Option], fetch: Fetch
) -> _Planned:
    words = line.replace(b"\t", b" ").split(b" ", 1)
    name = words[0].decode("utf-8", "surrogateescape")
    rest = line[len(words[0]) :].strip(b" \t")
    if not rest:
        raise MalformedFile(f"no key stands behind {name!r}")
    files = files_of(server, account(name), None)
    found, warnings = _keys(rest, number, fetch)
    keys = [replace(key, options=merged(key.options, options)) for key in found]
    facts = server.facts(files.settings)
    for key in keys:
        check_options(key.options)
        check(key, facts)
    place_to_write(files.user, files.places)
    return _Planned(number, files, tuple(keys), warnings)


def _keys(rest: bytes, number: int, fetch: Fetch) -> tuple[list[WantedKey], tuple[str, ...]]:
    """The keys of a line, one that stands in it or those of a source, and what was left out."""
    found = parse_line(rest, number)
    if isinstance(found, AuthorizedKey):
        _refuse_options_behind(found)
        return [WantedKey(found.key, found.comment, found.options, f"line {number}")], ()
    source, _, behind = rest.decode("utf-8", "surrogateescape").replace("\t", " ").partition(" ")
    if not of.is_remote(source) and not Path(source).expanduser().exists():
        reason = getattr(found, "reason", "there is none")
        raise MalformedFile(f"it holds neither a key ({reason}) nor the name of a file")
    given = parse_list(behind.strip().encode("utf-8", "surrogateescape"), end_comma=True)
    check_options(given)
    fetched = of.read_source(source, fetch)
    return wanted_keys([fetched], given), fetched.warnings


def _refuse_options_behind(found: AuthorizedKey) -> None:
    """Raise for `KEY restrict`, which sshd would take for a comment, and nobody would notice."""
    try:
        behind = parse_list(found.comment.encode(), end_comma=True)
        check_options(behind)
    except Malformed:
        return
    if behind:
        raise MalformedFile("the options follow the key, where sshd reads them as a comment")


def _carry_out(row: _Planned, asking: Prover, *, dry_run: bool) -> BulkRow:
    name = row.files.user.name
    try:
        done = let_in(row.files, row.keys, How(dry_run=dry_run), asking)
    except FidokitError as error:
        return BulkRow(row.number, name, error=error.message)
    return BulkRow(row.number, name, replace(done, warnings=(*row.warnings, *done.warnings)))
