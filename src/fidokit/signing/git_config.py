"""git's settings for signatures by a key: planned, written, undone, and proved by a commit.

What was there before is kept in the same configuration file, in sections `fidokit "SETTING"`, so
that undoing needs nothing else. Settings that the user changed since are left alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.errors import FidokitError, SignatureInvalid, Unsupported, UsageError
from fidokit.openssh.keys.public import SkEcdsaPublic, SkEd25519Public
from fidokit.signing import signers_file
from fidokit.signing.signers import private_path
from fidokit.signing.signers_file import SignerLines

GIT_S: Final = 30.0
"""Seconds that a call of git may take that signs nothing."""

COMMIT_S: Final = 300.0
"""Seconds for a commit that waits for PIN and touch."""

SIGNER: Final = "fidokit-ssh-keygen"
"""Our program with ssh-keygen's arguments."""

SIGNERS_FILE: Final = "gpg.ssh.allowedSignersFile"
_PATHS: Final = frozenset({"user.signingKey", "gpg.ssh.program", SIGNERS_FILE})
_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_SETTINGS: Final = (
    "gpg.format",
    "user.signingKey",
    "gpg.ssh.program",
    SIGNERS_FILE,
    "commit.gpgSign",
    "user.email",
)
_LINES: Final = "fidokit.allowed-signers"
_USUAL_SIGNERS: Final = "~/.ssh/allowed_signers"


@dataclass(frozen=True, slots=True)
class Git:
    """The installed git, asked and told in one scope.

    Attributes:
        scope: `global` for all of the user's repositories, `local` for the one of `folder`.
        folder: where it is run; None for the current one.
        environ: its environment.
    """

    scope: str = "global"
    folder: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def values(self, name: str) -> list[str]:
        """The values that a setting has in this scope."""
        return self._listed(f"--{self.scope}", "--get-all", name)

    def effective(self, name: str) -> str:
        """The value that counts here, whatever file it is in; empty if there is none."""
        return "".join(self._listed("--get", name))

    def _listed(self, *words: str) -> list[str]:
        done = self.run("config", "-z", *words)
        if done.returncode == 1:  # there is none
            return []
        _require(done)
        return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]

    def put(self, name: str, values: Sequence[str]) -> None:
        """Have a setting hold exactly these values in this scope."""
        if len(values) == 1:  # in one step
            _require(self.run("config", f"--{self.scope}", "--replace-all", name, values[0]))
            return
        if self.values(name):
            _require(self.run("config", f"--{self.scope}", "--unset-all", name))
        for value in values:
            _require(self.run("config", f"--{self.scope}", "--add", name, value))

    def forget(self, section: str) -> None:
        """Take a section of ours out, if it is there."""
        self.run("config", f"--{self.scope}", "--remove-section", section)

    def path(self, value: str) -> Path:
        """A path in a setting as git reads it: ~ is home, and others begin at the top folder."""
        found = Path(os.path.expanduser(value))  # noqa: PTH111  git's, of a file
        if found.is_absolute():
            return found
        done = self.run("rev-parse", "--show-toplevel")
        top = done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")
        return Path(top or self.folder or ".") / found

    def run(self, *words: str, seconds: float = GIT_S) -> subprocess.CompletedProcess[bytes]:
        """Run git.

        Raises:
            Unsupported: it is not installed. FidokitError: it does not end.
        """
        program = shutil.which("git", path=self.environ.get("PATH"))
        if program is None:
            raise Unsupported("git is not installed", hint="install it: `sudo apt install git`")
        try:
            return subprocess.run(  # noqa: S603  the user's own git
                [program, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=self.folder,
                env=dict(self.environ),
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise FidokitError(f"`git {words[0]}` does not end") from None


def _require(done: subprocess.CompletedProcess[bytes]) -> None:
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise FidokitError(
            f"git refuses: {said[-1] if said else 'without a reason'}",
            hint="--local is for inside a repository; look at `git config --list --show-origin`",
        )


# --- what is wished ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GitSigning:
    """How git is to sign and to verify.

    Attributes:
        key: the key's private file, or its public one where an agent has the key.
        principal: whose commits it signs, as allowed_signers names them: an email address.
        signers: the file of allowed signers; None for the one that git uses already, else
            `~/.ssh/allowed_signers`.
        program: what signs; None for our own where the key is on a token, "" for git's choice.
        every_commit: whether each commit is signed without `-S`.
        others: lines of others for the file of allowed signers.
    """

    key: Path
    principal: str
    signers: Path | None = None
    program: str | None = None
    every_commit: bool = True
    others: tuple[SignerLines, ...] = ()


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting, its values in this scope, and the one that it gets."""

    name: str
    before: tuple[str, ...]
    after: str


@dataclass(frozen=True, slots=True)
class SigningPlan:
    """What git setup changes.

    Attributes:
        settings: that change.
        present: names of those that are as wished.
        signers: the file of allowed signers.
        lines: that it gets.
        known: principals that it lets sign by these keys already.
    """

    settings: tuple[SettingChange, ...]
    present: tuple[str, ...]
    signers: Path
    lines: tuple[str, ...]
    known: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether all is as wished."""
        return not (self.settings or self.lines)


def our_signer() -> str:
    """The program of ours that git calls: its name if the search path has it, else its path.

    Raises:
        Unsupported: it is not installed beside this Python.
    """
    if shutil.which(SIGNER):
        return SIGNER
    beside = Path(sys.executable).with_name(SIGNER)
    if beside.exists():
        return str(beside)
    raise Unsupported(
        f"{SIGNER} is not installed", hint="install fidokit by pip or pipx, which brings it"
    )


def plan_signing(git: Git, wish: GitSigning) -> SigningPlan:
    """What has to change so that git signs and verifies as wished. Changes nothing.

    Raises:
        UsageError: the key or a principal cannot be used.
        MalformedKey, NoPermission, FidokitError: a file cannot be read, or git refuses.
    """
    named = private_path(wish.key)
    key = named if named.exists() else wish.key
    own = SignerLines.of_file(wish.principal, key)
    current = git.effective(SIGNERS_FILE)
    chosen = str(wish.signers.absolute()) if wish.signers else current or _USUAL_SIGNERS
    on_token = any(isinstance(one, SkEd25519Public | SkEcdsaPublic) for one in own.keys)
    program = wish.program
    if program is None:
        program = our_signer() if on_token else ""
    wanted = {
        "gpg.format": "ssh",
        "user.signingKey": _short(key.absolute()),
        **({"gpg.ssh.program": program} if program else {}),
        SIGNERS_FILE: _short(Path(chosen)) if chosen.startswith("/") else chosen,
        **({"commit.gpgSign": "true"} if wish.every_commit else {}),
        **({} if email_of(git) else {"user.email": wish.principal}),
    }
    changes = [SettingChange(n, tuple(git.values(n)), value) for n, value in wanted.items()]
    open_ones = tuple(one for one in changes if not _is_as_wished(one))
    file = git.path(chosen)
    lines, known = signers_file.missing_lines(file, (own, *wish.others))
    present = tuple(one.name for one in changes if one not in open_ones)
    return SigningPlan(open_ones, present, file, lines, known)


def _short(path: Path) -> str:
    """A path from ~ on, which git reads in these settings."""
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


def _is_as_wished(change: SettingChange) -> bool:
    if not change.before:
        return False
    return _same(change.name, change.before[-1], change.after)


def _same(name: str, one: str, other: str) -> bool:
    if name in _PATHS:
        return os.path.expanduser(one) == os.path.expanduser(other)  # noqa: PTH111  git's
    if name == "commit.gpgSign":
        return one.lower() in _TRUE
    return one == other


def apply_plan(git: Git, plan: SigningPlan) -> list[str]:
    """Write what was planned; what was there before is kept for `undo_signing`.

    Returns sentences: what git would use here instead, and why.

    Raises:
        NoPermission, FidokitError: a file cannot be written, or git refuses.
    """
    signers_file.add_lines(plan.signers, plan.lines)
    if plan.lines:
        kept = git.values(f"{_LINES}.line")
        git.put(f"{_LINES}.line", [*kept, *plan.lines])
        git.put(f"{_LINES}.file", [str(plan.signers)])
    for change in plan.settings:
        record = f"fidokit.{change.name}"
        if not git.values(f"{record}.set"):
            git.put(f"{record}.was", change.before)
        git.put(f"{record}.set", [change.after])
        git.put(change.name, [change.after])
    return list(_overruled(git, plan))


def _overruled(git: Git, plan: SigningPlan) -> Iterator[str]:
    """Settings that another file has the last word on."""
    for change in plan.settings:
        counts = git.effective(change.name)
        if not _same(change.name, counts, change.after):
            yield f"here, git uses {change.name} = {counts}: another of its files says so"


# --- undoing -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SigningUndone:
    """What was put back.

    Attributes:
        restored: settings as they were before, or gone.
        left: settings that somebody changed since.
        lines: lines that were taken out of the file of allowed signers.
        signers: that file; None if nothing was taken out.
    """

    restored: tuple[SettingChange, ...]
    left: tuple[str, ...]
    lines: tuple[str, ...]
    signers: Path | None


def undo_signing(git: Git) -> SigningUndone:
    """Put git's settings back as they were before `apply_plan`; a second time does nothing.

    Raises:
        NoPermission, FidokitError: a file cannot be written, or git refuses.
    """
    restored, left = [], []
    for name in _SETTINGS:
        record = f"fidokit.{name}"
        ours = git.values(f"{record}.set")
        if not ours:
            continue
        now, was = git.values(name), git.values(f"{record}.was")
        if now == ours:
            git.put(name, was)
            restored.append(SettingChange(name, tuple(now), was[-1] if was else ""))
        else:
            left.append(name)
        git.forget(record)
    lines = git.values(f"{_LINES}.line")
    named = git.values(f"{_LINES}.file")
    file = Path(named[-1]) if named else None
    gone = signers_file.remove_lines(file, lines) if file else ()
    git.forget(_LINES)
    return SigningUndone(tuple(restored), tuple(left), gone, file if gone else None)


# --- proof ---------------------------------------------------------------------------------------


def prove_signing(git: Git, wish: GitSigning, plan: SigningPlan) -> str:
    """Sign a commit in a repository that is thrown away, and have git verify it.

    Args:
        git: whose settings count.
        wish: what it was set up for.
        plan: as it was applied.

    Returns:
        git's own words, such as `Good "git" signature for ...`.

    Raises:
        SignatureInvalid: it does not sign, or does not verify; has git's words.
    """
    who = {f"GIT_{a}_{b}" for a in ("AUTHOR", "COMMITTER") for b in ("NAME", "EMAIL")}
    environ = {**git.environ, **dict.fromkeys(sorted(who), wish.principal)}
    with TemporaryDirectory(prefix="fidokit-") as folder:
        there = Git("local", Path(folder), environ)
        _require(there.run("init", "-q", "."))
        for name in _SETTINGS if git.scope == "local" else ():
            if value := git.effective(name):
                there.put(name, [str(git.path(value)) if name == SIGNERS_FILE else value])
        there.put("core.hooksPath", [os.devnull])  # the user's hooks are about other commits
        message = ("commit", "-q", "-S", "--allow-empty", "-m", "fidokit git setup: a test")
        done = there.run(*message, seconds=COMMIT_S)
        if done.returncode == 0:
            done = there.run("verify-commit", "HEAD", seconds=COMMIT_S)
    said = done.stderr.decode("utf-8", "replace").strip()
    good = next((line for line in said.splitlines() if line.startswith("Good ")), "")
    if done.returncode != 0 or wish.principal not in good:
        raise SignatureInvalid(
            f"git does not sign and verify with this: {said.splitlines()[0] if said else 'silent'}",
            hint=f"see that the token is plugged in, and what {plan.signers} says",
        )
    return good


def email_of(git: Git) -> str:
    """The address that git puts into commits; empty if it is not configured."""
    return git.effective("user.email")


def signs_every_commit(git: Git) -> bool:
    """Whether git signs commits without being asked to."""
    return git.effective("commit.gpgSign").lower() in _TRUE


def configured_key(git: Git) -> Path | None:
    """The key file that git signs with by SSH now; None for none, or for a key by its text."""
    value = git.effective("user.signingKey")
    literal = value.startswith(("key::", "ssh-", "sk-"))
    if not value or literal or git.effective("gpg.format") != "ssh":
        return None
    path = git.path(value)
    return path if path.exists() else None


def no_principal(source: str = "your commits") -> UsageError:
    """The error where nobody says whose a key is."""
    return UsageError(
        f"the email address of {source} is not known, and nobody can be asked",
        hint="say --principal EMAIL, or run `git config --global user.email EMAIL`",
    )
