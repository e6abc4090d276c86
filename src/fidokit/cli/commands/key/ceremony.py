"""Several tokens at one `key generate`: the first one, and those for backups."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

from fidokit.cli.interaction import open_token
from fidokit.cli.settings import Settings
from fidokit.errors import FidokitError, UsageError

if TYPE_CHECKING:
    from fidokit.client.session import Session


@contextmanager
def opened(
    settings: Settings, also: Sequence[str], pin_files: Sequence[str]
) -> Iterator[list[Session]]:
    """The tokens, open: the first as always, then those for backups in their order.

    A PIN from --pin-file is the first one's alone: another token would lose a try by it.
    """
    if len(pin_files) > len(also):
        raise UsageError("there are more --also-pin-file than --also")
    with ExitStack() as ends:
        sessions = [ends.enter_context(open_token(settings))]
        for number, selector in enumerate(also):
            other = copy(settings)
            other.token, other.pin_fd = selector, None
            other.pin_file = pin_files[number] if number < len(pin_files) else None
            sessions.append(ends.enter_context(open_token(other)))
        yield sessions


def no_backup_yet(error: FidokitError, session: Session, first: Path, user: str) -> FidokitError:
    """The error, as of a backup whose first key is there already."""
    command = ["fidokit", "--token", session.selector, "key", "generate", "--backup-of", str(first)]
    command += ["-O", f"user={user}"] if user else []
    error.message = f"the backup on {session.name} was not made: {error.message}"
    later = f"the key itself is there; to make the backup later: {shlex.join(command)}"
    error.hint = f"{error.hint}; {later}" if error.hint else later
    return error
