"""Fingerprints of the keys in any file that holds keys, without a token; light and streaming."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

from fidokit.errors import MalformedKey, UsageError
from fidokit.files.disk_errors import explained

if TYPE_CHECKING:
    from pathlib import Path

    from fidokit.openssh.lines.key_stream import Listed, Unreadable

HashName = Literal["sha256", "md5", "bubblebabble"]

STDIN: Final = "-"
_CHUNK: Final = 1 << 18
_PRIVATE_HEAD: Final = b"-----BEGIN "


@dataclass(frozen=True)
class ShownKey:
    """One key of a file, as `ssh-keygen -l` shows it.

    Attributes:
        bits: as ssh-keygen counts (256 for both sk types).
        type_label: ssh-keygen's label, such as "ED25519-SK" or "ED25519-SK-CERT".
        line_number: from 1 in a file of lines, 0 for a private key file.
        error: a sentence when the line could not be read; then the other fields are empty.
        randomart: eleven lines, if it was asked for.
        options: what stands before the key in authorized_keys.
    """

    fingerprint: str
    comment: str
    type_label: str
    bits: int
    line_number: int = 0
    error: str = ""
    randomart: str = ""
    options: str = ""


def show(
    path: Path | str, *, hash_name: HashName = "sha256", randomart: bool = False
) -> Iterator[ShownKey]:
    """The keys in a public file, authorized_keys, private file or certificate, in order.

    Streams: a file of any length takes bounded memory. `-` is standard input. Text is whatever
    the file holds: escape it before a terminal.

    Args:
        randomart: draw each; of SHA-256 unless `hash_name` is md5.

    Raises:
        MalformedKey: nothing in the file is a key.
        UsageError: another hash; NoPermission, FidokitError: the file cannot be read.
    """
    remember = _Remember(_hash(hash_name))
    art_hash = "MD5" if hash_name == "md5" else "SHA256"
    for found in _read(path, remember):
        shown = _shown(found)
        if randomart and not shown.error:
            shown = _with_art(shown, remember.blob, art_hash)
        yield shown


def fingerprint_lines(path: Path | str, *, hash_name: HashName = "sha256") -> Iterator[str]:
    """`show` as ready text lines, `256 SHA256:... comment (ED25519-SK)`: the fast path.

    Lines that hold no key are left out, as ssh-keygen does; `show` tells about them.
    """
    from fidokit.openssh.lines.key_stream import Listed

    for found in _read(path, _hash(hash_name)):
        if isinstance(found, Listed):
            yield found.text()


def _hash(name: str) -> Callable[[bytes], str]:
    from fidokit.openssh.keys import fingerprint

    known: dict[str, Callable[[bytes], str]] = {
        "sha256": fingerprint.sha256,
        "md5": fingerprint.md5,
        "bubblebabble": fingerprint.bubblebabble,
    }
    if name not in known:
        raise UsageError(f"no fingerprint of hash {name!r}", hint=f"known are {', '.join(known)}")
    return known[name]


class _Remember:
    """A fingerprint function that keeps what it was last asked about, for its picture."""

    def __init__(self, fingerprint: Callable[[bytes], str]) -> None:
        self._fingerprint = fingerprint
        self.blob = b""

    def __call__(self, blob: bytes) -> str:
        self.blob = blob
        return self._fingerprint(blob)


def _read(path: Path | str, fingerprint: Callable[[bytes], str]) -> Iterator[Listed | Unreadable]:
    from fidokit.openssh.lines.key_stream import Unreadable, bounded_lines, list_fingerprints

    any_key, first_error = False, None
    with explained(path), _opened(path) as file:
        head = file.read(_CHUNK)
        if head.lstrip().startswith(_PRIVATE_HEAD):
            yield _private(path, head, fingerprint)
            return
        pieces = chain([head], iter(lambda: file.read(_CHUNK), b""))
        lines = bounded_lines(lambda _size: next(pieces, b""))
        for found in list_fingerprints(lines, fingerprint):
            if isinstance(found, Unreadable):
                first_error = first_error or found
            else:
                any_key = True
            yield found
    if not any_key:
        raise _no_key(path, first_error)


@contextmanager
def _opened(path: Path | str) -> Iterator[BinaryIO]:
    if str(path) == STDIN:
        from fidokit.prompt.standard_input import standard_input

        yield standard_input()
        return
    with open(path, "rb") as file:  # noqa: PTH123  a str stays one: see disk_errors
        yield file


def _no_key(path: Path | str, first: Unreadable | None) -> MalformedKey:
    why = f" (line {first.line}: {first.error.message})" if first else ""
    name = "standard input" if str(path) == STDIN else path
    return MalformedKey(
        f"{name} holds no key{why}",
        hint="name a public key, authorized_keys, a private key file or a certificate",
    )


def _private(path: Path | str, data: bytes, fingerprint: Callable[[bytes], str]) -> Listed:
    from pathlib import Path

    from fidokit.keys.key_files import comment_of
    from fidokit.openssh.keys.private import peek_public
    from fidokit.openssh.lines.key_stream import Listed

    key = peek_public(data)
    comment = comment_of(data, None if str(path) == STDIN else Path(path))
    return Listed(0, key.bits, fingerprint(key.blob()), comment, key.short_type)


def _shown(found: Listed | Unreadable) -> ShownKey:
    from fidokit.openssh.lines.key_stream import Unreadable

    if isinstance(found, Unreadable):
        return ShownKey("", "", "", 0, found.line, found.error.message)
    return ShownKey(
        fingerprint=found.fingerprint,
        comment=found.comment,
        type_label=found.short_type,
        bits=found.bits,
        line_number=found.line,
        options=found.options,
    )


def _with_art(shown: ShownKey, blob: bytes, hash_name: str) -> ShownKey:
    from dataclasses import replace

    from fidokit.openssh.keys.fingerprint import randomart, randomart_title

    title = randomart_title(shown.type_label, shown.bits)
    return replace(shown, randomart=randomart(blob, title, hash_name))
