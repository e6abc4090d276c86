"""SSHSIG, and what an agent is asked to sign."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.mutate import fuzz_count, survive
from tests.support.samples import ED25519, RSA, SK_ECDSA, SK_ED25519
from tests.support.signers import (
    TOKENS,
    certificate,
    ecdsa_token,
    ed25519_key,
    ed25519_token,
    plain_keys,
    sshsig,
    webauthn_signature,
)

from fidokit.errors import MalformedKey, SignatureInvalid, UsageError
from fidokit.openssh import wire
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.signatures.sshsig import (
    BEGIN,
    END,
    HASH_ALGORITHMS,
    MAX_ARMOR,
    FileSignature,
    Login,
    Meaning,
    SshSig,
    digest,
    parse_armor,
    parse_sshsig,
    read_meaning,
    to_be_signed,
    verify,
    verify_digest,
)

MESSAGE = b"a message\n"
CERTIFICATE = certificate(ed25519_token().public, ed25519_key())
SAMPLES = (
    *(sshsig(token.public, token.sign, MESSAGE) for token in TOKENS),
    sshsig(ecdsa_token().public, webauthn_signature, MESSAGE, hash_alg="sha256"),
    *(sshsig(key.public, key.sign, MESSAGE, namespace="git") for key in plain_keys()),
    sshsig(CERTIFICATE, ed25519_token().sign, MESSAGE),
)
EVERY_SSHSIG = pytest.mark.parametrize(
    "sample", SAMPLES, ids=lambda s: f"{s.public.type_name}-{s.signature.type_name}"
)


@EVERY_SSHSIG
def test_round_trip(sample: SshSig) -> None:
    assert parse_sshsig(sample.blob()) == sample
    assert parse_armor(sample.armor()) == sample
    assert parse_armor(sample.armor()).armor() == sample.armor()


@EVERY_SSHSIG
def test_truncation(sample: SshSig) -> None:
    blob = sample.blob()
    for cut in range(len(blob)):
        with pytest.raises(MalformedKey):
            parse_sshsig(blob[:cut])


@EVERY_SSHSIG
def test_trailing_byte(sample: SshSig) -> None:
    with pytest.raises(MalformedKey, match="1 bytes follow"):
        parse_sshsig(sample.blob() + b"\0")


@EVERY_SSHSIG
def test_true(sample: SshSig) -> None:
    verify(sample, MESSAGE, sample.namespace)


@EVERY_SSHSIG
def test_another_message_or_namespace(sample: SshSig) -> None:
    with pytest.raises(SignatureInvalid):
        verify(sample, MESSAGE + b"x", sample.namespace)
    with pytest.raises(SignatureInvalid, match="was made for namespace"):
        verify(sample, MESSAGE, "other")
    renamed = replace(sample, namespace="other")
    with pytest.raises(SignatureInvalid):
        verify(renamed, MESSAGE, "other")


def test_layout_byte_for_byte() -> None:
    key = ed25519_key()
    sample = sshsig(key.public, key.sign, MESSAGE, "n", "sha256")
    assert sample.blob() == (
        b"SSHSIG\0\0\0\1"
        + wire.string(key.public.blob())
        + b"\0\0\0\1n\0\0\0\0\0\0\0\6sha256"
        + wire.string(sample.signature.blob())
    )


def test_signed_bytes_are_the_ones_of_the_specification() -> None:
    message_digest = hashlib.sha512(MESSAGE).digest()
    assert to_be_signed("file", "sha512", message_digest) == (
        b"SSHSIG\0\0\0\4file\0\0\0\0\0\0\0\6sha512\0\0\0\x40" + message_digest
    )


def test_signing_needs_a_namespace_and_the_digest_of_its_hash() -> None:
    with pytest.raises(UsageError, match="needs a namespace"):
        to_be_signed("", "sha512", bytes(64))
    with pytest.raises(UsageError, match="not a sha512 digest"):
        to_be_signed("file", "sha512", bytes(32))
    with pytest.raises(UsageError, match="md5"):
        digest("md5", [MESSAGE])
    with pytest.raises(UsageError, match="md5"):
        to_be_signed("file", "md5", bytes(16))


@given(st.lists(st.binary(max_size=20)), st.sampled_from(HASH_ALGORITHMS))
def test_digest_of_pieces(pieces: list[bytes], hash_alg: str) -> None:
    assert digest(hash_alg, pieces) == hashlib.new(hash_alg, b"".join(pieces)).digest()


def test_verifying_a_digest_that_is_at_hand() -> None:
    sample = SAMPLES[0]
    verify_digest(sample, hashlib.sha512(MESSAGE).digest(), "file")
    with pytest.raises(SignatureInvalid):
        verify_digest(sample, hashlib.sha512(b"").digest(), "file")


def test_requirements_reach_the_token_key() -> None:
    sample = sshsig(ed25519_token().public, lambda tbs: ed25519_token().sign(tbs, flags=0), MESSAGE)
    verify(sample, MESSAGE, "file")
    with pytest.raises(SignatureInvalid, match="without a touch"):
        verify(sample, MESSAGE, "file", require_touch=True)
    with pytest.raises(SignatureInvalid, match="PIN"):
        verify(sample, MESSAGE, "file", require_verification=True)


def test_a_certificate_that_its_authority_did_not_sign() -> None:
    sample = SAMPLES[-1]
    assert isinstance(sample.public, Certificate)
    claimed = replace(sample, public=replace(sample.public, key_id="somebody else"))
    with pytest.raises(SignatureInvalid, match="not signed by the authority"):
        verify(claimed, MESSAGE, "file")


def test_the_key_inside_a_certificate_signs() -> None:
    sample = SAMPLES[-1]
    assert isinstance(sample.public, Certificate)
    assert sample.signing_key == ed25519_token().public
    assert SAMPLES[0].signing_key == SAMPLES[0].public


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"SSHSIG", b"SSHSIH", "magic"),
        (b"SSHSIG\0\0\0\1", b"SSHSIG\0\0\0\2", "version 2"),
        (b"\0\0\0\4file", b"\0\0\0\4fi\0e", "NUL"),
        (b"\0\0\0\6sha512", b"\0\0\0\6sha384", "neither sha256 nor sha512"),
    ],
)
def test_what_is_not_an_sshsig(old: bytes, new: bytes, reason: str) -> None:
    blob = SAMPLES[0].blob()
    assert old in blob
    with pytest.raises(MalformedKey, match=reason):
        parse_sshsig(blob.replace(old, new, 1))


def test_a_reserved_field_survives_and_is_not_signed() -> None:
    odd = replace(SAMPLES[0], reserved=b"later")
    assert parse_sshsig(odd.blob()) == odd
    verify(odd, MESSAGE, "file")


# --- armor --------------------------------------------------------------------------------


@EVERY_SSHSIG
def test_armor_has_lines_of_seventy(sample: SshSig) -> None:
    first, *body, last, rest = sample.armor().split(b"\n")
    assert (first, last, rest) == (BEGIN, END, b"")
    assert {len(line) for line in body[:-1]} <= {70}
    assert 1 <= len(body[-1]) <= 70
    assert base64.b64decode(b"".join(body)) == sample.blob()


ARMOR = SAMPLES[0].armor()


@pytest.mark.parametrize(
    "text",
    [
        ARMOR.replace(b"\n", b"\r\n"),
        ARMOR + b"words\n",
        ARMOR + ARMOR,
        ARMOR.replace(b"U1NI", b"U1 NI"),
        ARMOR.rstrip(),
        BEGIN + b"\n" + base64.b64encode(SAMPLES[0].blob()) + b"\n" + END,
    ],
    ids=["crlf", "words behind", "twice", "blanks within", "no last line end", "one long line"],
)
def test_armor_as_mail_and_editors_leave_it(text: bytes) -> None:
    assert parse_armor(text) == SAMPLES[0]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        BEGIN,
        BEGIN + b"\n" + END,
        b"words\n" + ARMOR,
        b"\n" + ARMOR,
        ARMOR.replace(BEGIN, BEGIN + b" "),
        ARMOR.replace(BEGIN, BEGIN.lower()),
        ARMOR[: -len(END) - 1],
        ARMOR.replace(b"\n" + END, b"" + END),
        ARMOR.replace(b"U1NI", b"U1N!"),
        ARMOR.replace(b"\n" + END, b"=\n" + END),
    ],
)
def test_what_is_not_armor(text: bytes) -> None:
    with pytest.raises(MalformedKey):
        parse_armor(text)


def test_armor_size_is_bounded() -> None:
    with pytest.raises(MalformedKey, match="more than"):
        parse_armor(ARMOR + b" " * MAX_ARMOR)


@given(st.text().filter(lambda t: "\0" not in t), st.sampled_from(HASH_ALGORITHMS), st.binary())
def test_any_round_trip(namespace: str, hash_alg: str, reserved: bytes) -> None:
    sample = replace(SAMPLES[1], namespace=namespace, hash_alg=hash_alg, reserved=reserved)
    assert parse_sshsig(sample.blob()) == sample
    assert parse_armor(sample.armor()) == sample


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
