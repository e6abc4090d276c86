"""An account's authorized_keys on another machine, over the stock ssh."""

from __future__ import annotations

import secrets
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Final

from fidokit.errors import FidokitError, MalformedFile, NoPermission
from fidokit.server.authorize.lines import MAX_FILE, Change
from fidokit.server.authorize.over_ssh import scripts

COMMAND: Final = "exec sh"
"""What ssh runs there: whatever the account's shell is, it can do that."""

TRIES: Final = 5
"""How often a change is worked out again because somebody else was faster."""

LONGEST_S: Final = 600.0
"""Seconds after which a connection is ended, so that no host holds us for ever."""

_LONGEST_LINE: Final = 1 << 16
_LOOK: Final = "look at it with: ls -ld"


Facts = Mapping[str, Sequence[str]]
"""What the other machine says of itself, by word; hostile text."""


@contextmanager
def shell(ssh: Sequence[str]) -> Iterator[FarShell]:
    """A shell on another machine, for the `with` block: one connection, however much is asked.

    Args:
        ssh: the program, its options and the destination; a command is added.

    Raises:
        FidokitError: ssh is not installed.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  the user's own ssh
            [*ssh, COMMAND], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    except FileNotFoundError:
        raise FidokitError(f"{ssh[0]} is not installed", hint="install OpenSSH's client") from None
    assert process.stdin is not None  # noqa: S101  both are pipes
    assert process.stdout is not None  # noqa: S101
    made = FarShell(process.stdin, process.stdout, process)
    limit = threading.Timer(LONGEST_S, process.kill)
    limit.daemon = True
    limit.start()
    try:
        yield made
    finally:
        limit.cancel()
        made.close()


@dataclass
class FarShell:
    """A shell at the other end of a pipe."""

    to: IO[bytes]
    out: IO[bytes]
    process: subprocess.Popen[bytes]
    _path: str = ""
    _fixed: str = ""

    def edit(
        self,
        path: str,
        change: Callable[[bytes], Change],
        *,
        dry_run: bool = False,
        for_all: bool = False,
    ) -> Change:
        """Change a file there.

        It is replaced in one step, if nobody else changed it meanwhile; then the change is worked
        out anew.

        Args:
            path: as sshd's AuthorizedKeysFile has it.
            change: gets the text and gives what is to become of it.
            dry_run: find out and write nothing.
            for_all: a new file, or one of root's, is made readable for everybody, as sshd needs it
                where root keeps the keys of others.

        Raises:
            NoPermission: the file cannot be used there; says why.
            FidokitError: ssh did not get through, or broke off; the file is the old one or the new
                one.
        """
        for _ in range(TRIES):
            made = change(self.read(path))
            if dry_run or made.is_empty or self.write(made.after, for_all=for_all):
                return made
        raise FidokitError(
            "another program keeps changing that file", hint="nothing was changed; try again"
        )

    def facts(self) -> Facts:
        """Who one is there, and what serves logins."""
        return self._asked(scripts.facts_script())

    def settings(self, program: str, arguments: Sequence[str], spec: str) -> Facts:
        """What `sshd -T` prints there: `status`, `said` (a line each) and `version`.

        Args:
            program: the server's path; empty to look for it.
            arguments: those that it was started with.
            spec: the conditions for -C.
        """
        return self._asked(scripts.settings_script(program, arguments, spec))

    def _asked(self, script: bytes) -> Facts:
        end = _end_mark()
        self._send(script.replace(b"@END@", end.encode()))
        self._hello()
        found: dict[str, list[str]] = {}
        for line in self._until(end.encode()).split(b"\n"):
            word, _, value = line.decode("utf-8", "surrogateescape").partition(" ")
            found.setdefault(word, []).append(value)
        return found

    def read(self, path: str) -> bytes:
        """A file there; empty if there is none.

        Raises:
            NoPermission: it cannot be used; says why.
        """
        end = _end_mark()
        self._send(scripts.read_script(path, end))
        self._hello()
        wrong, self._fixed, _sum = (self._line() for _ in range(3))
        text = self._until(end.encode())
        if wrong:
            raise NoPermission(f"{path} there {wrong}", hint=_LOOK)
        self._path = path
        return text

    def _hello(self) -> None:
        """Pass over what the account's start-up files print."""
        for _ in range(1000):
            if self._line() == scripts.HELLO:
                return
        raise MalformedFile("the shell there does not answer", hint="log in and check: ssh DEST")

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

    def write(self, text: bytes, *, for_all: bool = False) -> bool:
        """Put the text in place of the file that was read last; false where that has changed."""
        if self._fixed:
            raise NoPermission(f"{self._path} there {self._fixed}", hint=_LOOK)
        self._send(scripts.write_script(len(text), for_all=for_all))
        if self._line() != scripts.READY:
            raise self._broken()
        self._send(text)
        answer = self._line()
        if answer.startswith(scripts.FAILED):
            why = answer.removeprefix(scripts.FAILED).strip()
            raise NoPermission(f"the file there {why}", hint="nothing was changed")
        return answer == scripts.DONE

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
            hint="see what ssh printed above; `ssh DEST true` must work",
        )

    def close(self) -> None:
        """Hang up, and wait for ssh to end."""
        for pipe in (self.to, self.out):
            with suppress(OSError):
                pipe.close()
        self.process.wait()


def _end_mark() -> str:
    """A line that is in no file."""
    return f"fidokit-end-{secrets.token_hex(16)}"
