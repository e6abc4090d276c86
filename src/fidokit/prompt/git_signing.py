"""What git has signed: the commit or tag in the file that it hands to its signing program."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_READ: Final = 1 << 16
"""Bytes of a commit that are looked at; its subject comes soon."""

_LONGEST: Final = 72
_GENERATIONS: Final = 4
"""From a provider's process up to the ssh-keygen that git started: helper, keygen, a wrapper."""


def described(path: Path) -> str:
    """Words for what is in git's file, such as `signing the commit "Mend the parser"`.

    Returns "" if the file is neither a commit nor a tag, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_READ)
    except OSError:
        return ""
    header, _, message = data.partition(b"\n\n")
    fields = dict(line.partition(b" ")[::2] for line in reversed(header.split(b"\n")))
    subject = message.lstrip(b"\n").partition(b"\n")[0].decode("utf-8", "replace").strip()
    if b"tree" in fields and b"committer" in fields:
        return f'signing the commit "{_short(subject)}"' if subject else "signing a commit"
    if b"tag" in fields and b"object" in fields:
        return f'signing the tag "{_short(fields[b"tag"].decode("utf-8", "replace"))}"'
    return ""


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def described_by_callers(pid: int | None = None, proc: Path = Path("/proc")) -> str:
    """As `described`, for a process that some `PROGRAM -Y sign -n git ... FILE` started.

    Args:
        pid: whose ancestors are looked at; None for this process.
        proc: where the kernel tells of processes.

    Returns "" if no ancestor signs for git, or where the kernel does not tell.
    """
    here = os.getpid() if pid is None else pid
    try:
        for _ in range(_GENERATIONS):
            here = int((proc / str(here) / "stat").read_bytes().rpartition(b")")[2].split()[1])
            words = (proc / str(here) / "cmdline").read_bytes().split(b"\0")[:-1]
            if _signs_for_git(words):
                folder = proc / str(here) / "cwd"
                return described(folder / os.fsdecode(words[-1]))
    except (OSError, ValueError, IndexError):
        pass
    return ""


def _signs_for_git(words: Sequence[bytes]) -> bool:
    pairs = set(zip(words, words[1:]))  # noqa: B905, RUF007  Python 3.9
    return {(b"-Y", b"sign"), (b"-n", b"git")} <= pairs
