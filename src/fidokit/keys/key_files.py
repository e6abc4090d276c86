"""Key files without a token: describe, flags, passphrase."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.errors import FidokitError, PassphraseRequired
from fidokit.files.atomic import replace as replace_file
from fidokit.files.keyfile import mode_warnings, public_path, read_private
from fidokit.files.scan import read_key
from fidokit.inventory.key_list import public_line
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.container import DEFAULT_CIPHER, parse_container
from fidokit.openssh.keys.plain_private import parse_any_private
from fidokit.openssh.keys.private import encode_private, parse_private, peek_public
from fidokit.types import PassphraseSource, SkFlag

if TYPE_CHECKING:
    from fidokit.openssh.keys.private import PrivateFile

DEFAULT_ROUNDS: Final = 24
"""bcrypt rounds of a new passphrase, as OpenSSH 9.9 has it."""


Asker = Callable[[], bytes]


def asker(path: Path, source: PassphraseSource | None) -> Asker | None:
    """What asks a source for the passphrase of one file; None if nobody can be asked."""
    return None if source is None else partial(source, path)


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


def describe_key_file(path: Path, *, passphrase: PassphraseSource | None = None) -> KeyFile:
    """Describe a private key file; without `passphrase` only what is not encrypted.

    Raises:
        MalformedKey, PassphraseWrong, NoPermission.
    """
    data = read_private(path)
    key = peek_public(data)
    opened = _open_if_possible(data, asker(path, passphrase))
    comment = opened.comment if opened else _public_comment(path)
    return KeyFile(
        path=path,
        public_line=public_line(key, comment),
        fingerprint=fingerprint.sha256(key.blob()),
        type_label=key.short_type,
        application=getattr(key, "application", ""),
        comment=comment,
        encrypted=is_encrypted(data),
        flags=opened.key.flags if opened else None,
        warnings=mode_warnings(path),
    )


def is_encrypted(data: bytes) -> bool:
    """Whether a private key file is under a passphrase."""
    return parse_container(data, max_rounds=(1 << 32) - 1).kdf is not None


def _open_if_possible(data: bytes, ask: Asker | None) -> PrivateFile | None:
    try:
        return parse_private(data, ask)
    except PassphraseRequired:
        return None


def comment_of(data: bytes, path: Path | None = None) -> str:
    """The comment of a private key file, on a token or not, as far as it can be had without its
    passphrase: that of the public file beside it where the private one does not tell.

    Args:
        data: the file.
        path: where it lies; None for one that has no place.
    """
    try:
        return parse_any_private(data, _nobody)[1]
    except FidokitError:
        return "" if path is None else _public_comment(path)


def _nobody() -> bytes:
    raise PassphraseRequired("the file is under a passphrase")


def _public_comment(path: Path) -> str:
    """The comment in the public file beside an encrypted one, where there is such a file."""
    try:
        return read_key(public_path(path))[0].comment
    except FidokitError:
        return ""


@dataclass(frozen=True, slots=True)
class FlagsChange:
    """Flags before and after."""

    path: Path
    before: SkFlag
    after: SkFlag

    @property
    def changed(self) -> bool:
        """Whether anything is different, and so the file was written."""
        return self.before != self.after


def set_key_flags(
    path: Path,
    *,
    touch: bool | None = None,
    verify: bool | None = None,
    passphrase: PassphraseSource | None = None,
    rounds: int | None = None,
) -> FlagsChange:
    """Set or clear touch-required and verify-required in a private key file; None leaves it.

    The file is replaced in one step, under the same passphrase, cipher and rounds. Flags in the
    file are what ssh asks for; what the server and the token demand is not changed by them.

    Args:
        passphrase: called only where the file is encrypted.
        rounds: bcrypt rounds of the new file; as before when None.

    Raises:
        PassphraseRequired, PassphraseWrong, MalformedKey, NoPermission.
    """
    data = read_private(path)
    known = _Remembered(asker(path, passphrase))
    file = parse_private(data, known.ask if passphrase else None)
    wanted = {SkFlag.USER_PRESENCE_REQUIRED: touch, SkFlag.USER_VERIFICATION_REQUIRED: verify}
    after = file.key.flags
    for flag, state in wanted.items():
        if state is not None:
            after = after | flag if state else after & ~flag
    change = FlagsChange(path, file.key.flags, after)
    if change.changed:
        changed = file._replace(key=file.key._replace(flags=after))
        _rewrite(path, changed, known.value, _protection(data), rounds)
    return change


class _Remembered:
    """Keeps the passphrase that opened a file, so that it can close it again."""

    def __init__(self, ask: Asker | None) -> None:
        self._ask = ask
        self.value: bytes | None = None

    def ask(self) -> bytes:
        """The user's answer, asked once."""
        if self.value is None and self._ask is not None:
            self.value = self._ask()
        return self.value or b""


@dataclass(frozen=True, slots=True)
class _Protection:
    cipher: str
    rounds: int


def _protection(data: bytes) -> _Protection:
    """How a file was encrypted; OpenSSH's way if it was not."""
    container = parse_container(data, max_rounds=(1 << 32) - 1)
    if container.kdf is None:
        return _Protection(DEFAULT_CIPHER, DEFAULT_ROUNDS)
    return _Protection(container.cipher.name, container.kdf.rounds)


def _rewrite(
    path: Path,
    file: PrivateFile,
    passphrase: bytes | None,
    protection: _Protection,
    rounds: int | None,
) -> None:
    data = encode_private(
        file,
        passphrase=passphrase,
        rounds=rounds or protection.rounds,
        cipher=protection.cipher,
    )
    replace_file(path, data)


def change_passphrase(
    path: Path,
    *,
    old: PassphraseSource | None = None,
    new: PassphraseSource | None = None,
    rounds: int = DEFAULT_ROUNDS,
    cipher: str = "aes256-ctr",
) -> None:
    """Replace the file, in one step, by itself under another passphrase.

    Args:
        old: asked only where the file is encrypted.
        new: asked once the old one is known to be right; None, or an empty answer, removes the
            passphrase.
        rounds: bcrypt rounds, 1 and up.

    Raises:
        PassphraseRequired, PassphraseWrong, MalformedKey, NoPermission, UsageError (cipher or
        rounds that cannot be).
    """
    file = parse_private(read_private(path), asker(path, old))
    secret = new(path) if new else None
    _rewrite(path, file, secret or None, _Protection(cipher, rounds), None)


def public_lines(paths: Iterable[Path]) -> Iterator[str]:
    """The public line of each key file, private or public; no passphrase is asked.

    The comment of a private file under a passphrase is its public file's, if there is one.

    Raises:
        MalformedKey, NoPermission.
    """
    for path in paths:
        line, is_private = read_key(path)
        comment = comment_of(read_private(path), path) if is_private else line.comment
        yield public_line(line.key, comment) if is_private else line.encode()
