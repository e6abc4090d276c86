"""Taking a registered token out to another machine, and taking one in."""

from __future__ import annotations

from fidokit.errors import WouldOverwrite
from fidokit.virtual import places
from fidokit.virtual.power import Passphrase, open_named, unsealed
from fidokit.virtual.registry import TokenEntry
from fidokit.virtual.store import export
from fidokit.virtual.store.sqlite import SqliteStore


def export_token(
    name: str, *, passphrase: Passphrase | None = None, seal: bytes | None = None
) -> bytes:
    """A token as one file's bytes; the token stays, and is the same one as its copy.

    Args:
        name: of a registered token that is not plugged in.
        passphrase: gives the one that it is sealed under; its export is sealed under the same.
        seal: the passphrase to seal the export of another one under; None leaves it in plain.

    Raises:
        TokenNotFound: there is none of this name.
        TokenBusy: it is plugged in.
        PassphraseRequired, PassphraseWrong: it is sealed.
        StateUnusable, NoPermission, UsageError: its file cannot be used, or `seal` is empty.
    """
    words = _Remembered(passphrase)
    store = unsealed(open_named(name), words if passphrase else None)
    try:
        contents = export.contents_of(store)
    finally:
        store.close()
    return export.encode(contents, words.known or seal)


def import_token(data: bytes, name: str, *, passphrase: Passphrase | None = None) -> TokenEntry:
    """Register the token of an export; one that was sealed is sealed here under the same.

    Args:
        data: of `export_token`.
        name: a free one.
        passphrase: gives the one that the export is sealed under.

    Raises:
        WouldOverwrite: there is a token of this name, which stays as it is.
        MalformedFile: it is no export, damaged, or of a newer version.
        PassphraseRequired, PassphraseWrong: it is sealed.
        StateUnusable, UsageError: it cannot be written, or a name that makes no sense.
    """
    path = places.path_of(name)
    if name in places.names():
        raise _taken(name)
    words = _Remembered(passphrase)
    contents = export.decode(data, words if passphrase else None)
    places.make_folder()
    try:
        SqliteStore.create_with(path, contents, words.known).close()
    except WouldOverwrite as taken:
        raise _taken(name) from taken
    return TokenEntry(name, path, contents.identity, sealed=words.known is not None)


class _Remembered:
    """Asks once, and keeps what was said."""

    def __init__(self, passphrase: Passphrase | None) -> None:
        self._ask = passphrase
        self.known: bytes | None = None

    def __call__(self) -> bytes:
        if self.known is None:
            assert self._ask is not None  # noqa: S101  given to nobody otherwise
            self.known = self._ask()
        return self.known


def _taken(name: str) -> WouldOverwrite:
    return WouldOverwrite(
        f"there is a virtual token named {name!r} already", hint="choose another name"
    )
