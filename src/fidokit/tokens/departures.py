"""Departures from CTAP's text that tokens showed in earlier sessions, kept in the state folder.

Some show only while a token works: in a list, at a touch, behind a deletion. `fidokit token info`
and `fidokit doctor` do none of this, so what was met is kept for them: one file, names alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.client.tolerance import DEPARTURES, Departed, departed
from fidokit.errors import FidokitError
from fidokit.system.host import Host
from fidokit.types import Transport

if TYPE_CHECKING:
    from fidokit.client.session import Session

FILE: Final = "departures.json"
MAX_FILE: Final = 65_536
"""Bytes; a token takes some 400 at most."""
MAX_TOKENS: Final = 100
"""The one that was not met for the longest time goes first."""
_PRIVATE_FOLDER: Final = 0o700


@contextmanager
def watched(session: Session) -> Iterator[Session]:
    """The session for the `with` block; at its end what it met is kept, and the token let go of."""
    with session:
        try:
            yield session
        finally:
            keep(session)


def keep(session: Session) -> None:
    """Keep what the session has met; a disk that refuses costs nothing but the memory of it."""
    name = _name(session)
    if not session.departures or not name:
        return
    with suppress(FidokitError):
        kept = _load()
        names = sorted({*kept.get(name, ()), *session.departures})
        if kept.get(name) != names:
            _store({**{other: kept[other] for other in kept if other != name}, name: names})


def met(session: Session) -> tuple[Departed, ...]:
    """How the open token departs from CTAP's text: what shows now, then what it showed before."""
    before = _load().get(_name(session), ())
    return tuple(map(departed, dict.fromkeys([*session.departures, *before])))


def _name(session: Session) -> str:
    """What stands for a token: its selector, where that lasts, its model and its firmware.

    Other firmware may have fixed what was met. Nothing stands for a token without selector and
    model, and for one at a socket: it is made for a test, and the next may be another.
    """
    of = session.connection
    if of.transport is Transport.SOCKET or not (of.durable or of.notes.model):
        return ""
    return f"{of.selector if of.durable else ''} {of.notes.model}".strip()


def _path() -> Path:
    return Host().state_folder / FILE


def _load() -> Mapping[str, list[str]]:
    """By the names of tokens; a file that cannot be read, or is none of ours, holds nothing."""
    path = _path()
    if not path.exists():
        return {}
    import json

    from fidokit.files.keyfile import read_bounded

    try:
        members = json.loads(read_bounded(path, MAX_FILE))
    except (FidokitError, ValueError, RecursionError):
        return {}
    match members:
        case {"schema": 1, "tokens": dict(tokens)}:
            return {name: known for name, found in tokens.items() if (known := _known(found))}
        case _:
            return {}


def _known(found: object) -> list[str]:
    """The names of a later version say nothing here."""
    return sorted({n for n in found if n in DEPARTURES}) if isinstance(found, list) else []


def _store(kept: Mapping[str, list[str]]) -> None:
    import json

    from fidokit.files import atomic
    from fidokit.files.disk_errors import explained

    path = _path()
    members = {"schema": 1, "tokens": dict(list(kept.items())[-MAX_TOKENS:])}
    with explained(path.parent):
        path.parent.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
    atomic.replace(path, json.dumps(members, indent=2).encode() + b"\n")
