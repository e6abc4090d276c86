"""Files that an agent serves: private keys from the start, each with the certificate beside it; and
folders of certificates for keys that are on tokens."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from fidokit.agent.core.held_keys import HeldKey
from fidokit.agent.token_places import seconds
from fidokit.errors import FidokitError, MalformedKey, UsageError
from fidokit.files.keyfile import read_bounded
from fidokit.keys.holder import read_key_file
from fidokit.keys.stored_certificates import holds_certificates, require_user_certificate
from fidokit.openssh.certificates.certificate import Certificate, require_trustworthy
from fidokit.openssh.keys.private import SkPrivate
from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.lines import key_text
from fidokit.types import PassphraseSource

MAX_CERTIFICATE_FILE: Final = 1 << 19
"""Bytes; base64 of the longest certificate, and a comment."""
CERTIFICATE_ENDING: Final = "-cert.pub"
"""Of the name of a certificate beside its private key file, as ssh-keygen -s writes it."""


def entries_of(
    path: Path,
    passphrase: PassphraseSource | None,
    lifetime: int | None,
    say: Callable[[str], None],
) -> Iterator[HeldKey]:
    """The key in a file; and under the certificate beside it, if there is one (ssh-add)."""
    if path.name.endswith(CERTIFICATE_ENDING):
        raise UsageError(
            f"{path} is a certificate, which cannot sign",
            hint=f"name the private key: {path.with_name(path.name[: -len(CERTIFICATE_ENDING)])}; "
            "the certificate beside it is served, too",
        )
    key, comment = read_key_file(path, passphrase)
    expires = None if lifetime is None else seconds() + lifetime
    held = HeldKey(key, comment or str(path), expires)
    yield held
    certificate = _certificate_beside(path, say)
    if certificate is None or key.certificate is not None:
        return
    if certificate.public != key.public:
        say(f"{path}{CERTIFICATE_ENDING} is not served: it certifies another key")
        return
    certified = (
        key._replace(certificate=certificate)
        if isinstance(key, SkPrivate)
        else replace(key, certificate=certificate)
    )
    yield replace(held, private=certified)


def _certificate_beside(path: Path, say: Callable[[str], None]) -> Certificate | None:
    beside = path.with_name(path.name + CERTIFICATE_ENDING)
    try:
        text = read_bounded(beside, MAX_CERTIFICATE_FILE)
        found = _certificate_in(text)
        require_trustworthy(found)
    except FidokitError as error:
        if os.path.lexists(beside):
            say(f"{beside} is not served: {error.message}")
        return None
    return found


# --- certificates for keys on tokens ---------------------------------------------------------

MOST_FILES: Final = 1024
"""Files of a folder that are looked at."""
_Stamp = tuple[tuple[str, int, int], ...]


class CertificateFolders:
    """Certificates in folders, found by the key that they certify; files may come and go.

    Args:
        folders: those whose files with names in `.pub` are read; not what is below them.
        say: takes a line for the log.
    """

    def __init__(self, folders: Sequence[Path], say: Callable[[str], None]) -> None:
        self._folders = folders
        self._say = say
        self._guard = threading.Lock()
        self._stamp: _Stamp = ()
        self._found: dict[bytes, list[Certificate]] = {}

    def changed(self) -> bool:
        """Look again; whether there is something else than at the last look."""
        if not self._folders:
            return False
        with self._guard:
            stamp = self._look()
            if stamp == self._stamp:
                return False
            self._stamp, self._found = stamp, {}
            for name, _, _ in stamp:
                self._read(Path(name))
            return True

    def of(self, key: PublicKey) -> Sequence[Certificate]:
        """The certificates of a key, as they were at the last look that saw something new."""
        with self._guard:
            return tuple(self._found.get(key.blob(), ()))

    def _look(self) -> _Stamp:
        """Name, time and size of each file, which tell a new certificate from an old one."""
        seen: list[tuple[str, int, int]] = []
        for folder in self._folders:
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.name.endswith(".pub") and len(seen) < MOST_FILES:
                            seen += _stamp_of(entry)
            except OSError:
                continue  # it may be mounted later
        return tuple(sorted(seen))

    def _read(self, path: Path) -> None:
        try:
            text = read_bounded(path, MAX_CERTIFICATE_FILE).strip()
            if not holds_certificates(text):
                return  # somebody's public key
            found = _certificate_in(text)
            require_user_certificate(found)
        except FidokitError as error:
            self._say(f"{path} is not served: {error.message}")
            return
        self._found.setdefault(found.public.blob(), []).append(found)


def _stamp_of(entry: os.DirEntry[str]) -> list[tuple[str, int, int]]:
    try:
        there = entry.stat()
    except OSError:
        return []
    return [(entry.path, there.st_mtime_ns, there.st_size)]


def _certificate_in(text: bytes) -> Certificate:
    found, _ = key_text.read_key(text.strip())
    if not isinstance(found, Certificate):
        raise MalformedKey("it holds a plain key")
    return found
