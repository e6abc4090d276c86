"""The revocation list (KRL) with lost keys and their certificates, and what is proved of these."""

from __future__ import annotations

import shutil
import subprocess
import time
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.errors import FidokitError
from fidokit.files import atomic
from fidokit.files.keyfile import read_bounded
from fidokit.fleet.loss.subject import LostKey
from fidokit.fleet.loss.verdict import LossRow, NewKey, OldKey
from fidokit.inventory.kept import Inventory, KnownPlace, PlaceKind
from fidokit.openssh.certificates.certificate import Certificate, parse_key
from fidokit.openssh.certificates.krl import MAX_KRL, Serials
from fidokit.server.authorize.revocation_list import revoked_also
from fidokit.system.host import Host

_KEYGEN_S: Final = 60.0
_NOT_ASKED: Final = "ssh-keygen is not there, or does not find it on the list"


def usual_list() -> Path:
    """Where the list is written if no other file is named: in the user's state folder."""
    return Host().state_folder / "revoked_keys"


@dataclass(frozen=True, slots=True)
class LostCertificate:
    """A certificate of a lost key.

    Attributes:
        place: what is known of it.
        certificate: what it says.
    """

    place: KnownPlace
    certificate: Certificate

    @property
    def name(self) -> str:
        """Which it is, for people; hostile text."""
        return f"{self.place.account or 'a certificate'}, serial {self.certificate.serial}"

    @property
    def is_over(self) -> bool:
        """Whether its time is over."""
        return self.certificate.valid_before <= time.time()


def certificates_of(inventory: Inventory, keys: Sequence[LostKey]) -> list[LostCertificate]:
    """The certificates of lost keys; a line that is not one is passed over."""
    found = []
    for place in inventory.places_of(one.key.fingerprint for one in keys):
        if place.kind is PlaceKind.CERTIFICATE:
            try:
                key = parse_key(b64decode(place.line.split(" ")[1]))
            except (FidokitError, IndexError, ValueError):
                continue
            if isinstance(key, Certificate):
                found.append(LostCertificate(place, key))
    return found


@dataclass(frozen=True, slots=True)
class Revocations:
    """The lost keys and certificates, for any list of revoked keys.

    Attributes:
        keys: blobs by fingerprint, empty for one of which no more is known.
        serials: of certificates that have a serial number.
    """

    keys: Mapping[str, bytes]
    serials: tuple[Serials, ...]

    @classmethod
    def of(cls, keys: Sequence[LostKey], certificates: Iterable[LostCertificate]) -> Revocations:
        """Those of these keys and certificates."""
        serials = [
            Serials(one.certificate.signature_key.blob(), one.certificate.serial,
                    one.certificate.serial)
            for one in certificates
            if one.certificate.serial
        ]  # fmt: skip
        return cls({one.key.fingerprint: one.key.blob for one in keys}, tuple(serials))

    def put(self, data: bytes) -> bytes:
        """The content of a list with all of them on it; itself if it has them.

        Raises:
            FidokitError: it is not a list, or cannot hold a key of which only the fingerprint is
                known.
        """
        return revoked_also(data, self.keys, self.serials)


def write_list(path: Path, revocations: Revocations) -> bool:
    """Put them on a list in a file; whether it changed.

    Raises:
        FidokitError: it cannot be read or written.
    """
    before = read_bounded(path, MAX_KRL) if path.exists() else b""
    after = revocations.put(before)
    if after == before:
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    atomic.replace(path, after, atomic.PUBLIC_MODE)
    return True


def list_rows(path: Path, keys: Sequence[LostKey], revocations: Revocations) -> list[LossRow]:
    """Write the list, and have ssh-keygen say whether each key is on it."""
    done: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    try:
        done = ("written",) if write_list(path, revocations) else ()
    except FidokitError as error:
        why = (error.message,)
    lost = [one.key for one in keys]
    found = {one.fingerprint: OldKey.UNKNOWN for one in lost}
    if not why:
        found = {
            one.key.fingerprint: _listed(path, one.key.fingerprint, one.key.line) for one in keys
        }
    return [
        LossRow(
            "revocation list",
            str(path),
            fingerprint,
            old,
            NewKey.NOT_NEEDED,
            done,
            why if why or old is OldKey.OUT else (_NOT_ASKED,),
        )
        for fingerprint, old in found.items()
    ]


def _listed(path: Path, fingerprint: str, line: str) -> OldKey:
    """What the installed ssh-keygen finds; nothing is known without it."""
    program = shutil.which("ssh-keygen")
    if program is None:
        return OldKey.UNKNOWN
    if not line:  # the list itself is shown: digests in hexadecimal
        digest = b64decode(fingerprint.removeprefix("SHA256:") + "=")
        shown = _said([program, "-Q", "-l", "-f", str(path)])
        return OldKey.OUT if digest.hex().encode() in shown else OldKey.UNKNOWN
    with TemporaryDirectory(prefix="fidokit-") as folder:
        public = Path(folder, "key.pub")
        public.write_text(f"{line}\n", "utf-8", "surrogateescape")
        shown = _said([program, "-Q", "-f", str(path), str(public)])
    return OldKey.OUT if b"REVOKED" in shown else OldKey.UNKNOWN


def _said(command: Sequence[str]) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603  the installed program
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_KEYGEN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout


def certificate_rows(
    certificates: Sequence[LostCertificate],
    said: Mapping[str, Sequence[tuple[str, bool | None]]],
    path: Path,
) -> list[LossRow]:
    """What is proved of certificates, by what the hosts say that were asked.

    Args:
        certificates: of lost keys.
        said: by the public line of each, which hosts were asked, and whether they take it.
        path: the revocation list, for hosts that nobody knows.
    """
    rows = []
    for one in certificates:
        answers = said.get(one.place.line, ())
        taken = [host for host, answer in answers if answer]
        silent = [host for host, answer in answers if answer is None]
        by_hand: tuple[str, ...] = ()
        if one.is_over:
            old, why = OldKey.OUT, ("it is out of date",)
        elif taken:
            old, why = OldKey.IN, (f"accepted by {', '.join(taken)}",)
        elif silent or not answers:
            old = OldKey.UNKNOWN
            asked = f"not known of {', '.join(silent)}" if silent else "no host was asked"
            why = (f"{asked}; hosts that trust its authority need {path} as RevokedKeys",)
        else:
            old, why = OldKey.OUT, (f"refused by {', '.join(host for host, _ in answers)}",)
        rows.append(
            LossRow(
                "certificate", one.name, one.place.key, old, NewKey.NOT_NEEDED, (), why, by_hand
            )
        )
    return rows
