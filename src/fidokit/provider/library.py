"""OpenSSH's SecurityKeyProvider: where its library is, which Python it runs, copies elsewhere.

The library is compiled when it is first asked for (files/c_library.py says why). It reads the
interpreter's path from a file beside it, `sk_fidokit.so.python`: a copy in /usr/local/lib knows
nothing of a virtual environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from fidokit.errors import NoPermission, Unsupported
from fidokit.files import atomic
from fidokit.files.c_library import MODE, MOST, is_current, ready
from fidokit.files.disk_errors import explained
from fidokit.files.keyfile import read_bounded
from fidokit.system.host import Host
from fidokit.system.openssh_programs import parse_version

FILES: Final[Mapping[int, str]] = {10: "sk_fidokit.so", 9: "sk_fidokit_9.so"}
"""The library's name for each version of sk-api.h."""
INSTALL_FOLDER: Final = Path("/usr/local/lib/fidokit")
ALLOW_LIST: Final = ("/usr/lib*/*", "/usr/local/lib*/*")
"""From which folders ssh-agent loads libraries (ssh-agent(1), -P)."""


def api_for(openssh: tuple[int, int] | None) -> int:
    """The version of sk-api.h that an OpenSSH speaks.

    Args:
        openssh: (9, 2) for OpenSSH 9.2; None if it is not known, for the usual one.

    Raises:
        Unsupported: an older version than the library can be built for.
    """
    if openssh is None or openssh >= (9, 1):
        return 10
    if openssh >= (8, 9):
        return 9
    raise Unsupported(
        f"OpenSSH {openssh[0]}.{openssh[1]} is too old for the provider library, which is built "
        "for 8.9 and later",
        hint="upgrade OpenSSH, or use `fidokit agent serve`, which needs no library",
    )


def built(api: int, environ: Mapping[str, str] = os.environ) -> Path:
    """The library for one version of sk-api.h, compiled if need be.

    Args:
        api: version of sk-api.h, 10 or 9.
        environ: the environment variables.

    Returns:
        The one that a packager put beside this module, or to where a link there leads; else the
        user's own, `$XDG_DATA_HOME/fidokit/sk_fidokit.so`.

    Raises:
        Unsupported: no C compiler is here, or it refuses.
        NoPermission, FidokitError: the disk refused.
    """
    own = Host(environ=environ).data_folder
    return ready(_source(), FILES[api], own, *_definitions(api))


def _source() -> Path:
    return Path(__file__).with_name("sk_fidokit.c")


def _definitions(api: int) -> Sequence[str]:
    return (f"-DFIDOKIT_SK_API={api}",)


def point_at(library: Path, python: str) -> None:
    """Have the library run this Python.

    Args:
        python: the interpreter's whole path; one in which fidokit is installed.

    Raises:
        NoPermission: the folder is another user's, and the library runs another Python so far.
        FidokitError: the disk refused.
    """
    if not _points_at(library, python):
        atomic.replace(_note(library), f"{python}\n".encode(), atomic.PUBLIC_MODE)


def _points_at(library: Path, python: str) -> bool:
    note = _note(library)
    return note.is_file() and read_bounded(note, MOST) == f"{python}\n".encode()


def _note(library: Path) -> Path:
    return library.with_name(f"{library.name}.python")


def install(source: Path, folder: Path, python: str) -> Path:
    """Copy the library, with what it has to know, into a folder that ssh-agent trusts.

    Returns:
        The copy.

    Raises:
        NoPermission: this user may not; FidokitError: the disk refused.
    """
    copy = folder / source.name
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    point_at(copy, python)  # first: a library without it is useless
    atomic.replace(copy, read_bounded(source, MOST), MODE)
    return copy


def unreachable_part(python: str) -> Path | None:
    """The folder above an interpreter that other users may not enter; None if all may."""
    for folder in reversed(Path(python).absolute().parents):
        try:
            if not folder.stat().st_mode & 0o001:
                return folder
        except OSError as error:
            raise NoPermission(f"cannot read {folder}: {error.strerror}") from None
    return None


# --- for this machine's ssh ------------------------------------------------------------------


def provider_api(host: Host | None = None) -> int:
    """The version of sk-api.h that this machine's ssh speaks; the usual one if there is none.

    Raises:
        Unsupported: its ssh is too old.
    """
    banner = (host or Host()).run(("ssh", "-V"))
    return api_for(parse_version(banner or ""))


def provider_path(sk_api: int | None = None) -> Path:
    """The library, ready to be loaded by OpenSSH's programs.

    Args:
        sk_api: version of sk-api.h, 10 or 9; the one of this machine's ssh when None.

    Returns:
        The copy that this fidokit installed for all users; else what `built` has.

    Raises:
        Unsupported: ssh is too old, or the library cannot be compiled.
        NoPermission: it was never made ready, and its folder is another user's.
    """
    api = sk_api or provider_api()
    installed = INSTALL_FOLDER / FILES[api]
    if is_current(_source(), installed, *_definitions(api)) and _points_at(
        installed, sys.executable
    ):
        return installed
    path = built(api)
    try:
        point_at(path, sys.executable)
    except NoPermission as error:
        raise NoPermission(
            f"the library does not yet know which Python to run ({error.message})",
            hint="run `fidokit provider path` once as the user who installed fidokit, or "
            "`fidokit provider install --into FOLDER`",
        ) from None
    return path


@dataclass(frozen=True, slots=True)
class InstalledProvider:
    """A copy of the library where ssh-agent trusts it.

    Attributes:
        path: the copy.
        python: the interpreter that it runs.
        closed: a folder on the way to that interpreter which other users may not enter; None
            where the library works for everybody.
        written: whether the copy was made now; else it was there.
    """

    path: Path
    python: str
    closed: Path | None
    written: bool = True


def install_provider(folder: Path | None = None, *, sk_api: int | None = None) -> InstalledProvider:
    """Copy the library to where ssh-agent's allow list finds it, unless it is in such a place.

    Args:
        folder: made if it is missing; None for `INSTALL_FOLDER`, or for no copy if the library is
            where ssh-agent trusts it, as that of the Debian package is.
        sk_api: as `provider_path`.

    Raises:
        Unsupported: as `provider_path`.
        NoPermission: the folder is root's; FidokitError: the disk refused.
    """
    closed = unreachable_part(sys.executable)
    if folder is None:
        library = provider_path(sk_api)
        if is_trusted(library):
            return InstalledProvider(library, sys.executable, closed, written=False)
    copy = install(built(sk_api or provider_api()), folder or INSTALL_FOLDER, sys.executable)
    return InstalledProvider(copy, sys.executable, closed)


def is_trusted(library: Path) -> bool:
    """Whether the usual allow list of ssh-agent has a library, which it names without links."""
    return any(fnmatchcase(os.path.realpath(library), pattern) for pattern in ALLOW_LIST)


def trusted_provider() -> Path:
    """The copy that `install_provider` made where ssh-agent trusts it, else the library itself.

    Raises:
        As `provider_path`.
    """
    copy = INSTALL_FOLDER / FILES[provider_api()]
    return copy if copy.is_file() else provider_path()
