"""What plugging a virtual token in finds or makes: its store, its identity and its model."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from fidokit.errors import (
    Malformed,
    PassphraseRequired,
    StateUnusable,
    TokenNotFound,
    UsageError,
)
from fidokit.types import PassphraseSource
from fidokit.virtual import places
from fidokit.virtual.core import profile as profiles
from fidokit.virtual.core.factory import new_state
from fidokit.virtual.core.ports import DurableState, Rng, Store
from fidokit.virtual.core.profile import Profile
from fidokit.virtual.presence import parse_policy
from fidokit.virtual.store import MemoryStore, SqliteStore
from fidokit.virtual.store.file import Contents
from fidokit.virtual.store.schema import REPLAY, TokenIdentity
from fidokit.virtual.store.sealed import SealedStore

if TYPE_CHECKING:
    from fidokit.virtual.quirks.choice import QuirkSet

DEFAULT_PROFILE: Final = "ctap2.3"
DEFAULT_PRESENCE: Final = "auto"


class PluggedStore(Store, Protocol):
    """A store that is held open while the token has power."""

    @property
    def durable(self) -> bool:
        """Whether it outlasts its object."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Making(NamedTuple):
    """How a token that is made now shall be.

    Args:
        model: its profile.
        presence: the text of its presence policy.
        uv_enrolled: whether built-in verification is configured.
        rng: for its keys and its serial.
        document: of the certified model that it stands in for, or empty.
        quirks: names of quirks and presets.
    """

    model: Profile
    presence: str
    uv_enrolled: bool
    rng: Rng
    document: str = ""
    quirks: tuple[str, ...] = ()

    def identity(self) -> TokenIdentity:
        """A fresh identity.

        Raises:
            UsageError: there is no such presence policy.
        """
        serial = f"FK{self.rng.bytes(5).hex().upper()}"
        policy = str(parse_policy(self.presence))
        names = " ".join(dict.fromkeys(self.quirks))
        return TokenIdentity(
            serial, self.model.name, policy, int(time.time()), self.document, names
        )

    def state(self) -> DurableState:
        """What it remembers when it is made."""
        quirks = quirks_of(self.quirks)
        profile = quirked(self.model, self.quirks)
        made = new_state(profile, self.rng, uv_enrolled=self.uv_enrolled)
        return quirks.made(made) if quirks else made

    def in_memory(self) -> MemoryStore:
        """A store without a file."""
        return MemoryStore(self.state())

    def in_file(self, path: Path, passphrase: bytes | None = None) -> SqliteStore:
        """A store in a new file; one that is sealed under `passphrase` is to be closed again.

        Raises:
            UsageError: the passphrase is empty.
            WouldOverwrite, TokenBusy, StateUnusable: as `SqliteStore.create`.
        """
        return SqliteStore.create_with(path, Contents(self.identity(), self.state()), passphrase)


def quirks_of(names: Sequence[str]) -> QuirkSet | None:
    """The quirks of these names; None if there are none, which loads none.

    Raises:
        UsageError: there is none of a name, or two exclude each other.
    """
    if not names:
        return None
    from fidokit.virtual.quirks.choice import chosen

    return chosen(names)


def quirked(profile: Profile, names: Sequence[str]) -> Profile:
    """The profile of a model that has the quirks of these names; raises as `quirks_of`."""
    quirks = quirks_of(names)
    return quirks.on(profile) if quirks else profile


def model_of(
    given: str | Profile | None, document: Mapping[str, object] | None = None
) -> tuple[Profile, str]:
    """The profile that a caller named, or brought, or left to us; and what is kept of its model.

    Args:
        given: a profile or the name of one of our own.
        document: of a certified model, see `models.impersonate`; then no profile is given.

    Raises:
        UsageError: there is no profile of this name, or both are given.
        Malformed: the document is none.
    """
    if document is None:
        named = given if isinstance(given, Profile) else profiles.profile(given or DEFAULT_PROFILE)
        return named, ""
    if given is not None:
        raise UsageError("a virtual token has a profile or a model, not both")
    from fidokit.virtual.models import profiles as models

    made = models.impersonate(document)
    return made.profile, made.text


def open_named(name: str) -> SqliteStore:
    """Own the registered token of this name.

    Raises:
        TokenNotFound, TokenBusy, NoPermission, StateUnusable, UsageError: see `SqliteStore.open`.
    """
    try:
        return SqliteStore.open(places.path_of(name))
    except TokenNotFound as missing:
        raise places.unknown(name) from missing


def unsealed(file: SqliteStore, passphrase: PassphraseSource | None) -> SqliteStore | SealedStore:
    """The store in an open file, its seal unlocked if it has one; closed where that fails.

    Raises:
        PassphraseRequired: nobody knows the passphrase.
        PassphraseWrong: it is another one.
        StateUnusable: the file is damaged.
    """
    try:
        seal = file.seal
        if seal is None:
            return file
        words = (passphrase or _nobody)(file.path)
        return SealedStore(file, seal.unlock(words, file.identity.serial))
    except BaseException:
        file.close()
        raise


def _nobody(path: Path) -> bytes:
    raise PassphraseRequired(
        f"the virtual token {path.stem!r} is sealed under a passphrase",
        hint=f"keep it plugged in meanwhile: fidokit virtual serve {path.stem}",
    )


def _known(identity: TokenIdentity) -> Profile:
    """The model of a token that was made before, and its presence policy at least judged.

    Raises:
        StateUnusable: this fidokit does not know the one or the other.
    """
    try:
        parse_policy(identity.presence)
        quirks_of(identity.quirks.split())
        if identity.profile == REPLAY:
            from fidokit.virtual.replay import profile_of

            return profile_of(identity.model)
        if identity.model:
            from fidokit.virtual.models import profiles as models

            return models.reopen(identity.model).profile
        return profiles.profile(identity.profile)
    except (UsageError, Malformed) as unknown_word:
        raise StateUnusable(
            f"the virtual token {identity.serial} is not for this fidokit: {unknown_word}",
            hint="use the newer fidokit that made it",
        ) from unknown_word


class Plugged(NamedTuple):
    """A token that is held open: what it remembers, who it is, what model it is."""

    store: PluggedStore
    identity: TokenIdentity
    model: Profile


def plug_in(
    source: str | Path | None, making: Making, passphrase: PassphraseSource | None = None
) -> Plugged:
    """Open the token behind a source, or make it where a path has none.

    Raises:
        PassphraseRequired, PassphraseWrong: it is sealed.
        TokenNotFound, TokenBusy, NoPermission, StateUnusable, UsageError: see `VirtualToken`.
    """
    if source is None:
        return Plugged(making.in_memory(), making.identity(), making.model)
    if isinstance(source, Path) and not os.path.lexists(source):
        made = making.in_file(source)
        return Plugged(made, made.identity, making.model)
    file = open_named(source) if isinstance(source, str) else SqliteStore.open(source)
    found = unsealed(file, passphrase)
    try:
        return Plugged(found, found.identity, _known(found.identity))
    except BaseException:
        found.close()
        raise
