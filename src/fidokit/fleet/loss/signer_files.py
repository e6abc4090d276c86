"""Lost keys in files of allowed signers: signatures count until the loss, and no longer.

`valid-before` keeps what was signed before verifiable, if the verifier knows when that was, as git
does by the date of the commit. A backup that takes the place gets a line like the lost key's.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fidokit.errors import FidokitError
from fidokit.files import atomic
from fidokit.files.keyfile import read_bounded
from fidokit.fleet.loss.subject import LostKey
from fidokit.fleet.loss.verdict import LossRow, NewKey, OldKey
from fidokit.inventory.kept import Inventory, PlaceKind
from fidokit.openssh.keys.public import as_bytes, parse_public_line
from fidokit.openssh.lines import allowed_signers
from fidokit.openssh.lines.allowed_signers import AllowedSigner
from fidokit.openssh.lines.signer_limits import limited, with_key
from fidokit.signing.signers_file import MAX_FILE


@dataclass(frozen=True, slots=True)
class SignerFile:
    """A file of allowed signers that has lost keys."""

    path: Path
    keys: tuple[LostKey, ...]


def signer_files(inventory: Inventory, keys: Sequence[LostKey]) -> list[SignerFile]:
    """The files that are known to have any of these keys."""
    by_print = {one.key.fingerprint: one for one in keys}
    found: dict[str, dict[str, LostKey]] = {}
    for place in inventory.places_of(by_print):
        if place.kind is PlaceKind.SIGNERS:
            found.setdefault(place.where, {})[place.key] = by_print[place.key]
    return [SignerFile(Path(path), tuple(named.values())) for path, named in found.items()]


def settle_signers(file: SignerFile, since: dict[str, int], now: int) -> list[LossRow]:
    """Let signatures by lost keys count until their loss alone, and let their backups sign.

    Args:
        file: where.
        since: when each key was lost, seconds since 1970.
        now: the time.
    """
    try:
        before = read_bounded(file.path, MAX_FILE)
        after = _changed(before, file.keys, since)
        if after != before:
            real = Path(os.path.realpath(file.path))
            atomic.replace(real, after, real.stat().st_mode & 0o777)
    except FidokitError as error:
        why = (f"not changed: {error.message}",)
        return [_row(file, one, OldKey.UNKNOWN, NewKey.UNKNOWN, why=why) for one in file.keys]
    done = ("valid-before is set",) if after != before else ()
    return [_judged(file, one, after, now, done) for one in file.keys]


def _row(
    file: SignerFile, one: LostKey, old: OldKey, new: NewKey, **more: tuple[str, ...]
) -> LossRow:
    backup = new if one.standby else NewKey.NONE
    return LossRow("signers", str(file.path), one.key.fingerprint, old, backup, **more)


def _changed(before: bytes, keys: Sequence[LostKey], since: dict[str, int]) -> bytes:
    """The text with limits on the lines of lost keys, and lines of their backups behind these."""
    blobs = {one.key.blob: one for one in keys if one.key.line}
    held = {_blob(line) for line in before.splitlines(keepends=True)}
    lines = []
    for raw in before.splitlines(keepends=True):
        lost = blobs.get(_blob(raw))
        if lost is None:
            lines.append(raw)
            continue
        lines.append(limited(raw, since[lost.key.fingerprint]))
        if lost.standby and lost.standby.blob not in held:
            lines[-1] += b"" if raw.endswith(b"\n") else b"\n"
            lines.append(with_key(raw, as_bytes(lost.standby.line)))
    return b"".join(lines)


def _blob(raw: bytes) -> bytes:
    """The key of a line; empty if it is not one of a key."""
    found = allowed_signers.parse_line(raw)
    return found.key.blob() if isinstance(found, AllowedSigner) else b""


def _judged(
    file: SignerFile, one: LostKey, text: bytes, now: int, done: tuple[str, ...]
) -> LossRow:
    """By the rules of ssh-keygen: is a signature of now refused, and one by the backup accepted?"""
    if not one.key.line:
        return _row(
            file, one, OldKey.UNKNOWN, NewKey.UNKNOWN, why=("only its fingerprint is known",)
        )
    old = OldKey.IN if _admits(text, one.key.line, now + 1) else OldKey.OUT
    new = NewKey.NONE
    if one.standby:
        new = NewKey.IN if _admits(text, one.standby.line, now + 1) else NewKey.OUT
    return _row(file, one, old, new, done=done)


def _admits(text: bytes, line: str, at: int) -> bool:
    """Whether any principal of the file may sign by a key at that time, for any purpose."""
    key = parse_public_line(as_bytes(line)).key
    return any(
        isinstance(entry, AllowedSigner) and entry.key == key and entry.refusal(at=at) is None
        for entry in allowed_signers.parse_file(io.BytesIO(text))
    )
