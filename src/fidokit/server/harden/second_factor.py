"""The second factor of those without a token: PAM's line for codes, and whose codes let them in."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError
from fidokit.server.accounts import Account
from fidokit.server.harden.code_trial import CodeProof, code_trial
from fidokit.server.harden.levels import PAM_GUARD, PAM_MODULE
from fidokit.server.harden.plan import HardeningRequest, HardeningTarget
from fidokit.server.otp import google_authenticator as on_disk
from fidokit.server.otp import pam
from fidokit.server.otp.pam import SecretPlace
from fidokit.server.sshd.trial import Trial

_NOT_OURS: Final = ("nullok", "try_first_pass", "use_first_pass", "forward_pass")
"""Options that belong to another stack: the code is asked for, and nothing else."""

_VENDORS: Final = Path("/usr/lib/pam.d")


@dataclass(frozen=True)
class SecondFactor:
    """What it is made of.

    Attributes:
        pam_file: sshd's PAM service.
    """

    target: HardeningTarget
    request: HardeningRequest
    pam_file: Path

    @cached_property
    def place(self) -> SecretPlace:
        """Where the secrets are: as asked for, or as PAM's line says already."""
        if self.request.secret_file:
            return SecretPlace.of_root(self.request.secret_file)
        return pam.place_of(self.pam_file)

    @cached_property
    def options(self) -> tuple[str, ...]:
        """Options of PAM's line: those that are there, but for where the secrets are."""
        if self.request.secret_file:
            return self.place.options
        lines = pam.lines_of_module(pam.read_service(self.pam_file)) if self._is_there else []
        words = lines[0].words[1:] if lines else ()
        return tuple(map(pam.bracketed, (word for word in words if word not in _NOT_OURS)))

    @property
    def _is_there(self) -> bool:
        return os.path.lexists(self.pam_file)

    def obstacle(self) -> FidokitError | None:
        """What PAM lacks for a second factor; None for nothing."""
        for module, package in (
            (PAM_MODULE, "libpam-google-authenticator"),
            (PAM_GUARD, "libpam-modules"),
        ):
            if not any(glob(f"{folder}/{module}") for folder in self.target.pam_modules):  # noqa: PTH207
                return FidokitError(
                    f"{module} is not installed: PAM would let nobody in",
                    hint=f"install it, on Debian as {package}",
                )
        if not self._is_there:
            vendors = _VENDORS / self.pam_file.name
            return FidokitError(
                f"{self.pam_file} does not exist",
                hint=f"begin with a copy: cp {vendors} {self.pam_file}"
                if vendors.exists()
                else "name sshd's PAM service with --pam-file",
            )
        return None

    def problem(self, user: Account) -> str:
        """Why no code would let a user in, as far as their file shows; empty if one would."""
        return on_disk.problem(user, self.place)

    def proved(
        self,
        users: Sequence[Account],
        pam_text: bytes,
        trial: Callable[[bytes, str], Trial],
    ) -> list[CodeProof]:
        """Whose codes let them in, by real logins; only root can try them.

        Args:
            pam_text: PAM's service as it is to be.
            trial: see `code_trial`.
        """
        if os.geteuid() != 0:
            return [CodeProof(user.name, None, "only root can try logins") for user in users]
        with code_trial(trial, pam_text, self.pam_file, self.place) as codes:
            count = len(users)
            told = self.request.progress
            return list(
                codes.prove(users, lambda done: told("logins by key and code", done, count))
            )
