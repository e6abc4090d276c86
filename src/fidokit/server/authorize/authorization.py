"""Letting keys into accounts, and taking them out: here, or on another machine over ssh."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, NoPermission, SshdNotAsked, UsageError
from fidokit.openssh.lines.admission import problems
from fidokit.openssh.lines.options import Option, check_options
from fidokit.server.accounts import Account, account
from fidokit.server.authorize import blobs, download, key_file, lines
from fidokit.server.authorize import sources as of
from fidokit.server.authorize.local import (
    LocalSshd,
    Prover,
    UserFiles,
    files_of,
    local_sshd,
    prover,
    reader_of,
)
from fidokit.server.authorize.outcome import (
    Authorized,
    FileChange,
    How,
    require_one_that_gets_in,
)
from fidokit.server.authorize.over_ssh import far_account
from fidokit.server.authorize.places import KeyPlace, place_to_write
from fidokit.server.authorize.removal import (
    Progress,
    Remover,
    files_of_all,
    other_ways,
    others_with,
)
from fidokit.server.authorize.sources import Fetch, Fetched
from fidokit.server.authorize.standing import WORDS, Admittance, KeyStanding
from fidokit.server.authorize.wishes import AUTHORITY, SshdFacts, WantedKey, check, merged, remarks

SSH: Final = ("ssh",)
_PLAINLY: Final = How()


@dataclass(frozen=True)
class AuthorizeTarget:
    """Whose keys are changed, and where.

    Attributes:
        user: on this machine; None is whoever runs this.
        destination: [user@]host of another machine, as ssh takes it; then no `user`.
        ssh: the program and its options, such as `("ssh", "-p", "2222")`.
        path: another file than sshd's configuration names; below the home folder, or absolute.
        sshd: the server program here; looked for where None.
        config: another configuration file for it than its own.
    """

    user: str | None = None
    destination: str | None = None
    ssh: Sequence[str] = SSH
    path: str | None = None
    sshd: str | None = None
    config: str | None = None


def key_options(given: Sequence[str]) -> list[Option]:
    """Options for authorized_keys, each `name` or `name=value`, judged as sshd would.

    Raises:
        MalformedFile: sshd would not take it.
        UsageError: it cannot be written.
    """
    options = []
    for text in given:
        name, equals, value = text.partition("=")
        options.append(Option(name.lower(), value if equals else None))
    check_options(options)
    for option in options:
        option.encode()
    return options


# --- letting in ------------------------------------------------------------------------------


def authorize_keys(
    sources: Sequence[str],
    place: AuthorizeTarget = AuthorizeTarget(),
    *,
    options: Sequence[Option] = (),
    only_hardware: bool = False,
    backups: bool = True,
    how: How = _PLAINLY,
    only: str = "",
    fetch: Fetch | None = None,
) -> Authorized:
    """Let the holders of keys into an account, and find out whether they get in.

    Args:
        sources: public key files (a private one's public half stands beside it) or files of
            authorized_keys lines, `gh:NAME`, `gl:NAME`, `lp:NAME`, or https addresses.
        place: whose account.
        options: for each key, see `key_options`; those of a line are kept, where not named here.
        only_hardware: leave out keys that are not on a token.
        backups: take the backups of a key on a token along, which are beside its file.
        how: see `How`.
        only: the fingerprint of the one key that may be let in; empty for any.
        fetch: gets an address's text; a test's own.

    Raises:
        MalformedKey: a source without a key; MalformedFile: a line of a file that sshd would not
            take. UsageError: nothing is left, a bad source or user, or options that let nobody in.
        SshdNotAsked: sshd does not tell which files it reads.
        NoPermission, FidokitError: the file or the other machine could not be used.
    """
    named = of.with_backups(sources) if backups else sources
    get = fetch or download.fetch
    fetched = [of.read_source(source, get, only_hardware=only_hardware) for source in named]
    wanted = wanted_keys(fetched, options, only_hardware=only_hardware)
    if only and any(key.fingerprint != only for key in wanted):
        raise UsageError(f"another key than {only} stands there", hint="nothing was changed")
    if place.destination is None:
        done = let_in_here(wanted, place, how)
    else:
        done = far_account.let_in(_destination(place), place.path, wanted, how)
    remote = tuple(found for found in fetched if of.is_remote(found.source))
    said = [warning for found in fetched for warning in found.warnings]
    return replace(done, sources=remote, warnings=(*said, *done.warnings))


def wanted_keys(
    fetched: Sequence[Fetched], options: Sequence[Option], *, only_hardware: bool = False
) -> list[WantedKey]:
    """The keys of sources, with options that are wished for all of them.

    Raises:
        UsageError: there is none.
    """
    found = [key for source in fetched for key in source.keys]
    if not found:
        raise UsageError(
            "none of these keys is on a token" if only_hardware else "no key was named",
            hint=_for_others(options) if only_hardware else "",
        )
    keys = [replace(key, options=merged(key.options, options)) for key in found]
    for key in keys:
        check_options(key.options)
    return keys


def _for_others(options: Sequence[Option]) -> str:
    """How keys that are not on a token are let in."""
    if any(option.name == AUTHORITY for option in options):
        return f"name one that is, or use -O {AUTHORITY} for another authority"
    return "leave out --only-hardware to add the others"


def let_in_here(wanted: Sequence[WantedKey], place: AuthorizeTarget, how: How) -> Authorized:
    """Let keys into an account of this machine.

    Raises:
        As `authorize_keys`, but for sources.
    """
    user = account(place.user)
    with local_sshd(place.sshd, place.config) as server, prover(server) as provers:
        asking = reader_of(provers, user, place.path)
        return let_in(files_of(asking.server, user, place.path), wanted, how, asking)


def let_in(
    files: UserFiles,
    wanted: Sequence[WantedKey],
    how: How,
    asking: Prover,
) -> Authorized:
    """Let keys into an account of this machine, and find out whether they get in.

    Raises:
        As `authorize_keys`.
    """
    facts = asking.server.facts(files.settings)
    for key in wanted:
        check(key, facts)
    changes = _write(files, wanted, dry_run=how.dry_run)
    standings = [] if how.dry_run else asking.standings(files, wanted)
    if how.login:
        standings = [_logged_in(asking, files, one) for one in standings]
    warnings = [
        *(why for key in wanted for why in remarks(key, facts)),
        *_place_warnings(files, changes, standings),
        *_line_warnings(changes, facts),
        *_at_others(asking, files, wanted, dry_run=how.dry_run),
    ]
    if how.exclusive:
        changes += _alone(files, wanted, standings, how)
    return Authorized(
        tuple(changes), warnings=tuple(dict.fromkeys(warnings)), standings=tuple(standings)
    )


def _place_warnings(
    files: UserFiles, changes: Sequence[FileChange], standings: Sequence[KeyStanding]
) -> Iterator[str]:
    if files.doubt:
        yield files.doubt
    if files.named and files.places[0].shared:
        yield f"{files.places[0].path} is read for every user: its keys get in as everybody"
    if changes and not any(one.standing == Admittance.LETS_IN for one in standings):
        yield from files.mode_problems(Path(changes[0].where))


def _line_warnings(changes: Sequence[FileChange], facts: SshdFacts) -> Iterator[str]:
    """What is wrong with lines that were there."""
    for file in changes:
        for bad in file.change.doubtful:
            yield (
                f"{file.where}, line {bad.line_number} may be one of this key that sshd reads and"
                f" fidokit does not: {bad.reason}"
            )
        for line in file.change.present:
            for why in problems(line.options, now=facts.now, names=facts.names):
                yield f"{file.where}, line {line.line_number}: {why}"


def _at_others(
    asking: Prover, files: UserFiles, wanted: Sequence[WantedKey], *, dry_run: bool
) -> Iterator[str]:
    """Where the other sshds of this machine do not let the keys in, a sentence each."""
    for other in asking.others:
        server = other.server
        try:
            theirs = files_of(server, files.user, None)
        except FidokitError as error:
            yield f"{server.name} is another sshd here: {error.message}"
            continue
        read = [place.path for place in theirs.places]
        names = " and ".join(map(str, read)) or "no file"
        if dry_run and not {place.path for place in files.places} & set(read):
            yield f"{server.name} is another sshd here, and reads {names}"
        held = [WantedKey(line.key, options=line.options) for _, line in theirs.lines()]
        for one in [] if dry_run else other.standings(theirs, wanted):
            if one.standing in {Admittance.LETS_IN, Admittance.ACCEPTED}:
                continue
            why = f"{WORDS[one.standing]}, {one.why}" if _is_in(one.key, held) else "is not there"
            yield (
                f"{server.name} is another sshd here, and reads {names}:"
                f" {one.key.comment or one.key.fingerprint} {why}{_to_let_in_at(server, read)}"
            )


def _to_let_in_at(server: LocalSshd, read: Sequence[Path]) -> str:
    if server.sshd is not None and server.sshd.named_config:
        return f"; to let it in there: --config {shlex.quote(server.sshd.named_config)}"
    return f"; to let it in there: --path {shlex.quote(str(read[0]))}" if read else ""


def _logged_in(asking: Prover, files: UserFiles, standing: KeyStanding) -> KeyStanding:
    key = standing.key
    if standing.standing not in {Admittance.ACCEPTED, Admittance.UNPROVED} or not key.identity:
        return standing
    if asking.logs_in(files.user, key.identity):
        return KeyStanding(key, Admittance.LETS_IN)
    return replace(standing, why=f"{standing.why}; the login did not work")


def _write(files: UserFiles, wanted: Sequence[WantedKey], *, dry_run: bool) -> list[FileChange]:
    """Have the keys in the files: lines that are there are changed where they are."""
    if not files.places:
        raise FidokitError(
            "sshd's configuration here has no AuthorizedKeysFile: no file lets anybody in",
            hint="look for AuthorizedKeysCommand and TrustedUserCAKeys in `sshd -T`",
        )
    found = {place: _keys_in(files.user, place) for place in files.places}
    there = [key for key in wanted if any(_is_in(key, held) for held in found.values())]
    target = _target(files, wanted, found)
    is_needed = len(there) < len(wanted) or any(_is_in(key, found[target]) for key in wanted)
    others = (
        place
        for place in files.places
        if place != target and any(_is_in(key, found[place]) for key in wanted)
    )

    def edit(place: KeyPlace) -> FileChange:
        made = key_file.edit(
            files.user,
            place.path,
            lambda text: lines.authorize(text, wanted, elsewhere=there),
            dry_run=dry_run,
        )
        return FileChange(str(place.path), made, files.user.name)

    return [edit(place) for place in (*([target] if is_needed else []), *others)]


def _target(
    files: UserFiles, wanted: Sequence[WantedKey], found: dict[KeyPlace, list[WantedKey]]
) -> KeyPlace:
    """The file for keys that are new; where all are there, one that has them."""
    if files.named:
        return files.places[0]
    for place in files.places:
        if all(_is_in(key, found[place]) for key in wanted):
            return place
    return place_to_write(files.user, files.places)


def _is_in(key: WantedKey, held: Sequence[WantedKey]) -> bool:
    return any(key.key == one.key and key.is_authority == one.is_authority for one in held)


def _keys_in(user: Account, place: KeyPlace) -> list[WantedKey]:
    try:
        text = key_file.read(user, place.path) or b""
    except FidokitError:
        return []  # where it matters, writing there says why
    return [WantedKey(line.key, line.comment, line.options) for line in lines.keys_of(text)]


def _alone(
    files: UserFiles, wanted: Sequence[WantedKey], standings: Sequence[KeyStanding], how: How
) -> list[FileChange]:
    """Take every other key out; not before one of these is known to get in."""
    require_one_that_gets_in(standings, how)
    found = []
    for place in files.places:
        if key_file.read(files.user, place.path) is None:
            continue
        made = key_file.edit(
            files.user,
            place.path,
            lambda text: lines.keep_only(text, wanted),
            dry_run=how.dry_run,
        )
        if not made.is_empty:
            found.append(FileChange(str(place.path), made, files.user.name))
    return found


def _destination(place: AuthorizeTarget) -> far_account.Where:
    destination = place.destination or ""
    if place.user is not None:
        raise UsageError("the user of another machine stands in its destination: user@host")
    if destination.startswith("-"):
        raise UsageError(f"{destination!r} is not a destination", hint="say [user@]host")
    return destination, place.ssh


# --- taking out ------------------------------------------------------------------------------


def revoke_keys(
    keys: Sequence[str],
    place: AuthorizeTarget = AuthorizeTarget(),
    *,
    all_users: bool = False,
    dry_run: bool = False,
    fetch: Fetch | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Authorized:
    """Take keys out of an account, or out of all, and find out whether any still gets in.

    Args:
        keys: fingerprints (`SHA256:...`), key files, `gh:NAME` and the like.
        place: whose account.
        all_users: every user of this machine; then no user is named.
        dry_run: find out and write nothing.
        fetch: gets an address's text; a test's own.
        progress: called with how many users were asked about, of how many.

    Returns:
        what was done; keys that were nowhere are fine. `failures` says what may still let in.

    Raises:
        UsageError: a bad key or user.
        SshdNotAsked: sshd does not tell which files it reads.
        NoPermission, FidokitError: the other machine could not be used.
    """
    named = named_blobs(keys, fetch or download.fetch)
    if place.destination is None:
        return take_out_here(named, place, all_users=all_users, dry_run=dry_run, progress=progress)
    if all_users:
        raise UsageError(
            "--all-users is for the machine that it runs on",
            hint=f"run it there: ssh {place.destination} fidokit server authorize --revoke ...",
        )
    known = {print_: blob for print_, blob in named.items() if blob}
    where = _destination(place)
    return far_account.take_out(where, place.path, known, frozenset(named), dry_run=dry_run)


def take_out_here(
    named: Mapping[str, bytes],
    place: AuthorizeTarget,
    *,
    all_users: bool = False,
    dry_run: bool = False,
    progress: Progress = lambda _done, _all: None,
) -> Authorized:
    """Take keys out of an account of this machine, or out of all.

    Args:
        named: blobs by fingerprint, see `named_blobs`.
        place, all_users, dry_run, progress: as for `revoke_keys`, which tells of the rest, too.
    """
    prints = frozenset(named)
    known = {print_: blob for print_, blob in named.items() if blob}
    notes: list[str] = []
    with local_sshd(place.sshd, place.config) as server, prover(server) as asking:
        remover = Remover(prints, known, dry_run)
        provers = _provers(asking, place, all_users=all_users)
        for one in provers:
            try:
                for files in _those(one.server, place, remover, progress, all_users=all_users):
                    remover.remove(one.server, files, always_ask=not all_users)
                    notes += [*other_ways(files, prints), *([files.doubt] if files.doubt else [])]
            except SshdNotAsked as error:
                if one is provers[0]:
                    raise
                remover.fail_at(one.server, error.message)
        if not dry_run:
            remover.prove(provers, progress)
        if not all_users and not server.why:
            servers = [one.server for one in provers]
            notes += others_with(servers, prints, account(place.user))
    done = remover.done
    return Authorized(
        tuple(done.files),
        warnings=tuple(dict.fromkeys((*done.notes, *notes))),
        failures=tuple(done.failures),
        proved=tuple(done.proved),
    )


def _provers(asking: Prover, place: AuthorizeTarget, *, all_users: bool) -> list[Prover]:
    """Of every sshd that may read a key from what is looked at."""
    if all_users and (place.user is not None or place.path is not None):
        raise UsageError("--all-users goes with neither --user nor --path")
    if all_users and os.geteuid() != 0:
        raise NoPermission("only root can look into every user's files", hint="use sudo")
    if place.path is not None:
        return [reader_of(asking, account(place.user), place.path)]
    return [asking, *asking.others]


def _those(
    server: LocalSshd,
    place: AuthorizeTarget,
    remover: Remover,
    progress: Progress,
    *,
    all_users: bool,
) -> Iterator[UserFiles]:
    if not all_users:
        return iter([files_of(server, account(place.user), place.path)])
    return files_of_all(server, progress=progress, failed=remover.done.failures.append)


def named_blobs(names: Sequence[str], fetch: Fetch) -> dict[str, bytes]:
    """The keys that a user names: blobs by fingerprint, empty for one of which no more is known.

    Args:
        names: fingerprints (`SHA256:...`), key files, `gh:NAME` and the like.
        fetch: gets what an address answers with.

    Raises:
        UsageError: a fingerprint that is none; others as `sources.blobs_of`.
    """
    found: dict[str, bytes] = {}
    for name in names:
        if name.startswith(blobs.SHA256):
            found.setdefault(blobs.SHA256 + name[len(blobs.SHA256) :].rstrip("="), b"")
            blobs.digest_of(name)
            continue
        for blob in of.blobs_of(name, fetch):
            found[blobs.fingerprint_of(blob)] = blob
    return found
