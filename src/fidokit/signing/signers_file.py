"""Lines in a file of allowed signers: which are missing, and putting them there."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, MalformedKey, SignatureInvalid, UsageError
from fidokit.files import atomic
from fidokit.files.keyfile import ensure_ssh_folder, public_path, read_bounded
from fidokit.keys import publication
from fidokit.keys.holder import read_named
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import PublicKey, PublicLine, as_bytes
from fidokit.openssh.lines import allowed_signers
from fidokit.openssh.lines.allowed_signers import AllowedSigner
from fidokit.server.authorize import download, sources

MAX_FILE: Final = 1 << 24
"""Bytes of a file of allowed signers that is changed."""

NAMESPACE: Final = "git"
_PRINCIPAL: Final = re.compile(r"[^\s\"*?!,#\x00-\x1f\x7f][^\s\"*?!,\x00-\x1f\x7f]*")


@dataclass(frozen=True, slots=True)
class SignerLines:
    """Keys that may sign for one principal.

    Attributes:
        principal: an email address, as commits have it.
        keys: the keys.
        source: where they come from.
        comment: of the keys; hostile text without line breaks.
        note: a sentence about them; empty for none.
    """

    principal: str
    keys: tuple[PublicKey, ...]
    source: str
    comment: str = ""
    note: str = ""

    @classmethod
    def of_file(cls, principal: str, path: Path) -> SignerLines:
        """The key in a private or public file.

        Raises:
            UsageError: a certificate, or a principal that is a pattern.
            MalformedKey: no key; others as `keyfile.read_bounded`.
        """
        named, beside = read_named(path), public_path(path)
        if isinstance(named.key, Certificate):
            raise UsageError(f"{path} is a certificate", hint="name the key's own file")
        comment = named.comment
        if named.is_private and beside.exists():
            public = read_named(beside)
            comment = public.comment if public.key == named.key else ""
        return cls(require_principal(principal), (named.key,), str(path), comment)

    @classmethod
    def of_source(
        cls, principal: str, source: str, fetch: sources.Fetch | None = None
    ) -> SignerLines:
        """The keys that an account, an address or a file has.

        Of GitHub those for signatures count; if there are none, those for logins.

        Args:
            principal: whose they are.
            source: `gh:NAME`, `gl:NAME`, `lp:NAME`, an https address, or a file.
            fetch: gets an address's text; a test's own.

        Raises:
            MalformedKey: there is none; UsageError, FidokitError: they cannot be had.
        """
        require_principal(principal)
        prefix, _, account = source.partition(":")
        note, get = "", fetch or download.fetch
        if prefix in publication.SITES and sources.address_of(source):
            site = publication.SITES[prefix]
            try:
                found = publication.listed_keys(site, account, signing=True, fetch=get)
            except MalformedKey:
                note = f"{source} publishes no key for signatures; those for logins are taken"
                found = publication.listed_keys(site, account, signing=False, fetch=get)
        else:
            found = sources.read_source(source, get).keys
        keys = tuple(one.key for one in found if not one.is_authority)
        if not keys:
            raise MalformedKey(f"there is no key of a signer in {source}", hint="check the name")
        return cls(principal, keys, source, source, note)

    def lines(self) -> list[tuple[PublicKey, str]]:
        """Each key, and its line."""
        comment = "".join(sign for sign in self.comment if sign.isprintable())
        return [
            (key, f'{self.principal} namespaces="{NAMESPACE}" {PublicLine(key, comment).encode()}')
            for key in self.keys
        ]


def line_name(line: str) -> tuple[str, str]:
    """What tells a line from others: its principal, and the fingerprint of its key."""
    found = allowed_signers.parse_line(as_bytes(line))
    if not isinstance(found, AllowedSigner):
        return line, ""
    return found.principals, fingerprint.sha256(found.key.blob())


def require_principal(text: str) -> str:
    """A principal that stands for one signer.

    Raises:
        UsageError: allowed_signers would read it as something else, such as a pattern.
    """
    if not _PRINCIPAL.fullmatch(text):
        raise UsageError(
            f"{text!r} is not a principal for allowed_signers",
            hint="give the email address of the commits",
        )
    return text


def missing_lines(
    file: Path, signers: Iterable[SignerLines]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The lines that a file lacks, and the principals that it lets sign by these keys already.

    Raises:
        NoPermission, FidokitError: the file cannot be read.
    """
    text, now = _read(file), int(time.time())
    lines: dict[str, None] = {}
    known: dict[str, None] = {}
    for signer in signers:
        for key, line in signer.lines():
            if _admits(text, key, signer.principal, now):
                known[signer.principal] = None
            else:
                lines[line] = None
    return tuple(lines), tuple(known)


def _admits(text: bytes, key: PublicKey, principal: str, now: int) -> bool:
    entries = allowed_signers.parse_file(BytesIO(text))
    try:
        allowed_signers.check(entries, key, principal=principal, namespace=NAMESPACE, at=now)
    except SignatureInvalid:
        return False
    return True


def add_lines(file: Path, lines: Sequence[str]) -> None:
    """Append lines to a file, or to a new one.

    Raises:
        NoPermission, FidokitError: it cannot be written.
    """
    if not lines:
        return
    ensure_ssh_folder(file)
    text = _read(file)
    if text and not text.endswith(b"\n"):
        text += b"\n"
    _write(file, text + b"".join(as_bytes(line) + b"\n" for line in lines))


def remove_lines(file: Path, lines: Sequence[str]) -> tuple[str, ...]:
    """Take exactly these lines out of a file; returns those that were there.

    Raises:
        NoPermission, FidokitError: it cannot be read or written.
    """
    wanted = {as_bytes(line): line for line in lines}
    there = _read(file).split(b"\n")
    gone = tuple(wanted[line] for line in there if line in wanted)
    if gone:
        _write(file, b"\n".join(line for line in there if line not in wanted))
    return gone


def _read(file: Path) -> bytes:
    if not file.exists():
        return b""
    return read_bounded(file, MAX_FILE)


def _write(file: Path, data: bytes) -> None:
    real = Path(os.path.realpath(file))
    if not real.parent.is_dir():
        raise FidokitError(f"{real.parent} does not exist", hint="make the folder first")
    mode = real.stat().st_mode & 0o777 if real.exists() else atomic.PUBLIC_MODE
    atomic.replace(real, data, mode)
