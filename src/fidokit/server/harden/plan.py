"""What is wanted of a hardening, and what is planned: users, files, proofs, obstacles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Optional, Union

from fidokit.errors import FidokitError
from fidokit.server.accounts import Account
from fidokit.server.harden.code_trial import CodeProof
from fidokit.server.harden.files import HardenedFiles, pam_files
from fidokit.server.harden.levels import Directive
from fidokit.server.harden.lock_out import Progress, UserProof
from fidokit.server.sshd.drop_in import Edit
from fidokit.server.sshd.query import Sshd

CodeJudge = Callable[[Sequence[Account]], Sequence[CodeProof]]
_MODULES: Final = ("/lib*/security", "/lib/*/security", "/usr/lib*/security", "/usr/lib/*/security")


@dataclass(frozen=True)
class HardeningTarget:
    """Which sshd.

    Attributes:
        config: its main configuration file.
        sshd: the program; None for the one that is installed.
        pam_file: the PAM service of sshd; the one that this sshd names if None.
        pam_modules: patterns of folders where PAM's modules are.
    """

    config: Path = Path("/etc/ssh/sshd_config")
    sshd: str | None = None
    pam_file: Path | None = None
    pam_modules: Sequence[str] = _MODULES


@dataclass(frozen=True)
class HardeningRequest:
    """What is wanted.

    Attributes:
        level: touch, verify, hardware-only or second-factor; several with spaces between.
        users: whose keys must still get in; empty for all who have any (for whoever is not root:
            themselves).
        login_with: keys that are available for a full login, which asks for PIN and touch: files
            (public halves of keys in the agent will do), or fingerprints of keys in the agent.
        yes_unproved: go on where nothing proves that a user's key gets in, if nothing speaks
            against it.
        secret_file: where root keeps the secrets of one-time codes, with `${USER}`; as PAM's line
            says, or in the homes, if None.
        progress: told of what is asked.
        code_judge: says whose codes let them in; real logins do if None.
    """

    level: str
    users: Sequence[str] = ()
    login_with: Sequence[Union[str, Path]] = ()  # noqa: UP007  Python 3.9 evaluates it
    yes_unproved: bool = False
    secret_file: str | None = None
    progress: Progress = lambda *_: None
    code_judge: Optional[CodeJudge] = None  # noqa: UP045  Python 3.9 evaluates it


@dataclass(frozen=True)
class HardeningPlan:
    """What is to change, and what is known of it.

    Attributes:
        target: which sshd.
        level: the level; None for none.
        edits: the files, in the order in which they are to be written.
        late: those of them that must wait until sshd asks for no code any more.
        directives: lines that must hold afterwards.
        proofs: what is known of each user's keys; comments in them are hostile text.
        codes: what is known of their one-time codes.
        losing: names of users whom a password lets in now, and not afterwards.
        outside: names of users that nobody named, who get in now, and would not afterwards.
        warnings: sentences.
        obstacle: why it must not be carried out; None if it may.
    """

    target: HardeningTarget
    level: str | None
    edits: tuple[Edit, ...]
    late: tuple[Edit, ...] = ()
    directives: tuple[Directive, ...] = ()
    proofs: tuple[UserProof, ...] = ()
    codes: tuple[CodeProof, ...] = ()
    losing: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    obstacle: FidokitError | None = field(default=None, compare=False)

    @property
    def is_empty(self) -> bool:
        """Whether everything is as wanted already."""
        return not self.edits


def undo(target: HardeningTarget, sshd: Sshd) -> HardeningPlan:
    """The plan that takes every hardening back.

    Args:
        target: with a path of the configuration without symbolic links.
        sshd: says which PAM service it has; it need not take its configuration.
    """
    files = HardenedFiles.find(target.config, pam_files(target.pam_file, sshd, target.config))
    edits = tuple(files.edits(None, None))
    warnings = tuple(files.edited_since())
    return HardeningPlan(target, None, edits, late=files.late(edits), warnings=warnings)
