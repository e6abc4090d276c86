"""What AuthorizedKeysCommand and AuthorizedPrincipalsCommand print, run as sshd runs them.

Source: sshd_config(5), TOKENS; what sshd does: the command must be safe (root's, and nobody else
may write to it or to a folder above it), runs as its own user without a shell, with a small
environment, and counts only if it ends with status 0.
"""

from __future__ import annotations

import errno
import os
import pwd
import re
import signal
import stat
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.server.accounts import Account
from fidokit.server.sshd.query import LoginOrigin
from fidokit.server.sshd.settings import SshdSettings

TIMEOUT_S: Final = 15.0
MAX_OUTPUT: Final = 1 << 20
_PATH: Final = "/usr/bin:/bin:/usr/sbin:/sbin"
_TOKEN: Final = re.compile(r"%(.)")
_NEVER_RUN: Final = frozenset({errno.EACCES, errno.ENOENT, errno.ENOEXEC})
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Printed:
    """What a command printed for a user.

    Attributes:
        shown: the command line, tokens expanded; hostile text.
        text: what it printed.
        doubt: why that may not be all that sshd sees; empty if it is.
    """

    shown: str
    text: bytes = b""
    doubt: str = ""


def run_command(
    keyword: str, account: Account, settings: SshdSettings, origin: LoginOrigin
) -> Printed | None:
    """Run the command of a keyword for a user, root alone; None if none is set.

    Args:
        keyword: `AuthorizedKeysCommand` or `AuthorizedPrincipalsCommand`.
        account: whose keys.
        settings: effective for the user.
        origin: where the login comes from.
    """
    line = settings.first(keyword, "none")
    if line.lower() == "none" or not line:
        return None
    words = split_words(line)
    if words and not words[1:]:
        words = [*words, "%u"]  # sshd's old behavior
    expanded = [_expanded(word, account, origin) for word in words[1:]]
    runner = settings.first(f"{keyword}User", "none").replace("%u", account.name)
    obstacle = _obstacle(keyword, line, words, expanded, runner)
    if obstacle:
        return Printed(line, doubt=obstacle)
    command = [words[0], *(word or "" for word in expanded)]
    return _run(keyword, " ".join(command), command, pwd.getpwnam(runner))


def _obstacle(
    keyword: str, line: str, words: list[str], expanded: list[str | None], runner: str
) -> str:
    """Why a command cannot be run here as sshd would; empty if it can."""
    if not words:
        return f"{keyword} ({line}) has quotes that do not match"
    if any(word is None for word in expanded):
        return f"{keyword} ({line}) is given each key, so what it lets in cannot be listed"
    if os.geteuid() != 0:
        return f"only root can run {keyword} ({line}); repeat it with sudo"
    if problem := unsafe(Path(words[0])):
        return f"{keyword} ({line}): {problem}, so it is not run here"
    try:
        pwd.getpwnam(runner)
    except KeyError:
        return f"{keyword}User {runner} does not exist"
    return ""


def _expanded(word: str, account: Account, origin: LoginOrigin) -> str | None:
    """A word with its tokens expanded; None if one of them stands for the key that is offered."""
    known: Mapping[str, str] = {
        "%": "%",
        "u": account.name,
        "U": str(account.uid),
        "h": str(account.home),
        "C": f"{origin.laddr} {origin.lport} {origin.addr} 65535",
        "D": origin.rdomain,
    }
    if any(token not in known for token in _TOKEN.findall(word)):
        return None
    return _TOKEN.sub(lambda match: known[match[1]], word)


def split_words(line: str) -> list[str]:
    r"""A command line as sshd splits it: quotes of both kinds, `\` before a quote, `\` or blank.

    Empty if a quote is not closed. Source: what sshd does (argv_split).
    """
    words: list[str] = []
    word, quote, at = None, "", 0
    while at < len(line):
        sign, after = line[at], line[at + 1 : at + 2]
        if sign == "\\" and after and (after in "\"'\\" or (not quote and after == " ")):
            word, at = (word or "") + after, at + 1
        elif quote:
            word, quote = ((word or "") + sign, quote) if sign != quote else (word or "", "")
        elif sign in "\"'":
            word, quote = word or "", sign
        elif sign in " \t":
            words, word = (words, None) if word is None else ([*words, word], None)
        else:
            word = (word or "") + sign
        at += 1
    if quote:
        return []
    return words if word is None else [*words, word]


def unsafe(path: Path) -> str:
    """Why sshd does not run a program; empty if it does."""
    if not path.is_absolute():
        return f"{path} is not an absolute path"
    try:
        real = Path(os.path.realpath(path))
        places = [(place, place.stat()) for place in (real, *real.parents)]
    except OSError as error:
        return f"{path} cannot be checked: {os.strerror(error.errno or 0)}"
    if not stat.S_ISREG(places[0][1].st_mode):
        return f"{path} is not a regular file"
    for place, found in places:
        if found.st_uid != 0 or found.st_mode & _OTHERS_WRITE:
            return f"users other than root can write to {place}"
    return ""


def _run(keyword: str, shown: str, words: list[str], runner: pwd.struct_passwd) -> Printed:
    environment = {
        "PATH": _PATH,
        "USER": runner.pw_name,
        "LOGNAME": runner.pw_name,
        "HOME": runner.pw_dir,
    }
    try:
        process = subprocess.Popen(  # noqa: S603  sshd's own configuration names it
            words,
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            user=runner.pw_uid,
            group=runner.pw_gid,
            extra_groups=os.getgrouplist(runner.pw_name, runner.pw_gid),
            start_new_session=True,
        )
    except OSError as error:
        if error.errno in _NEVER_RUN:
            return Printed(shown)  # sshd cannot run it either, and finds no key
        why = os.strerror(error.errno or 0)
        return Printed(shown, doubt=f"{keyword} ({shown}) cannot be run: {why}")
    text, doubt = _output(process)
    if doubt:
        return Printed(shown, text, f"{keyword} ({shown}) {doubt}")
    if process.returncode != 0 and text:
        status = process.returncode
        return Printed(
            shown, text, f"{keyword} ({shown}) ends with status {status}: sshd may ignore it"
        )
    return Printed(shown, text)


def _output(process: subprocess.Popen[bytes]) -> tuple[bytes, str]:
    """What a process prints in a bounded time and size, and what was wrong with that."""
    import selectors
    import time

    assert process.stdout is not None  # noqa: S101  it is a pipe
    until, parts, size = time.monotonic() + TIMEOUT_S, [], 0
    doubt = ""
    with process.stdout, selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while not doubt:
            if not ready.select(max(0.0, until - time.monotonic())):
                doubt = f"does not end within {TIMEOUT_S:.0f} seconds"
                break
            part = os.read(process.stdout.fileno(), 1 << 16)
            if not part:
                break
            parts.append(part)
            size += len(part)
            if size > MAX_OUTPUT:
                doubt = "prints more than a megabyte"
    try:
        process.wait(0 if doubt else max(0.1, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        doubt = doubt or f"does not end within {TIMEOUT_S:.0f} seconds"
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return b"".join(parts)[:MAX_OUTPUT], doubt
