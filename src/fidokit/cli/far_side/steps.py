"""What runs on a host whose steps are carried out: the program that traveled there (Python 3.9).

Its first frame tells what became of the steps. Then it waits: only the word `keep` makes them last.
If another word comes, the connection ends or the time is up, everything is taken back; so a step
that shut out whoever asked for it does not outlive the connection. The second frame tells how that
went.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fidokit.cli.far_side.audit import write_frame
from fidokit.server.host_steps import KEEP, ChangedFile, HostStep, StepKind, carry_out, take_back

_LONGEST_WORD: Final = 64


class _Asker:
    """Whoever asked, at the other end of standard input."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._heard = threading.Event()
        self._word = ""
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def gone(self) -> bool:
        """Whether an answer would come too late: something was heard already, or time is up."""
        return self._heard.is_set() or time.monotonic() > self._until

    def word(self) -> str:
        """What is asked next; empty if the connection ended, or the time is up."""
        self._heard.wait(max(0.0, self._until - time.monotonic()))
        return self._word

    def _listen(self) -> None:
        said = b""
        while not said.endswith(b"\n") and len(said) < _LONGEST_WORD:
            piece = os.read(0, 1)
            if not piece:
                break
            said += piece
        self._word = said.decode("ascii", "replace").strip() if said.endswith(b"\n") else ""
        self._heard.set()


def main(request: str) -> None:
    """Carry out steps, or take back files.

    Args:
        request: JSON with `nonce`, `seconds`, and either `steps` (members of `HostStep`) or
            `files` (as the first frame tells them).
    """
    asked = json.loads(request)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)  # half of a plan is worse than either end of it
    if "files" in asked:
        _tell(asked["nonce"], {"problems": take_back([_file(one) for one in asked["files"]])})
        return
    asker = _Asker(asked["seconds"])
    files = _carried_out(asked["nonce"], asker, [_step(one) for one in asked["steps"]])
    kept = files is not None and asker.word() == KEEP
    problems = [] if kept else take_back(files or ())
    _tell(asked["nonce"], {"kept": kept, "problems": problems})


def _carried_out(
    nonce: str, asker: _Asker, steps: Sequence[HostStep]
) -> Sequence[ChangedFile] | None:
    """Carry out steps and tell what became of them.

    Returns:
        The changed files; None if a step failed, and all is as it was.
    """
    outcomes = []
    files: list[ChangedFile] = []
    for done in carry_out(steps):
        outcomes.append(done)
        files += done.files
        if asker.gone:
            break
    failed = len(outcomes) < len(steps) or any(one.problem for one in outcomes)
    problems = take_back(files) if failed else []
    document = {
        "problems": [one.problem for one in outcomes],
        "restored": problems,
        "files": [] if failed else [_members(one) for one in files],
    }
    _tell(nonce, document)
    return None if failed else files


def _tell(nonce: str, document: Mapping[str, Any]) -> None:
    try:
        write_frame(nonce, "document", json.dumps(document))
    except OSError:  # whoever asked is gone, which changes nothing about the rest
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  nor does its last flush


# --- values as JSON --------------------------------------------------------------------------


def _step(members: Mapping[str, Any]) -> HostStep:
    return HostStep(**{**members, "kind": StepKind(members["kind"])})


def _file(members: Mapping[str, Any]) -> ChangedFile:
    return ChangedFile(
        members["path"],
        members["account"],
        _bytes(members["before"]),
        _bytes(members["after"]),
    )


def _members(file: ChangedFile) -> dict[str, str | None]:
    return {
        "path": file.path,
        "account": file.account,
        "before": _text(file.before),
        "after": _text(file.after),
    }


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)


def _text(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()
