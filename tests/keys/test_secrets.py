"""Secrets that tokens derive: the same each time, another for each salt, token and way of use."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.desk import PIN, Desk
from tests.support.fake_link import Person, SteeredClock, session_on

from fidokit import cbor
from fidokit.client.credentials import hmac_secret
from fidokit.client.ports import Link
from fidokit.errors import (
    CredentialNotFound,
    FidokitError,
    MalformedFile,
    TokenMisbehaved,
    Unsupported,
    UsageError,
    WouldOverwrite,
)
from fidokit.keys import secrets
from fidokit.keys.secrets import SecretForm, create_secret, derive_secret, read_secret_file
from fidokit.tokens.owner import always_uv
from fidokit.types import Application, CredentialId
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")

SALT = bytes(range(32))


def create(desk: Desk, path: Path, *, verified: bool = False, **more: str) -> secrets.SecretFile:
    with desk.open() as session:
        return create_secret(session, path, verified=verified, force=False, **more)


def derive(desk: Desk, path: Path, salt: bytes | None = None) -> bytes:
    with desk.open() as session:
        return derive_secret(session, read_secret_file(path), salt)


@pytest.mark.parametrize("verified", [False, True])
def test_the_same_salt_gives_the_same_secret(desk: Desk, folder: Path, verified: bool) -> None:
    create(desk, folder / "a", verified=verified)
    first = derive(desk, folder / "a", SALT)
    assert len(first) == 32
    assert derive(desk, folder / "a", SALT) == first
    assert derive(desk, folder / "a", bytes(32)) != first
    assert derive(desk, folder / "a") == derive(desk, folder / "a") != first


@pytest.mark.parametrize("profile", ["ctap2.0", "ctap2.1", "ctap2.3"])
def test_tokens_of_every_version(folder: Path, profile: str) -> None:
    with VirtualToken(profile=profile, presence="auto") as token:
        with session_on(token.link(), Person(PIN)) as session:
            create_secret(session, folder / "a", verified=False, force=False)
        with session_on(token.link(), Person(PIN)) as session:
            assert len(derive_secret(session, read_secret_file(folder / "a"))) == 32


def test_with_and_without_the_pin_are_two_secrets(desk: Desk, folder: Path) -> None:
    made = create(desk, folder / "a", verified=True)
    other = made._replace(credential=made.credential._replace(verified=False))
    with desk.open() as session:
        assert derive_secret(session, made, SALT) != derive_secret(session, other, SALT)


def test_a_secret_that_became_another_one_is_refused(desk: Desk, folder: Path) -> None:
    create(desk, folder / "a")
    with desk.open() as session:
        always_uv(session, True)
    with pytest.raises(Unsupported, match="another one") as caught:
        derive(desk, folder / "a")
    assert "always-uv off" in caught.value.hint


def test_another_token(desk: Desk, folder: Path) -> None:
    create(desk, folder / "a")
    other = Desk()
    other.plug("TWO")
    with pytest.raises(CredentialNotFound):
        derive(other, folder / "a")


def test_a_token_that_derives_none(folder: Path) -> None:
    desk = Desk()
    with VirtualToken(profile="u2f") as token:
        desk.plug("ONE", token)
        with pytest.raises(Unsupported, match="hmac-secret"):
            create(desk, folder / "a")


def test_the_file_is_written_before_nothing_is_lost(desk: Desk, folder: Path) -> None:
    create(desk, folder / "a")
    assert stat.S_IMODE((folder / "a").stat().st_mode) == 0o600
    before = (folder / "a").read_bytes()
    desk.person.touches.clear()
    with pytest.raises(WouldOverwrite):
        create(desk, folder / "a")
    assert (folder / "a").read_bytes() == before
    assert desk.person.touches == []


# --- untrusted answers -------------------------------------------------------------------------


Change = Callable[[dict[int, bytes]], dict[int, bytes]]


class Lying:
    """A token whose assertions a test changes."""

    def __init__(self, link: Link, change: Change) -> None:
        self.capabilities = link.capabilities
        self.msg, self.wink, self.close = link.msg, link.wink, link.close
        self._link, self._change = link, change

    def cbor(
        self, request: bytes, keepalive: Callable[[int], None], canceled: Callable[[], bool]
    ) -> bytes:
        reply = self._link.cbor(request, keepalive, canceled)
        if request[0] != 2 or reply[0]:
            return reply
        members = cbor.decode(reply[1:])
        return b"\0" + cbor.encode(self._change(members))  # type: ignore[arg-type]


def flipped(member: int, at: int) -> Change:
    def change(members: dict[int, bytes]) -> dict[int, bytes]:
        raw = bytearray(members[member])
        raw[at] ^= 1
        return {**members, member: bytes(raw)}

    return change


@pytest.mark.parametrize(
    "change",
    [
        flipped(2, -1),  # of the encrypted secret
        flipped(2, 0),  # of rpIdHash
        flipped(2, 32),  # user presence
        flipped(3, -1),
        lambda members: {**members, 3: b""},
        lambda members: {key: value for key, value in members.items() if key != 3},
    ],
)
def test_only_what_is_signed_is_believed(folder: Path, change: Change) -> None:
    with VirtualToken(presence="auto") as token:
        with session_on(token.link()) as session:
            made = create_secret(session, folder / "a", verified=False, force=False)
        patience = SteeredClock().patience(sleep=lambda _seconds: None)
        lying = session_on(Lying(token.link(), change), Person(PIN), patience)
        with pytest.raises(TokenMisbehaved):
            derive_secret(lying, made, SALT)


def test_a_secret_of_the_wrong_size(folder: Path) -> None:
    """Without a public key nothing is verified, and sizes are checked all the same."""

    def longer(members: dict[int, bytes]) -> dict[int, bytes]:
        head, output = members[2][:37], cbor.decode(members[2][37:])
        assert isinstance(output, dict)
        secret = output["hmac-secret"]
        assert isinstance(secret, bytes)
        return {**members, 2: head + cbor.encode({"hmac-secret": secret + secret[:16]})}

    with VirtualToken(presence="auto") as token:
        with session_on(token.link()) as session:
            made = create_secret(session, folder / "a", verified=False, force=False)
        bare = made._replace(credential=made.credential._replace(point=b""))
        with pytest.raises(TokenMisbehaved, match="48 bytes"):
            derive_secret(session_on(Lying(token.link(), longer)), bare, SALT)


# --- files -------------------------------------------------------------------------------------


CREDENTIAL = hmac_secret.SecretCredential(
    Application("pam://host"), CredentialId(b"handle"), True, b"\x04" + bytes(64)
)


def test_what_was_written_is_read(folder: Path) -> None:
    for salt in (SALT, None):
        file = secrets.SecretFile(CREDENTIAL, salt)
        (folder / "a").write_text(file.systemd_token())
        assert read_secret_file(folder / "a") == file


@pytest.mark.parametrize("verified", [True, False])
def test_a_line_of_pam_u2f(folder: Path, verified: bool) -> None:
    file = secrets.SecretFile(CREDENTIAL._replace(verified=verified), None)
    line = file.pam_u2f_line("alice")
    (folder / "keys").write_text(line + "\nbob:other\n")
    assert read_secret_file(folder / "keys", application="pam://host") == file
    with pytest.raises(UsageError, match="application"):
        read_secret_file(folder / "keys")


def test_what_pam_u2f_cannot_use() -> None:
    other = CREDENTIAL._replace(application=Application("io.systemd.cryptsetup"))
    for held in (other, CREDENTIAL._replace(point=b"")):
        with pytest.raises(UsageError):
            secrets.SecretFile(held, None).pam_u2f_line("alice")
    for user in ("", "a:b", "a b", "a\nb"):
        with pytest.raises(UsageError):
            secrets.SecretFile(CREDENTIAL, None).pam_u2f_line(user)


GOOD = json.loads(secrets.SecretFile(CREDENTIAL, SALT).systemd_token())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 20000,
        "{}",
        json.dumps({**GOOD, "type": "other"}),
        *(
            json.dumps({**GOOD, **change})
            for change in (
                {"fido2-credential": ""},
                {"fido2-credential": 7},
                {"fido2-credential": "%%%"},
                {"fido2-credential": "A" * 4000},
                {"fido2-salt": "AAAA"},
                {"fido2-rp": ""},
                {"fido2-rp": "x" * 300},
                {"fido2-rp": None},
                {"fido2-clientPin-required": "yes"},
                {"fidokit-public-key": "AAAA"},
            )
        ),
        "alice",
        "alice:aGk=,aGk=,es256,+presence",
        "alice:aGk=,aGk=,rs256,+presence",
        "alice:aGk=",
    ],
)
def test_files_that_are_none(folder: Path, text: str) -> None:
    (folder / "a").write_text(text)
    with pytest.raises(MalformedFile):
        read_secret_file(folder / "a", application="pam://host")


@given(st.binary(max_size=300))
def test_no_file_ends_in_a_traceback(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(raw)
    with pytest.raises(FidokitError):
        read_secret_file(path, application="pam://host")


# --- forms -------------------------------------------------------------------------------------


def test_forms() -> None:
    assert secrets.encoded(SALT, SecretForm.RAW) == SALT
    assert bytes.fromhex(secrets.encoded(SALT, SecretForm.HEX).decode()) == SALT
    assert (
        secrets.encoded(SALT, SecretForm.BASE64) == b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    )


@pytest.mark.parametrize(
    ("prefix", "data", "text"),
    [  # of BIP 173, their data part in whole bytes
        ("a", b"", "a12uel5l"),
        ("age-secret-key-", bytes(32), None),
    ],
)
def test_bech32(prefix: str, data: bytes, text: str | None) -> None:
    made = secrets._bech32(prefix, data)
    assert made == text or text is None
    head = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    values = [secrets._BECH32.index(c) for c in made[len(prefix) + 1 :]]
    assert secrets._polymod(head + values) == 1


@given(st.binary(min_size=1, max_size=40))
def test_bech32_keeps_every_bit(data: bytes) -> None:
    values = [secrets._BECH32.index(c) for c in secrets._bech32("x", data)[2:-6]]
    bits = "".join(f"{value:05b}" for value in values)
    whole = bits[: len(data) * 8]
    assert int(whole, 2).to_bytes(len(data)) == data
    assert set(bits[len(data) * 8 :]) <= {"0"}
