"""What a throw-away sshd is asked about public keys, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import PublicLine
from fidokit.server.sshd.query import LOOPBACK, LoginOrigin
from fidokit.server.sshd.settings import ConfigPlace


@dataclass(frozen=True)
class PublicText:
    """A public key as a line for ssh: type and base64, and its fingerprint."""

    text: str
    fingerprint: str

    @property
    def is_rsa(self) -> bool:
        """Whether there are several algorithms to sign by."""
        return self.text.startswith("ssh-rsa")

    @classmethod
    def of(cls, line: PublicLine) -> PublicText:
        """The key of a line; its comment is left out."""
        bare = PublicLine(line.key, "").encode()
        return cls(bare, fingerprint.sha256(line.key.blob()))


@dataclass(frozen=True)
class KeyQuestion:
    """Which of these keys would get in as a user?

    Attributes:
        user: any name that the user database may hold.
        keys: the public halves; also key types that the installed ssh knows and we do not, as
            `PublicText`.
        origin: where the login comes from; only root can ask for other places than loopback.
    """

    user: str
    keys: tuple[PublicText, ...]
    origin: LoginOrigin = LOOPBACK


@dataclass(frozen=True)
class KeyAnswer:
    """What the throw-away sshd said of one key.

    Attributes:
        accepted: it would take a signature by the key (RFC 4252, section 7); None if it could not
            be asked.
        place: the file and line that let the key in; None if it is not let in, or by something
            else than a line.
        why: what was in the way of an answer; else empty.
    """

    key: PublicText
    accepted: bool | None
    place: ConfigPlace | None = None
    why: str = ""
