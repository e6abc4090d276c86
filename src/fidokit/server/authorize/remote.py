"""An account's authorized_keys on another machine, over the stock ssh."""

from __future__ import annotations

import secrets
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Final

from fidokit.errors import FidokitError, MalformedFile, NoPermission
from fidokit.server.authorize.lines import MAX_FILE, Change

COMMAND: Final = "exec sh"
"""What ssh runs there: whatever the account's shell is, it can do that."""

TRIES: Final = 5
"""How often a change is worked out again because somebody else was faster."""

_LONGEST_LINE: Final = 1 << 16


@dataclass(frozen=True)
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
        self._send(read_script(path, end))
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
            if self._line() == HELLO:
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
        self._send(write_script(len(text)))
        if self._line() != READY:
            raise self._broken()
        self._send(text)
        answer = self._line()
        if answer.startswith(FAILED):
            why = answer.removeprefix(FAILED).strip()
            raise NoPermission(f"the file there {why}", hint="nothing was changed")
        return answer == DONE

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


# --- the shell's side --------------------------------------------------------------------


HELLO: Final = "fidokit-remote-1"
READY: Final = "ready"
DONE: Final = "done"
CHANGED: Final = "changed"
FAILED: Final = "failed"

_READ: Final = """\
fidokit_read() {
    umask 077
    LC_ALL=C; export LC_ALL
    PATH=$PATH:/usr/sbin:/sbin; export PATH
    file=@FILE@
    case $file in /*) ;; *) file=$HOME/$file ;; esac
    links=0
    while [ -h "$file" ] && [ $links -lt 20 ]; do
        link=$(ls -ld "$file"); link=${link#* -> }
        case $link in /*) file=$link ;; *) file=${file%/*}/$link ;; esac
        links=$((links + 1))
    done
    folder=${file%/*}
    wrong=
    if [ -h "$file" ]; then wrong='is a symbolic link that leads nowhere'
    elif [ -e "$file" ] && [ ! -f "$file" ]; then wrong='is no regular file'
    elif [ -e "$file" ] && [ ! -r "$file" ]; then wrong='may not be read'
    elif [ -e "$file" ] && [ ! -w "$file" ]; then wrong='may not be written to'
    elif [ -e "$folder" ] && [ ! -w "$folder" ]; then
        wrong='is in a folder that may not be written to'
    fi
    sum=none
    [ -n "$wrong" ] || [ ! -f "$file" ] || sum=$(cksum <"$file")
    printf '%s\\n' '@HELLO@' "$wrong" "$sum" "$(ssh -V 2>&1 | head -n 1)"
    sshd -T 2>/dev/null | grep -i '^pubkeyacceptedalgorithms '
    printf '\\n'
    [ "$sum" = none ] || cat "$file"
    printf '%s\\n' '@END@'
}
fidokit_read
"""

_WRITE: Final = """\
fidokit_put() {
    if [ "$sum" != none ]; then
        [ "$(cksum <"$file" 2>/dev/null)" = "$sum" ] || { echo @CHANGED@; return; }
        cp -p "$file" "$new.mode" && chmod go-w "$new.mode" &&
            cat "$new" >"$new.mode" && mv -f "$new.mode" "$new"
    elif [ -e "$file" ]; then echo @CHANGED@; return
    fi
    if mv -f "$new" "$file"; then echo @DONE@; else echo '@FAILED@ cannot be replaced'; fi
}
fidokit_write() {
    if [ ! -d "$folder" ]; then mkdir "$folder" && chmod 700 "$folder"; fi
    new=$file.fidokit.$$
    trap 'rm -f "$new" "$new.mode"; rmdir "$lock" 2>/dev/null' 0
    trap 'exit 1' 1 2 15
    lock=
    echo @READY@
    { head -c @SIZE@ 2>/dev/null || dd bs=1 count=@SIZE@ 2>/dev/null; } >"$new"
    if [ "$(($(wc -c <"$new")))" -ne @SIZE@ ]; then
        echo '@FAILED@ cannot be written: is the disk full?'
    elif command -v flock >/dev/null 2>&1; then
        ( flock 9; fidokit_put ) 9<"$folder"
    else
        tries=0
        until mkdir "$file.lock" 2>/dev/null || [ $tries -ge 10 ]; do
            sleep 1
            tries=$((tries + 1))
        done
        lock=$file.lock
        fidokit_put
        rmdir "$lock"
    fi
    rm -f "$new"
    command -v restorecon >/dev/null 2>&1 && restorecon -F "$folder" "$file" 2>/dev/null
    :
}
fidokit_write
"""


def read_script(path: str, end: str) -> bytes:
    """The script that sends a file.

    Args:
        path: as sshd_config's AuthorizedKeysFile: absolute, or below the home folder.
        end: a line that is in no file: it says where the text ends.
    """
    return _filled(_READ, FILE=shlex.quote(path), HELLO=HELLO, END=end)


def write_script(size: int) -> bytes:
    """The script that takes `size` bytes once it has said READY, and puts them in place.

    It answers DONE, CHANGED (the file is not what was read; nothing was done) or FAILED and why.
    """
    return _filled(_WRITE, SIZE=str(size), READY=READY, DONE=DONE, CHANGED=CHANGED, FAILED=FAILED)


def _filled(script: str, **values: str) -> bytes:
    for name, value in values.items():
        script = script.replace(f"@{name}@", value)
    return script.encode()
