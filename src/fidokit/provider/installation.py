"""OpenSSH's SecurityKeyProvider: where its library is, and the tokens that it reaches."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fidokit.client.ports import Candidate, PinCode, Quiet
from fidokit.errors import NoPermission, PinPolicy, PinWrong
from fidokit.provider.abi import API_VERSIONS
from fidokit.provider.library import INSTALL_FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fidokit.client.session import Session
    from fidokit.system.host import Host
    from fidokit.types import Application, KeyHandle

__all__ = [
    "API_VERSIONS",
    "INSTALL_FOLDER",
    "InstalledProvider",
    "ProviderTokens",
    "install_provider",
    "provider_api",
    "provider_path",
    "trusted_provider",
]


def provider_api(host: Host | None = None) -> int:
    """The version of sk-api.h that this machine's ssh speaks; the usual one where there is none.

    Raises:
        Unsupported: its ssh is too old.
    """
    from fidokit.provider.library import api_for
    from fidokit.system.host import Host
    from fidokit.system.openssh_programs import parse_version

    banner = (host or Host()).run(("ssh", "-V"))
    return api_for(parse_version(banner or ""))


def provider_path(sk_api: int | None = None) -> Path:
    """The library, ready to be loaded by OpenSSH's programs.

    Args:
        sk_api: version of sk-api.h, 10 or 9; the one of this machine's ssh when None.

    Raises:
        Unsupported: it was not built when fidokit was installed, or ssh is too old.
        NoPermission: it was never made ready, and its folder is another user's.
    """
    from fidokit.provider import library

    path = library.built(sk_api or provider_api())
    try:
        library.point_at(path, sys.executable)
    except NoPermission as error:
        raise NoPermission(
            f"the library does not know yet which Python to run ({error.message})",
            hint="run `fidokit provider path` once as the user who installed fidokit, or "
            "`fidokit provider install --into FOLDER`",
        ) from None
    return path


@dataclass(frozen=True, slots=True)
class InstalledProvider:
    """A copy of the library.

    Attributes:
        path: the copy.
        python: the interpreter that it runs.
        closed: a folder on the way to that interpreter which other users may not enter; None
            where the library works for everybody.
    """

    path: Path
    python: str
    closed: Path | None


def install_provider(
    folder: Path = INSTALL_FOLDER, *, sk_api: int | None = None
) -> InstalledProvider:
    """Copy the library to where ssh-agent's allow list finds it.

    Args:
        folder: made where it is missing.
        sk_api: as `provider_path`.

    Raises:
        Unsupported: as `provider_path`.
        NoPermission: the folder is root's; FidokitError: the disk refused.
    """
    from fidokit.provider import library

    copy = library.install(library.built(sk_api or provider_api()), folder, sys.executable)
    return InstalledProvider(copy, sys.executable, library.unreachable_part(sys.executable))


def trusted_provider() -> Path:
    """The copy that `install_provider` made where ssh-agent trusts it, else the library itself.

    Raises:
        As `provider_path`.
    """
    from fidokit.provider.library import FILES

    copy = INSTALL_FOLDER / FILES[provider_api()]
    return copy if copy.is_file() else provider_path()


# --- what the library's service needs --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _OnePin(Quiet):
    """Nobody to ask, but for the PIN that OpenSSH asked for, if it did; touch chooses a token."""

    pin: str | None = field(repr=False)

    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        """That PIN; the token's session sees to it that a wrong one is not tried twice."""
        if self.pin is None:
            return Quiet.ask_pin(self, token, retries, why, previous_was_wrong)
        try:
            return PinCode.parse(self.pin)
        except PinPolicy as error:  # to OpenSSH it is a wrong one, to be asked for again
            raise PinWrong(error.message, retries=retries) from None

    def choose_token(self, candidates: Sequence[Candidate]) -> Candidate | None:  # noqa: ARG002
        """By touch."""
        return None


class ProviderTokens:
    """Tokens for `fidokit.provider.service`.

    Args:
        pin: what OpenSSH was told, or None.
    """

    def __init__(self, pin: str | None) -> None:
        self._person = _OnePin(pin)

    def open(self, selector: str | None) -> AbstractContextManager[Session]:
        """As `open_token`."""
        from fidokit.tokens.access import open_token

        return open_token(selector, self._person)

    def holding(
        self, key_handle: KeyHandle, application: Application, selector: str | None
    ) -> AbstractContextManager[Session]:
        """As `token_holding`."""
        from fidokit.keys.holder import token_holding

        return token_holding(key_handle, application, self._person, selector=selector)
