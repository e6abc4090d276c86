"""Rights to read that last (CTAP 2.3, pcmr): kept in the user's state folder, one file a token.

Nothing is kept unless the user asked for it, by an option or in the configuration. Who has such a
file and the token can list what is on the token without its PIN, and tell the token from others;
they can neither sign nor change anything. The files are the user's alone (mode 0600, folder 0700),
and worthless once the PIN was changed or the token reset.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.errors import FidokitError, Unsupported
from fidokit.system.host import Host

if TYPE_CHECKING:
    from fidokit.client.info import TokenInfo
    from fidokit.client.owner.persistent import KeptToken
    from fidokit.client.session import Session

FOLDER: Final = "readers"
SCHEMA: Final = 1
MAX_FILE: Final = 4096
"""Bytes; ours have some 300."""
_PRIVATE_FOLDER: Final = 0o700
_SUFFIX: Final = ".json"
_SECRET_SIZES: Final = (16, 32)
_IDENTIFIER: Final = 16


@dataclass(frozen=True, slots=True)
class StateKeeper:
    """The `Keeper` of `fidokit.client.owner.persistent`, on disk.

    Args:
        folder: where the files are; it need not exist.
    """

    folder: Path

    def is_empty(self) -> bool:
        """Whether nothing is kept; cheap, for the commands that only want to know that."""
        return next(self._paths(), None) is None

    def kept(self) -> Iterator[KeptToken]:
        """All of them; a file that cannot be read, or is none of ours, does not count."""
        for path in self._paths():
            found = _load(path)
            if found is not None:
                yield found

    def keep(self, kept: KeptToken) -> None:
        """Remember one, in the place of an older one of the same token.

        Raises:
            NoPermission, FidokitError: the disk refuses.
        """
        from fidokit.files import atomic
        from fidokit.files.disk_errors import explained

        with explained(self.folder):
            self.folder.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
            self.folder.chmod(_PRIVATE_FOLDER)
        atomic.replace(self._path(kept), _encode(kept))

    def forget(self, kept: KeptToken) -> None:
        """Forget one; nothing happens if it is not there."""
        from fidokit.files.disk_errors import explained

        path = self._path(kept)
        with explained(path), suppress(FileNotFoundError):
            path.unlink()

    def forget_all(self) -> int:
        """Forget all, unreadable ones too; returns how many there were."""
        from fidokit.files.disk_errors import explained

        paths = list(self._paths())
        for path in paths:
            with explained(path):
                path.unlink(missing_ok=True)
        return len(paths)

    def _paths(self) -> Iterator[Path]:
        try:
            names = sorted(self.folder.iterdir())
        except OSError:  # it is not there, or not ours to read: nothing is kept here
            return
        yield from (path for path in names if path.suffix == _SUFFIX)

    def _path(self, kept: KeptToken) -> Path:
        """One name for one token, whatever its PIN was."""
        what = kept.identifier or kept.selector.encode("utf-8", "surrogatepass")
        return self.folder / f"{hashlib.sha256(what).hexdigest()[:32]}{_SUFFIX}"


def _encode(kept: KeptToken) -> bytes:
    import json

    members = {
        "schema": SCHEMA,
        "protocol": kept.version,
        "token": kept.secret.hex(),
        "identifier": kept.identifier.hex() if kept.identifier else None,
        "selector": kept.selector,
        "name": kept.name,
    }
    return json.dumps(members, indent=2).encode() + b"\n"


def _load(path: Path) -> KeptToken | None:
    import json

    from fidokit.files.keyfile import read_bounded

    try:
        return _decode(json.loads(read_bounded(path, MAX_FILE)))
    except (FidokitError, ValueError, RecursionError):
        return None


def _decode(members: object) -> KeptToken | None:
    """What a file says; None if it is of another form or a later schema."""
    from fidokit.client.owner.persistent import KeptToken

    match members:
        case {
            "schema": 1,
            "protocol": 1 | 2 as version,
            "token": str(secret),
            "identifier": str() | None as identifier,
            "selector": str(selector),
            "name": str(name),
        }:
            raw, of = bytes.fromhex(secret), bytes.fromhex(identifier or "")
            sizes = len(raw) in _SECRET_SIZES and len(of) in (0, _IDENTIFIER)
            # True is 1 to a pattern
            sound = sizes and not isinstance(version, bool)
            return KeptToken(version, raw, of or None, selector, name) if sound else None
        case _:
            return None


def keeper() -> StateKeeper:
    """The one of this user: `$XDG_STATE_HOME/fidokit/readers`."""
    return StateKeeper(Host().state_folder / FOLDER)


def attach(session: Session, remember: bool | None) -> None:
    """Let an open token's credentials be read without PIN, as far as the user agreed to it.

    Args:
        remember: True asks for the PIN once and keeps the right; False uses none that is kept;
            None uses one that is kept, and asks as `remember` in the configuration file says.

    Raises:
        Unsupported: True, and the token gives no such right.
        MalformedFile: the configuration file cannot be read.
    """
    from fidokit.tokens.configuration import configured_remember

    if remember and not session.info.has_persistent_reading:
        raise Unsupported(
            f"{session.name} has no persistent read-only tokens",
            hint="leave out --remember; tokens that list the option perCredMgmtRO have it",
        )
    if remember is False:
        session.owner.reading = None
        return
    shelf = keeper()
    wanted = bool(remember) or configured_remember()
    if session.info.has_persistent_reading and (wanted or not shelf.is_empty()):
        from fidokit.client.owner.persistent import Reading

        session.owner.reading = Reading(shelf, wanted=wanted)


def identify(info: TokenInfo) -> str | None:
    """The durable `id:` selector of a token that a right was kept for; None for any other."""
    shelf = keeper()
    if info.enc_identifier is None or shelf.is_empty():
        return None
    from fidokit.client.owner.persistent import recognized

    return recognized(info.enc_identifier, shelf)


def forget_token(session: Session) -> bool:
    """Delete what is kept for the open token; whether there was anything.

    The right itself lives on in the token, where nobody has it any more, until its PIN is changed.
    """
    return remembered(session)()


def remembered(session: Session) -> Callable[[], bool]:
    """What `forget_token` does, for later: after a reset nobody can tell which token it was."""
    shelf = keeper()
    mine = (
        []
        if shelf.is_empty()
        else [kept for kept in shelf.kept() if kept.is_of(session.connection)]
    )

    def forget_them() -> bool:
        for kept in mine:
            shelf.forget(kept)
        return bool(mine)

    return forget_them


def forget_tokens() -> int:
    """Delete what is kept for any token; returns for how many there was something."""
    return keeper().forget_all()
