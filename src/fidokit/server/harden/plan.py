"""What it takes to harden an sshd, found out and proved on throw-away servers; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, UsageError
from fidokit.files.scan import read_key
from fidokit.openssh.keys import fingerprint
from fidokit.server.accounts import Account, account, all_accounts
from fidokit.server.check.admission import WaysIn
from fidokit.server.harden import lock_out
from fidokit.server.harden.files import HardenedFiles
from fidokit.server.harden.levels import (
    PAM_LINES,
    PAM_MODULE,
    Directive,
    Level,
    Levels,
    all_directives,
    unmet,
)
from fidokit.server.harden.lock_out import KeyHolder, UserProof, everybody, key_holder
from fidokit.server.otp import google_authenticator
from fidokit.server.sshd import drop_in
from fidokit.server.sshd.drop_in import Edit
from fidokit.server.sshd.query import LOOPBACK, Sshd
from fidokit.server.sshd.settings import SshdSettings
from fidokit.server.sshd.trial import Bench, Trial

_AUTHORIZE: Final = "let one in first: fidokit server authorize KEY --user NAME"
_MODULES: Final = ("/lib*/security", "/lib/*/security", "/usr/lib*/security", "/usr/lib/*/security")


@dataclass(frozen=True)
class HardeningTarget:
    """Which sshd.

    Attributes:
        config: its main configuration file.
        sshd: the program; None for the one that is installed.
        pam_file: the PAM service of sshd.
        pam_modules: patterns of folders where PAM's modules are.
    """

    config: Path = Path("/etc/ssh/sshd_config")
    sshd: str | None = None
    pam_file: Path = Path("/etc/pam.d/sshd")
    pam_modules: Sequence[str] = _MODULES


@dataclass(frozen=True)
class HardeningRequest:
    """What is wanted.

    Attributes:
        level: touch, verify, hardware-only or second-factor; several with spaces between.
        users: whose keys must still get in; empty for all who have any (for whoever is not root:
            themselves).
        login_with: key files that are at hand for a full login, which asks for PIN and touch.
            Public halves of keys in the agent will do.
        yes_unproved: go on where nothing proves that a user's key gets in, if nothing speaks
            against it.
        code_problem: why no one-time code would let a user in; empty where one would.
    """

    level: str
    users: Sequence[str] = ()
    login_with: Sequence[Path] = ()
    yes_unproved: bool = False
    code_problem: Callable[[Account], str] = google_authenticator.problem


@dataclass(frozen=True)
class HardeningPlan:
    """What is to change, and what is known of it.

    Attributes:
        target: which sshd.
        level: the level; None for none.
        edits: the files, in the order in which they are to be written.
        directives: lines that must hold afterwards.
        proofs: what is known of each user's keys; comments in them are hostile text.
        warnings: sentences.
        obstacle: why it must not be carried out; None where it may.
    """

    target: HardeningTarget
    level: str | None
    edits: tuple[Edit, ...]
    directives: tuple[Directive, ...] = ()
    proofs: tuple[UserProof, ...] = ()
    warnings: tuple[str, ...] = ()
    obstacle: FidokitError | None = field(default=None, compare=False)

    @property
    def is_empty(self) -> bool:
        """Whether everything is as wanted already."""
        return not self.edits

    @property
    def late(self) -> tuple[Edit, ...]:
        """Edits that must wait until sshd asks for no code any more: PAM's lines go last."""
        pam = Path(os.path.realpath(self.target.pam_file))
        return tuple(x for x in self.edits if x.path == pam and not drop_in.title(x.after or b""))


def undo(target: HardeningTarget) -> HardeningPlan:
    """The plan that takes every hardening back.

    Args:
        target: with a path of the configuration without symbolic links.
    """
    files = HardenedFiles.find(target.config, target.pam_file)
    edits = tuple(files.edits(None, None))
    return HardeningPlan(target, None, edits, warnings=tuple(files.edited_since()))


@dataclass
class Planner:
    """Makes the plan for a level.

    Attributes:
        environ: for ssh.
        ways: how users get in apart from their keys.
    """

    request: HardeningRequest
    target: HardeningTarget
    sshd: Sshd
    bench: Bench
    environ: Mapping[str, str]
    ways: WaysIn = field(default_factory=WaysIn)
    level: Levels = field(init=False)
    files: HardenedFiles = field(init=False)
    wanted: tuple[Directive, ...] = field(init=False)
    old: Path = field(init=False)
    new: Path = field(init=False)
    _known: dict[str, SshdSettings] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.level = Levels.parse(self.request.level)
        self.sshd.with_config(self.target.config).check()
        self._settings_of(self.target.config)
        self.files = HardenedFiles.find(self.target.config, self.target.pam_file)
        bare = self.files.stage(self.bench, "bare", None)
        self.wanted = all_directives(self.level, self._settings_of(bare))
        self.old = self._staged_as_it_is()
        self.new = self.files.stage(self.bench, "new", self._block())

    def plan(self) -> HardeningPlan:
        """The plan.

        Raises:
            MalformedFile, UsageError, NoPermission, FidokitError: see `application.plan_hardening`.
        """
        self.sshd.with_config(self.new).check()
        edits = tuple(self.files.edits(self._block(), self._pam_block()))
        settings = self._settings_of(self.new)
        overruled = unmet(self.wanted, settings)
        users = self._users(settings)
        obstacle = self._overruled(overruled) or self._second_factor_obstacle(users)
        proofs: tuple[UserProof, ...] = ()
        losing: list[str] = []
        if edits and not obstacle:
            proofs = tuple(self._prove(users))
            losing = self._losing(users)
            obstacle = self._verdict(proofs, losing)
        warnings = tuple(self._warnings(settings, users, proofs, losing))
        return HardeningPlan(
            self.target, str(self.level), edits, self.wanted, proofs, warnings, obstacle
        )

    # --- the files -------------------------------------------------------------------------

    def _block(self) -> bytes:
        return drop_in.block(f"harden {self.level}", map(str, self.wanted))

    def _pam_block(self) -> bytes | None:
        if Level.SECOND_FACTOR not in self.level:
            return None
        return drop_in.block(f"harden {self.level}", PAM_LINES)

    def _staged_as_it_is(self) -> Path:
        """The old configuration, which may have a block of ours already."""
        place = self.files.place
        plan = drop_in.plan(place, None)
        if plan.is_empty:
            return self.files.stage(self.bench, "old", None)
        before, after = plan.before or b"", plan.after or b""
        return self.files.stage(self.bench, "old", before.removesuffix(after))

    # --- the people ------------------------------------------------------------------------

    def _users(self, settings: SshdSettings) -> list[KeyHolder]:
        named = [account(name) for name in self.request.users]
        users = named or [u for u in everybody(settings.key_files) if not self._refusal(u)]
        for user in named:
            if self._refusal(user):
                raise UsageError(
                    f"sshd lets {user.name} in by nothing: {self._refusal(user)}",
                    hint="name other users with --user",
                )
        found = [key_holder(user, self._settings(user.name).key_files) for user in users]
        for one in found:
            if not one.keys:
                files = " or ".join(map(str, one.files)) or "any file that sshd reads"
                raise UsageError(f"{one.account.name} has no key in {files}", hint=_AUTHORIZE)
        if not found:
            raise UsageError(
                "no user of this machine has a key that sshd would look at", hint=_AUTHORIZE
            )
        return found

    def _refusal(self, user: Account) -> str:
        return self.ways.refusal(user, self._settings(user.name))

    def _losing(self, users: Sequence[KeyHolder]) -> list[str]:
        """Users whom a password lets in now, and who would lose that; root can see of all."""
        if not self.level.ends_passwords:
            return []
        seen = all_accounts() if os.geteuid() == 0 else [user.account for user in users]
        return [user.name for user in seen if self._loses_password(user)]

    def _loses_password(self, user: Account) -> bool:
        if not self.ways.may_have_password(user):
            return False
        old, new = self._settings_of(self.old, user.name), self._settings(user.name)
        now, then = (self.ways.password_is_enough(user, settings) for settings in (old, new))
        return now and not then

    def _settings(self, user: str) -> SshdSettings:
        """The new ones, for a user."""
        if user not in self._known:
            self._known[user] = self._settings_of(self.new, user)
        return self._known[user]

    def _settings_of(self, config: Path, user: str | None = None) -> SshdSettings:
        return self.sshd.with_config(config).settings(user, LOOPBACK)

    def _prove(self, users: Sequence[KeyHolder]) -> Iterator[UserProof]:
        before, after = (
            Trial(self.bench, self.sshd.program, config, self.environ)
            for config in (self.old, self.new)
        )
        identities = self._identities(users)
        for user in users:
            settings = self._settings(user.account.name)
            yield lock_out.prove(user, settings, before=before, after=after, identities=identities)

    def _identities(self, users: Sequence[KeyHolder]) -> dict[str, Path]:
        """Files of keys that are at hand, by fingerprint."""
        known = {fingerprint.sha256(key.key.blob()) for user in users for key in user.keys}
        found = {}
        for path in self.request.login_with:
            line, _ = read_key(path.expanduser())
            name = fingerprint.sha256(line.key.blob())
            if name not in known:
                raise UsageError(
                    f"{path} is no key of {', '.join(user.account.name for user in users)}",
                    hint="name a key file of theirs, or leave --login-with out",
                )
            found[name] = path.expanduser().absolute()
        return found

    # --- what stands against it ------------------------------------------------------------

    def _overruled(self, overruled: Sequence[Directive]) -> FidokitError | None:
        for directive in overruled:
            keyword = directive.keyword.lower()
            winner = next((x for x in self.files.lines() if x.keyword == keyword), None)
            where = f"{winner.place} says {' '.join(winner.values)}" if winner else "another line"
            return FidokitError(
                f"{directive} would not hold: {where} and is read first, and sshd takes the first",
                hint="take that line out, or move it below the Include of the folder",
            )
        return None

    def _second_factor_obstacle(self, users: Sequence[KeyHolder]) -> FidokitError | None:
        if Level.SECOND_FACTOR not in self.level:
            return None
        if not _is_there(PAM_MODULE, self.target.pam_modules):
            return FidokitError(
                f"{PAM_MODULE} is not installed: PAM would let nobody in",
                hint="install it, on Debian as libpam-google-authenticator",
            )
        if not self.target.pam_file.exists():
            return FidokitError(
                f"{self.target.pam_file} does not exist",
                hint="name sshd's PAM service with --pam-file",
            )
        roots = [user for user in users if user.account.uid == 0]
        if roots and self._settings(roots[0].account.name).first("permitrootlogin") != "yes":
            return FidokitError(
                "root would be locked out: PermitRootLogin takes no codes from root unless it "
                "says yes",
                hint="say so, which lets no password in then; or name the others with --user",
            )
        problems = [(u.account.name, self.request.code_problem(u.account)) for u in users]
        missing = [f"{name} ({problem})" for name, problem in problems if problem]
        if missing:
            return FidokitError(
                f"these have no codes to log in with: {', '.join(missing)}",
                hint="each of them runs `fidokit otp enroll` first",
            )
        return None

    def _verdict(self, proofs: Sequence[UserProof], losing: Sequence[str]) -> FidokitError | None:
        out = lock_out.locked_out(proofs, losing)
        if out:
            return FidokitError(
                f"{_names(out)} would be locked out: with {self.level}, sshd takes none of their "
                "keys",
                hint="let a key on a token in first: fidokit server authorize KEY --user NAME; who "
                "needs no login is left out by naming the others with --user",
            )
        doubtful = lock_out.unproved(proofs)
        if doubtful and not self.request.yes_unproved:
            return FidokitError(
                f"nothing proves that {_names(doubtful)} could still log in",
                hint="log in with a key that is at hand: --login-with FILE; or, if you are sure: "
                "--yes-unproved",
            )
        return None

    def _warnings(
        self,
        settings: SshdSettings,
        users: Sequence[KeyHolder],
        proofs: Sequence[UserProof],
        losing: Sequence[str],
    ) -> Iterator[str]:
        yield from self._match_warnings(users)
        lost = self.level.lost_since(Levels.of_title(self.files.title()))
        if lost:
            yield (
                f"this takes {', '.join(lost)} back: levels that are to hold together are named "
                "together"
            )
        if Level.HARDWARE_ONLY not in self.level and Level.SECOND_FACTOR not in self.level:
            yield from _plain_key_warnings(self.level, users)
        if Level.SECOND_FACTOR in self.level:
            yield (
                "tokens and one-time codes together are not recommended: a code can be phished, "
                "and a key on a token with a PIN is two factors already"
            )
            yield "PAM's file counts at once: until sshd is reloaded, passwords alone fail"
        others = sorted(set(losing) - {user.account.name for user in users})
        if others:
            yield f"these log in by a password now, and nothing is proved: {', '.join(others)}"
        for keyword in ("authorizedkeyscommand", "trustedusercakeys"):
            if settings.first(keyword, "none") != "none":
                yield f"sshd also lets in whom {keyword} knows; nothing is proved of them"
        for proof in proofs:
            if proof.left_over:
                yield f"{proof.user} has {proof.left_over} more keys, which were not asked about"
            if proof.is_refused and not proof.got_in_before:
                yield f"no key of {proof.user} gets in, neither before the change nor after it"

    def _match_warnings(self, users: Sequence[KeyHolder]) -> Iterator[str]:
        """Match blocks that overrule a level, for the users and for everybody else."""
        wanted = {directive.keyword.lower(): directive for directive in self.wanted}
        for line in self.files.lines():
            said = " ".join(line.values)
            if line.match and line.keyword in wanted and not wanted[line.keyword].is_met_by(said):
                overruling = f"overrules the level with {line.keyword} {said}"
                yield f"{line.place}: Match {line.match} {overruling}"
        for user in users:
            name = user.account.name
            for directive in unmet(self.wanted, self._settings(name)):
                yield f"for {name}, {directive} does not hold: a Match block overrules it"


def _plain_key_warnings(level: Levels, users: Sequence[KeyHolder]) -> Iterator[str]:
    names = [u.account.name for u in users if not all(map(lock_out.on_token, u.keys))]
    if names:
        yield (
            f"{level} asks nothing of keys that are on no token, such as those of "
            f"{', '.join(names)}; hardware-only keeps them out"
        )


def _is_there(name: str, folders: Sequence[str]) -> bool:
    """Whether a file is in one of the folders, of which patterns are given."""
    return any(glob(f"{folder}/{name}") for folder in folders)  # noqa: PTH207  from the root


def _names(proofs: Sequence[UserProof]) -> str:
    return ", ".join(proof.user for proof in proofs)
