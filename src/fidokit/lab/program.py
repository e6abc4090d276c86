"""A program, and those that it starts, for whom virtual tokens are USB keys: no root, no kernel.

A library is preloaded into them (hidraw_nodes.c); it shows the tokens as hidraw nodes.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from fidokit.errors import FidokitError, Unsupported, UsageError
from fidokit.files.c_library import ready
from fidokit.lab.bay import Bay, Plug
from fidokit.lab.control import VARIABLE, ControlSocket
from fidokit.lab.repeatable import World
from fidokit.system.foreground import run_command
from fidokit.system.host import Host
from fidokit.virtual.framing.usb_descriptors import UsbIdentity
from fidokit.virtual.transports.hidraw_nodes import FIRST_NUMBER, HidrawNodes
from fidokit.virtual.transports.reports import HidToken

if TYPE_CHECKING:
    from fidokit.virtual.token import VirtualToken


class ShownToken(HidToken, Protocol):
    """A token that can be shown."""

    @property
    def serial(self) -> str:
        """What it is called on USB."""
        ...


LIBRARY: Final = "fidokit_hidraw_nodes.so"
ELSEWHERE: Final = (
    "serve the token another way: fidokit virtual serve NAME --uhid (root), or give the program "
    "fidokit's provider library"
)
_ELF: Final = b"\x7fELF"
_INTERPRETER: Final = 3
"""PT_INTERP: the program is dynamically linked (elf(5))."""

_MOST_HEADERS: Final = 256


def library(environ: Mapping[str, str] = os.environ) -> Path:
    """The library, compiled if need be.

    Args:
        environ: the environment variables; `XDG_DATA_HOME` says where it is kept.

    Raises:
        Unsupported: no C compiler is here, or it refuses.
        NoPermission, FidokitError: the disk refused.
    """
    source = Path(__file__).with_name("hidraw_nodes.c")
    return ready(source, LIBRARY, Host(environ=environ).data_folder)


@contextmanager
def plugged_in(
    tokens: Sequence[ShownToken], environ: Mapping[str, str] = os.environ
) -> Iterator[dict[str, str]]:
    """The environment in which programs see tokens as USB keys, until the block ends.

    Args:
        tokens: powered virtual tokens; the first is /dev/hidraw90, and so on.
        environ: the environment variables to start from.

    Raises:
        Unsupported: the library cannot be compiled, or this system lacks something.
    """
    with _folder() as folder, ExitStack() as stack:
        for at, token in enumerate(tokens):
            stack.enter_context(_shown(folder, at, token))
        yield _variables(folder, environ)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fidokit-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _variables(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which programs look for nodes in a folder."""
    loaded = f"{library(environ)}:{environ.get('LD_PRELOAD', '')}".rstrip(":")
    return {**environ, "LD_PRELOAD": loaded, "FIDOKIT_NODES": str(folder)}


@contextmanager
def _shown(folder: Path, at: int, token: ShownToken) -> Iterator[None]:
    """One token's node, until the block ends."""
    identity = replace(UsbIdentity(), serial=token.serial)
    nodes = HidrawNodes(folder, [(token, identity)], FIRST_NUMBER + at)
    try:
        yield
    finally:
        nodes.close()


def throw_away(
    *,
    profile: str | None = None,
    model: str | None = None,
    quirks: Sequence[str] = (),
    presence: str | None = None,
    world: World | None = None,
) -> VirtualToken:
    """A virtual token in memory; what is None is as `create_virtual` has it.

    Raises:
        UsageError: a bad profile, model, policy or quirk; Unsupported: no metadata is installed.
    """
    from fidokit.virtual.token import VirtualToken

    clock, rng = world or World()
    return VirtualToken(
        profile=profile, model=model, quirks=quirks, presence=presence, clock=clock, rng=rng
    )


class ProgramToken(NamedTuple):
    """One token of a program.

    Args:
        name: for messages: `virtual:NAME`, or what it is.
        plug: gives it power.
        control: where its control socket is to be; None for a place of its own.
    """

    name: str
    plug: Plug
    control: Path | None = None


def run_program(
    command: Sequence[str],
    tokens: Sequence[ProgramToken],
    seen: Callable[[list[str]], None] = lambda _: None,
) -> int:
    """Run a program for which virtual tokens are USB keys, to its end.

    By FIDOKIT_CONTROL it finds the control socket of the first one.

    Args:
        command: the program and its words.
        tokens: in their order.
        seen: told before the program starts by which paths it sees the tokens.

    Returns:
        Its exit status; 128 and the signal's number where a signal ended it.

    Raises:
        UsageError: there is no such program.
        Unsupported: the program cannot be reached, or the library cannot be compiled.
    """
    require_reachable(command[0])
    environ: dict[str, str] = {}
    with _folder() as folder, ExitStack() as stack:
        for at, (name, plug, control) in enumerate(tokens):
            bay = stack.enter_context(Bay(name, plug, partial(_shown, folder, at)))
            path = control or folder / f"control{at}"
            stack.enter_context(ControlSocket(bay, path))
            if at == 0:
                environ[VARIABLE] = str(path)
        environ = _variables(folder, os.environ) | environ
        seen([f"/dev/hidraw{FIRST_NUMBER + at}" for at in range(len(tokens))])
        try:
            return run_command(command, environ)
        except OSError as error:
            raise FidokitError(f"{command[0]} cannot be started: {error.strerror}") from None


def require_reachable(program: str) -> None:
    """Refuse programs into which the system preloads nothing.

    Raises:
        UsageError: there is no such program.
        Unsupported: it is statically linked, or changes its user or group (setuid, setgid).
    """
    found = shutil.which(program)
    if found is None:
        raise UsageError(f"there is no program {program!r}", hint="give its path")
    with suppress(OSError), Path(found).open("rb") as file:
        if _changes_rights(os.fstat(file.fileno())):
            raise Unsupported(
                f"{found} runs as another user or group, and the system preloads nothing into "
                "such programs",
                hint=f"run a copy of it, or {ELSEWHERE}",
            )
        if _is_static(file.read(1 << 12)):
            raise Unsupported(
                f"{found} is statically linked: nothing can be preloaded into it", hint=ELSEWHERE
            )


def _changes_rights(found: os.stat_result) -> bool:
    """Whether the system runs it in secure-execution mode (ld.so(8))."""
    user = found.st_mode & stat.S_ISUID and found.st_uid != os.geteuid()
    group = found.st_mode & stat.S_ISGID and found.st_gid != os.getegid()
    return bool(user or group)


def _is_static(head: bytes) -> bool:
    """Whether this is the beginning of an ELF program without an interpreter, of this machine."""
    try:
        if not head.startswith(_ELF) or head[4] != 2:
            return False
        order = "<" if head[5] == 1 else ">"
        (at,) = struct.unpack_from(f"{order}Q", head, 32)
        size, count = struct.unpack_from(f"{order}HH", head, 54)
        kinds = [
            struct.unpack_from(f"{order}I", head, at + size * one)[0]
            for one in range(min(count, _MOST_HEADERS))
        ]
    except (struct.error, IndexError):
        return False
    return bool(kinds) and _INTERPRETER not in kinds
