"""allowed_signers: lines, whom a key may sign for, and when it may not."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import ED25519, SK_ECDSA, SK_ED25519
from tests.support.signers import certificate, ed25519_key
from tests.support.signers_file import is_valid

from fidokit.errors import MalformedFile, SignatureInvalid
from fidokit.openssh.certificates.certificate import Certificate, CertKind
from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.lines import key_text
from fidokit.openssh.lines.allowed_signers import (
    AllowedSigner,
    BadSigner,
    Entry,
    check,
    find_principals,
    match_principals,
    parse_file,
    parse_line,
)

NOW = 1_700_000_000
AUTHORITY = ed25519_key()


def words(key: PublicKey | Certificate) -> bytes:
    return key.type_name.encode() + b" " + base64.b64encode(key.blob())


KEY = words(SK_ED25519)
CA = words(AUTHORITY.public)


def signer(raw: bytes) -> AllowedSigner:
    entry = parse_line(raw)
    assert isinstance(entry, AllowedSigner), entry
    return entry


def entries(*lines: bytes) -> list[Entry]:
    return list(parse_file(io.BytesIO(b"\n".join(lines))))


# --- lines ---------------------------------------------------------------------------------


def test_a_plain_line() -> None:
    assert parse_line(b"alice,*@example.com " + KEY + b" a comment\n", 4) == AllowedSigner(
        principals="alice,*@example.com",
        key=SK_ED25519,
        is_authority=False,
        namespaces=None,
        valid_after=None,
        valid_before=None,
        comment="a comment",
        line_number=4,
    )


def test_every_option() -> None:
    entry = signer(
        b'alice Cert-Authority,namespaces="file,git",valid-after="20240101Z",'
        b'valid-before="20250101Z" ' + KEY
    )
    assert entry.is_authority
    assert entry.namespaces == "file,git"
    assert (entry.valid_after, entry.valid_before) == (1704067200, 1735689600)


@pytest.mark.parametrize(
    ("start", "principals"),
    [
        (b"alice ", "alice"),
        (b" \talice\t ", "alice"),
        (b'"alice" ', "alice"),
        (b'"a b,c" ', "a b,c"),
        (b'a"b c" ', "ab c"),
        ("é ".encode(), "é"),
        (b'"" ', ""),
    ],
)
def test_principals(start: bytes, principals: str) -> None:
    assert signer(start + KEY).principals == principals


@pytest.mark.parametrize("raw", [b"", b"\n", b"\r\n", b"  \t", b"# c", b" # c\n"])
def test_lines_that_say_nothing(raw: bytes) -> None:
    assert parse_line(raw) is None


@pytest.mark.parametrize(
    ("raw", "reason", "principals"),
    [
        (b"alice", "invalid line", None),
        (b"alice\n", "missing key", "alice"),
        (b"alice frob ", "invalid key", "alice"),
        (b"alice frob\n", "missing key", "alice"),
        (b"alice frob x", "invalid key", "alice"),
        (b"alice frob " + KEY, "bad options: unknown key option", "alice"),
        (b"alice restrict " + KEY, "bad options: unknown key option", "alice"),
        (b'alice cert-authority="x" ' + KEY, "bad options: unknown key option", "alice"),
        (b"alice namespaces " + KEY, "bad options: unknown key option", "alice"),
        (b"alice namespaces=file " + KEY, "bad options: missing start quote", "alice"),
        (b'alice namespaces="a",namespaces="b" ' + KEY, 'multiple "namespaces" clauses', "alice"),
        (b'alice namespaces="a", ' + KEY, "bad options: unexpected end-of-options", "alice"),
        (
            b'alice valid-after="20240101",valid-after="20240102" ' + KEY,
            'multiple "valid-after" clauses',
            "alice",
        ),
        (b'alice valid-after="soon" ' + KEY, 'invalid "valid-after" time', "alice"),
        (b'alice valid-before="19700101Z" ' + KEY, 'invalid "valid-before" time', "alice"),
        (
            b'alice valid-after="20240102Z",valid-before="20240101Z" ' + KEY,
            '"valid-before" time is before "valid-after"',
            "alice",
        ),
        (
            b'alice valid-after="20240101Z",valid-before="20240101Z" ' + KEY,
            '"valid-before" time is before "valid-after"',
            "alice",
        ),
        (b'alice namespaces="a ' + KEY, "invalid options", "alice"),
        (b'"alice ' + KEY, "invalid line", None),
        (KEY, "missing key", "sk-ssh-ed25519@openssh.com"),
    ],
)
def test_bad_lines_say_why(raw: bytes, reason: str, principals: str | None) -> None:
    entry = parse_line(raw, 3)
    assert isinstance(entry, BadSigner)
    assert reason in entry.reason
    assert (entry.principals, entry.line_number) == (principals, 3)


def test_files_are_numbered_by_line() -> None:
    found = entries(b"# c", b"alice " + KEY, b"", b"bob", b"carol " + KEY)
    assert [entry.line_number for entry in found] == [2, 4, 5]


def test_over_long_lines_are_bad_and_count_once() -> None:
    found = entries(b"x" * (key_text.MAX_LINE + 5), b"alice " + KEY)
    assert [(type(entry), entry.line_number) for entry in found] == [
        (BadSigner, 1),
        (BadSigner, 1),
        (AllowedSigner, 2),
    ]


@given(st.binary(max_size=100))
def test_any_bytes_are_an_entry_or_nothing(raw: bytes) -> None:
    assert isinstance(parse_line(raw), AllowedSigner | BadSigner | None)


# --- plain keys ----------------------------------------------------------------------------


def test_finding_principals_takes_the_first_line_that_fits() -> None:
    found = entries(
        b"bob " + words(SK_ECDSA),
        b"nonsense",
        b'alice valid-before="20000101Z" ' + KEY,
        b"alice,a* " + KEY,
        b"carol " + KEY,
    )
    assert find_principals(found, SK_ED25519, at=NOW) == ("alice", "a*")
    assert find_principals(found, SK_ECDSA, at=NOW) == ("bob",)
    assert find_principals(found, ED25519, at=NOW) == ()


def test_matching_principals() -> None:
    found = entries(b"bob " + KEY, b"*@example.com,!eve@* " + KEY, b"alice@* " + KEY)
    assert match_principals(found, "alice@example.com") == ("*@example.com,!eve@*", "alice@*")
    assert match_principals(found, "eve@example.com") == ()


def test_matching_stops_at_a_bad_line_about_the_principal() -> None:
    found = entries(b"alice " + KEY, b"bob frob " + KEY)
    assert match_principals(found, "alice") == ("alice",)
    with pytest.raises(MalformedFile, match="line 2: bad options: unknown key option"):
        match_principals(found, "bob")


def test_matching_stops_where_the_principals_are_unclear() -> None:
    with pytest.raises(MalformedFile, match="line 1: invalid line"):
        match_principals(entries(b'"alice ' + KEY), "bob")


def refused(found: list[Entry], key: PublicKey | Certificate, at: int = NOW) -> str:
    with pytest.raises(SignatureInvalid) as caught:
        check(found, key, principal="alice", namespace="file", at=at)
    assert not is_valid(found, key, principal="alice", namespace="file", at=at)
    return caught.value.message


def admitted(found: list[Entry], key: PublicKey | Certificate, at: int = NOW) -> AllowedSigner:
    assert is_valid(found, key, principal="alice", namespace="file", at=at)
    return check(found, key, principal="alice", namespace="file", at=at)


def test_checking_a_key() -> None:
    found = entries(b"bob " + KEY, b"alice " + words(ED25519), b'a* namespaces="f*" ' + KEY)
    assert admitted(found, SK_ED25519).line_number == 3
    assert admitted(found, ED25519).line_number == 2
    assert "no line about 'alice' holds this key" in refused(found, SK_ECDSA)


@pytest.mark.parametrize(
    ("namespaces", "fits"),
    [(b"file", True), (b"git,file", True), (b"git", False), (b"*,!file", False), (b"", False)],
)
def test_namespaces(namespaces: bytes, fits: bool) -> None:
    found = entries(b'alice namespaces="%b" %b' % (namespaces, KEY))
    assert is_valid(found, SK_ED25519, principal="alice", namespace="file", at=NOW) is fits
    assert find_principals(found, SK_ED25519, at=NOW) == ("alice",)


def test_times_are_inclusive_at_both_ends() -> None:
    found = entries(b'alice valid-after="20240101Z",valid-before="20250101Z" ' + KEY)
    admitted(found, SK_ED25519, at=1704067200)
    admitted(found, SK_ED25519, at=1735689600)
    assert "line 1: key is not yet valid" in refused(found, SK_ED25519, at=1704067199)
    assert "line 1: key has expired" in refused(found, SK_ED25519, at=1735689601)
    assert find_principals(found, SK_ED25519, at=1735689601) == ()


def test_the_reason_is_that_of_the_line_that_holds_the_key() -> None:
    found = entries(b'alice namespaces="git" ' + KEY, b"alice " + words(ED25519))
    assert 'line 1: key is not permitted for use in signature namespace "file"' in refused(
        found, SK_ED25519
    )


def test_an_authority_does_not_sign_itself() -> None:
    found = entries(b"alice cert-authority " + KEY)
    assert "no line about" in refused(found, SK_ED25519)
    assert find_principals(found, SK_ED25519, at=NOW) == ()


# --- certificates --------------------------------------------------------------------------

CERTIFICATE = certificate(
    SK_ED25519,
    AUTHORITY,
    principals=("alice", "root"),
    valid_after=NOW - 10,
    valid_before=NOW + 10,
)


def test_an_authority_vouches_for_its_certificates() -> None:
    found = entries(b"bob cert-authority " + CA, b"a*,carol cert-authority " + CA)
    assert admitted(found, CERTIFICATE).line_number == 2
    assert find_principals(found, CERTIFICATE, at=NOW) == ("alice",)


def test_patterns_of_the_line_pick_from_the_principals() -> None:
    found = entries(b"* cert-authority " + CA)
    assert find_principals(found, CERTIFICATE, at=NOW) == ("alice", "root")


@pytest.mark.parametrize(
    ("sample", "at", "reason"),
    [
        (
            CERTIFICATE,
            NOW - 11,
            "line 1: certificate not authorized: Certificate invalid: not yet valid",
        ),
        (CERTIFICATE, NOW + 10, "line 1: certificate not authorized: Certificate invalid: expired"),
        (
            certificate(SK_ED25519, AUTHORITY, principals=()),
            NOW,
            "Certificate lacks principal list",
        ),
        (
            certificate(SK_ED25519, AUTHORITY, principals=("bob",)),
            NOW,
            "name is not a listed principal",
        ),
        (certificate(SK_ED25519, AUTHORITY, kind=CertKind.HOST), NOW, "not a user certificate"),
        (certificate(SK_ED25519, ed25519_key(9)), NOW, "no line about 'alice' holds this key"),
        (replace(CERTIFICATE, serial=1), NOW, "was not signed by the authority it names"),
    ],
)
def test_certificates_that_are_refused(sample: Certificate, at: int, reason: str) -> None:
    found = entries(b"alice cert-authority " + CA)
    assert reason in refused(found, sample, at)


def test_finding_principals_of_a_certificate_that_is_refused() -> None:
    found = entries(b"alice cert-authority " + CA)
    assert find_principals(found, CERTIFICATE, at=NOW + 10) == ()
    assert find_principals(found, certificate(SK_ED25519, ed25519_key(9)), at=NOW) == ()
    with pytest.raises(SignatureInvalid):
        find_principals(found, replace(CERTIFICATE, serial=1), at=NOW)


def test_options_of_the_authoritys_line_hold_too() -> None:
    found = entries(b'alice cert-authority,namespaces="git" ' + CA)
    assert "not permitted for use" in refused(found, CERTIFICATE)


def test_a_certificate_may_stand_in_a_line_itself() -> None:
    found = entries(b"alice " + words(CERTIFICATE))
    assert admitted(found, CERTIFICATE).key == CERTIFICATE
    assert "no line about" in refused(found, SK_ED25519)
    assert "no line about" in refused(entries(b"alice " + KEY), CERTIFICATE)
