"""A second factor of which one side is gone: PAM's lines without sshd's, or the other way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError
from fidokit.files.keyfile import read_bounded
from fidokit.server.harden.levels import PAM_MODULE, Level, Levels, second_factor_holds
from fidokit.server.otp import pam
from fidokit.server.sshd import config as sshd_config
from fidokit.server.sshd import drop_in
from fidokit.server.sshd.settings import SshdSettings

_MOST_SERVICES: Final = 1000
_AGAIN: Final = "fidokit server harden second-factor --reload; or take it back: --undo --reload"


@dataclass(frozen=True)
class HalfFactor:
    """What is missing.

    Attributes:
        sentence: without a full stop.
        hint: what to do.
    """

    sentence: str
    hint: str


def half_second_factor(
    config: Path, services: Path = pam.FOLDER, settings: SshdSettings | None = None
) -> Iterator[HalfFactor]:
    """What is left of a second factor that `server harden` set up and somebody took half away.

    Nothing where it is whole, or was never set up. Files that this user may not read say nothing.

    Args:
        config: sshd's main configuration file.
        services: the folder of PAM's services.
        settings: sshd's effective ones; without them its files alone are looked at.
    """
    sshd_says = any(_is_ours(path) for path in (config, *config.parent.glob(f"*.d/{drop_in.NAME}")))
    pam_says = [path for path in _services(services) if _is_ours(path)]
    if not sshd_says and not pam_says:
        return
    service = services / (settings.first("pamservicename", "sshd") if settings else "sshd")
    if settings is not None:
        sshd_says = second_factor_holds(settings)
    if pam_says and not sshd_says:
        yield HalfFactor(
            f"{pam_says[0]} has the lines of a second factor, and sshd does not ask for it: a key "
            "or a password alone gets in",
            _AGAIN,
        )
    if sshd_says and not _asks(service):
        yield HalfFactor(
            f"sshd asks for a second factor, and {service} has no line of {PAM_MODULE}: PAM asks "
            "for a password in place of a code",
            _AGAIN,
        )


def _services(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(islice(folder.iterdir(), _MOST_SERVICES))
    return []


def _is_ours(path: Path) -> bool:
    with suppress(OSError, FidokitError):
        if path.is_file():
            title = drop_in.title(read_bounded(path, sshd_config.MAX_FILE))
            return Level.SECOND_FACTOR in Levels.of_title(title)
    return False


def _asks(service: Path) -> bool:
    """Whether PAM has a line for codes; of a file that cannot be read it is taken for granted."""
    try:
        lines = pam.read_service(service)
    except (OSError, FidokitError):
        return service.exists()
    return bool(pam.lines_of_module(lines))
