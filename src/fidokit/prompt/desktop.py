"""Notices on the desktop, for a user whom no terminal reaches."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


def has_session(environ: Mapping[str, str]) -> bool:
    """Whether there is a session bus, by which a notification server is reached."""
    folder = environ.get("XDG_RUNTIME_DIR")
    return bool(environ.get("DBUS_SESSION_BUS_ADDRESS")) or bool(
        folder and (Path(folder) / "bus").is_socket()
    )


def notify(title: str, text: str) -> bool:
    """Show a notice by notify-send; false if there is no such program.

    Args:
        title, text: whatever they hold is made harmless; servers read a little HTML in the text.
    """
    program = shutil.which("notify-send")
    if program is None:
        return False
    options = ("--app-name=fidokit", "--expire-time=15000", "--")
    spawn([program, *options, clean(title), _markup_free(text)])
    return True


def clean(text: str) -> str:
    """Text of clients and tokens, harmless in an environment and on a line."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _markup_free(text: str) -> str:
    lines = [clean(line) for line in text.split("\n")]
    return "\n".join(lines).replace("&", "&amp;").replace("<", "&lt;")


def spawn(command: Sequence[str], **variables: str) -> None:
    """Run a program and do not wait for it; that it cannot be run spoils nothing."""
    with suppress(OSError, ValueError):
        child = subprocess.Popen(  # noqa: S603  the owner's own command, without a shell
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **variables},
            start_new_session=True,
        )
        threading.Thread(target=child.wait, daemon=True).start()  # or it stays as a zombie
