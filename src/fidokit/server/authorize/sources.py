"""Where keys come from: files, and accounts of GitHub, GitLab and Launchpad, as URLs.

A file's lines are its owner's wishes: each is taken whole, with its options, or refused by name.
What comes over the network is somebody else's text: of its options those are kept that narrow.
"""

from __future__ import annotations

import io
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, MalformedFile, MalformedKey, UsageError
from fidokit.files.filenames import backups_beside
from fidokit.files.foreign_formats import require_own_form
from fidokit.files.keyfile import public_path, read_bounded
from fidokit.files.scan import read_key
from fidokit.openssh.keys.public import (
    PublicKey,
    PublicLine,
    SkEcdsaPublic,
    SkEd25519Public,
    as_bytes,
)
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, BadLine, parse_file
from fidokit.server.authorize import blobs, download
from fidokit.server.authorize.wishes import AUTHORITY, WantedKey, trusted_part
from fidokit.types import SkFlag

_ACCOUNTS: Final[Mapping[str, str]] = {
    "gh": "https://github.com/{}.keys",
    "gl": "https://gitlab.com/{}.keys",
    "lp": "https://launchpad.net/~{}/+sshkeys",
}
"""Addresses that answer with an account's public keys, one a line (ssh-import-id's, too)."""

_HARDWARE: Final = (SkEd25519Public, SkEcdsaPublic)
_LONGEST: Final = 1 << 20
_PRIVATE: Final = b"-----BEGIN"

Fetch = Callable[[str], bytes]
"""Gets what an address answers with, at most `download.MAX_ANSWER` bytes."""


@dataclass(frozen=True)
class Fetched:
    """Keys of one source.

    Attributes:
        source: as it was named.
        keys: with the comment that they came with, or the source where they had none.
        unreadable: lines that are not keys.
        left_out: keys that are not on a token, where those alone were wanted.
        warnings: what of its lines was not taken over, a sentence each; hostile text.
    """

    source: str
    keys: tuple[WantedKey, ...]
    unreadable: tuple[BadLine, ...] = ()
    left_out: int = 0
    warnings: tuple[str, ...] = ()


def is_remote(source: str) -> bool:
    """Whether a source is an account or an address, and not a file."""
    return source.partition(":")[0] in {*_ACCOUNTS, "https", "http"}


def address_of(source: str) -> str:
    """The URL of a source.

    Raises:
        UsageError: no account's name stands in it, or the address is not a safe one.
    """
    kind, _, name = source.partition(":")
    if kind in _ACCOUNTS:
        if not name or not all(c.isalnum() or c in "-_." for c in name) or not name.isascii():
            raise UsageError(f"{source!r} names no account", hint=f"say {kind}:NAME")
        return _ACCOUNTS[kind].format(urllib.parse.quote(name, safe=""))
    download.require_safe(source)
    return source


def read_source(source: str, fetch: Fetch, *, only_hardware: bool = False) -> Fetched:
    """The keys of a file, an account or an address.

    Args:
        source: a public key file, a private one (its public half is taken), any file of
            authorized_keys lines, `gh:NAME`, `gl:NAME`, `lp:NAME`, or an https address.
        fetch: gets what an address answers with.
        only_hardware: leave out keys that are not on a token.

    Raises:
        MalformedKey: there is no key in it at all.
        MalformedFile: a line of a file that sshd would not take; names it.
        UsageError, FidokitError: it cannot be had.
    """
    if is_remote(source):
        found = keys_from(source, fetch(address_of(source)))
    else:
        found = _keys_of_file(source, Path(source).expanduser())
    if not only_hardware:
        return found
    wanted = tuple(key for key in found.keys if isinstance(key.key, _HARDWARE))
    return replace(found, keys=wanted, left_out=len(found.keys) - len(wanted))


# --- files -----------------------------------------------------------------------------------


def _keys_of_file(source: str, path: Path) -> Fetched:
    lines = list(parse_file(io.BytesIO(_public_text(path))))
    for line in lines:
        if isinstance(line, BadLine):
            raise MalformedFile(
                f"{source}, line {line.line_number}: {line.reason}",
                hint="sshd would ignore that line; fix or remove it",
            )
    found = [line for line in lines if isinstance(line, AuthorizedKey)]
    if not found:
        raise _no_key(source)
    private = _private_beside(path) if len(found) == 1 else None
    return Fetched(source, tuple(_of_file(line, source, private) for line in found))


def _of_file(line: AuthorizedKey, source: str, private: Path | None) -> WantedKey:
    touch, verify = token_flags(private, line.key)
    comment = _comment(line, source)
    return WantedKey(line.key, comment, line.options, source, touch, verify, str(private or ""))


def _public_text(path: Path) -> bytes:
    """What a public key file holds; of a private one, the file beside it or its own public part."""
    data = read_bounded(path, _LONGEST)
    require_own_form(path, data)
    if not data.lstrip().startswith(_PRIVATE):
        return data
    beside = public_path(path)
    if beside.exists():
        return read_bounded(beside, _LONGEST)
    line, _ = read_key(path)
    return as_bytes(PublicLine(line.key, line.comment or path.name).encode())


def _private_beside(path: Path) -> Path | None:
    """The private file of a public one, or the file itself where it is private."""
    candidate = path.with_suffix("") if path.suffix == ".pub" else path
    try:
        head = read_bounded(candidate, _LONGEST).lstrip()
    except FidokitError:
        return None
    return candidate if head.startswith(_PRIVATE) else None


def token_flags(private: Path | None, key: PublicKey) -> tuple[bool | None, bool | None]:
    """Whether signing with an available key asks its token for a touch, and for PIN or finger.

    None for what is not known: there is no private file of this key, it is under a passphrase, or
    the key is not on a token.
    """
    if private is None:
        return None, None
    try:
        from fidokit.openssh.keys.private import parse_private

        file = parse_private(read_bounded(private, _LONGEST), None)
    except (FidokitError, ImportError):  # a host without the packages for keys asks nothing of them
        return None, None
    if file.key.public != key:
        return None, None
    flags = file.key.flags
    return SkFlag.USER_PRESENCE_REQUIRED in flags, SkFlag.USER_VERIFICATION_REQUIRED in flags


def with_backups(sources: Iterable[str]) -> list[str]:
    """The sources, each file followed by those of its backups that are not named anyway."""
    sources = list(sources)
    named = list(dict.fromkeys(sources))
    for source in sources:
        if not is_remote(source):
            beside = [str(file) for file in backups_beside(Path(source).expanduser())]
            named += [file for file in beside if file not in named]
    return named


# --- accounts --------------------------------------------------------------------------------


def keys_from(source: str, text: bytes) -> Fetched:
    """The keys in what an account or address gave.

    Options that narrow what a key may do are kept. Those that widen it, and lines of certificate
    authorities, are left out and reported.

    Raises:
        MalformedKey: there is no key in it at all.
    """
    lines = list(parse_file(io.BytesIO(text)))
    found = [line for line in lines if isinstance(line, AuthorizedKey)]
    if not found:
        raise _no_key(source)
    keys, warnings = [], []
    for line in found:
        if line.is_authority:
            warnings.append(f"{source}: the {AUTHORITY} line {line.line_number} was left out")
            continue
        kept, left = trusted_part(line.options)
        keys.append(WantedKey(line.key, _comment(line, source), kept, source))
        if left:
            warnings.append(f"{source}, line {line.line_number}: left out {', '.join(left)}")
    bad = tuple(line for line in lines if isinstance(line, BadLine))
    warnings += [f"{source}, line {line.line_number} was left out: {line.reason}" for line in bad]
    return Fetched(source, tuple(keys), bad, warnings=tuple(warnings))


def _no_key(source: str) -> MalformedKey:
    return MalformedKey(f"there is no public key in {source}", hint="check the name")


def _comment(line: AuthorizedKey, source: str) -> str:
    """Without what a terminal would obey; bytes that are not UTF-8 stay (PEP 383)."""
    said = "".join(c for c in line.comment if c.isprintable() or "\udc80" <= c <= "\udcff")
    return said or source


# --- keys to take out ------------------------------------------------------------------------


def blobs_of(name: str, fetch: Fetch) -> Iterator[bytes]:
    """The blobs of the keys in a source, of types that we do not know, too.

    Raises:
        MalformedKey: there is none, or a certificate.
    """
    text = fetch(address_of(name)) if is_remote(name) else _public_text(Path(name).expanduser())
    found = False
    for raw in text.splitlines():
        for blob in blobs.blobs_in(raw):
            if "-cert-v" in blobs.type_name(blob):
                raise MalformedKey(
                    f"{name} holds a certificate", hint="name the key's own public file"
                )
            found = True
            yield blob
    if not found:
        raise _no_key(name)
