"""Making the plan of a hardening, proved on throw-away servers; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, UsageError
from fidokit.files.scan import read_key
from fidokit.openssh.keys import fingerprint
from fidokit.server.accounts import Account, account, all_accounts
from fidokit.server.check.admission import WaysIn
from fidokit.server.harden import lock_out
from fidokit.server.harden.code_trial import CodeProof
from fidokit.server.harden.files import HardenedFiles, pam_files
from fidokit.server.harden.levels import (
    Directive,
    Level,
    Levels,
    all_directives,
    pam_lines,
    unmet,
)
from fidokit.server.harden.lock_out import KeyHolder, UserProof, everybody, key_holder
from fidokit.server.harden.plan import HardeningPlan, HardeningRequest, HardeningTarget
from fidokit.server.harden.running import others_that_read
from fidokit.server.harden.second_factor import SecondFactor
from fidokit.server.harden.standing import ways_to_find_out
from fidokit.server.sshd import drop_in
from fidokit.server.sshd.query import LOOPBACK, Sshd
from fidokit.server.sshd.settings import SshdSettings
from fidokit.server.sshd.trial import Bench, Trial

_AUTHORIZE: Final = "let one in first: fidokit server authorize KEY --user NAME"


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
        pam = pam_files(self.target.pam_file, self.sshd, self.target.config)
        self.files = HardenedFiles.find(self.target.config, pam)
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
        plan = HardeningPlan(
            self.target, str(self.level), edits, self.files.late(edits), self.wanted
        )
        settings = self._settings_of(self.new)
        users = self._users(settings)
        obstacle = self._overruled(unmet(self.wanted, settings)) or self._without_codes(users)
        if edits and not obstacle:
            plan = self._proved(plan, users)
            obstacle = self._verdict(plan)
        warnings = tuple(self._warnings(settings, users, plan))
        return replace(plan, warnings=warnings, obstacle=obstacle)

    def _proved(self, plan: HardeningPlan, users: Sequence[KeyHolder]) -> HardeningPlan:
        """With what throw-away servers say of all users, those that nobody named included."""
        others = self._others(users)
        proofs = self._prove([*users, *others])
        named, rest = proofs[: len(users)], proofs[len(users) :]
        losing = self._losing(users)
        codes = self._codes([user.account for user in users])
        out = lock_out.locked_out(rest, losing)
        passwords = set(losing) - {user.account.name for user in users}
        outside = {proof.user for proof in out} | passwords | self._others_without_codes(others)
        return replace(
            plan,
            proofs=tuple(named),
            codes=tuple(codes),
            outside=tuple(sorted(outside)),
            losing=tuple(losing),
        )

    # --- the files -------------------------------------------------------------------------

    def _block(self) -> bytes:
        return drop_in.block(f"harden {self.level}", map(str, self.wanted))

    def _pam_block(self) -> bytes | None:
        if Level.SECOND_FACTOR not in self.level:
            return None
        return drop_in.block(f"harden {self.level}", pam_lines(self.codes_of.options))

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
        seen = named or everybody(settings.key_files)
        self._ask_ahead(seen)
        users = named or [user for user in seen if not self._refusal(user)]
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

    def _ask_ahead(self, users: Sequence[Account]) -> None:
        """Ask sshd about many users, several at a time; what it does not tell is asked again."""
        for (name, _), answer in self.sshd.with_config(self.new).each(
            [(user.name, LOOPBACK) for user in users]
        ):
            if name is not None and isinstance(answer, SshdSettings):
                self._known[name] = answer

    def _settings_of(self, config: Path, user: str | None = None) -> SshdSettings:
        return self.sshd.with_config(config).settings(user, LOOPBACK)

    def _others(self, users: Sequence[KeyHolder]) -> list[KeyHolder]:
        """Users with keys that --user leaves out; root can look."""
        if not self.request.users or os.geteuid() != 0:
            return []
        named = {user.account.name for user in users}
        found = []
        for user in everybody(self._settings_of(self.new).key_files):
            if user.name in named or self._refusal(user):
                continue
            with suppress(FidokitError):
                found.append(key_holder(user, self._settings(user.name).key_files))
        return [holder for holder in found if holder.keys]

    def _prove(self, users: Sequence[KeyHolder]) -> list[UserProof]:
        before, after = (
            Trial(self.bench, self.sshd.program, config, self.environ)
            for config in (self.old, self.new)
        )
        return lock_out.prove_all(
            users,
            self._settings,
            before=before,
            after=after,
            identities=self._identities(users),
            progress=self.request.progress,
        )

    def _identities(self, users: Sequence[KeyHolder]) -> dict[str, Path]:
        """Files of keys that are available, by fingerprint."""
        known = {lock_out.name_of(line): line for user in users for line in user.keys}
        found = {}
        for number, given in enumerate(map(str, self.request.login_with)):
            name, path = self._at_hand(given, number, known)
            if name not in known:
                raise UsageError(
                    f"{given} is not a key of {', '.join(user.account.name for user in users)}",
                    hint="name a key of theirs, or leave --login-with out",
                )
            found[name] = path
        return found

    def _at_hand(
        self, given: str, number: int, known: Mapping[str, lock_out.HeldLine]
    ) -> tuple[str, Path]:
        """A key's fingerprint, and a file of it; of one in the agent, the public half will do."""
        if not given.startswith("SHA256:"):
            path = Path(given).expanduser().absolute()
            line, _ = read_key(path)
            return fingerprint.sha256(line.key.blob()), path
        path = self.bench.folder / f"at-hand-{number}.pub"
        if given in known:
            text = lock_out.public_texts(known[given])[0].text
            path = self.bench.stage(path.name, f"{text}\n".encode())
            path.chmod(0o600)
        return given, path

    # --- codes -----------------------------------------------------------------------------

    @property
    def codes_of(self) -> SecondFactor:
        """What the second factor is made of."""
        return SecondFactor(self.target, self.request, self.files.pam_file)

    def _codes(self, users: Sequence[Account]) -> Sequence[CodeProof]:
        """Whose codes let them in, by real logins."""
        if Level.SECOND_FACTOR not in self.level:
            return ()
        if self.request.code_judge:
            return self.request.code_judge(users)
        return self.codes_of.proved(users, self._pam_text(), self._trial_of_codes)

    def _pam_text(self) -> bytes:
        """PAM's service as it is to be."""
        return drop_in.plan(self.files.pam_file, self._pam_block()).after or b""

    def _trial_of_codes(self, own: bytes, service: str) -> Trial:
        """A throw-away sshd with the new configuration, lines before it, and a PAM stack."""
        names_it = self._settings_of(self.new).is_set("pamservicename")  # from 9.8 on
        line = f"PAMServiceName {service}\n".encode() if names_it else b""
        config = self.bench.stage("codes", line + own + self.new.read_bytes())
        name = "" if names_it else service
        return Trial(self.bench, self.sshd.program, config, self.environ, name=name)

    def _others_without_codes(self, others: Sequence[KeyHolder]) -> set[str]:
        """Users whom the second factor would lock out, though --user does not name them."""
        if Level.SECOND_FACTOR not in self.level or self.request.code_judge:
            return set()
        return {x.account.name for x in others if self.codes_of.problem(x.account)}

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

    def _without_codes(self, users: Sequence[KeyHolder]) -> FidokitError | None:
        if Level.SECOND_FACTOR not in self.level:
            return None
        roots = [user for user in users if user.account.uid == 0]
        if roots and self._settings(roots[0].account.name).first("permitrootlogin") != "yes":
            return FidokitError(
                "root would be locked out: PermitRootLogin takes no codes from root unless it "
                "says yes",
                hint="say so, which lets no password in then; or name the others with --user",
            )
        return self.codes_of.obstacle()

    def _verdict(self, plan: HardeningPlan) -> FidokitError | None:
        out = lock_out.locked_out(plan.proofs, plan.losing)
        if out:
            return FidokitError(
                f"{_names(out)} would be locked out: with {self.level}, sshd takes none of their "
                "keys",
                hint="let a key on a token in first: fidokit server authorize KEY --user NAME; to "
                "leave users out, name the others with --user",
            )
        failing = [f"{x.user} ({x.why})" for x in plan.codes if x.works is False]
        if failing:
            return FidokitError(
                f"would be locked out, since no code lets them in: {', '.join(failing)}",
                hint="`fidokit otp enroll --user NAME` sets codes up; `fidokit otp verify --user "
                "NAME` tells more",
            )
        return None if self.request.yes_unproved else self._doubt(plan)

    def _doubt(self, plan: HardeningPlan) -> FidokitError | None:
        commands = list(ways_to_find_out(plan))
        if not commands:
            return None
        names = ", ".join(dict.fromkeys(name for name, _ in commands))
        return FidokitError(
            f"cannot be known without a login: whether {names} would get in",
            hint="find out with the key in your agent: "
            + "; ".join(command for _, command in commands)
            + "; or, if you are sure: --yes-unproved",
        )

    def _warnings(
        self,
        settings: SshdSettings,
        users: Sequence[KeyHolder],
        plan: HardeningPlan,
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
        if plan.outside:
            yield f"would be locked out besides: {', '.join(plan.outside)}"
        yield from self._others_that_read(plan)
        for keyword in ("AuthorizedKeysCommand", "TrustedUserCAKeys"):
            if settings.is_set(keyword):
                yield f"sshd also lets in whom {keyword} knows; nothing is proved of them"
        for proof in plan.proofs:
            if proof.left_over:
                yield f"{proof.user} has {proof.left_over} more keys, which were not asked about"
            if proof.is_refused and not proof.got_in_before:
                yield f"no key of {proof.user} gets in, neither before the change nor after it"

    def _others_that_read(self, plan: HardeningPlan) -> Iterator[str]:
        edited = [edit.path for edit in plan.edits]
        for one in others_that_read(self.sshd, self.target.config, edited) if edited else ():
            yield (
                f"{one.name} reads {self.files.place}, too: nothing is proved of its users; "
                "`--config` names its configuration"
            )

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
            f"{level} asks nothing of keys that are not on a token, such as those of "
            f"{', '.join(names)}; hardware-only keeps them out"
        )


def _names(proofs: Sequence[UserProof]) -> str:
    return ", ".join(proof.user for proof in proofs)
