"""Lost keys at GitHub and GitLab: taken out, and their backups put there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fidokit.errors import FidokitError
from fidokit.fleet.loss.accounts import public_file
from fidokit.fleet.loss.subject import LostKey
from fidokit.fleet.loss.verdict import LossRow, NewKey, OldKey
from fidokit.fleet.loss.withdrawal import Withdrawal, Withdrawn, withdraw_key
from fidokit.inventory.kept import Inventory, KnownPlace, PlaceKind
from fidokit.keys.publication import SITES, Publication, Published, publish_keys
from fidokit.openssh.keys.public import as_bytes, parse_public_line

_OLD = {
    Withdrawn.REMOVED: OldKey.OUT,
    Withdrawn.ABSENT: OldKey.OUT,
    Withdrawn.LISTED: OldKey.IN,
    Withdrawn.UNKNOWN: OldKey.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class ForgeKey:
    """A lost key at an account of GitHub or GitLab."""

    place: KnownPlace
    lost: LostKey

    @property
    def name(self) -> str:
        """What a user calls it; hostile text."""
        use = ", signatures" if self.place.use == "signing" else ""
        return f"{SITES[self.place.where].name} ({self.place.account}{use})"


def forge_keys(inventory: Inventory, keys: Sequence[LostKey]) -> list[ForgeKey]:
    """Where these keys are known at GitHub and GitLab."""
    by_print = {one.key.fingerprint: one for one in keys}
    return [
        ForgeKey(place, by_print[place.key])
        for place in inventory.places_of(by_print)
        if place.kind is PlaceKind.FORGE and place.where in SITES
    ]


def settle_forge(at: ForgeKey) -> tuple[LossRow, KnownPlace | None]:
    """Put the backup into an account, take the lost key out, and prove both by the public list.

    Returns:
        the row, and the place that knows the backup now.
    """
    where, signing = f"{at.place.where}:{at.place.account}", at.place.use == "signing"
    why: list[str] = []
    by_hand: list[str] = []
    done: list[str] = []
    new, place = _put_backup(at, where, done, why)
    old = OldKey.UNKNOWN
    if not at.lost.key.line:
        why.append("only the fingerprint of the key is known")
    else:
        key = parse_public_line(as_bytes(at.lost.key.line)).key
        try:
            gone = withdraw_key(where, key, signing=signing)
        except FidokitError as error:
            why.append(error.message)
        else:
            old = _OLD[gone.state]
            _tell(gone, done, why, by_hand)
    row = LossRow("forge", at.name, at.place.key, old, new, tuple(done), tuple(why), tuple(by_hand))
    return row, place


def _tell(gone: Withdrawal, done: list[str], why: list[str], by_hand: list[str]) -> None:
    if gone.state is Withdrawn.REMOVED:
        done.append("taken out")
    elif gone.state is not Withdrawn.ABSENT:
        why.append(f"{gone.why}; to take it out by hand: {gone.page}")
        by_hand += [gone.command] if gone.command else []


def _put_backup(
    at: ForgeKey, where: str, done: list[str], why: list[str]
) -> tuple[NewKey, KnownPlace | None]:
    standby, signing = at.lost.standby, at.place.use == "signing"
    if standby is None:
        return NewKey.NONE, None
    with TemporaryDirectory(prefix="fidokit-") as folder:
        file = public_file(standby)
        if not file:
            file = str(Path(folder) / "backup.pub")
            Path(file).write_text(f"{standby.line}\n", "utf-8", "surrogateescape")
        try:
            (made,) = publish_keys(where, [file], signing=signing, backups=False)
        except FidokitError as error:
            why.append(f"the backup: {error.message}")
            return NewKey.UNKNOWN, None
    return _published(made, done, why), KnownPlace(
        PlaceKind.FORGE, standby.fingerprint, at.place.where, at.place.account, at.place.use
    )


def _published(made: Publication, done: list[str], why: list[str]) -> NewKey:
    if made.state is Published.BY_HAND:
        why.append(f"the backup is to be added by hand ({made.why}) at {made.page}: {made.text}")
        return NewKey.OUT
    if made.state is Published.UNSEEN:
        why.append("the backup was added, and the public list does not show it yet")
        return NewKey.UNKNOWN
    if made.state is Published.ADDED:
        done.append("backup added")
    if made.why:
        why.append(f"the backup: {made.why}")
        return NewKey.UNKNOWN
    return NewKey.IN
