"""Lost keys at accounts of other machines, by the stock ssh, proved by what their sshd says.

The lost token cannot log in any more, to see that it fails. But whether sshd takes a key is told to
whoever has the public half: the query needs no token.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.errors import FidokitError
from fidokit.fleet.loss.account_work import (
    AccountWork,
    Certificates,
    HostSettled,
    Lists,
    unreached,
)
from fidokit.fleet.loss.accounts import HostAccount
from fidokit.fleet.loss.subject import LostKey
from fidokit.fleet.loss.verdict import NewKey, OldKey
from fidokit.inventory.kept import KnownKey
from fidokit.openssh.keys.public import parse_public_line
from fidokit.server.authorize.authorization import AuthorizeTarget
from fidokit.server.authorize.lines import Change
from fidokit.server.authorize.over_ssh import login
from fidokit.server.authorize.over_ssh.far_account import look
from fidokit.server.authorize.over_ssh.far_shell import FarShell, shell
from fidokit.server.authorize.standing import Admittance, KeyStanding, ServerAnswer
from fidokit.server.authorize.wishes import WantedKey
from fidokit.server.sshd.key_questions import PublicText

_WORDS: Final = (
    "-oConnectTimeout=15",
    "-oServerAliveInterval=10",
    "-oServerAliveCountMax=3",
    "-oControlMaster=auto",
    "-oControlPersist=60",
)
_CERTIFIED: Final = "a certificate of the key, signed by "
"""How a sentence begins about an authority that sshd trusts."""

_HANG_UP_S: Final = 10.0


@contextmanager
def one_login(ssh: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The words of ssh for several connections to a host, which sees one login for all of them."""
    with TemporaryDirectory(prefix="fk-") as folder:
        try:
            yield (*ssh, *_WORDS, f"-oControlPath={folder}/%C")
        finally:
            for socket in Path(folder).iterdir():
                _hang_up(ssh[0], socket)


def _hang_up(program: str, socket: Path) -> None:
    """End a connection that ssh keeps open for the next one."""
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(  # noqa: S603  the user's own ssh
            [program, "-F", "none", f"-oControlPath={socket}", "-O", "exit", "host"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_HANG_UP_S,
            check=False,
        )


def settle_far(
    at: HostAccount, revoked: Lists, certificates: Certificates, *, log_in: bool = False
) -> HostSettled:
    """Let the backups in at an account, take the lost keys out, and prove both.

    Args:
        at: where.
        revoked: for the host's list of revoked keys, if its sshd reads one.
        certificates: of the lost keys.
        log_in: prove the backups by logins, which ask for PIN and touch.
    """
    failure = "no login is known"
    for destination in at.logins:
        tried = replace(at, logins=(destination, *(one for one in at.logins if one != destination)))
        try:
            with one_login(at.ssh) as words, TemporaryDirectory(prefix="fidokit-") as folder:
                work = AccountWork(tried, Path(folder))
                work.change(_prepared(work, words, revoked))
                judge = _FarJudge.asked(work, words, certificates, log_in=log_in)
                return work.settled(judge, judge.certified)
        except FidokitError as error:
            failure = error.message
    return unreached(at, failure, certificates)


def _prepared(work: AccountWork, ssh: tuple[str, ...], revoked: Lists) -> list[AuthorizeTarget]:
    """Put the keys on the list that sshd there reads; returns which files are to be changed."""
    at = work.at
    with shell([*ssh, "--", at.logins[0]]) as there:
        far = look(there, at.logins[0])
        named = far.settings.first("revokedkeys") if far.settings else ""
        if named and named.lower() != "none":
            _put_on_list(work, there, named, revoked)
    own = not at.account or far.user == at.account
    is_told = far.settings is not None or bool(far.files)
    paths = [None] if own and (is_told or not at.paths) else [*at.paths]
    if not paths:
        raise FidokitError(
            f"ssh logs in as {far.user}, and which files have the keys of {at.account} is not known"
        )
    return [AuthorizeTarget(destination=at.logins[0], ssh=ssh, path=path) for path in paths]


def _put_on_list(work: AccountWork, there: FarShell, path: str, revoked: Lists) -> None:
    try:
        made = there.edit(path, lambda text: Change(text, revoked(text)), for_all=True)
    except FidokitError as error:
        for lost in work.at.keys:
            work.doubt(lost, f"not on the revocation list there: {error.message}")
    else:
        work.listed = True
        for lost in work.at.keys if not made.is_empty else ():
            work.say(lost, "on the revocation list")


@dataclass
class _FarJudge:
    """Judges by what the sshd there answered."""

    work: AccountWork
    ssh: tuple[str, ...]
    log_in: bool
    answers: Mapping[str, ServerAnswer]
    certificates: Certificates
    certified: Mapping[str, bool | None]

    @classmethod
    def asked(
        cls, work: AccountWork, ssh: tuple[str, ...], certificates: Certificates, *, log_in: bool
    ) -> _FarJudge:
        at = work.at
        lines = [(work.line_of(one), one.key.fingerprint) for one in at.keys]
        lines += [(one.line, one.fingerprint) for one in at.standbys]
        texts = [PublicText(_bare(line), print_) for line, print_ in lines if line]
        answers = login.ask_texts(ssh, at.destination, texts, jump=True)
        certified: dict[str, bool | None] = {}
        for print_ in (one.key.fingerprint for one in at.keys):
            for line in certificates.get(print_, ()):  # alone: ssh calls it by its key's name
                text = PublicText(_bare(line), print_)
                said = login.ask_texts(ssh, at.destination, [text], jump=True)
                certified[line] = said[print_].accepted
        return cls(work, ssh, log_in, answers, certificates, certified)

    def old(self, lost: LostKey) -> OldKey:
        """By the public-key query, of the key and of its certificates."""
        unseen = False
        for sentence in (s for one in self.work.taken for s in one.warnings):
            if sentence.startswith("not proved for "):
                continue  # this very account was asked above
            if sentence.startswith(_CERTIFIED):
                if self.work.listed:
                    continue  # so is every certificate of the key, known or not
                unseen = True
            self.work.doubt(lost, sentence)
        if not self.work.line_of(lost):
            self.work.doubt(lost, "only the fingerprint is known, so sshd cannot be asked")
            return OldKey.UNKNOWN
        answer = self.answers[lost.key.fingerprint]
        mine = [self.certified[line] for line in self.certificates.get(lost.key.fingerprint, ())]
        if answer.accepted:
            return OldKey.IN
        if True in mine:
            self.work.doubt(lost, "a certificate of the key still lets in")
            return OldKey.IN
        if answer.accepted is None or None in mine:
            self.work.doubt(lost, answer.why or "sshd could not be asked about a certificate")
            return OldKey.UNKNOWN
        return OldKey.UNKNOWN if unseen else OldKey.OUT

    def new(self, lost: LostKey, standby: KnownKey) -> NewKey:
        """By the public-key query, and by a login where that is wished."""
        answer = self.answers[standby.fingerprint]
        if answer.accepted is None:
            self.work.doubt(lost, answer.why)
            return NewKey.UNKNOWN
        if not answer.accepted:
            self.work.doubt(lost, "sshd there does not accept the backup")
            return NewKey.OUT
        if not self.log_in:
            return NewKey.IN
        if not standby.file or standby.file.endswith(".pub"):
            self.work.doubt(lost, "the private file of the backup is not here, so no login")
            return NewKey.UNKNOWN
        key = WantedKey(parse_public_line(standby.line).key, identity=standby.file)
        asked = KeyStanding(key, Admittance.ACCEPTED)
        tried = login.tried(self.ssh, self.work.at.destination, asked, jump=True)
        if tried.standing is not Admittance.LETS_IN:
            self.work.doubt(lost, f"the backup: {tried.why}")
            return NewKey.UNKNOWN
        self.work.say(lost, "backup logged in")
        return NewKey.IN


def _bare(line: str) -> str:
    return " ".join(line.split(" ")[:2])
