"""Lost keys on this machine: accounts that they log in to, ssh's configuration, and git."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from fidokit.errors import FidokitError
from fidokit.fleet.loss.account_work import AccountWork, Certificates, HostSettled, unreached
from fidokit.fleet.loss.accounts import HostAccount
from fidokit.fleet.loss.subject import LostKey
from fidokit.fleet.loss.verdict import LossRow, NewKey, OldKey
from fidokit.inventory.kept import KnownKey
from fidokit.keys.ssh_config import HostBlock, blocks_with, install_blocks
from fidokit.server.authorize.authorization import AuthorizeTarget, authorize_keys, revoke_keys
from fidokit.server.authorize.revocation_list import change_list
from fidokit.server.authorize.standing import Admittance
from fidokit.signing.git_config import (
    Git,
    GitSigning,
    apply_plan,
    configured_key,
    email_of,
    plan_signing,
    signs_every_commit,
)

THIS_MACHINE = "this machine"


def settle_here(at: HostAccount, certificates: Certificates) -> HostSettled:
    """Let the backups in at an account of this machine, take the lost keys out, and prove both."""
    user = at.account or None
    targets = [AuthorizeTarget(user=user, path=path) for path in at.paths or (None,)]
    try:
        with TemporaryDirectory(prefix="fidokit-") as folder:
            work = AccountWork(at, Path(folder))
            _put_on_list(work)
            work.change(targets)
            return work.settled(_HereJudge(work, targets[0]), {})
    except FidokitError as error:
        return unreached(at, error.message, certificates)


def _put_on_list(work: AccountWork) -> None:
    """Put the keys on the list that sshd reads, if it does."""
    blobs = {one.key.fingerprint: one.key.blob for one in work.at.keys}
    if not change_list(blobs, dry_run=True).read_by_sshd:
        return
    try:
        made = change_list(blobs)
    except FidokitError as error:
        for lost in work.at.keys:
            work.doubt(lost, f"not on the revocation list: {error.message}")
    else:
        for lost in work.at.keys:
            if lost.key.fingerprint in made.added:
                work.say(lost, "on the revocation list")


@dataclass
class _HereJudge:
    """Judges by what the sshd of this machine says."""

    work: AccountWork
    target: AuthorizeTarget

    def old(self, lost: LostKey) -> OldKey:
        """By a throw-away instance of the installed sshd, which was asked after the change."""
        taken = self.work.taken
        for sentence in (s for one in taken for s in (*one.failures, *one.warnings)):
            self.work.doubt(lost, sentence)
        if any(lost.key.fingerprint in sentence for one in taken for sentence in one.failures):
            return OldKey.IN
        is_out = all(one.proved and not one.failures for one in taken)
        return OldKey.OUT if is_out else OldKey.UNKNOWN

    def new(self, lost: LostKey, standby: KnownKey) -> NewKey:
        """As `server authorize` proves it; a backup that is not there is not added here."""
        file = self.work.public_file(standby)
        if not revoke_keys([file], self.target, dry_run=True).change.removed:
            self.work.doubt(lost, "no file here has the backup")
            return NewKey.OUT
        standing = authorize_keys([file], self.target, backups=False).standings[0]
        if standing.standing in {Admittance.LETS_IN, Admittance.ACCEPTED}:
            return NewKey.IN
        self.work.doubt(lost, standing.why)
        return NewKey.OUT if standing.standing is Admittance.REFUSED else NewKey.UNKNOWN


# --- what this machine uses itself -----------------------------------------------------------


def own_uses(lost: LostKey, git: Git) -> Iterator[str]:
    """Where this machine itself uses a lost key, a few words each."""
    if hosts := [block.host for block in _blocks(lost.key)]:
        yield f"ssh's configuration, for {', '.join(hosts)}"
    if _signs_by(lost.key, git):
        yield "git, for signatures"


def switch_over(lost: LostKey, git: Git) -> list[LossRow]:
    """Have ssh and git on this machine use the backup instead of a lost key.

    Settings that name another key, or that fidokit did not write, are left alone.
    """
    rows = []
    for work in (_switch_ssh, _switch_git):
        try:
            row = work(lost, git)
        except FidokitError as error:
            row = _own_row(lost, NewKey.UNKNOWN, why=(error.message,))
        if row is not None:
            rows.append(row)
    return rows


def _own_row(lost: LostKey, backup: NewKey, what: str = "", **more: tuple[str, ...]) -> LossRow:
    place = f"{THIS_MACHINE}: {what}" if what else THIS_MACHINE
    old = OldKey.OUT if backup is NewKey.IN else OldKey.UNKNOWN
    return LossRow(THIS_MACHINE, place, lost.key.fingerprint, old, backup, **more)


def _identity(key: KnownKey) -> Path | None:
    """The file by which ssh and git use a key."""
    path = Path(key.file) if key.file else None
    return path if path and path.is_file() else None


def _blocks(key: KnownKey) -> list[HostBlock]:
    """Our blocks of ssh's configuration that name the file of a key."""
    if not key.file:
        return []
    return [*blocks_with(Path(key.file)), *blocks_with(Path(f"{key.file}.pub"))]


def _switch_ssh(lost: LostKey, _git: Git) -> LossRow | None:
    found = _blocks(lost.key)
    if not found:
        return None
    names = ", ".join(block.host for block in found)
    new = _identity(lost.standby) if lost.standby else None
    if new is None:
        hosts = shlex.join(block.host for block in found)
        return _no_backup(lost, f"ssh for {names}", f"fidokit ssh-config --remove {hosts}")
    change = install_blocks([replace(block, identity=new) for block in found])
    done = ("switched to the backup",)
    return _own_row(lost, NewKey.IN, f"ssh for {names}", done=done, why=change.problems)


def _no_backup(lost: LostKey, what: str, command: str) -> LossRow:
    why = "no file of a backup is here to take its place"
    return _own_row(lost, NewKey.UNKNOWN, what, why=(why,), by_hand=(command,))


def _signs_by(key: KnownKey, git: Git) -> bool:
    try:
        signs_with = configured_key(git)
    except FidokitError:
        return False
    named = Path(key.file) if key.file else None
    if signs_with is None or named is None:
        return False
    return signs_with in (named, Path(f"{named}.pub"))


def _switch_git(lost: LostKey, git: Git) -> LossRow | None:
    if not _signs_by(lost.key, git):
        return None
    new = _identity(lost.standby) if lost.standby else None
    if new is None:
        return _no_backup(lost, "git", "git config --global --unset user.signingKey")
    every = signs_every_commit(git)
    wish = GitSigning(new, email_of(git), every_commit=every)
    plan = plan_signing(git, wish)
    problems = apply_plan(git, plan)
    left = _signs_by(lost.key, git)
    command = shlex.join(["fidokit", "git", "setup", "-f", str(new)])
    return _own_row(
        lost,
        NewKey.OUT if left else NewKey.IN,
        "git",
        done=() if left else ("signs by the backup",),
        why=tuple(problems),
        by_hand=(command,) if left else (),
    )


def rows_of(keys: Sequence[LostKey], git: Git) -> list[LossRow]:
    """What became of the uses of lost keys on this machine."""
    return [row for lost in keys for row in switch_over(lost, git)]
