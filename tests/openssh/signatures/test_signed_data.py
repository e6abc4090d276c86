"""What an agent is asked to sign: logins and files are told apart from everything else."""

from __future__ import annotations

import pytest
from tests.support.mutate import fuzz_count, survive
from tests.support.samples import ED25519, RSA, SK_ECDSA, SK_ED25519
from tests.support.signers import certificate, ed25519_key

from fidokit.openssh import wire
from fidokit.openssh.signatures.signed_data import FileSignature, Login, Meaning, read_meaning
from fidokit.openssh.signatures.sshsig import digest, to_be_signed

BLOB = SK_ED25519.blob()
HOST = ED25519.blob()


def login(
    *,
    session: bytes = b"session",
    number: int = 50,
    user: bytes = b"me",
    service: bytes = b"ssh-connection",
    method: bytes = b"publickey-hostbound-v00@openssh.com",
    follows: int = 1,
    algorithm: bytes = b"sk-ssh-ed25519@openssh.com",
    blob: bytes = BLOB,
    host: bytes | None = HOST,
) -> bytes:
    """A user authentication request as ssh has it signed."""
    return (
        wire.string(session)
        + wire.u8(number)
        + wire.string(user)
        + wire.string(service)
        + wire.string(method)
        + wire.u8(follows)
        + wire.string(algorithm)
        + wire.string(blob)
        + (b"" if host is None else wire.string(host))
    )


def test_a_login_to_a_host() -> None:
    assert read_meaning(login(), BLOB) == Login("me", b"session", HOST)


def test_a_login_that_names_no_host() -> None:
    data = login(method=b"publickey", host=None)
    assert read_meaning(data, BLOB) == Login("me", b"session", None)


@pytest.mark.parametrize("algorithm", [b"ssh-rsa", b"rsa-sha2-256", b"rsa-sha2-512"])
def test_rsa_has_several_algorithms(algorithm: bytes) -> None:
    data = login(algorithm=algorithm, blob=RSA.blob())
    assert isinstance(read_meaning(data, RSA.blob()), Login)


@pytest.mark.parametrize(
    "algorithm", ["rsa-sha2-512-cert-v01@openssh.com", "ssh-rsa-cert-v01@openssh.com"]
)
def test_certificates_have_algorithms_of_their_own(algorithm: str) -> None:
    blob = certificate(RSA, ed25519_key()).blob()
    assert isinstance(read_meaning(login(algorithm=algorithm.encode(), blob=blob), blob), Login)
    assert read_meaning(login(algorithm=b"rsa-sha2-512", blob=blob), blob) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        login(session=b""),
        login(number=51),
        login(user=b"\xff"),
        login(service=b"ssh-userauth"),
        login(method=b"password", host=None),
        login(follows=0),
        login(algorithm=b"ssh-ed25519"),
        login(blob=SK_ECDSA.blob()),
        login(host=None),
        login(host=b"no key"),
        login(method=b"publickey"),
        login() + b"\0",
    ],
)
def test_what_is_no_login(data: bytes) -> None:
    assert read_meaning(data, BLOB) is None


def test_cut_at_every_byte() -> None:
    for data in (login(), to_be_signed("git", "sha512", digest("sha512", [b"x"]))):
        for cut in range(len(data)):
            assert read_meaning(data[:cut], BLOB) is None


def test_a_signature_of_a_file() -> None:
    data = to_be_signed("git", "sha512", digest("sha512", [b"x"]))
    assert read_meaning(data, BLOB) == FileSignature("git")
    assert read_meaning(data + b"\0", BLOB) is None


def test_a_websites_challenge_is_neither() -> None:
    assert read_meaning(b'{"type":"webauthn.get","challenge":"x"}', BLOB) is None
    assert read_meaning(bytes(32), BLOB) is None


def test_fuzz_meanings() -> None:
    corpus = [
        login(),
        login(method=b"publickey", host=None),
        to_be_signed("f", "sha256", bytes(32)),
    ]
    found: list[Meaning | None] = []
    survive(corpus, lambda data: found.append(read_meaning(data, BLOB)), (), fuzz_count(5_000))
    assert None in found
