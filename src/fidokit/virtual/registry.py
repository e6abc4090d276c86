"""Named virtual tokens: make, list, open and delete them by name; take one to another machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fidokit.errors import FidokitError, WouldOverwrite
from fidokit.types import PassphraseSource
from fidokit.virtual import places
from fidokit.virtual.store import delete_token_file, look
from fidokit.virtual.store.schema import TokenIdentity

# A list needs no authenticator, whose modules and cryptography take 40 ms to import: those who
# plug a token in, make one or take one elsewhere import them below.
if TYPE_CHECKING:
    from fidokit.virtual.core.ports import Clock, Rng
    from fidokit.virtual.core.profile import Profile
    from fidokit.virtual.presence import Person
    from fidokit.virtual.token import VirtualToken


class TokenEntry(NamedTuple):
    """One registered token, as a list shows it.

    Args:
        name: what `--token virtual:NAME` calls it.
        path: its file.
        identity: what it is, or None if the file does not say.
        problem: why the file does not say, or None.
        sealed: whether its secrets are under a passphrase.
    """

    name: str
    path: Path
    identity: TokenIdentity | None
    problem: FidokitError | None = None
    sealed: bool = False


def create(
    name: str,
    *,
    profile: str | None = None,
    model: Mapping[str, object] | None = None,
    presence: str | None = None,
    uv_enrolled: bool = False,
    rng: Rng | None = None,
    passphrase: bytes | None = None,
    quirks: Sequence[str] = (),
    replay: str | None = None,
) -> TokenEntry:
    """Make a token; it is not plugged in.

    Args:
        name: 1 to 64 of A-Z a-z 0-9 . _ - not starting with a dot.
        profile: what it is, see `core.profile.PROFILES`; None for `ctap2.3`.
        model: in its place, the document of a certified model, see `models.impersonate`.
        presence: the policy that is kept with it, see `presence.parse_policy`; None for auto.
        uv_enrolled: whether built-in verification is configured.
        rng: randomness for its keys and serial.
        passphrase: to seal its secrets under, 1 to 1024 bytes; None leaves them in plain.
        quirks: names of quirks and presets, see `quirks.choice`.
        replay: in place of a profile or model, a recording that it shall answer from, see `replay`.

    Raises:
        WouldOverwrite: there is one of this name, which stays as it is.
        UsageError: a name, profile, policy or quirk that is not valid.
        Malformed: the model's document or the recording is none.
        StateUnusable: it cannot be written.
    """
    from fidokit.virtual.power import DEFAULT_PRESENCE, Making, model_of, quirks_of
    from fidokit.virtual.world import SystemRng

    path = places.path_of(name)
    policy = DEFAULT_PRESENCE if presence is None else presence
    made_as, document = model_of(profile, model) if replay is None else _replaying(replay)
    making = Making(made_as, policy, uv_enrolled, rng or SystemRng(), document, tuple(quirks))
    quirks_of(making.quirks)
    places.make_folder()
    try:
        store = making.in_file(path, passphrase)
    except WouldOverwrite as taken:
        raise WouldOverwrite(
            f"there is a virtual token named {name!r} already",
            hint=f"choose another name, or remove it: fidokit virtual delete {name}",
        ) from taken
    store.close()
    return TokenEntry(name, path, store.identity, sealed=passphrase is not None)


def _replaying(text: str) -> tuple[Profile, str]:
    from fidokit.virtual.replay import profile_of

    return profile_of(text), text


def list_tokens() -> list[TokenEntry]:
    """Every registered token in order of names; those in use, and unusable ones, too.

    Raises:
        StateUnusable: the folder cannot be read.
    """
    return [_entry(name) for name in places.names()]


def _entry(name: str) -> TokenEntry:
    path = places.path_of(name)
    try:
        identity, sealed = look(path)
        return TokenEntry(name, path, identity, sealed=sealed)
    except FidokitError as problem:
        return TokenEntry(name, path, None, problem)


def open_token(
    name: str,
    *,
    presence: str | Person | None = None,
    passphrase: PassphraseSource | None = None,
    clock: Clock | None = None,
    rng: Rng | None = None,
) -> VirtualToken:
    """Plug a token in.

    Args:
        name: of a registered token.
        presence: a policy's text or a `Person` in place of the policy that is kept with it.
        passphrase: gives the one that it is sealed under; asked only where it is.
        clock: monotonic milliseconds; the system's for None.
        rng: randomness for keys, ids and nonces; the system's for None.

    Raises:
        TokenNotFound: there is none of this name.
        TokenBusy: it is plugged in already.
        PassphraseRequired, PassphraseWrong: it is sealed.
        StateUnusable, NoPermission, UsageError: see `VirtualToken`.
    """
    from fidokit.virtual.token import VirtualToken

    return VirtualToken(name, presence=presence, passphrase=passphrase, clock=clock, rng=rng)


def delete(name: str) -> None:
    """End a token and everything on it, also one whose file is unusable.

    Raises:
        TokenNotFound: there is none of this name.
        TokenBusy: it is plugged in.
    """
    path = places.path_of(name)
    if name not in places.names():
        raise places.unknown(name)
    delete_token_file(path)


def export_token(
    name: str, *, passphrase: PassphraseSource | None = None, seal: bytes | None = None
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
    from fidokit.virtual.power import open_named, unsealed
    from fidokit.virtual.store import export

    words = _Remembered(passphrase)
    store = unsealed(open_named(name), words if passphrase else None)
    try:
        contents = export.contents_of(store)
    finally:
        store.close()
    return export.encode(contents, words.known or seal)


def import_token(
    data: bytes, name: str, *, passphrase: PassphraseSource | None = None
) -> TokenEntry:
    """Register the token of an export; one that was sealed is sealed here under the same.

    Args:
        data: of `export_token`.
        name: a free one.
        passphrase: gives the one that the export is sealed under.

    Raises:
        WouldOverwrite: there is a token of this name, which stays as it is.
        MalformedFile: it is not an export, damaged, or of a newer version.
        PassphraseRequired, PassphraseWrong: it is sealed.
        StateUnusable, UsageError: it cannot be written, or a name that is not valid.
    """
    from fidokit.virtual.store import SqliteStore, export

    path = places.path_of(name)
    if name in places.names():
        raise _taken(name)
    words = _Remembered(passphrase)
    contents = export.decode(data, partial(words, path) if passphrase else None)
    places.make_folder()
    try:
        SqliteStore.create_with(path, contents, words.known).close()
    except WouldOverwrite as taken:
        raise _taken(name) from taken
    return TokenEntry(name, path, contents.identity, sealed=words.known is not None)


class _Remembered:
    """Asks once, and keeps what was said."""

    def __init__(self, passphrase: PassphraseSource | None) -> None:
        self._ask = passphrase
        self.known: bytes | None = None

    def __call__(self, path: Path) -> bytes:
        if self.known is None:
            assert self._ask is not None  # noqa: S101  given to nobody otherwise
            self.known = self._ask(path)
        return self.known


def _taken(name: str) -> WouldOverwrite:
    return WouldOverwrite(
        f"there is a virtual token named {name!r} already", hint="choose another name"
    )
