"""An account's authorized_keys on another machine, over the stock ssh."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Final

from fidokit.errors import FidokitError, MalformedFile, NoPermission
from fidokit.server.authorize import remote_script
from fidokit.server.authorize.lines import MAX_FILE, Change

COMMAND: Final = "exec sh"
"""What ssh runs there: whatever the account's shell is, it can do that."""

TRIES: Final = 5
"""How often a change is worked out again because somebody else was faster."""

_LONGEST_LINE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What the other machine said.

    Attributes:
        text: the file; empty where there is none.
        openssh: what `ssh -V` says there; hostile text.
        algorithms: PubkeyAcceptedAlgorithms, where the account may ask sshd; else empty.
    """

    text: bytes
    openssh: str = ""
    algorithms: tuple[str, ...] = ()


def edit(
    ssh: Sequence[str],
    path: str,
    change: Callable[[bytes], Change],
    *,
    dry_run: bool = False,
) -> tuple[Change, RemoteFile]:
    """Change a file there.

    It is replaced in one step, if nobody else changed it meanwhile; then the change is worked out
    anew.

    Args:
        ssh: the program, its options and the destination; a command is added.
        path: as sshd's AuthorizedKeysFile has it.
        change: gets the text and gives what is to become of it.
        dry_run: find out and write nothing.

    Raises:
        NoPermission: the file cannot be used there; says why.
        FidokitError: ssh did not get through, or broke off; the file is the old one or the new one.
    """
    with _shell(ssh) as shell:
        for _ in range(TRIES):
            found = shell.read(path)
            made = change(found.text)
            if dry_run or made.is_empty or shell.write(made.after):
                return made, found
    raise FidokitError(
        "somebody else keeps changing that file", hint="nothing was changed; try again"
    )


@contextmanager
def _shell(ssh: Sequence[str]) -> Iterator[_Shell]:
    try:
        process = subprocess.Popen(  # noqa: S603  the user's own ssh
            [*ssh, COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    except FileNotFoundError:
        raise FidokitError(f"{ssh[0]} is not installed", hint="install OpenSSH's client") from None
    assert process.stdin is not None  # noqa: S101  both are pipes
    assert process.stdout is not None  # noqa: S101
    shell = _Shell(process.stdin, process.stdout, process)
    try:
        yield shell
    finally:
        shell.close()


@dataclass
class _Shell:
    """A shell at the other end of a pipe."""

    to: IO[bytes]
    out: IO[bytes]
    process: subprocess.Popen[bytes]

    def read(self, path: str) -> RemoteFile:
        """The file, and what is known of the machine."""
        end = f"fidokit-end-{secrets.token_hex(16)}"
        self._send(remote_script.read_script(path, end))
        self._hello()
        wrong, _sum, openssh = (self._line() for _ in range(3))
        algorithms = self._algorithms()
        text = self._until(end.encode())
        if wrong:
            raise NoPermission(f"{path} there {wrong}", hint="look at it with: ls -ld")
        return RemoteFile(text, openssh, algorithms)

    def _hello(self) -> None:
        """Pass over what the account's start-up files print."""
        for _ in range(1000):
            if self._line() == remote_script.HELLO:
                return
        raise MalformedFile("the shell there does not answer", hint="log in and look: ssh DEST")

    def _algorithms(self) -> tuple[str, ...]:
        found: tuple[str, ...] = ()
        while line := self._line():
            found = tuple(line.partition(" ")[2].split(","))
        return found

    def _until(self, end: bytes) -> bytes:
        kept = bytearray()
        while not kept.endswith(end + b"\n"):
            line = self.out.readline(_LONGEST_LINE)
            if not line:
                raise self._broken()
            kept += line
            if len(kept) > MAX_FILE:
                raise MalformedFile(f"that file is larger than {MAX_FILE} bytes")
        return bytes(kept[: -len(end) - 1])

    def write(self, text: bytes) -> bool:
        """Put the text in place; false where the file has changed since it was read."""
        self._send(remote_script.write_script(len(text)))
        if self._line() != remote_script.READY:
            raise self._broken()
        self._send(text)
        answer = self._line()
        if answer.startswith(remote_script.FAILED):
            why = answer.removeprefix(remote_script.FAILED).strip()
            raise NoPermission(f"the file there {why}", hint="nothing was changed")
        return answer == remote_script.DONE

    def _send(self, data: bytes) -> None:
        try:
            self.to.write(data)
            self.to.flush()
        except OSError:
            raise self._broken() from None

    def _line(self) -> str:
        line = self.out.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise self._broken()
        return line[:-1].decode("utf-8", "backslashreplace")

    def _broken(self) -> FidokitError:
        self.close()
        return FidokitError(
            f"ssh ended (status {self.process.returncode}) before the keys were in place",
            hint="see what it said above; `ssh DEST true` must work",
        )

    def close(self) -> None:
        """Hang up, and wait for ssh to end."""
        for pipe in (self.to, self.out):
            with suppress(OSError):
                pipe.close()
        self.process.wait()
