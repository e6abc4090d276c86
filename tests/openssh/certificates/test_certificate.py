"""Certificates on the wire, and in words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import PUBLIC_KEYS, SK_ED25519, key_id, public_keys
from tests.support.signers import (
    PlainKey,
    certificate,
    ecdsa_token,
    ed25519_key,
    ed25519_token,
    plain_keys,
)

from fidokit.errors import MalformedKey, SignatureInvalid
from fidokit.openssh import wire
from fidokit.openssh.certificates.certificate import (
    CERTIFICATE_TYPES,
    FOREVER,
    MAX_CERTIFICATE,
    Certificate,
    CertificateBody,
    CertificateFacts,
    CertKind,
    CertOption,
    certificate_type,
    describe,
    encode_tbs,
    format_time,
    parse_certificate,
    parse_key,
    refusal,
    require_trustworthy,
    validity,
    verify_signature,
)
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import TYPE_NAMES, PublicKey, parse_public

OPTIONS = (
    CertOption.with_value("force-command", "/bin/true"),
    CertOption.with_value("source-address", "10.0.0.0/8,::1/128"),
    CertOption("verify-required"),
)


def full(public: PublicKey) -> Certificate:
    return certificate(
        public,
        ed25519_key(),
        principals=("alice", "bob"),
        valid_after=100,
        valid_before=200,
        critical_options=OPTIONS,
        extensions=(CertOption("no-touch-required"), CertOption("x@example.com", b"\1\2")),
        serial=7,
        key_id="id é",
    )


EVERY_KEY = pytest.mark.parametrize("key", PUBLIC_KEYS, ids=key_id)


@EVERY_KEY
def test_round_trip(key: PublicKey) -> None:
    sample = full(key)
    assert parse_certificate(sample.blob()) == sample
    assert parse_certificate(sample.blob()).blob() == sample.blob()


@EVERY_KEY
def test_truncation(key: PublicKey) -> None:
    blob = full(key).blob()
    for cut in range(len(blob)):
        with pytest.raises(MalformedKey):
            parse_certificate(blob[:cut])


@EVERY_KEY
def test_trailing_byte(key: PublicKey) -> None:
    with pytest.raises(MalformedKey, match="1 bytes follow"):
        parse_certificate(full(key).blob() + b"\0")


def test_every_key_type_has_its_certificate_type() -> None:
    assert CERTIFICATE_TYPES == {
        "sk-ssh-ed25519-cert-v01@openssh.com": "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com": "sk-ecdsa-sha2-nistp256@openssh.com",
        "ssh-ed25519-cert-v01@openssh.com": "ssh-ed25519",
        "ecdsa-sha2-nistp256-cert-v01@openssh.com": "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384-cert-v01@openssh.com": "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521-cert-v01@openssh.com": "ecdsa-sha2-nistp521",
        "ssh-rsa-cert-v01@openssh.com": "ssh-rsa",
        "ssh-mldsa44-ed25519-cert": "ssh-mldsa44-ed25519",
        "ssh-mldsa44-ed25519-cert-v01@openssh.com": "ssh-mldsa44-ed25519@openssh.com",
    }
    assert {certificate_type(key) for key in TYPE_NAMES} == set(CERTIFICATE_TYPES)


def test_layout_byte_for_byte() -> None:
    token, authority = ed25519_token(application="ssh:x"), ed25519_key()
    sample = full(token.public)
    assert encode_tbs(sample) == (
        b"\0\0\0\x23sk-ssh-ed25519-cert-v01@openssh.com"
        + wire.string(sample.nonce)
        + wire.string(token.public.point)
        + b"\0\0\0\5ssh:x"
        + b"\0\0\0\0\0\0\0\7\0\0\0\1\0\0\0\5id \xc3\xa9"
        + b"\0\0\0\x10\0\0\0\5alice\0\0\0\3bob"
        + b"\0\0\0\0\0\0\0\x64\0\0\0\0\0\0\0\xc8"
        + wire.string(
            b"\0\0\0\x0dforce-command\0\0\0\x0d\0\0\0\x09/bin/true"
            b"\0\0\0\x0esource-address\0\0\0\x16\0\0\0\x1210.0.0.0/8,::1/128"
            b"\0\0\0\x0fverify-required\0\0\0\0"
        )
        + wire.string(b"\0\0\0\x11no-touch-required\0\0\0\0\0\0\0\x0dx@example.com\0\0\0\2\1\2")
        + b"\0\0\0\0"
        + wire.string(authority.public.blob())
    )
    assert sample.blob() == encode_tbs(sample) + wire.string(sample.signature.blob())


def test_options_give_their_text() -> None:
    assert [option.value for option in OPTIONS] == ["/bin/true", "10.0.0.0/8,::1/128", None]
    assert CertOption("x", b"\0\0\0\1ab").value is None
    assert CertOption("x", b"\0\0\0\1\xe9").value == "\udce9"  # Latin-1 stays as it is


def test_an_issuer_may_write_latin_1() -> None:
    sample = full(ed25519_token().public)
    blob = sample.blob().replace(b"\0\0\0\5id \xc3\xa9", b"\0\0\0\5id \xe9\xe9")
    read = parse_certificate(blob)
    assert read.key_id == "id \udce9\udce9"
    assert read.blob() == blob


def test_a_body_becomes_a_certificate_by_its_signature() -> None:
    sample = full(ed25519_token().public)
    body = CertificateBody(
        **{name: getattr(sample, name) for name in CertificateBody.__dataclass_fields__}
    )
    assert body.signed(sample.signature) == sample
    assert encode_tbs(body) == encode_tbs(sample)


# --- what is refused -----------------------------------------------------------------------


def with_field(old: bytes, new: bytes) -> bytes:
    blob = full(ed25519_token().public).blob()
    assert blob.count(old) == 1
    return blob.replace(old, new)


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (with_field(b"\0\0\0\7\0\0\0\1", b"\0\0\0\7\0\0\0\0"), "kind 0"),
        (with_field(b"\0\0\0\7\0\0\0\1", b"\0\0\0\7\0\0\0\3"), "kind 3"),
        (with_field(b"\0\0\0\5alice", b"\0\0\0\5al\0ce"), "NUL"),
        (with_field(b"\0\0\0\5alice", b"\0\0\0\x0falice"), "principals: need"),
        (with_field(b"\0\0\0\x0fverify-required", b"\0\0\0\x1fverify-required"), "options"),
        (with_field(b"\0\0\0\x23sk-ssh-ed25519-c", b"\0\0\0\x23sk-ssh-ed25518-c"), "not known"),
    ],
)
def test_broken_fields(blob: bytes, reason: str) -> None:
    with pytest.raises(MalformedKey, match=reason):
        parse_certificate(blob)


def test_chains_are_refused() -> None:
    inner = full(ed25519_token().public)
    authority = ed25519_key()
    chained = (
        encode_tbs(inner).removesuffix(wire.string(authority.public.blob()))
        + wire.string(inner.blob())
        + wire.string(inner.signature.blob())
    )
    with pytest.raises(MalformedKey, match="certificate"):
        parse_certificate(chained)


def test_too_many_principals() -> None:
    names = tuple(f"u{number}" for number in range(257))
    fits = certificate(ed25519_key().public, ed25519_key(), principals=names[:256])
    assert parse_certificate(fits.blob()) == fits
    with pytest.raises(MalformedKey, match="257 principals"):
        parse_certificate(replace(fits, principals=names).blob())


def test_size_is_bounded() -> None:
    with pytest.raises(MalformedKey, match="more than"):
        parse_certificate(bytes(MAX_CERTIFICATE + 1))


def test_parse_key_takes_both() -> None:
    sample = full(ecdsa_token().public)
    assert parse_key(sample.blob()) == sample
    assert parse_key(sample.public.blob()) == sample.public
    with pytest.raises(MalformedKey):
        parse_key(b"")
    with pytest.raises(MalformedKey, match="certificate"):
        parse_public(sample.blob())


# --- trusting ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authority", plain_keys(), ids=lambda authority: authority.sign(b"").type_name
)
def test_every_authority_type(authority: PlainKey) -> None:
    sample = certificate(ed25519_token().public, authority)
    verify_signature(sample)
    require_trustworthy(sample)
    with pytest.raises(SignatureInvalid, match="does not verify"):
        verify_signature(replace(sample, serial=sample.serial + 1))
    with pytest.raises(SignatureInvalid, match="was not signed by the authority"):
        require_trustworthy(replace(sample, principals=("root",)))


def test_a_token_can_be_the_authority() -> None:
    token = ed25519_token()
    authority = PlainKey(token.public, token.sign)  # type: ignore[arg-type]
    verify_signature(certificate(ed25519_key().public, authority))


@pytest.mark.parametrize(
    ("at", "principal", "kind", "reason"),
    [
        (100, "alice", CertKind.USER, None),
        (199, "bob", CertKind.USER, None),
        (150, None, CertKind.USER, None),
        (99, "alice", CertKind.USER, "Certificate invalid: not yet valid"),
        (200, "alice", CertKind.USER, "Certificate invalid: expired"),
        (150, "alic", CertKind.USER, "Certificate invalid: name is not a listed principal"),
        (150, "a*", CertKind.USER, "Certificate invalid: name is not a listed principal"),
        (150, "alice", CertKind.HOST, "Certificate invalid: not a host certificate"),
    ],
)
def test_refusals(at: int, principal: str | None, kind: CertKind, reason: str | None) -> None:
    sample = full(ed25519_token().public)
    assert refusal(sample, kind=kind, at=at, principal=principal) == reason


def test_a_certificate_without_principals_stands_for_nobody() -> None:
    sample = certificate(ed25519_token().public, ed25519_key(), principals=())
    assert refusal(sample, kind=CertKind.USER, at=0) == "Certificate lacks principal list"


@pytest.mark.parametrize(
    ("kind", "principal", "fits"),
    [
        (CertKind.HOST, "web1.example.com", True),
        (CertKind.HOST, "web1.example.org", False),
        (CertKind.USER, "web1.example.com", False),
        (CertKind.USER, "*.example.com", True),
    ],
)
def test_a_hosts_principals_may_be_patterns(kind: CertKind, principal: str, fits: bool) -> None:
    public = ed25519_token().public
    sample = certificate(public, ed25519_key(), principals=("*.example.com",), kind=kind)
    assert (refusal(sample, kind=kind, at=0, principal=principal) is None) is fits


@pytest.mark.parametrize("at", [0, 1, 1 << 40, FOREVER - 1])
def test_forever(at: int) -> None:
    sample = certificate(ed25519_token().public, ed25519_key())
    assert (sample.valid_after, sample.valid_before) == (0, FOREVER)
    assert refusal(sample, kind=CertKind.USER, at=at, principal="alice") is None


# --- any -----------------------------------------------------------------------------------

c_texts = st.text(max_size=12).filter(lambda text: "\0" not in text)
u64s = st.integers(min_value=0, max_value=FOREVER)
options = st.lists(st.builds(CertOption, c_texts, st.binary(max_size=12)), max_size=4).map(tuple)
bodies = st.builds(
    CertificateBody,
    public=public_keys,
    nonce=st.binary(max_size=40),
    serial=u64s,
    kind=st.sampled_from(CertKind),
    key_id=c_texts,
    principals=st.lists(c_texts, max_size=4).map(tuple),
    valid_after=u64s,
    valid_before=u64s,
    critical_options=options,
    extensions=options,
    signature_key=public_keys,
    reserved=st.binary(max_size=8),
)


@given(bodies)
def test_any_round_trip(body: CertificateBody) -> None:
    sample = body.signed(ed25519_key().sign(b""))
    assert parse_certificate(sample.blob()) == sample
    assert parse_certificate(sample.blob()).blob() == sample.blob()


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_facts() -> None:
    authority = ed25519_key().public
    sample = certificate(
        SK_ED25519,
        ed25519_key(),
        kind=CertKind.HOST,
        principals=("a", "b"),
        serial=9,
        key_id="id",
        critical_options=(
            CertOption.with_value("force-command", "/bin/true"),
            CertOption("verify-required"),
            CertOption("source-address", b"junk"),
            CertOption("odd"),
        ),
        extensions=(CertOption("permit-pty"), CertOption("x@example.com", b"\1\2")),
    )
    assert describe(sample) == CertificateFacts(
        type_name="sk-ssh-ed25519-cert-v01@openssh.com",
        kind="host",
        key=f"ED25519-SK-CERT {fingerprint.sha256(SK_ED25519.blob())}",
        authority=f"ED25519 {fingerprint.sha256(authority.blob())}",
        signature_type="ssh-ed25519",
        key_id="id",
        serial=9,
        valid="forever",
        principals=("a", "b"),
        critical_options=(
            "force-command /bin/true",
            "verify-required",
            "source-address UNKNOWN OPTION: 6a756e6b (len 4)",
            "odd UNKNOWN FLAG OPTION",
        ),
        extensions=("permit-pty", "x@example.com UNKNOWN OPTION: 0102 (len 2)"),
    )


@pytest.mark.parametrize(
    ("after", "before", "words"),
    [
        (0, FOREVER, "forever"),
        (0, 86400, "before 1970-01-02T00:00:00"),
        (86400, FOREVER, "after 1970-01-02T00:00:00"),
        (0, 0, "before 1970-01-01T00:00:00"),
        (1, 86400, "from 1970-01-01T00:00:01 to 1970-01-02T00:00:00"),
    ],
)
def test_validity(after: int, before: int, words: str) -> None:
    sample = certificate(SK_ED25519, ed25519_key(), valid_after=after, valid_before=before)
    assert validity(sample) == words


def test_times_beyond_all_calendars_stay_numbers() -> None:
    assert format_time(FOREVER - 1) == f"{FOREVER - 1} seconds after 1970"
