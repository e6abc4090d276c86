"""Certificates both ways with stock ssh-keygen: issued by it and read by us, and the reverse."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from tests.support.keygen import Keygen
from tests.support.samples import SK_ED25519, key_id
from tests.support.signers import (
    TOKENS,
    PlainKey,
    certificate,
    ecdsa_token,
    ed25519_key,
    ed25519_token,
    plain_keys,
)

from fidokit.openssh.certificates.certificate import (
    FOREVER,
    Certificate,
    CertificateBody,
    CertKind,
    CertOption,
    describe,
    encode_tbs,
    parse_certificate,
    verify_signature,
)
from fidokit.openssh.keys.public import PublicKey, PublicLine, parse_public_line
from fidokit.openssh.signatures.signature import PlainSignature

pytestmark = pytest.mark.interop

ZONE = "CET-1CEST,M3.5.0,M10.5.0/3"


@pytest.fixture
def keygen(stock: Callable[[str], str], tmp_path: Path) -> Keygen:
    return Keygen(stock("ssh-keygen"), tmp_path, ZONE)


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", ZONE)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def issue(
    keygen: Keygen, public: PublicKey, *options: str, authority: tuple[str, ...] = ("ed25519",)
) -> bytes:
    """The certificate blob that `ssh-keygen -s` makes for a key of ours."""
    size = ("-b", authority[1]) if len(authority) > 1 else ()
    if not (keygen.folder / "ca").exists():
        made = keygen("-q", "-t", authority[0], *size, "-N", "", "-f", "ca")
        assert made.returncode == 0, made.stderr
    keygen.write("user.pub", PublicLine(public, "me").encode().encode() + b"\n")
    signed = keygen("-q", "-s", "ca", "-I", "an id", *options, "user.pub")
    assert signed.returncode == 0, signed.stderr
    words = (keygen.folder / "user-cert.pub").read_bytes().split()
    return base64.b64decode(words[1])


def shown(keygen: Keygen, sample: Certificate) -> list[str]:
    """The lines of `ssh-keygen -L`, without the file's name."""
    text = f"{sample.type_name} {base64.b64encode(sample.blob()).decode()} c\n"
    name = keygen.write("shown-cert.pub", text.encode())
    result = keygen("-L", "-f", name)
    assert result.returncode == 0, result.stderr
    return [row.strip() for row in result.stdout.decode().splitlines()[1:]]


def expected(sample: Certificate) -> list[str]:
    """The same lines from our own facts."""
    facts = describe(sample)
    return [
        f"Type: {facts.type_name} {facts.kind} certificate",
        f"Public key: {facts.key}",
        f"Signing CA: {facts.authority} (using {facts.signature_type})",
        f'Key ID: "{facts.key_id}"',
        f"Serial: {facts.serial}",
        f"Valid: {facts.valid}",
        *_block("Principals", facts.principals),
        *_block("Critical Options", facts.critical_options),
        *_block("Extensions", facts.extensions),
    ]


def _block(title: str, values: tuple[str, ...]) -> list[str]:
    return [f"{title}:", *values] if values else [f"{title}: (none)"]


# --- issued by ssh-keygen ------------------------------------------------------------------

AUTHORITIES = [("ed25519",), ("ecdsa", "256"), ("ecdsa", "521"), ("rsa", "2048")]


@pytest.mark.parametrize("authority", AUTHORITIES, ids="-".join)
@pytest.mark.parametrize("make", [ed25519_token, ecdsa_token])
def test_token_keys_by_every_authority(
    keygen: Keygen, make: Callable[[], object], authority: tuple[str, ...]
) -> None:
    public = make().public  # type: ignore[attr-defined]
    blob = issue(keygen, public, "-n", "alice,bob", authority=authority)
    sample = parse_certificate(blob)
    assert sample.blob() == blob
    assert (sample.public, sample.principals) == (public, ("alice", "bob"))
    assert sample.signature_key == parse_public_line((keygen.folder / "ca.pub").read_text()).key
    verify_signature(sample)
    assert shown(keygen, sample) == expected(sample)


SUBJECTS = {*(key.public for key in TOKENS), *(key.public for key in plain_keys())}


@pytest.mark.parametrize("public", sorted(SUBJECTS, key=key_id), ids=key_id)  # type: ignore[arg-type]
def test_every_subject(keygen: Keygen, public: PublicKey) -> None:
    blob = issue(keygen, public, "-n", "alice")
    sample = parse_certificate(blob)
    assert sample.blob() == blob
    assert sample.public == public
    verify_signature(sample)


def test_rsa_authority_with_sha256(keygen: Keygen) -> None:
    blob = issue(keygen, SK_ED25519, "-t", "rsa-sha2-256", authority=("rsa", "2048"))
    sample = parse_certificate(blob)
    assert sample.signature == PlainSignature("rsa-sha2-256", sample.signature.data)  # type: ignore[union-attr]
    verify_signature(sample)


@pytest.mark.parametrize(
    ("options", "after", "before"),
    [
        ((), 0, FOREVER),
        (("-V", "always:forever"), 0, FOREVER),
        (("-V", "always:20300101"), 0, 1893452400),
        (("-V", "20200101:forever"), 1577833200, FOREVER),
        (("-V", "20200101:20300101"), 1577833200, 1893452400),
    ],
)
def test_validity(keygen: Keygen, options: tuple[str, ...], after: int, before: int) -> None:
    sample = parse_certificate(issue(keygen, SK_ED25519, *options))
    assert (sample.valid_after, sample.valid_before) == (after, before)
    assert shown(keygen, sample) == expected(sample)


def test_options_and_extensions(keygen: Keygen) -> None:
    wanted = (
        "force-command=/bin/echo a b",
        "source-address=10.0.0.0/8,fe80::/10",
        "verify-required",
        "clear",
        "no-touch-required",
        "permit-pty",
        "critical:c@example.com=x",
        "extension:e@example.com",
        "extension:f@example.com=y",
    )
    ordered = ("clear", *(option for option in wanted if option != "clear"))
    blob = issue(
        keygen, SK_ED25519, "-z", "18446744073709551615", *(f"-O{option}" for option in ordered)
    )
    sample = parse_certificate(blob)
    assert sample.serial == FOREVER
    assert sample.principals == ()
    assert {option.name: option.value for option in sample.critical_options} == {
        "force-command": "/bin/echo a b",
        "source-address": "10.0.0.0/8,fe80::/10",
        "verify-required": None,
        "c@example.com": "x",
    }
    assert {option.name: option.value for option in sample.extensions} == {
        "no-touch-required": None,
        "permit-pty": None,
        "e@example.com": None,
        "f@example.com": "y",
    }
    assert shown(keygen, sample) == expected(sample)


def test_host_certificates(keygen: Keygen) -> None:
    sample = parse_certificate(issue(keygen, ed25519_key().public, "-h", "-n", "host.example.com"))
    assert sample.kind is CertKind.HOST
    assert sample.extensions == ()
    assert shown(keygen, sample) == expected(sample)


def test_the_same_certificate_byte_for_byte(keygen: Keygen) -> None:
    blob = issue(keygen, SK_ED25519, "-n", "alice", "-Overify-required", "-z", "3")
    theirs = parse_certificate(blob)
    private = load_ssh_private_key((keygen.folder / "ca").read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    body = CertificateBody(
        public=SK_ED25519,
        nonce=theirs.nonce,  # the one thing that is random in it
        serial=3,
        kind=CertKind.USER,
        key_id="an id",
        principals=("alice",),
        valid_after=0,
        valid_before=FOREVER,
        critical_options=(CertOption("verify-required"),),
        extensions=tuple(
            CertOption(f"permit-{name}")
            for name in ("X11-forwarding", "agent-forwarding", "port-forwarding", "pty", "user-rc")
        ),
        signature_key=theirs.signature_key,
        reserved=b"",
    )
    ours = body.signed(PlainSignature("ssh-ed25519", private.sign(encode_tbs(body))))
    assert ours.blob() == blob


# --- issued by us --------------------------------------------------------------------------


@pytest.mark.parametrize("authority", plain_keys(), ids=lambda key: key.sign(b"").type_name)
@pytest.mark.parametrize("make", [ed25519_token, ecdsa_token])
def test_ours_are_shown(keygen: Keygen, make: Callable[[], object], authority: PlainKey) -> None:
    sample = certificate(
        make().public,  # type: ignore[attr-defined]
        authority,
        principals=("alice", "bob@example.com"),
        valid_after=1_600_000_000,
        valid_before=1_700_000_000,
        critical_options=(
            CertOption.with_value("force-command", "/bin/true"),
            CertOption("verify-required"),
            CertOption("odd@example.com", b"\1\2\3"),
            CertOption("flag@example.com"),
        ),
        extensions=(CertOption("no-touch-required"), CertOption("other@example.com")),
        serial=42,
    )
    assert shown(keygen, sample) == expected(sample)


@pytest.mark.parametrize("token", [ed25519_token(), ecdsa_token()])
def test_an_authority_on_a_token(keygen: Keygen, token: object) -> None:
    authority = PlainKey(token.public, token.sign)  # type: ignore[attr-defined]
    sample = certificate(SK_ED25519, authority)
    assert shown(keygen, sample) == expected(sample)


def test_a_signature_that_does_not_hold_is_not_shown(keygen: Keygen) -> None:
    broken = replace(certificate(SK_ED25519, plain_keys()[0]), serial=1)
    text = f"{broken.type_name} {base64.b64encode(broken.blob()).decode()} c\n"
    name = keygen.write("broken-cert.pub", text.encode())
    assert keygen("-L", "-f", name).returncode != 0
