"""Secrets derived by tokens, for age, LUKS and scripts: files, forms, other programs' lines.

A secret's file is what `systemd-cryptenroll` keeps in a LUKS header, with the public key added, so
that `cryptsetup token import` takes it as it is. It holds no secret.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from fidokit.client.credentials import hmac_secret
from fidokit.client.credentials.hmac_secret import SALT, SecretCredential
from fidokit.errors import MalformedFile, UsageError
from fidokit.files import atomic
from fidokit.files.filenames import backup_path
from fidokit.files.keyfile import check_free, read_bounded
from fidokit.types import Application, CredentialId

if TYPE_CHECKING:
    from fidokit.client.session import Session

__all__ = ["SALT", "SecretFile", "SecretForm", "create_secret", "derive_secret", "read_secret_file"]

SYSTEMD_RP: Final = "io.systemd.cryptsetup"
"""The RP id that systemd-cryptenroll uses, and ours where nothing else is said."""
_TYPE: Final = "systemd-fido2"
_MOST: Final = 1 << 16
"""Bytes: a file of this kind is never longer."""
_LONGEST_ID: Final = 1023
_POINT: Final = 65
_PAM_ORIGIN: Final = "pam://"


class SecretForm(StrEnum):
    """How 32 bytes are written; `age` is an identity file for age."""

    RAW = "raw"
    HEX = "hex"
    BASE64 = "base64"
    AGE = "age"


class SecretFile(NamedTuple):
    """What a file says of a credential that derives secrets.

    Args:
        credential: which one.
        salt: 32 bytes; None if the file has none.
    """

    credential: SecretCredential
    salt: bytes | None

    def systemd_token(self) -> str:
        """The JSON that systemd keeps in a LUKS header; pretty, with a newline at its end."""
        held = self.credential
        members: dict[str, object] = {
            "type": _TYPE,
            "keyslots": [],
            "fido2-credential": _base64(held.credential_id),
            "fido2-rp": held.application,
            "fido2-clientPin-required": held.verified,
            "fido2-up-required": True,
            "fido2-uv-required": False,
        }
        if self.salt:
            members["fido2-salt"] = _base64(self.salt)
        if held.point:
            members["fidokit-public-key"] = _base64(held.point)
        return json.dumps(members, indent=2) + "\n"

    def pam_u2f_line(self, user: str) -> str:
        """The line of pam_u2f's authfile that lets `user` in by this credential.

        Raises:
            UsageError: pam_u2f cannot use it: another RP id, or no public key is known.
        """
        held = self.credential
        if not held.application.startswith(_PAM_ORIGIN):
            raise UsageError(
                f"pam_u2f uses credentials for {_PAM_ORIGIN}HOST, and this one is for "
                f"{held.application!r}",
                hint="make one with --application pam://HOST",
            )
        if not held.point:
            raise UsageError("the file holds no public key, which pam_u2f needs")
        if not user or not user.isprintable() or set(user) & set(": ,"):
            raise UsageError(f"{user!r} is not a user name")
        use = "+presence" + ("+pin" if held.verified else "")
        return f"{user}:{_base64(held.credential_id)},{_base64(held.point[1:])},es256,{use}"


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def create_secret(
    session: Session, path: Path, *, application: str = SYSTEMD_RP, verified: bool, force: bool
) -> SecretFile:
    """Make a credential that derives secrets, and write its file, with a salt of its own.

    Args:
        session: the open token.
        path: the file; checked before the token is touched.
        application: the RP id.
        verified: whether each use wants PIN or finger.
        force: replace a file that is in the way.

    Raises:
        WouldOverwrite: the file is in the way, and nothing was changed.
        Unsupported: the token derives no secrets; PinError, TouchRefused, TouchTimedOut.
    """
    import os

    check_free(path, force=force)
    made = hmac_secret.create(session, application, path.name, verified=verified)
    found = SecretFile(made, os.urandom(SALT))
    data = found.systemd_token().encode()
    (atomic.replace if force else atomic.write_new)(path, data)
    return found


def beside(path: Path, count: int) -> list[Path]:
    """A file, and those of so many backups."""
    return [path, *(backup_path(path, number) for number in range(1, count + 1))]


def check_outputs(paths: Sequence[Path], *, force: bool) -> None:
    """Refuse before the touch what could not be written after it. Raises WouldOverwrite."""
    check_free(*paths, force=force)


def write_secret(path: Path, data: bytes, *, force: bool) -> None:
    """Write a secret to a file of mode 0600. Raises WouldOverwrite, NoPermission."""
    (atomic.replace if force else atomic.write_new)(path, data)


def read_salt(path: Path) -> bytes:
    """The salt in a file, of any length so far. Raises NoPermission, UsageError."""
    return read_bounded(path, _MOST)


def derive_secret(session: Session, file: SecretFile, salt: bytes | None = None) -> bytes:
    """The 32 bytes for a salt, or for the file's own.

    Raises:
        UsageError: no salt is given, and the file has none; and what `hmac_secret.derive` raises.
    """
    chosen = salt or file.salt
    if chosen is None:
        raise UsageError(
            "the file holds no salt", hint="give one with --salt FILE, --salt-hex or --label"
        )
    if len(chosen) != SALT:
        raise UsageError(f"a salt has {SALT} bytes, not {len(chosen)}")
    return hmac_secret.derive(session, file.credential, chosen)


# --- reading ---------------------------------------------------------------------------------


def read_secret_file(path: Path, *, application: str | None = None) -> SecretFile:
    """A file of `create_secret`, a token of systemd-cryptenroll, or a line of pam_u2f.

    Args:
        path: the file; of several lines of pam_u2f, the first credential counts.
        application: the RP id, which pam_u2f's lines do not have.

    Raises:
        MalformedFile: it is none of these.
        UsageError: a line of pam_u2f without an application; NoPermission.
    """
    text = read_bounded(path, _MOST).decode("utf-8", "replace").strip()
    if text.startswith("{"):
        return _from_json(path, text)
    return _from_pam_line(path, text, application)


def _from_json(path: Path, text: str) -> SecretFile:
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        raise _malformed(path, "it is not valid JSON") from None
    if not isinstance(members, dict) or members.get("type") != _TYPE:
        raise _malformed(path, f"its type is not {_TYPE}")
    point = _bytes(path, members, "fidokit-public-key", (0, _POINT))
    salt = _bytes(path, members, "fido2-salt", (0, SALT))
    rp_id = members.get("fido2-rp", SYSTEMD_RP)
    if not isinstance(rp_id, str) or not 1 <= len(rp_id.encode("utf-8", "replace")) <= 255:
        raise _malformed(path, "fido2-rp is not a name")
    identifier = _bytes(path, members, "fido2-credential", range(1, _LONGEST_ID + 1))
    wanted = ("fido2-clientPin-required", "fido2-uv-required")
    verified = any(_flag(path, members, name) for name in wanted)
    held = SecretCredential(Application(rp_id), CredentialId(identifier), verified, point)
    return SecretFile(held, salt or None)


def _bytes(path: Path, members: Mapping[str, object], name: str, sizes: Sequence[int]) -> bytes:
    value = members.get(name, "")
    try:
        raw = b64decode(value, validate=True) if isinstance(value, str) else None
    except ValueError:
        raw = None
    if raw is None or len(raw) not in sizes:
        raise _malformed(path, f"{name} is not base64 of the right length")
    return raw


def _flag(path: Path, members: Mapping[str, object], name: str) -> bool:
    value = members.get(name, False)
    if not isinstance(value, bool):
        raise _malformed(path, f"{name} is neither true nor false")
    return value


def _from_pam_line(path: Path, text: str, application: str | None) -> SecretFile:
    """USER:HANDLE,KEY,es256,+presence[+pin][:...]; the key is x and y, 32 bytes each."""
    fields = text.split("\n", 1)[0].split(":")
    parts = fields[1].split(",") if len(fields) > 1 else []
    if len(parts) != 4 or parts[2] != "es256":
        raise _malformed(path, "it is neither JSON nor a line of pam_u2f of type es256")
    named = {"handle": parts[0], "key": parts[1]}
    handle = _bytes(path, named, "handle", range(1, _LONGEST_ID + 1))
    key = _bytes(path, named, "key", (_POINT - 1,))
    if application is None:
        raise UsageError(
            f"{path} is a line of pam_u2f, which does not say its application",
            hint="give it: --application pam://HOST",
        )
    verified = bool({"pin", "verification"} & set(parts[3].split("+")))
    held = SecretCredential(Application(application), CredentialId(handle), verified, b"\x04" + key)
    return SecretFile(held, None)


def _malformed(path: Path, why: str) -> MalformedFile:
    return MalformedFile(
        f"{path} describes no credential that derives secrets: {why}",
        hint="name a file that `fidokit secret create` wrote, what `cryptsetup token export` "
        "prints of systemd-cryptenroll, or a line of pam_u2f",
    )


# --- writing a secret ------------------------------------------------------------------------


def encoded(secret: bytes, form: SecretForm) -> bytes:
    """32 bytes in one of the forms; text ends with a newline, but for base64.

    What `systemd-cryptenroll` puts into a key slot is the base64, without a newline.
    """
    return _FORMS[form](secret)


def _age_identity(secret: bytes) -> bytes:
    """An identity of age: the bytes as an X25519 key, in Bech32 (BIP 173), upper case."""
    return (_bech32("age-secret-key-", secret).upper() + "\n").encode()


_FORMS: Final[Mapping[SecretForm, Callable[[bytes], bytes]]] = {
    SecretForm.RAW: bytes,
    SecretForm.HEX: lambda secret: secret.hex().encode() + b"\n",
    SecretForm.BASE64: b64encode,
    SecretForm.AGE: _age_identity,
}
_BECH32: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def _bech32(prefix: str, data: bytes) -> str:
    """Bech32 of any length (BIP 173): prefix, a 1, five bits a character, a checksum of six."""
    bits = int.from_bytes(data) << (-len(data) * 8 % 5)
    count = (len(data) * 8 + 4) // 5
    values = [(bits >> 5 * (count - 1 - at)) & 31 for at in range(count)]
    head = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    check = _polymod([*head, *values, 0, 0, 0, 0, 0, 0]) ^ 1
    values += [(check >> 5 * (5 - at)) & 31 for at in range(6)]
    return prefix + "1" + "".join(_BECH32[value] for value in values)


def _polymod(values: Sequence[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for at, generator in enumerate(_GENERATOR):
            check ^= generator if top >> at & 1 else 0
    return check
