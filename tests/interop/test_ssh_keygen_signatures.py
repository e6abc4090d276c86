"""SSHSIG both ways with stock ssh-keygen: its signatures read by us, ours by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.keygen import MESSAGE, Keygen, line
from tests.support.openssh_version import openssh
from tests.support.signers import (
    PlainKey,
    Token,
    certificate,
    ecdsa_token,
    ed25519_key,
    ed25519_token,
    plain_keys,
    sshsig,
    webauthn_signature,
)
from tests.support.signers_file import is_valid

from fidokit.errors import FidokitError, MalformedFile, SignatureInvalid
from fidokit.openssh.certificates.certificate import CertKind
from fidokit.openssh.keys.public import parse_public_line
from fidokit.openssh.lines import allowed_signers
from fidokit.openssh.lines.options import parse_time
from fidokit.openssh.signatures.signature import PlainSignature, Signature
from fidokit.openssh.signatures.sshsig import SshSig, parse_armor, to_be_signed, verify
from fidokit.openssh.signatures.sshsig import digest as digest_of
from fidokit.types import Application

pytestmark = pytest.mark.interop


@pytest.fixture
def keygen(stock: Callable[[str], str], tmp_path: Path) -> Keygen:
    return Keygen(stock("ssh-keygen"), tmp_path)


# --- signed by ssh-keygen, read by us ------------------------------------------------------


@pytest.mark.parametrize("hash_alg", ["sha256", "sha512"])
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048"])
def test_what_ssh_keygen_signs(keygen: Keygen, kind: str, hash_alg: str) -> None:
    key_type, _, bits = kind.partition("-")
    size = ("-b", bits) if bits else ()
    assert keygen("-q", "-t", key_type, *size, "-N", "", "-f", "key").returncode == 0
    signing = keygen(
        "-Y", "sign", "-n", "file", "-O", f"hashalg={hash_alg}", "-f", "key", stdin=MESSAGE
    )
    sig = parse_armor(signing.stdout)
    assert sig.armor() == signing.stdout
    assert sig.hash_alg == hash_alg
    assert sig.public == parse_public_line((keygen.folder / "key.pub").read_text()).key
    verify(sig, MESSAGE, "file")
    with pytest.raises(SignatureInvalid):
        verify(sig, MESSAGE + b"x", "file")


def own_signature(private: object, tbs: bytes) -> PlainSignature:
    if isinstance(private, Ed25519PrivateKey):
        return PlainSignature("ssh-ed25519", private.sign(tbs))
    assert isinstance(private, rsa.RSAPrivateKey)
    return PlainSignature("rsa-sha2-512", private.sign(tbs, padding.PKCS1v15(), hashes.SHA512()))


@pytest.mark.parametrize("key_type", ["ed25519", "rsa"])
def test_deterministic_signatures_are_the_same_byte_for_byte(keygen: Keygen, key_type: str) -> None:
    keygen("-q", "-t", key_type, "-N", "", "-f", "key")
    theirs = keygen("-Y", "sign", "-n", "file", "-f", "key", stdin=MESSAGE).stdout
    private = load_ssh_private_key((keygen.folder / "key").read_bytes(), None)
    public = parse_public_line((keygen.folder / "key.pub").read_text()).key
    tbs = to_be_signed("file", "sha512", digest_of("sha512", [MESSAGE]))
    ours = SshSig(public, "file", "sha512", own_signature(private, tbs))
    assert ours.armor() == theirs


# --- signed by us, judged by ssh-keygen ----------------------------------------------------

TOKENS = pytest.mark.parametrize("make", [ed25519_token, ecdsa_token])


@TOKENS
@pytest.mark.parametrize("flags", [0x00, 0x01, 0x05])
def test_a_tokens_signature(keygen: Keygen, make: Callable[[], Token], flags: int) -> None:
    token = make()
    sig = sshsig(
        token.public, lambda tbs: token.sign(tbs, flags=flags, counter=0xFFFFFFFE), MESSAGE
    )
    assert keygen.verify(sig, line(token.public))
    assert keygen.check(sig)
    verify(sig, MESSAGE, "file")


@TOKENS
def test_a_tokens_signature_that_was_tampered_with(
    keygen: Keygen, make: Callable[[], Token]
) -> None:
    token = make()
    sig = sshsig(token.public, token.sign, MESSAGE)
    assert not keygen.check(sig, MESSAGE + b"x")
    assert not keygen.check(sig, MESSAGE, "other")
    assert not keygen.check(replace(sig, signature=replace(sig.signature, counter=9)))  # type: ignore[arg-type]
    assert not keygen.check(replace(sig, signature=replace(sig.signature, flags=4)))  # type: ignore[arg-type]
    elsewhere = replace(token.public, application=Application("ssh:x"))
    assert not keygen.check(replace(sig, public=elsewhere))


@pytest.mark.parametrize("key", plain_keys(), ids=lambda key: key.sign(b"").type_name)
def test_an_ordinary_keys_signature(keygen: Keygen, key: PlainKey) -> None:
    assert keygen.verify(sshsig(key.public, key.sign, MESSAGE), line(key.public))


def agree(keygen: Keygen, sig: SshSig) -> bool:
    """Whether the signature is true, which both sides must see alike."""
    try:
        verify(parse_armor(sig.armor()), MESSAGE, "file")
        ours = True
    except FidokitError:
        ours = False
    assert keygen.check(sig) is ours
    return ours


@pytest.mark.parametrize(
    ("options", "true"),
    [
        ({}, True),
        ({"flags": 5, "counter": 0}, True),
        ({"origin": "https://ex\\ample:8443"}, False),  # JSON escapes it, so the prefix differs
        ({"origin": "https://é.example"}, True),
        ({"flags": 0x81, "extensions": b"\xa1\x63abc\xf5"}, True),
        ({"flags": 0x81}, False),
        ({"extensions": b"\xa0"}, False),
        ({"flags": 0x41}, False),
        ({"client_data": b"{}"}, False),
    ],
)
def test_a_browsers_signature(keygen: Keygen, options: dict[str, object], true: bool) -> None:
    sig = sshsig(
        ecdsa_token().public,
        lambda tbs: webauthn_signature(tbs, **options),  # type: ignore[arg-type]
        MESSAGE,
    )
    assert agree(keygen, sig) is true


def test_a_browsers_signature_with_a_quote_in_the_origin(keygen: Keygen) -> None:
    honest = sshsig(ecdsa_token().public, webauthn_signature, MESSAGE)
    forged = replace(honest.signature, origin='https://example.com","crossOrigin":false,"x":"')  # type: ignore[arg-type]
    assert not agree(keygen, replace(honest, signature=forged))


def test_rsa_numbers_without_their_leading_zeros(keygen: Keygen) -> None:
    key = plain_keys()[-1]

    def stripped(tbs: bytes) -> Signature:
        signature = key.sign(tbs)
        return replace(signature, data=signature.data.lstrip(b"\0"))

    for number in range(4096):
        namespace = f"n{number}"
        sig = sshsig(key.public, stripped, MESSAGE, namespace)
        if isinstance(sig.signature, PlainSignature) and len(sig.signature.data) < 256:
            break
    else:
        pytest.fail("no signature in 4096 began with a zero: 1 in 256 should")
    verify(sig, MESSAGE, namespace)
    assert keygen.check(sig, namespace=namespace)


# --- who may sign --------------------------------------------------------------------------

TOKEN = ed25519_token()
SIG = sshsig(TOKEN.public, TOKEN.sign, MESSAGE)
NOW = 1_700_000_000


def ours_verify(sig: SshSig, signers: bytes, at: int, identity: str = "alice") -> bool:
    entries = [allowed_signers.parse_line(raw) for raw in signers.splitlines(keepends=True)]
    return is_valid(
        [entry for entry in entries if entry],
        sig.public,
        principal=identity,
        namespace="file",
        at=at,
    )


def ours_find(sig: SshSig, signers: bytes, at: int) -> tuple[str, ...]:
    entries = [allowed_signers.parse_line(raw) for raw in signers.splitlines(keepends=True)]
    return allowed_signers.find_principals([e for e in entries if e], sig.public, at=at)


STARTS = [
    "alice",
    "bob",
    "alice,bob",
    "a*",
    "al?ce,",
    "*,!alice",
    "!bob,alice",
    '"alice"',
    '"x y,alice"',
    'al"ice"',
    '"alice',
    'alice namespaces="file"',
    'alice namespaces="git,f*"',
    'alice namespaces="git"',
    'alice namespaces=""',
    "alice namespaces=file",
    'alice NameSpaces="file"',
    'alice namespaces="file",namespaces="file"',
    'alice ,namespaces="file"',
    'alice namespaces="file",',
    "alice cert-authority",
    "alice restrict",
    'alice cert-authority="x"',
    'alice valid-after="20200101"',
    'alice valid-after="20300101"',
    'alice valid-before="20200101"',
    'alice valid-before="20300101"',
    'alice valid-after="20200101",valid-before="20190101"',
    'alice valid-after="202001011200Z",valid-before="20300101120000UTC"',
    'alice valid-after="19700101Z"',
    'alice valid-after="20200230"',
    'alice valid-after="20200132"',
    'alice valid-after="202013010000"',
    'alice valid-after="20200101 "',
    'alice valid-after="now"',
]


@pytest.mark.parametrize("start", STARTS)
def test_lines_are_understood_alike(keygen: Keygen, start: str) -> None:
    signers = line(TOKEN.public, start)
    assert keygen.verify(SIG, signers, at=NOW) is ours_verify(SIG, signers, NOW)
    assert keygen.find(SIG, signers, at=NOW) == ours_find(SIG, signers, NOW)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b" comment\r\n", b" \t\n"])
def test_line_ends_are_understood_alike(keygen: Keygen, end: bytes) -> None:
    signers = b"# comment\r\n\n" + line(TOKEN.public).rstrip(b"\n") + end
    assert keygen.verify(SIG, signers)
    assert ours_verify(SIG, signers, NOW)


def test_valid_times_are_inclusive(keygen: Keygen) -> None:
    signers = line(TOKEN.public, 'alice valid-after="20240101Z",valid-before="20250101Z"')
    for at in (1704067199, 1704067200, 1735689600, 1735689601):
        expected = 1704067200 <= at <= 1735689600
        assert keygen.verify(SIG, signers, at=at) is expected
        assert ours_verify(SIG, signers, at) is expected


BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", BERLIN)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    "text", ["20240101", "202401011200", "20240701", "20240701123456", "20240331023000"]
)
def test_local_times_are_the_same_moments(keygen: Keygen, text: str) -> None:
    local = replace(keygen, zone=BERLIN)
    signers = line(TOKEN.public, f'alice valid-after="{text}"')
    moment = parse_time(text, summer=openssh() >= (10, 6))
    assert local.verify(SIG, signers, at=moment)
    assert not local.verify(SIG, signers, at=moment - 1)


def test_principals_are_found_in_the_first_line_that_fits(keygen: Keygen) -> None:
    signers = (
        line(ed25519_key().public, "zoe")
        + line(TOKEN.public, 'carol valid-before="20000101"')
        + b"nonsense\n"
        + line(TOKEN.public, "alice,a*,!bob")
        + line(TOKEN.public, "dave")
    )
    expected = ("alice", "a*", "!bob")
    assert keygen.find(SIG, signers, at=NOW) == ours_find(SIG, signers, NOW) == expected


AUTHORITY = ed25519_key()
CERTIFICATES = {
    "good": certificate(
        TOKEN.public,
        AUTHORITY,
        principals=("alice", "root"),
        valid_after=NOW,
        valid_before=NOW + 10,
    ),
    "forever": certificate(TOKEN.public, AUTHORITY),
    "without principals": certificate(TOKEN.public, AUTHORITY, principals=()),
    "of a host": certificate(TOKEN.public, AUTHORITY, kind=CertKind.HOST),
    "of bob": certificate(TOKEN.public, AUTHORITY, principals=("bob",)),
    "by a stranger": certificate(TOKEN.public, ed25519_key(9)),
    "tampered with": replace(certificate(TOKEN.public, AUTHORITY), serial=1),
}


@pytest.mark.parametrize("start", ["alice", "a*", "*", "r*,alice", "bob", "*,!alice"])
@pytest.mark.parametrize("name", CERTIFICATES)
def test_certificates_are_judged_alike(keygen: Keygen, name: str, start: str) -> None:
    sig = sshsig(CERTIFICATES[name], TOKEN.sign, MESSAGE)
    signers = line(AUTHORITY.public, f"{start} cert-authority")
    for at in (NOW - 1, NOW, NOW + 9, NOW + 10):
        assert keygen.verify(sig, signers, at=at) is ours_verify(sig, signers, at)
        try:
            found = ours_find(sig, signers, at)
        except SignatureInvalid:
            found = ()
        assert keygen.find(sig, signers, at=at) == found


def test_a_certificate_in_a_line_of_its_own(keygen: Keygen) -> None:
    sig = sshsig(CERTIFICATES["forever"], TOKEN.sign, MESSAGE)
    for key in (CERTIFICATES["forever"], TOKEN.public):
        signers = line(key)
        assert keygen.verify(sig, signers, at=NOW) is ours_verify(sig, signers, NOW)


names = st.text(alphabet="ab", max_size=4)
lists = st.text(alphabet="ab*?!,", min_size=1, max_size=8)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(lists, min_size=1, max_size=4), names)
def test_any_patterns_match_alike(keygen: Keygen, principals: list[str], name: str) -> None:
    signers = b"".join(line(TOKEN.public, start) for start in principals)
    entries = [allowed_signers.parse_line(raw) for raw in signers.splitlines()]
    ours = allowed_signers.match_principals([entry for entry in entries if entry], name)
    assert keygen.match(signers, name) == ours


@pytest.mark.parametrize(
    "bad", [b"alice nonsense\n", b'"alice ssh-ed25519\n', b"bob nonsense\n", b"bob\n"]
)
def test_matching_gives_up_at_the_same_bad_lines(keygen: Keygen, bad: bytes) -> None:
    signers = bad + line(TOKEN.public)
    entries = [allowed_signers.parse_line(raw) for raw in signers.splitlines(keepends=True)]
    try:
        ours = allowed_signers.match_principals([entry for entry in entries if entry], "alice")
    except MalformedFile:
        ours = ()
    assert keygen.match(signers, "alice") == ours
