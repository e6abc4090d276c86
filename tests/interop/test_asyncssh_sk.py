"""asyncssh's security keys, unmodified, on a virtual token that python-fido2 finds on USB.

Where asyncssh cannot do what fidokit can, both are shown; docs/testing-with-fidokit.md names them.
"""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
from tests.support.fake_link import Person, session_on

from fidokit.client.credentials import resident
from fidokit.client.credentials.signature import sign
from fidokit.openssh.keys.private import SkPrivate, parse_private
from fidokit.openssh.keys.public import PublicLine, parse_public
from fidokit.openssh.signatures.signature import parse_signature, verify
from fidokit.testing import FidoDevices, Stalled, TokenFactory, WatchedToken
from fidokit.types import SkFlag
from fidokit.virtual.core.profile import CTAP_2_0, CTAP_2_1, Profile

PIN_CODE = "123456"
ED25519, ECDSA = "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"
KEY_TYPES = pytest.mark.parametrize("key_type", [ED25519, ECDSA])
NEW_PROFILES = pytest.mark.parametrize("profile", ["ctap2.1", "ctap2.3"])
MESSAGE = b"a message"

PREVIEW = replace(
    CTAP_2_0.with_options(credentialMgmtPreview=True),
    name="preview",
    versions=("U2F_V2", "FIDO_2_0", "FIDO_2_1_PRE"),
    algorithms=CTAP_2_1.algorithms,
    extensions=CTAP_2_1.extensions,
)
"""A token of 2019, from before permissions: the kind that asyncssh lists keys on."""

PlugIn = Callable[..., WatchedToken]


@pytest.fixture
def plug_in(virtual_token_factory: TokenFactory, monkeypatch: pytest.MonkeyPatch) -> PlugIn:
    """Make a token and let it be the only one: plug_in(profile, pin=, presence=)."""
    devices = FidoDevices(monkeypatch)

    def plug(profile: str | Profile = "ctap2.3", **wishes: object) -> WatchedToken:
        token = virtual_token_factory(profile=profile, **wishes)  # type: ignore[arg-type]
        devices.plug_in(token)
        return token

    return plug


def ours(key: asyncssh.SSHKey) -> SkPrivate:
    """asyncssh's key as its file says it."""
    return parse_private(key.export_private_key("openssh"), None).key


# --- keys that live in a file ----------------------------------------------------------------


@KEY_TYPES
@NEW_PROFILES
@pytest.mark.parametrize("pin", [None, PIN_CODE])
def test_generate_and_sign(plug_in: PlugIn, profile: str, key_type: str, pin: str | None) -> None:
    plug_in(profile, pin=pin)
    key = asyncssh.generate_private_key(key_type, "ada@here", pin=pin)
    signature = key.sign(MESSAGE, key_type.encode())
    assert key.verify(MESSAGE, signature)
    public = parse_public(key.public_data)
    verify(public, parse_signature(signature), MESSAGE, require_touch=True)
    line = PublicLine(public, "ada@here").encode()
    assert line + "\n" == key.export_public_key("openssh").decode()


@pytest.mark.parametrize("profile", ["u2f", "ctap2.0"])
def test_old_tokens_have_ecdsa(plug_in: PlugIn, profile: str) -> None:
    plug_in(profile)
    key = asyncssh.generate_private_key(ECDSA)
    assert key.verify(MESSAGE, key.sign(MESSAGE, ECDSA.encode()))
    with pytest.raises(asyncssh.KeyGenerationError, match=r"(?i)unsupported.algorithm"):
        asyncssh.generate_private_key(ED25519)


@KEY_TYPES
def test_fidokit_signs_with_asyncsshs_key(plug_in: PlugIn, key_type: str) -> None:
    token = plug_in(pin=PIN_CODE)
    key = asyncssh.generate_private_key(key_type, pin=PIN_CODE)
    with session_on(token.link()) as session:
        signature = sign(session, ours(key), MESSAGE)
    assert key.verify(MESSAGE, signature.blob())


@KEY_TYPES
def test_without_touch(plug_in: PlugIn, key_type: str) -> None:
    token = plug_in(presence="script")
    token.touch()
    key = asyncssh.generate_private_key(key_type, touch_required=False)
    signature = key.sign(MESSAGE, key_type.encode())
    assert not parse_signature(signature).user_present  # type: ignore[union-attr]
    assert not ours(key).flags & SkFlag.USER_PRESENCE_REQUIRED


@pytest.mark.parametrize("profile", ["ctap2.0", "ctap2.3"])
def test_the_key_is_on_another_token(plug_in: PlugIn, profile: str) -> None:
    first = plug_in(profile)
    key = asyncssh.generate_private_key(ECDSA)
    second = plug_in(profile)
    assert key.verify(MESSAGE, key.sign(MESSAGE, ECDSA.encode()))
    first.unplug()
    with pytest.raises(ValueError, match="credential not found"):
        key.sign(MESSAGE, ECDSA.encode())
    second.unplug()
    with pytest.raises(asyncssh.KeyGenerationError, match="No security key found"):
        asyncssh.generate_private_key(ECDSA)


def test_a_refused_touch(plug_in: PlugIn) -> None:
    token = plug_in()
    key = asyncssh.generate_private_key(ED25519)
    token.refuse()
    with pytest.raises(ValueError, match="OPERATION_DENIED"):
        key.sign(MESSAGE, ED25519.encode())


@pytest.mark.parametrize("profile", ["u2f", "ctap2.3"])
def test_a_touch_that_never_comes_does_not_hang(plug_in: PlugIn, profile: str) -> None:
    token = plug_in(profile, presence="script", patience_s=0.15)
    with pytest.raises(Stalled, match="queue touch"):
        asyncssh.generate_private_key(ECDSA)
    token.stalls.clear()


# --- PINs ------------------------------------------------------------------------------------


def test_a_wrong_pin(plug_in: PlugIn) -> None:
    plug_in(pin=PIN_CODE)
    with pytest.raises(asyncssh.KeyGenerationError, match="Invalid PIN"):
        asyncssh.generate_private_key(ED25519, pin="999999")
    with pytest.raises(asyncssh.KeyImportError, match="Invalid PIN"):
        asyncssh.load_resident_keys("999999")


@pytest.mark.parametrize(("profile", "resident_key"), [("ctap2.0", False), ("ctap2.3", True)])
def test_no_pin_given(plug_in: PlugIn, profile: str, resident_key: bool) -> None:
    plug_in(profile, pin=PIN_CODE)
    with pytest.raises(asyncssh.KeyGenerationError, match="PIN required"):
        asyncssh.generate_private_key(ECDSA, resident=resident_key)


def test_no_pin_set(plug_in: PlugIn) -> None:
    plug_in()
    with pytest.raises(asyncssh.KeyImportError, match="PIN not set"):
        asyncssh.load_resident_keys(PIN_CODE)


# --- keys that live on the token ----------------------------------------------------------------


def make_resident(user: str, key_type: str = ED25519, application: str = "ssh:") -> asyncssh.SSHKey:
    return asyncssh.generate_private_key(
        key_type, application=application, user=user, pin=PIN_CODE, resident=True
    )


def listed(token: WatchedToken) -> list[resident.ResidentCredential]:
    """What fidokit lists."""
    with session_on(token.link(), Person(PIN_CODE)) as session:
        return resident.list_credentials(session)


@pytest.mark.parametrize("profile", ["ctap2.1", "ctap2.3", pytest.param(PREVIEW, id="preview")])
def test_fidokit_lists_what_asyncssh_made(plug_in: PlugIn, profile: str | Profile) -> None:
    token = plug_in(profile, pin=PIN_CODE)
    made = {
        make_resident("ada").public_data: ("ssh:", "ada"),
        make_resident("bob", ECDSA).public_data: ("ssh:", "bob"),
        make_resident("ada", application="ssh:work").public_data: ("ssh:work", "ada"),
    }
    found = {key.public.blob(): (key.application, key.user) for key in listed(token) if key.public}
    assert found == made


def test_load_resident_keys(plug_in: PlugIn) -> None:
    token = plug_in(PREVIEW, pin=PIN_CODE)
    made = {name: make_resident(name).public_data for name in ("ada", "bob")}
    elsewhere = make_resident("ada", application="ssh:work")
    loaded = asyncssh.load_resident_keys(PIN_CODE)
    assert {key.get_comment(): key.public_data for key in loaded} == made
    (ada,) = asyncssh.load_resident_keys(PIN_CODE, user="ada")
    assert ada.verify(MESSAGE, ada.sign(MESSAGE, ED25519.encode()))
    (work,) = asyncssh.load_resident_keys(PIN_CODE, application="ssh:work")
    assert work.public_data == elsewhere.public_data
    handles = {key.credential_id for key in listed(token)}
    assert {ours(key).key_handle for key in (*loaded, work)} == handles


@NEW_PROFILES
def test_tokens_with_permissions_show_asyncssh_no_keys(plug_in: PlugIn, profile: str) -> None:
    """asyncssh 2.24 asks by getPinToken, whose token may not list credentials (TOK-08)."""
    token = plug_in(profile, pin=PIN_CODE)
    make_resident("ada")
    with pytest.raises(asyncssh.KeyImportError, match="PIN_AUTH_INVALID"):
        asyncssh.load_resident_keys(PIN_CODE)
    assert [key.user for key in listed(token)] == ["ada"]


# --- logins ------------------------------------------------------------------------------------


class Server(asyncssh.SSHServer):
    """Lets nobody in without a key."""

    def begin_auth(self, username: str) -> bool:
        return True


async def answer(process: asyncssh.SSHServerProcess[str]) -> None:
    process.stdout.write(f"hello {process.get_extra_info('username')}")
    process.exit(0)


async def login(key: asyncssh.SSHKey, allowed: str) -> str:
    """Log in to an asyncssh server on loopback; returns what the session said."""
    authorized = asyncssh.import_authorized_keys(allowed)
    async with (
        asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=Server,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            authorized_client_keys=authorized,
            process_factory=answer,
        ) as listener,
        asyncssh.connect(
            "127.0.0.1",
            listener.get_port(),
            username="ada",
            client_keys=[key],
            known_hosts=None,
            config=None,
            agent_path=None,
        ) as connection,
    ):
        return str((await connection.run("", check=True)).stdout)


def line_of(key: asyncssh.SSHKey) -> str:
    return key.export_public_key("openssh").decode()


@pytest.mark.parametrize(
    ("profile", "key_type"),
    [
        ("u2f", ECDSA),
        ("ctap2.0", ECDSA),
        ("ctap2.1", ECDSA),
        ("ctap2.1", ED25519),
        ("ctap2.3", ECDSA),
        ("ctap2.3", ED25519),
    ],
)
def test_login_to_asyncssh(plug_in: PlugIn, profile: str, key_type: str) -> None:
    plug_in(profile)
    key = asyncssh.generate_private_key(key_type)
    assert asyncio.run(login(key, line_of(key))) == "hello ada"


def test_login_with_a_key_that_was_loaded(plug_in: PlugIn) -> None:
    plug_in(PREVIEW, pin=PIN_CODE)
    line = line_of(make_resident("ada"))
    (key,) = asyncssh.load_resident_keys(PIN_CODE)
    assert asyncio.run(login(key, line)) == "hello ada"


def test_no_login_without_a_touch(plug_in: PlugIn) -> None:
    plug_in()
    key = asyncssh.generate_private_key(ED25519, touch_required=False)
    with pytest.raises(asyncssh.PermissionDenied):
        asyncio.run(login(key, line_of(key)))
    allowed = f"no-touch-required {line_of(key)}"
    assert asyncio.run(login(key, allowed)) == "hello ada"


def test_no_login_with_another_key(plug_in: PlugIn) -> None:
    plug_in()
    keys = [asyncssh.generate_private_key(ED25519) for _ in range(2)]
    with pytest.raises(asyncssh.PermissionDenied):
        asyncio.run(login(keys[0], line_of(keys[1])))


SSHD_CONFIG = """\
HostKey {folder}/host
AuthorizedKeysFile {folder}/keys
StrictModes no
UsePAM yes
PidFile none
"""


async def login_to(command: Sequence[str], key: asyncssh.SSHKey) -> str:
    async with asyncssh.connect(
        "nowhere",
        proxy_command=command,
        username=getpass.getuser(),
        client_keys=[key],
        known_hosts=None,
        config=None,
        agent_path=None,
    ) as connection:
        return str((await connection.run("echo hello", check=True)).stdout)


@pytest.mark.interop
@KEY_TYPES
def test_login_to_stock_sshd(
    plug_in: PlugIn, stock: Callable[[str], str], tmp_path: Path, key_type: str
) -> None:
    sshd = stock("/usr/sbin/sshd")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd run by root insists on it
    host = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh")
    (tmp_path / "host").write_bytes(host)
    (tmp_path / "host").chmod(0o600)
    (tmp_path / "config").write_text(SSHD_CONFIG.format(folder=tmp_path))
    plug_in()
    key = asyncssh.generate_private_key(key_type)
    (tmp_path / "keys").write_text(line_of(key))
    command = [sshd, "-i", "-f", f"{tmp_path}/config", "-E", f"{tmp_path}/log"]
    assert asyncio.run(login_to(command, key)) == "hello\n"
    assert "Accepted publickey" in (tmp_path / "log").read_text()
