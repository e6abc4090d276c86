"""Private key files that an agent serves from the start, each with the certificate beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from fidokit.agent.core.held_keys import HeldKey
from fidokit.agent.token_places import seconds
from fidokit.errors import FidokitError, MalformedKey, UsageError
from fidokit.files.keyfile import read_bounded
from fidokit.keys.holder import read_key_file
from fidokit.openssh.certificates.certificate import Certificate, require_trustworthy
from fidokit.openssh.keys.private import SkPrivate
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
    """The key in a file; and under the certificate beside it, where there is one (ssh-add)."""
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


def _certificate_in(text: bytes) -> Certificate:
    found, _ = key_text.read_key(text.strip())
    if not isinstance(found, Certificate):
        raise MalformedKey("it holds a plain key")
    return found
