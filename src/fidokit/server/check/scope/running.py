"""Whether a running sshd still follows the files that are on disk.

sshd reads its configuration when it starts, and again at SIGHUP, when it also writes its PidFile
anew. What was changed since counts only from the next reload on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from fidokit.server.sshd.instances import SshdInstance
from fidokit.server.sshd.settings import SshdSettings

_TICK_S: Final = 0.01
"""How exactly the start of a process is known, and how far the clock of files may be behind.

sshd begins by loading its libraries. Where its PidFile is known, what was changed within this time
of the start is taken as read, but for what was changed after sshd wrote that file. Where it is not
known, such a change may have come before or after sshd read the file, and counts."""

_CLEARING_S: Final = 2.0
_STARTING_S: Final = 0.3


def differences(instance: SshdInstance, settings: SshdSettings) -> Iterator[str]:
    """Why a running sshd may do otherwise than it says when it is asked, a sentence each.

    Args:
        instance: the process, as it was found.
        settings: what it says now, with where that comes from (`Sshd.explained`).
    """
    if instance.pid is None or instance.started is None:
        return
    if instance.replaced:
        yield (
            f"the sshd that runs ({instance.name}) is older than the program on disk: restart it,"
            " since what it would say cannot be asked any more"
        )
    loaded = _loaded(instance, settings)
    for path in _changed(settings, loaded):
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(loaded))
        yield (
            f"{path} was changed after the sshd that runs ({instance.name}) read it at {when}:"
            " reload it, because it still uses the old file"
        )


def _loaded(instance: SshdInstance, settings: SshdSettings) -> float:
    """When it read its configuration last, in seconds since 1970."""
    earliest = (instance.started or 0.0) - _TICK_S
    started = earliest + 2 * _TICK_S
    with suppress(OSError, ValueError):
        file = Path(settings.first("pidfile"))
        if int(file.read_bytes()[:20]) == instance.pid and file.stat().st_uid in {0, os.geteuid()}:
            noted = file.stat().st_mtime
            # At its start sshd notes it after it has read its files: then the start counts, unless
            # the clock of files, which may stand still for a hundredth of a second, was behind.
            return noted if noted > started + _STARTING_S else min(noted, started)
    return earliest


def _changed(settings: SshdSettings, loaded: float) -> Iterator[str]:
    """The files, and the folders of included files, that were changed after a moment."""
    files = settings.reading.files if settings.reading else ()
    folders = [str(Path(path).parent) for path in files[1:]]
    included = settings.reading.patterns if settings.reading else ()
    folders += [str(Path(pattern).parent) for pattern in included]
    for path in dict.fromkeys([*files, *folders]):
        # What was staged beside a file is cleared away after the reload (`server harden`). A file
        # that is new counts by itself: within this time only the loss of one goes unseen.
        after = loaded if path in files else loaded + _CLEARING_S
        with suppress(OSError):
            found = Path(path).stat()
            if max(found.st_ctime, found.st_mtime) >= after:
                yield path
