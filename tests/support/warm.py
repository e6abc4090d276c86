"""Processes of the command that start at once: forks of one that has imported what it imports.

Most of the time of a short command goes into importing, hundreds of times in a run of the tests.
Here one process imports, once. Asked for a command, it forks, and the fork does what the
interpreter does for `python -m fidokit`: it is a process with its own session, terminal, streams,
environment and folder, gets signals, and ends as the interpreter ends.

This file runs as a program, below `Warm`. Import nothing of the tests here.
"""

from __future__ import annotations

import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRELOADED = """
asyncio csv difflib email.message getpass http.client importlib.metadata json locale logging
sqlite3 tomllib uuid
bcrypt click.shell_completion
cryptography.hazmat.primitives.asymmetric.ec cryptography.hazmat.primitives.asymmetric.ed25519
cryptography.hazmat.primitives.asymmetric.rsa cryptography.hazmat.primitives.ciphers.aead
cryptography.hazmat.primitives.serialization.ssh cryptography.x509
fido2.client fido2.ctap2 fido2.hid pyotp segno
rich.console rich.markup rich.progress rich.prompt rich.table rich.text
"""
"""What commands import of others."""
_NUMBER = struct.Struct("=i")
_LONGEST = 1 << 20
_KEPT = ("PYTHON", "LC_", "LANG")
"""How variables begin that the interpreter reads once, at its start."""


def kept(env: Mapping[str, str]) -> dict[str, str]:
    """What of an environment cannot be changed after the start."""
    return {name: value for name, value in env.items() if name.startswith(_KEPT)}


@dataclass(frozen=True)
class Child:
    """A command that was started."""

    pid: int
    report: int

    def wait(self, seconds: float) -> int:
        """Its exit code, as subprocess has it."""
        try:
            if not select.select([self.report], [], [], seconds)[0]:
                os.kill(self.pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired("fidokit", seconds)
            return os.waitstatus_to_exitcode(_receive_number(self.report))
        finally:
            os.close(self.report)


class Warm:
    """The process that forks, seen from the tests.

    Args:
        process: runs this file; its standard input is the other end of `channel`.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        from tests.support.children import popen

        self.kept = kept(env)
        self.user = os.geteuid()
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = popen(
                [sys.executable, __file__], stdin=theirs, env=dict(env), start_new_session=True
            )

    def suits(self, env: Mapping[str, str]) -> bool:
        """Whether a command with this environment may be a fork of it."""
        return self.kept == kept(env) and self.user == os.geteuid()

    def start(
        self,
        args: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        streams: Sequence[int],
        *,
        terminal: bool = False,
    ) -> Child:
        """Start `fidokit ARGS` with three descriptors as its standard streams."""
        umask = os.umask(0)
        os.umask(umask)
        told = {"args": args, "env": env, "cwd": str(cwd), "umask": umask, "terminal": terminal}
        report, theirs = os.pipe()
        try:
            socket.send_fds(self.channel, [json.dumps(told).encode()], [*streams, theirs])
        finally:
            os.close(theirs)
        return Child(_receive_number(report), report)

    def close(self) -> None:
        self.channel.close()
        self.process.wait()


def _receive_number(source: int) -> int:
    data = os.read(source, _NUMBER.size)
    assert data, "the process that forks commands is gone"
    number: int = _NUMBER.unpack(data)[0]
    return number


# --- in the process that forks -------------------------------------------------------------


def _preload() -> None:
    for name in PRELOADED.split():
        with suppress(ModuleNotFoundError):  # some are of extras
            importlib.import_module(name)
    fidokit = importlib.import_module("fidokit")
    for found in pkgutil.walk_packages(fidokit.__path__, "fidokit."):
        if found.name.rpartition(".")[2] != "__main__":
            with suppress(ImportError):
                importlib.import_module(found.name)


def _serve(channel: socket.socket) -> None:
    """Fork for each request; returns only in a process that is to be the command."""
    running: dict[int, tuple[int, int]] = {}
    while True:
        for ready in select.select([channel.fileno(), *running], [], [])[0]:
            if ready in running:
                _tell_end(ready, *running.pop(ready))
                continue
            data, streams, _, _ = socket.recv_fds(channel, _LONGEST, 4)
            if not data:
                os._exit(0)
            *standard, report = streams
            if not (command := os.fork()):
                for number in (report, *running, *(report for _, report in running.values())):
                    os.close(number)
                channel.close()
                _become(json.loads(data), standard)
                return
            for number in standard:
                os.close(number)
            os.write(report, _NUMBER.pack(command))
            running[os.pidfd_open(command)] = command, report


def _tell_end(ended: int, command: int, report: int) -> None:
    os.close(ended)
    _, status = os.waitpid(command, 0)
    with suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(report, _NUMBER.pack(status))
    os.close(report)


def _become(told: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Take over everything that a process is started with."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    if told["terminal"]:
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
    os.chdir(told["cwd"])
    os.umask(told["umask"])
    os.environ.clear()
    os.environ.update(told["env"])
    time.tzset()
    sys.path[0] = told["cwd"]
    sys.argv[:] = ["fidokit", *told["args"]]
    sys.stdin = sys.__stdin__ = _text(0, "<stdin>", "r", "surrogateescape")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _text(1, "<stdout>", "w", "surrogateescape")  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _text(2, "<stderr>", "w", "backslashreplace")  # type: ignore[misc]


def _text(number: int, name: str, mode: str, errors: str) -> io.TextIOWrapper:
    """A standard stream, as the interpreter opens it in the locale C.UTF-8."""
    binary: Any = open(number, f"{mode}b", closefd=False)  # noqa: SIM115
    binary.raw.name = name
    line = mode == "w" and (number == 2 or os.isatty(number))
    newline = "\n" if mode == "w" else None
    text = io.TextIOWrapper(binary, "utf-8", errors, newline, line_buffering=line)
    text.mode = mode  # type: ignore[misc]
    return text


if __name__ == "__main__":
    _preload()
    gc.collect()
    gc.freeze()
    _serve(socket.socket(fileno=os.dup(0)))
    runpy.run_module("fidokit", run_name="__main__", alter_sys=True)
