"""Who signs for a key file: a token, an ordinary file, the agent; and who does not."""

from __future__ import annotations

import io
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.support.agent_keys import Held, certified, ecdsa, ed25519, rsa, run_ssh_keygen
from tests.support.desk import Desk
from tests.support.keygen import line
from tests.support.signers import certificate, ed25519_key
from tests.support.small_agent import small_agent
from tests.support.suites import brings

from fidokit.errors import (
    CredentialNotFound,
    FidokitError,
    MalformedKey,
    PassphraseRequired,
    PassphraseWrong,
    UsageError,
)
from fidokit.keys import holder
from fidokit.keys.generation import GeneratedKey, GenerateRequest, generate_key
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys.plain_private import PlainPrivate, SignFlag
from fidokit.signing import signatures
from fidokit.signing.signers import (
    AgentSigner,
    FileSigner,
    SessionSigner,
    open_signer,
    private_path,
)
from fidokit.types import KeyType

pytestmark = pytest.mark.usefixtures("home")

MESSAGE = b"what is signed"


def keygen(folder: Path, *args: str) -> Path:
    program = shutil.which("ssh-keygen")
    assert program is not None, "ssh-keygen is not installed; see .ci/debian-packages"
    run_ssh_keygen(program, folder, *args, "-C", "me@here", "-f", "key")
    return folder / "key"


@pytest.fixture
@brings("interop")
def plain(folder: Path) -> Path:
    return keygen(folder, "-t", "ed25519", "-N", "")


@pytest.fixture
def on_token(desk: Desk, folder: Path) -> GeneratedKey:
    with desk.open() as session:
        return generate_key(session, GenerateRequest(KeyType.ED25519_SK, folder / "sk"))


def write_certificate(path: Path, of: Path) -> Certificate:
    made = certificate(holder.read_key_file(of, None)[0].public, ed25519_key(99))
    path.write_bytes(line(made, "").lstrip())
    return made


def good(text: str, public: Path) -> signatures.VerifiedSignature:
    return signatures.verify_signature(MESSAGE, text, public_key=public)


# --- files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [("ed25519",), ("ecdsa", "-b", "384"), ("rsa", "-b", "2048")])
@pytest.mark.parametrize("suffix", ["", ".pub"])
@pytest.mark.interop
def test_an_ordinary_key(folder: Path, kind: tuple[str, ...], suffix: str) -> None:
    path = keygen(folder, "-N", "", "-t", *kind)
    with open_signer(Path(f"{path}{suffix}")) as signer:
        assert isinstance(signer, FileSigner)
        text = signatures.sign_message(signer, MESSAGE, hash_name="sha256")
    found = good(text, Path(f"{path}.pub"))
    assert (found.touched, found.counter) == (None, None)


def test_a_key_on_a_token(desk: Desk, on_token: GeneratedKey) -> None:
    for path in (on_token.path, on_token.public_path):
        with open_signer(path, desk.person, backends=[desk]) as signer:
            assert isinstance(signer, SessionSigner)
            text = signatures.sign_message(signer, io.BytesIO(MESSAGE))
        assert good(text, on_token.public_path).touched


def test_a_certificate_that_is_named_stands_in_the_signature(
    desk: Desk, on_token: GeneratedKey
) -> None:
    path = on_token.path.with_name("sk-cert.pub")
    made = write_certificate(path, on_token.path)
    with open_signer(path, desk.person, backends=[desk]) as signer:
        assert signer.public == made
        text = signatures.sign_message(signer, MESSAGE)
    assert signatures.check_signature(MESSAGE, text).type_label == "ED25519-SK-CERT"


def test_one_that_is_beside_does_not(plain: Path) -> None:
    """As ssh-keygen: another than the file that is named is not looked for."""
    write_certificate(plain.with_name("key-cert.pub"), plain)
    with open_signer(plain) as signer:
        assert not isinstance(signer.public, Certificate)


@pytest.mark.interop
def test_a_passphrase(folder: Path) -> None:
    path = keygen(folder, "-t", "ed25519", "-N", "words", "-a", "1")
    asked: list[Path] = []

    def ask(private: Path) -> bytes:
        asked.append(private)
        return b"words"

    with open_signer(path.with_name("key.pub"), passphrase=ask) as signer:
        assert good(signatures.sign_message(signer, MESSAGE), path.with_name("key.pub"))
    assert asked == [path]
    with pytest.raises(PassphraseRequired), open_signer(path):
        pass
    with pytest.raises(PassphraseWrong), open_signer(path, passphrase=lambda _: b"others"):
        pass


def test_the_private_half_of_another_key(plain: Path) -> None:
    plain.with_name("key.pub").write_bytes(line(ed25519_key(9).public, "").lstrip())
    with pytest.raises(UsageError, match="not the private half"), open_signer(Path(f"{plain}.pub")):
        pass


def test_no_private_half(plain: Path) -> None:
    plain.unlink()
    public = Path(f"{plain}.pub")
    with (
        pytest.raises(FidokitError, match=r"does not exist; there is no agent"),
        open_signer(public),
    ):
        pass


def test_a_public_key_under_the_name_of_a_private_one(plain: Path) -> None:
    """As git hands over a key that it was told literally."""
    plain.write_bytes(plain.with_name("key.pub").read_bytes())
    with pytest.raises(CredentialNotFound, match="is a public key"), open_signer(plain):
        pass


@pytest.mark.parametrize("data", [b"", b"junk", b"-----BEGIN RSA PRIVATE KEY-----\n", b"\xff" * 99])
def test_what_is_no_key_file(folder: Path, data: bytes) -> None:
    (folder / "key").write_bytes(data)
    with pytest.raises(MalformedKey), open_signer(folder / "key"):
        pass


@pytest.mark.parametrize(
    ("name", "private"),
    [
        ("a", "a"),
        ("a.pub", "a"),
        ("a-cert.pub", "a"),
        ("a.pub.pub", "a.pub"),
        (".pub", ".pub"),
        ("-cert.pub", "-cert"),
        ("a.public", "a.public"),
    ],
)
def test_names_of_private_files(name: str, private: str) -> None:
    assert private_path(Path("x") / name) == Path("x") / private


# --- the agent -----------------------------------------------------------------------------


def private(held: Held) -> PlainPrivate:
    key = held.read()
    assert isinstance(key, PlainPrivate)
    return key


@pytest.fixture
def socket_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    return tmp_path / "agent"


def named(folder: Path, key: PlainPrivate) -> Path:
    path = folder / "named.pub"
    path.write_bytes(line(key.certificate or key.public, "").lstrip())
    return path


@pytest.mark.parametrize(
    "held", [ed25519(), ecdsa(), rsa(), certified(ed25519())], ids=lambda h: h.name
)
def test_by_the_agent(socket_path: Path, folder: Path, held: Held) -> None:
    key = private(held)
    with small_agent(socket_path, [private(ed25519(7)), key]) as asked:
        with open_signer(named(folder, key)) as signer:
            assert isinstance(signer, AgentSigner)
            text = signatures.sign_message(signer, MESSAGE)
        assert asked == [SignFlag.RSA_SHA2_512]
    assert (
        signatures.check_signature(MESSAGE, text).key_line.encode()
        in named(folder, key).read_bytes()
    )


@pytest.mark.interop
def test_a_private_file_is_found_in_the_agent_by_its_public_half(
    socket_path: Path, folder: Path
) -> None:
    path = keygen(folder, "-t", "ed25519", "-N", "words", "-a", "1")
    key, _ = holder.read_key_file(path, lambda _: b"words")
    assert isinstance(key, PlainPrivate)
    with small_agent(socket_path, [key]), open_signer(path) as signer:
        assert isinstance(signer, AgentSigner)


def test_an_agent_without_the_key(socket_path: Path, plain: Path) -> None:
    with small_agent(socket_path, [private(ed25519())]):
        with open_signer(plain) as signer:
            assert isinstance(signer, FileSigner)
        with pytest.raises(CredentialNotFound), open_signer(plain, agent=True):
            pass


@pytest.mark.parametrize(
    ("agent", "runs", "said"),
    [
        (None, True, "does not exist; the agent does not hold its key"),
        (None, False, "does not exist; no agent answers at"),
        (False, True, "does not exist; the agent was not asked"),
    ],
)
def test_a_public_key_that_the_agent_lacks(
    socket_path: Path, folder: Path, agent: bool | None, runs: bool, said: str
) -> None:
    running = small_agent(socket_path, [private(ed25519())]) if runs else nullcontext()
    public = named(folder, private(ed25519(7)))
    with (
        running,
        pytest.raises(CredentialNotFound, match=said),
        open_signer(public, agent=agent),
    ):
        pass


def test_no_agent(socket_path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_signer(plain) as signer:
        assert isinstance(signer, FileSigner)
    with pytest.raises(FidokitError, match="no agent answers"), open_signer(plain, agent=True):
        pass
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with pytest.raises(FidokitError, match="there is no SSH agent"), open_signer(plain, agent=True):
        pass


def test_the_agent_is_left_alone(socket_path: Path, plain: Path) -> None:
    key, _ = holder.read_key_file(plain, None)
    assert isinstance(key, PlainPrivate)
    with small_agent(socket_path, [key]), open_signer(plain, agent=False) as signer:
        assert isinstance(signer, FileSigner)


def test_an_agent_that_refuses(socket_path: Path, folder: Path) -> None:
    key = private(ed25519())
    with (
        small_agent(socket_path, [key], refuses=True),
        open_signer(named(folder, key)) as signer,
        pytest.raises(FidokitError, match="refused to sign"),
    ):
        signatures.sign_message(signer, MESSAGE)
