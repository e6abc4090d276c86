"""Virtual tokens kept under the user's state folder, for tests and trying things out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fidokit.client.ports import QUIET, Interaction
from fidokit.errors import Malformed, UsageError, WouldOverwrite
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.lab import repeatable
from fidokit.lab.repeatable import World
from fidokit.types import PassphraseSource
from fidokit.virtual import places, registry
from fidokit.virtual.gestures import PROMPT, Gestures, PromptPerson
from fidokit.virtual.store import export
from fidokit.virtual.store.schema import REPLAY
from fidokit.virtual.world import SystemClock

if TYPE_CHECKING:
    from fidokit.virtual.presence import Person
    from fidokit.virtual.quirks.choice import PresetSummary as PresetSummary  # noqa: PLC0414
    from fidokit.virtual.quirks.choice import QuirkSummary as QuirkSummary  # noqa: PLC0414
    from fidokit.virtual.registry import TokenEntry
    from fidokit.virtual.store.schema import TokenIdentity
    from fidokit.virtual.token import VirtualToken


@dataclass(frozen=True, slots=True)
class VirtualSummary:
    """One virtual token: `--token virtual:NAME` selects it.

    Attributes:
        profile: how it behaves; empty, as serial and presence, where the file cannot be read;
            then `problem` and `hint` say why.
        model: the certified model that it stands in for, by its maker's name; or empty.
        withheld: what that model has and this token has not.
        presence: how a touch is answered: "auto", "deny", ...
        created: UTC.
        sealed: whether its secrets are under a passphrase.
        quirks: names of the quirks and presets that it was made with.
    """

    name: str
    path: Path
    serial: str = ""
    profile: str = ""
    presence: str = ""
    created: datetime | None = None
    problem: str = ""
    hint: str = ""
    model: str = ""
    withheld: tuple[str, ...] = ()
    sealed: bool = False
    quirks: tuple[str, ...] = ()

    @property
    def selector(self) -> str:
        """What `--token` takes for it."""
        return f"virtual:{self.name}"


def create_virtual(
    name: str,
    *,
    profile: str | None = None,
    model: str | None = None,
    presence: str = "auto",
    passphrase: bytes | None = None,
    quirks: Sequence[str] = (),
    seed: str | None = None,
    replay: Path | None = None,
) -> VirtualSummary:
    """Create a virtual token.

    Args:
        name: 1 to 64 of A-Z a-z 0-9 . _ - not starting with a dot.
        profile: how it behaves, see `fidokit.virtual.core.profile`; None for `ctap2.3`.
        model: in its place, the certified model that it shall stand in for, by AAGUID or
            description.
        presence: the policy for touches: "auto", "deny", "delay:MS", "prompt" (the
            `Gestures` of an Interaction are asked) or "script".
        passphrase: to seal its secrets under; None leaves them in plain in its file.
        quirks: departures of real firmware that it shall have, by the names that `list_quirks`
            and `list_presets` give.
        seed: what its serial number and keys follow from, for tests that compare bytes; None for
            keys that nobody can foresee.
        replay: in place of a profile, model and quirks, the file of a recorded session (`fidokit
            token record`): it answers as that token did, and has no keys.

    Raises:
        MalformedFile (no recording), UsageError (a bad name, profile, model, policy or quirk),
        WouldOverwrite (it exists), StateUnusable, Unsupported (the metadata is not installed).
    """
    from fidokit.virtual.models.search import model_document  # it loads the authenticator's keys

    if replay is not None and (profile or model or quirks):
        raise UsageError("a token that replays has no profile, model or quirks of its own")
    document = None if model is None else model_document(model)
    made = registry.create(
        name,
        profile=profile,
        model=document,
        presence=presence,
        passphrase=passphrase,
        quirks=quirks,
        rng=repeatable.world(seed, None).rng,
        replay=None if replay is None else _recorded(replay),
    )
    return _summary(made)


def list_virtual() -> list[VirtualSummary]:
    """The virtual tokens there are, by name; unusable ones with their problem.

    Raises:
        StateUnusable: the state folder cannot be read.
    """
    return [_summary(entry) for entry in registry.list_tokens()]


delete_virtual = registry.delete


def list_profiles() -> list[str]:
    """What a virtual token can be made to speak, by name."""
    from fidokit.virtual.core.profile import PROFILES

    return list(PROFILES)


def list_quirks() -> list[QuirkSummary]:
    """The departures of real firmware that a virtual token can have, by name."""
    from fidokit.virtual.quirks import choice

    return choice.list_quirks()


def list_presets() -> list[PresetSummary]:
    """The firmwares whose quirks can be had by one name, by that name."""
    from fidokit.virtual.quirks import choice

    return choice.list_presets()


@contextmanager
def serve_virtual(
    name: str,
    *,
    presence: str | Person | None = None,
    passphrase: PassphraseSource | None = None,
    interaction: Interaction = QUIET,
    world: World | None = None,
) -> Iterator[VirtualToken]:
    """Keep a virtual token plugged in for every process of this user, until the block ends.

    Args:
        name: of a virtual token.
        presence: a policy's text, or whoever answers requests for a touch, in place of the policy
            that is kept with the token.
        passphrase: gives the one that it is sealed under; asked only where it is.
        interaction: who is asked for touches where the policy is "prompt" and it has `Gestures`.
        world: its clock and randomness, see `fidokit.lab.repeatable`; None for the system's.

    Raises:
        PassphraseRequired, PassphraseWrong: it is sealed.
        TokenNotFound, TokenBusy (another process has it plugged in), StateUnusable, UsageError.
        Unsupported: its folder's path is too long for a socket.
    """
    person = _prompting(name, presence, interaction)
    clock, rng = world or World()
    opened = registry.open_token(name, presence=person, passphrase=passphrase, clock=clock, rng=rng)
    with opened as token:
        if token.unshared:
            raise token.unshared
        yield token


def _prompting(
    name: str, presence: str | Person | None, interaction: Interaction
) -> str | Person | None:
    """The policy as given, with somebody to ask where it is `prompt`."""
    from fidokit.virtual.store import read_identity

    if presence is None and name in places.names():
        presence = read_identity(places.path_of(name)).presence
    if presence != PROMPT:
        return presence
    asked = interaction if isinstance(interaction, Gestures) else None
    return PromptPerson(f"virtual:{name}", asked, SystemClock().now_ms)


def export_virtual(
    name: str,
    path: Path,
    *,
    passphrase: PassphraseSource | None = None,
    seal: bytes | None = None,
) -> None:
    """Write a virtual token into one file (mode 0600), for another machine.

    The token stays; it and what is made of the file are one token, whose counters and PIN
    tries go apart from now on.

    Args:
        name: of a virtual token that is not plugged in.
        path: where nothing is.
        passphrase: gives the one that the token is sealed under; its export is, too.
        seal: the passphrase to seal the export of another one under.

    Raises:
        WouldOverwrite: something has this path.
        TokenNotFound, TokenBusy, PassphraseRequired, PassphraseWrong, StateUnusable, UsageError.
    """

    if os.path.lexists(path):
        raise WouldOverwrite(f"{path} already exists", hint="choose another name")
    atomic.write_new(path, registry.export_token(name, passphrase=passphrase, seal=seal))


def import_virtual(
    path: Path, name: str, *, passphrase: PassphraseSource | None = None
) -> VirtualSummary:
    """Register the virtual token of an export; one that was sealed stays sealed.

    Args:
        path: of `export_virtual`, at most 64 MiB.
        name: a free one.
        passphrase: gives the one that the export is sealed under; asked only where it is.

    Raises:
        WouldOverwrite: there is a token of this name.
        MalformedFile: the file is not an export, damaged, or of a newer version.
        PassphraseRequired, PassphraseWrong, StateUnusable, UsageError, NoPermission.
    """

    with explained(path), path.open("rb") as file:
        data = file.read(export.LONGEST + 1)
    return _summary(registry.import_token(data, name, passphrase=passphrase))


def _recorded(replay: Path) -> str:
    from fidokit.lab.recording.recorder import read_recording  # it brings the client along

    return read_recording(replay).encode().decode()


def _summary(entry: TokenEntry) -> VirtualSummary:
    identity, problem = entry.identity, entry.problem
    if identity is None:
        return VirtualSummary(
            entry.name,
            entry.path,
            problem=problem.message if problem else "its file cannot be read",
            hint=problem.hint if problem else "",
        )
    description, withheld = _model(identity)
    return VirtualSummary(
        name=entry.name,
        path=entry.path,
        serial=identity.serial,
        profile=identity.profile,
        presence=identity.presence,
        created=datetime.fromtimestamp(identity.created, UTC),
        model=description,
        withheld=withheld,
        sealed=entry.sealed,
        quirks=tuple(identity.quirks.split()),
    )


def _model(identity: TokenIdentity) -> tuple[str, tuple[str, ...]]:
    if not identity.model or identity.profile == REPLAY:
        return "", ()
    from fidokit.virtual.models import profiles

    try:
        made = profiles.reopen(identity.model)
    except Malformed:  # told when somebody opens it
        return identity.profile, ()
    return made.description, made.withheld
