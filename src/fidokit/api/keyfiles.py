"""Key files without a token: show, flags, passphrase."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fidokit.types import SkFlag

HashName = Literal["sha256", "md5"]
OldPassphrase = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class ShownKey:
    """One key of a file, as `ssh-keygen -l` shows it.

    Attributes:
        bits: as ssh-keygen counts (256 for both sk types).
        type_label: ssh-keygen's label, such as "ED25519-SK" or "ED25519-SK-CERT".
        line_number: from 1 in a file of many lines, else 0.
        error: a sentence when the line could not be read; then the other fields are empty.
    """

    fingerprint: str
    comment: str
    type_label: str
    bits: int
    line_number: int = 0
    error: str = ""
    randomart: str = ""


def show(
    path: Path, *, hash_name: HashName = "sha256", randomart: bool = False
) -> Iterator[ShownKey]:
    """The keys in a public file, authorized_keys, private file or certificate, in order.

    Streams: a file of any length takes bounded memory. `-` is standard input.

    Raises:
        MalformedKey when nothing in the file is a key; NoPermission; FidokitError (no such file).
    """
    raise NotImplementedError


def fingerprint_lines(path: Path, *, hash_name: HashName = "sha256") -> Iterator[str]:
    """`show` as ready text lines, `256 SHA256:... comment (ED25519-SK)`: the fast path."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What one private key file holds, for people.

    Attributes:
        flags: None while the file is under a passphrase that was not given.
        encrypted: whether the file is under a passphrase.
        comment: from the private part, or the public file where that is encrypted.
        warnings: such as a mode that others may read.
    """

    path: Path
    public_line: str
    fingerprint: str
    type_label: str
    application: str
    comment: str
    encrypted: bool
    flags: SkFlag | None
    warnings: tuple[str, ...] = ()


def describe(path: Path, *, passphrase: OldPassphrase | None = None) -> KeyFile:
    """Describe a private key file; without `passphrase` only what is not encrypted.

    Raises:
        MalformedKey, PassphraseWrong, NoPermission.
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class FlagsChange:
    """Flags before and after, and whether the file was written."""

    path: Path
    before: SkFlag
    after: SkFlag

    @property
    def changed(self) -> bool:
        """Whether anything is different."""
        return self.before != self.after


def set_flags(
    path: Path,
    *,
    touch: bool | None = None,
    verify: bool | None = None,
    passphrase: OldPassphrase | None = None,
    rounds: int = 24,
) -> FlagsChange:
    """Set or clear touch-required and verify-required in a private key file; None leaves it.

    The file is replaced in one step, under the same passphrase. Flags in the file are what ssh
    asks for; what the server and the token demand is not changed by them.
    """
    raise NotImplementedError


def change_passphrase(
    path: Path,
    *,
    old: OldPassphrase | None,
    new: bytes | None,
    rounds: int = 24,
    cipher: str = "aes256-ctr",
) -> None:
    """Replace the file, in one step, by itself under another passphrase.

    Args:
        old: called only where the file is encrypted.
        new: None (or empty) removes the passphrase.
        rounds: bcrypt rounds, 1 and up.

    Raises:
        PassphraseRequired, PassphraseWrong, MalformedKey, NoPermission.
    """
    raise NotImplementedError


def public_lines(paths: Iterable[Path]) -> Iterator[str]:
    """The public line of each private key file, as `ssh-keygen -y` prints it; no passphrase."""
    raise NotImplementedError
