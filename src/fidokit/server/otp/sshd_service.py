"""Which PAM service the sshds of this machine ask for codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, SshdConfigRefused, SshdMissing, UsageError
from fidokit.server.otp.pam import FOLDER, SSHD, lines_of_module, place_of, read_service
from fidokit.server.sshd.instances import SshdInstance, find_instances
from fidokit.system.openssh_programs import parse_version

_NAMED_SINCE: Final = (9, 8)
"""The OpenSSH that came to know PAMServiceName; before, the program's name decides."""


@dataclass(frozen=True)
class SshdService:
    """A PAM service.

    Attributes:
        path: its file.
        doubt: why another may be meant, a sentence; empty if sshd told.
    """

    path: Path = SSHD
    doubt: str = ""


def service_of_sshd(
    find: Callable[[], Sequence[SshdInstance]] = find_instances, folder: Path = FOLDER
) -> SshdService:
    """The service of the sshds that run here, or would be started.

    Of several services it is the one that has the module ask for codes.

    Args:
        find: finds the sshds.
        folder: where services are.

    Raises:
        UsageError: several have it look in different places.
    """
    found: dict[Path, None] = {}
    doubts = []
    with suppress(SshdMissing):
        for one in find():
            try:
                found.update(dict.fromkeys(folder / name for name in _names(one)))
            except SshdConfigRefused:
                continue  # it cannot be started any more
            except FidokitError as error:
                doubts.append(f"{one.name} could not be asked for its PAM service: {error.message}")
    asking = [path for path in found if _asks(path)]
    if len({place_of(path) for path in asking}) > 1:
        names = " and ".join(map(str, asking))
        raise UsageError(
            f"the sshds of this machine use {names}, which look for secrets in different places",
            hint="name one with --pam-file",
        )
    path = next(iter((*asking, *found)), folder / SSHD.name)
    return SshdService(path, "; ".join(doubts) and f"{path} is checked, but {'; '.join(doubts)}")


def _names(one: SshdInstance) -> Iterator[str]:
    """The name of an sshd's service; none where it asks no PAM."""
    sshd = one.sshd
    own = Path(sshd.program).name
    try:
        settings = sshd.settings()
    except FidokitError:
        ran = sshd.run([sshd.program, "-V"])
        version = parse_version(ran.out + ran.err)
        if version is None or version >= _NAMED_SINCE:
            raise
        yield own
        return
    if settings.is_on("usepam"):
        yield settings.first("pamservicename", own)


def _asks(path: Path) -> bool:
    try:
        return bool(lines_of_module(read_service(path)))
    except (OSError, FidokitError):
        return False
