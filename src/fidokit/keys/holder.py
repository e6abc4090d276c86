"""Key files: what they name, and what is in a private one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fidokit.errors import PassphraseRequired
from fidokit.files.keyfile import read_private
from fidokit.keys.key_files import asker
from fidokit.openssh.certificates.certificate import parse_key
from fidokit.openssh.keys import container as private_container
from fidokit.openssh.keys.plain_private import parse_any_private
from fidokit.openssh.keys.private import parse_private
from fidokit.openssh.lines import key_text
from fidokit.types import PassphraseSource

if TYPE_CHECKING:
    from pathlib import Path

    from fidokit.openssh.certificates.certificate import Certificate
    from fidokit.openssh.keys.plain_private import AnyPrivate
    from fidokit.openssh.keys.private import PrivateFile
    from fidokit.openssh.keys.public import PublicKey


def open_key_file(path: Path, *, passphrase: PassphraseSource | None = None) -> PrivateFile:
    """The private key in a file, for the functions below; asks for its passphrase at most once.

    Raises:
        MalformedKey (also for an ordinary key), PassphraseRequired, PassphraseWrong,
        NoPermission, UsageError (no regular file).
    """
    return parse_private(read_private(path), asker(path, passphrase))


def read_key_file(path: Path, passphrase: PassphraseSource | None) -> tuple[AnyPrivate, str]:
    """The private key in a file, on a token or not, and its comment.

    Args:
        passphrase: asks for the passphrase of a file, once, where it is under one.

    Raises:
        MalformedKey, PassphraseRequired, PassphraseWrong, NoPermission: as `open_key_file`.
    """

    def ask() -> bytes:
        if passphrase is None:
            raise PassphraseRequired(
                f"{path} is under a passphrase, and nobody can be asked",
                hint="run this on a terminal, or put the key into an agent: ssh-add",
            )
        return passphrase(path)

    return parse_any_private(read_private(path), ask)


@dataclass(frozen=True, slots=True)
class NamedKey:
    """The public half in a key file; a private file tells its comment only with its passphrase."""

    key: PublicKey | Certificate
    comment: str
    is_private: bool


def read_named(path: Path) -> NamedKey:
    """The public key or certificate in a file, which may be a private key's; asks nothing.

    Raises:
        MalformedKey: neither; others as `keyfile.read_bounded`.
    """
    data = read_private(path).lstrip()
    if data.startswith(b"-----BEGIN"):
        # rounds of bcrypt cost nothing here: nothing is opened
        container = private_container.parse_container(data, (1 << 32) - 1)
        return NamedKey(parse_key(container.public_blob), "", is_private=True)
    line = key_text.content(data.split(b"\n", 1)[0])
    return NamedKey(*key_text.read_key(line), is_private=False)
