"""Damaged signatures, certificates and lines end in a value or in our own errors, nothing else.

`FIDOKIT_FUZZ` sets how many damaged inputs each parser gets.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
from tests.support.mutate import fuzz_count, survive
from tests.support.samples import PUBLIC_KEYS, SK_ED25519
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
from tests.support.signers_file import is_valid

from fidokit.errors import Malformed, MalformedKey, SignatureInvalid, UsageError
from fidokit.openssh.certificates.certificate import (
    CertOption,
    describe,
    parse_certificate,
    verify_signature,
)
from fidokit.openssh.keys.public import PublicLine, RsaPublic, parse_public
from fidokit.openssh.lines import allowed_signers, authorized_keys
from fidokit.openssh.lines.authorized_keys import AuthorizedKey
from fidokit.openssh.lines.options import encode_options
from fidokit.openssh.signatures.attestation import Attestation, parse_attestation, wrap_bytes
from fidokit.openssh.signatures.signature import PlainSignature, Signature, parse_signature, verify
from fidokit.openssh.signatures.sshsig import parse_armor, parse_sshsig
from fidokit.openssh.signatures.sshsig import verify as verify_sshsig

MESSAGE = b"a message"
CERTIFICATES = [
    certificate(
        key,
        ed25519_key(),
        principals=("alice", "bob"),
        critical_options=(CertOption.with_value("force-command", "/bin/true"),),
    )
    for key in PUBLIC_KEYS
]
SIGNATURES = [
    *(token.sign(MESSAGE) for token in TOKENS),
    webauthn_signature(MESSAGE),
    *(key.sign(MESSAGE) for key in plain_keys()),
]
SSHSIGS = [
    *(sshsig(token.public, token.sign, MESSAGE) for token in TOKENS),
    sshsig(ecdsa_token().public, webauthn_signature, MESSAGE),
    sshsig(certificate(ed25519_token().public, ed25519_key()), ed25519_token().sign, MESSAGE),
]
LINES = [PublicLine(key, "a comment").encode().encode() for key in PUBLIC_KEYS]
AUTHORIZED = [
    *LINES,
    *(b'no-pty,command="echo \\"a b\\"",expiry-time="20300101Z" ' + line for line in LINES),
    b"# keys\r\n\r\n" + LINES[0] + b"\nrestrict " + LINES[1],
]
SIGNERS = [
    *(b"alice,*@example.com " + line for line in LINES),
    b'"a b" cert-authority,namespaces="file,g*",valid-after="20200101",valid-before="20300101Z" '
    + LINES[0],
    b"alice "
    + CERTIFICATES[0].type_name.encode()
    + b" "
    + base64.b64encode(CERTIFICATES[0].blob()),
]


def signature(data: bytes) -> None:
    assert parse_signature(data).blob() == data


def attestation(data: bytes) -> None:
    parsed = parse_attestation(data)
    assert parsed.blob() == data
    _ = parsed.auth_data


def sshsig_blob(data: bytes) -> None:
    assert parse_sshsig(data).blob() == data


def armor(data: bytes) -> None:
    parsed = parse_armor(data)
    assert parse_armor(parsed.armor()) == parsed


def certificate_blob(data: bytes) -> None:
    parsed = parse_certificate(data)
    assert parsed.blob() == data
    assert describe(parsed).type_name == parsed.type_name


def authorized(data: bytes) -> None:
    lines = list(authorized_keys.parse_file(io.BytesIO(data)))
    assert b"".join(line.raw for line in lines) == data
    for line in lines:
        if isinstance(line, AuthorizedKey):
            with suppress(UsageError):  # sshd reads a CR within a value, but none is ever written
                encode_options(line.options)


def signers(data: bytes) -> None:
    entries = list(allowed_signers.parse_file(io.BytesIO(data)))
    allowed_signers.find_principals(entries, SK_ED25519, at=1_700_000_000)
    is_valid(entries, SK_ED25519, principal="alice", namespace="file", at=1_700_000_000)


PARSERS: list[tuple[Callable[[bytes], None], Sequence[bytes]]] = [
    (signature, [sample.blob() for sample in SIGNATURES]),
    (attestation, [Attestation(b"leaf", b"sig", wrap_bytes(bytes(180))).blob()]),
    (sshsig_blob, [sample.blob() for sample in SSHSIGS]),
    (armor, [sample.armor() for sample in SSHSIGS]),
    (certificate_blob, [sample.blob() for sample in CERTIFICATES]),
    (authorized, AUTHORIZED),
    (signers, SIGNERS),
]
DEFAULT_COUNT = 15_000


def test_the_ordinary_run_is_long_enough() -> None:
    assert len(PARSERS) * DEFAULT_COUNT >= 100_000


@pytest.mark.parametrize(
    ("parse", "corpus"), PARSERS, ids=lambda value: getattr(value, "__name__", "")
)
def test_parsers_survive(parse: Callable[[bytes], None], corpus: Sequence[bytes]) -> None:
    survive(corpus, parse, Malformed, fuzz_count(DEFAULT_COUNT))


# --- verifying what still parses -------------------------------------------------------------


def test_verifying_a_damaged_signature_survives() -> None:
    token = TOKENS[0]
    honest = token.sign(MESSAGE).blob()

    def check(data: bytes) -> None:
        verify(token.public, parse_signature(data), MESSAGE)

    count = fuzz_count(3_000)
    refused = survive([honest], check, (Malformed, SignatureInvalid), count)
    assert refused > count * 2 // 3


@pytest.mark.parametrize("sample", SSHSIGS, ids=lambda sample: sample.signature.type_name)
def test_verifying_a_damaged_sshsig_survives(sample: object) -> None:
    honest = sample.blob()  # type: ignore[attr-defined]

    def check(data: bytes) -> None:
        verify_sshsig(parse_sshsig(data), MESSAGE, "file")

    survive([honest], check, (Malformed, SignatureInvalid), fuzz_count(1_000))


def test_verifying_a_damaged_certificate_survives() -> None:
    honest = certificate(SK_ED25519, ed25519_key()).blob()

    def check(data: bytes) -> None:
        verify_signature(parse_certificate(data))

    survive([honest], check, (Malformed, SignatureInvalid), fuzz_count(2_000))


HONEST = [
    *((key.public.blob(), key.sign(MESSAGE)) for key in TOKENS),
    *((key.public.blob(), key.sign(MESSAGE)) for key in plain_keys()),
]


@pytest.mark.parametrize(("blob", "signature"), HONEST, ids=[s.type_name for _, s in HONEST])
def test_verifying_under_a_damaged_key_survives(blob: bytes, signature: Signature) -> None:
    def check(data: bytes) -> None:
        verify(parse_public(data), signature, MESSAGE)

    survive([blob], check, (Malformed, SignatureInvalid), fuzz_count(2_000))


@pytest.mark.parametrize("bits", [1024, 3072, 16384])
@pytest.mark.parametrize("e", [1, 2, 3, 65537, (1 << 64) + 1, (1 << 1000) + 1])
def test_verifying_under_odd_rsa_numbers_survives(bits: int, e: int) -> None:
    key = RsaPublic(e, (1 << bits) - 1)
    for data in (b"", b"\1", bytes(bits // 8), b"\xff" * (bits // 8)):
        with pytest.raises((MalformedKey, SignatureInvalid)):
            verify(key, PlainSignature("rsa-sha2-512", data), MESSAGE)
