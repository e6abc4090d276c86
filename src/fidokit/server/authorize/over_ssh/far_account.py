"""Keys of an account on another machine, over the stock ssh: what its sshd reads is asked of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fidokit.errors import FidokitError, NoPermission, SshdNotAsked
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.lines.admission import problems
from fidokit.openssh.lines.options import Option
from fidokit.server.authorize import lines, removal, standing
from fidokit.server.authorize.lines import Change
from fidokit.server.authorize.local import facts_of
from fidokit.server.authorize.outcome import (
    Authorized,
    FileChange,
    How,
    require_one_that_gets_in,
)
from fidokit.server.authorize.over_ssh import login
from fidokit.server.authorize.over_ssh.far_shell import Facts, FarShell, shell
from fidokit.server.authorize.places import is_shared
from fidokit.server.authorize.standing import Admittance, KeyStanding
from fidokit.server.authorize.wishes import SshdFacts, WantedKey, check, remarks
from fidokit.server.sshd.instances import decisive
from fidokit.server.sshd.settings import SshdSettings, parse_settings
from fidokit.system.openssh_programs import parse_version

Where = tuple[str, Sequence[str]]
"""The destination, and the program that reaches it."""

_Options = dict[str, list[tuple[Option, ...]]]
_STARTED: Final = re.compile(r"\Asshd: (\S+) ?(.*?) ?\[listener\]")
_NAME_A_FILE: Final = "name the file yourself, if you know that sshd there reads it: --path FILE"
_DROPBEAR_ROOT: Final = "/etc/dropbear/authorized_keys"
_HOME_FILE: Final = ".ssh/authorized_keys"
_HAIKU_FILE: Final = "config/settings/ssh/authorized_keys"


@dataclass(frozen=True)
class FarAccount:
    """An account on another machine, and what reads its keys.

    Attributes:
        destination: as ssh takes it.
        user, uid, home: who one is there; hostile text.
        settings: of its sshd, for this user; None if it is none, or could not be asked.
        why: why not.
        facts: for judging lines.
        files: the names of the files that are read.
    """

    destination: str
    user: str
    uid: str
    home: str
    settings: SshdSettings | None
    why: str
    facts: SshdFacts
    files: tuple[str, ...]

    def where(self, path: str) -> str:
        """A file there, as a user would name it."""
        return f"{self.destination}:{path}"

    def expanded(self, name: str) -> str:
        """A name of sshd_config with its tokens replaced."""
        tokens = {"%h": self.home, "%u": self.user, "%U": self.uid, "%%": "%"}
        return re.sub(r"%[huU%]", lambda found: tokens[found[0]], name)

    def for_all(self, path: str) -> bool:
        """Whether everybody must be able to read a file: sshd opens it with the user's rights."""
        return self.uid == "0" and path.startswith("/") and not path.startswith(f"{self.home}/")


# --- asking ----------------------------------------------------------------------------------


def look(at: FarShell, destination: str) -> FarAccount:
    """Who one is on another machine, and which files are read there."""
    said = at.facts()
    server = _first(said, "server")
    user, uid, home = (_first(said, word) for word in ("user", "uid", "home"))
    account = FarAccount(destination, user, uid, home, None, "", SshdFacts(now=_now(said)), ())
    if server.startswith("dropbear"):
        name = _DROPBEAR_ROOT if uid == "0" and "openwrt" in said else _HOME_FILE
        return replace(account, files=(name,), why="dropbear serves logins there, not OpenSSH")
    if "Haiku" in said.get("system", ()) and not server:
        return replace(account, files=(_HAIKU_FILE,), why="Haiku's sshd was not asked")
    return _with_settings(at, account, said)


def _with_settings(at: FarShell, account: FarAccount, said: Facts) -> FarAccount:
    program, arguments = _how_started(said.get("started", ()))
    told = at.settings(program, arguments, _spec(account.user, _first(said, "connection")))
    version = parse_version(_first(told, "version"))
    answer = "\n".join(told.get("said", ()))
    if _first(told, "status") != "told":
        missing = _first(told, "status") == "missing"
        why = "there is none" if missing else _last_line(answer)
        return replace(account, why=why, facts=replace(account.facts, version=version))
    settings = parse_settings(answer)
    facts = facts_of(settings, version, account.facts.now)
    return replace(account, settings=settings, facts=facts, files=settings.key_files)


def _first(said: Facts, word: str) -> str:
    return next(iter(said.get(word, ())), "")


def _last_line(answer: str) -> str:
    said = [line.strip() for line in answer.splitlines() if line.strip()]
    return said[-1][:200] if said else "it says nothing"


def _now(said: Facts) -> float | None:
    text = _first(said, "now")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _how_started(titles: Sequence[str]) -> tuple[str, list[str]]:
    """The program and the arguments of the sshd that listens; nothing if it cannot be seen."""
    for title in titles:
        if found := _STARTED.match(title):
            return found[1], list(decisive(found[2].split()))
    return "", []


def _spec(user: str, connection: str) -> str:
    words = connection.split()
    client, server, port = (words[0], words[2], words[3]) if len(words) == 4 else ("", "", "")
    named = {"user": user, "host": client, "addr": client, "laddr": server, "lport": port}
    return ",".join(f"{name}={value}" for name, value in named.items() if value)


# --- which files -----------------------------------------------------------------------------


def _paths(account: FarAccount, path: str | None) -> list[str]:
    """The files to look at.

    Raises:
        SshdNotAsked: sshd did not tell, and no file is named.
    """
    if path is not None:
        return [path]
    if account.files:
        return [account.expanded(name) for name in account.files]
    if account.settings is not None:
        raise FidokitError(
            f"sshd on {account.destination} has no AuthorizedKeysFile: no file lets anybody in",
            hint="look for AuthorizedKeysCommand and TrustedUserCAKeys in its `sshd -T`",
        )
    raise SshdNotAsked(
        f"the sshd of {account.destination} could not be asked which files it reads: {account.why}",
        hint=f"log in as root there; or {_NAME_A_FILE}",
    )


@dataclass
class _Found:
    """A file there and what is in it."""

    path: str
    text: bytes
    shared: bool

    def has(self, key: WantedKey) -> bool:
        return any(lines.is_of(line, key) for line in lines.keys_of(self.text))


def _read_all(at: FarShell, account: FarAccount, path: str | None) -> list[_Found]:
    shared = {account.expanded(name) for name in account.files if is_shared(name)}
    found: list[_Found] = []
    failures: list[FidokitError] = []
    for name in _paths(account, path):
        try:
            found.append(_Found(name, at.read(name), path is None and name in shared))
        except NoPermission as error:
            failures.append(error)
    if not found:
        raise failures[0]
    return found


# --- letting in ------------------------------------------------------------------------------


def let_in(where: Where, path: str | None, wanted: Sequence[WantedKey], how: How) -> Authorized:
    """Let keys into an account on another machine; see `authorization.authorize_keys`."""
    destination, ssh = where
    with shell([*ssh, "--", destination]) as at:
        account = look(at, destination)
        found = _read_all(at, account, path)
        for key in wanted:
            check(key, account.facts)
        changes, options = _write(at, account, found, wanted, dry_run=how.dry_run)
    warnings = [why for key in wanted for why in remarks(key, account.facts)]
    warnings += [*_doubts(account, path), *_old_values(changes, account.facts)]
    standings = [] if how.dry_run else _standings(where, account, wanted, options, how)
    if how.exclusive:
        require_one_that_gets_in(standings, how)
        _, others, failed = _change_all(
            where, path, lambda text: lines.keep_only(text, wanted), dry_run=how.dry_run
        )
        changes += others
        warnings += failed
    return Authorized(
        tuple(changes), warnings=tuple(dict.fromkeys(warnings)), standings=tuple(standings)
    )


def _doubts(account: FarAccount, path: str | None) -> list[str]:
    if path is None:
        return []
    read = [account.expanded(name) for name in account.files]
    if account.settings is None and not read:
        return [f"the sshd there could not be asked whether it reads this file: {account.why}"]
    home = f"{account.home}/"
    if {path, home + path, path.removeprefix(home)} & set(read):
        return []
    return [f"for {account.user}, sshd there reads {' and '.join(read) or 'no file'}"]


def _old_values(changes: Sequence[FileChange], facts: SshdFacts) -> list[str]:
    return [
        f"{file.where}, line {line.line_number}: {why}"
        for file in changes
        for line in file.change.present
        for why in problems(line.options, now=facts.now, names=facts.names)
    ]


def _write(
    at: FarShell,
    account: FarAccount,
    found: Sequence[_Found],
    wanted: Sequence[WantedKey],
    *,
    dry_run: bool,
) -> tuple[list[FileChange], _Options]:
    """Have the keys in the files there; also the options of each key's lines afterwards."""
    there = [key for key in wanted if any(one.has(key) for one in found)]
    target = next((one for one in found if all(one.has(key) for key in wanted)), None)
    target = target or _first_to_write(account, found)
    changes: list[FileChange] = []
    options: _Options = {}
    for one in sorted(found, key=lambda one: one is not target):
        is_in = any(one.has(key) for key in wanted)
        if not is_in and (one is not target or len(there) == len(wanted)):
            continue
        change = at.edit(
            one.path,
            lambda text: lines.authorize(text, wanted, elsewhere=there),
            dry_run=dry_run,
            for_all=account.for_all(one.path),
        )
        changes.append(FileChange(account.where(one.path), change, account.user))
        for line in lines.keys_of(change.after):
            options.setdefault(fingerprint.sha256(line.key.blob()), []).append(line.options)
    return changes, options


def _first_to_write(account: FarAccount, found: Sequence[_Found]) -> _Found:
    for one in found:
        if not one.shared:
            return one
    raise NoPermission(
        f"{found[0].path} there is read for every user, not for {account.user} alone",
        hint="give AuthorizedKeysFile a name with %u in it; or, to let the key in as everybody:"
        f" --path {found[0].path}",
    )


def _standings(
    where: Where,
    account: FarAccount,
    wanted: Sequence[WantedKey],
    options: _Options,
    how: How,
) -> list[KeyStanding]:
    """What is proved of the keys: the server itself is asked, and a login tried where wished."""
    destination, ssh = where
    asked = login.ask(ssh, destination, wanted)
    found = []
    for key in wanted:
        one = standing.judge(
            key,
            asked[key.fingerprint],
            account.settings or SshdSettings(),
            lines=options.get(key.fingerprint, ()),
            facts=account.facts,
        )
        if account.settings is None and one.standing == Admittance.LETS_IN:
            one = KeyStanding(key, Admittance.ACCEPTED, account.why, "log in with the key")
        if how.login and key.identity and one.standing != Admittance.REFUSED:
            one = login.tried(ssh, destination, one)
        found.append(one)
    return found


def _change_all(
    where: Where, path: str | None, change: Callable[[bytes], Change], *, dry_run: bool
) -> tuple[FarAccount, list[FileChange], list[str]]:
    """Change every file that is read there; the ones that were changed, and what failed."""
    destination, ssh = where
    changed, failures = [], []
    with shell([*ssh, "--", destination]) as at:
        account = look(at, destination)
        for name in _paths(account, path):
            try:
                if change(at.read(name)).is_empty:
                    continue
                made = at.edit(name, change, dry_run=dry_run, for_all=account.for_all(name))
            except NoPermission as error:
                failures.append(f"{name} could not be changed: {error.message}")
            else:
                changed.append(FileChange(account.where(name), made, account.user))
    return account, changed, failures


# --- taking out ------------------------------------------------------------------------------


def take_out(
    where: Where,
    path: str | None,
    known: dict[str, bytes],
    prints: frozenset[str],
    *,
    dry_run: bool,
) -> Authorized:
    """Take keys out of an account on another machine; see `authorization.revoke_keys`."""
    account, changed, failures = _change_all(
        where, path, lambda text: lines.revoke(text, prints), dry_run=dry_run
    )
    for file in changed:
        known.update(removal.blobs_of_lines(file.change.removed, prints))
    notes = [*_doubts(account, path), *removal.by_settings(account.settings)]
    proved: list[str] = []
    if not dry_run and known:
        destination, ssh = where
        who = f"{account.user} on {destination}"
        answers = login.ask_texts(ssh, destination, list(map(removal.text_of, known.values())))
        for print_, asked in answers.items():
            if asked.accepted:
                failures.append(f"{print_} still lets in as {who}")
            elif asked.accepted is None:
                notes.append(f"not proved for {who}: {asked.why}")
        if all(asked.accepted is False for asked in answers.values()):
            proved.append(who)
    return Authorized(
        tuple(changed), warnings=tuple(notes), failures=tuple(failures), proved=tuple(proved)
    )
