"""asyncssh as a second judge of signatures, certificates and authorized_keys lines."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import asyncssh
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.samples import ED25519, SK_ED25519
from tests.support.signers import (
    TOKENS,
    PlainKey,
    Token,
    certificate,
    ecdsa_token,
    ed25519_key,
    ed25519_token,
    plain_keys,
    webauthn_signature,
)

from fidokit.errors import FidokitError
from fidokit.openssh.certificates.certificate import (
    FOREVER,
    Certificate,
    CertKind,
    CertOption,
    parse_certificate,
)
from fidokit.openssh.keys.public import PublicKey, PublicLine
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, parse_line
from fidokit.openssh.signatures.signature import Signature, parse_signature, verify

MESSAGE = b"a message"


def theirs(public: PublicKey, signature: Signature, message: bytes = MESSAGE) -> bool:
    key = asyncssh.import_public_key(PublicLine(public, "").encode())
    return key.verify(message, signature.blob())


def ours(public: PublicKey, signature: Signature, message: bytes = MESSAGE) -> bool:
    try:
        verify(public, parse_signature(signature.blob()), message)
    except FidokitError:
        return False
    return True


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token.public.type_name)
@pytest.mark.parametrize("flags", [1, 5])
def test_token_signatures(token: Token, flags: int) -> None:
    signature = token.sign(MESSAGE, flags=flags)
    assert ours(token.public, signature)
    assert theirs(token.public, signature)
    assert not ours(token.public, signature, b"x")
    assert not theirs(token.public, signature, b"x")


@pytest.mark.parametrize("key", plain_keys(), ids=lambda key: key.sign(b"").type_name)
def test_ordinary_signatures(key: PlainKey) -> None:
    signature = key.sign(MESSAGE)
    assert ours(key.public, signature)
    assert theirs(key.public, signature)


def test_browser_signatures() -> None:
    public = ecdsa_token().public
    # asyncssh wants the application for an origin, where OpenSSH takes any.
    signature = webauthn_signature(MESSAGE, origin=public.application)
    assert ours(public, signature)
    assert theirs(public, signature)
    assert not ours(public, signature, b"x")
    assert not theirs(public, signature, b"x")


@settings(max_examples=60)
@given(
    st.sampled_from([ed25519_token, ecdsa_token]),
    st.integers(0, 50),
    st.binary(max_size=40),
    st.integers(0, 0xFFFFFFFF),
    st.booleans(),
)
def test_any_token_signature_is_judged_alike(
    make: Callable[[int, str], Token],
    seed: int,
    message: bytes,
    counter: int,
    tampered: bool,
) -> None:
    token = make(seed, f"ssh:é{seed}")
    signature = token.sign(message, counter=counter)
    if tampered:
        signature = replace(signature, counter=counter ^ 1)
    assert ours(token.public, signature, message) is not tampered
    assert theirs(token.public, signature, message) is not tampered


# --- certificates --------------------------------------------------------------------------


def imported(sample: Certificate) -> Any:  # its methods are those of a class of its own
    text = f"{sample.type_name} {base64.b64encode(sample.blob()).decode()} c\n"
    return asyncssh.import_certificate(text)


@pytest.mark.parametrize("authority", plain_keys(), ids=lambda key: key.sign(b"").type_name)
@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token.public.type_name)
def test_our_certificates(token: Token, authority: PlainKey) -> None:
    sample = certificate(
        token.public,
        authority,
        principals=("alice", "bob"),
        critical_options=(CertOption.with_value("force-command", "/bin/true"),),
    )
    other = imported(sample)
    assert other.principals == ["alice", "bob"]
    assert other.options["force-command"] == "/bin/true"
    assert other.key.public_data == token.public.blob()
    other.validate(1, "alice")
    with pytest.raises(ValueError, match="principal"):
        other.validate(1, "carol")


def test_their_certificates() -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    subject = asyncssh.import_public_key(PublicLine(SK_ED25519, "").encode())
    issued = authority.generate_user_certificate(
        subject, "an id", principals=["alice"], serial=7, permit_pty=True, touch_required=False
    )
    sample = parse_certificate(issued.public_data)
    assert sample.blob() == issued.public_data
    assert (sample.public, sample.serial, sample.key_id) == (SK_ED25519, 7, "an id")
    assert (sample.kind, sample.principals) == (CertKind.USER, ("alice",))
    assert (sample.valid_after, sample.valid_before) == (0, FOREVER)
    assert CertOption("no-touch-required") in sample.extensions


# --- authorized_keys -----------------------------------------------------------------------

SK_LINE = PublicLine(SK_ED25519, "me@host").encode()

OPTIONS = [
    "no-pty",
    "restrict,pty",
    "no-touch-required",
    'command="echo \\"a b\\""',
    'environment="A=b c",no-agent-forwarding',
    'from="10.0.0.0/8,!10.0.0.1"',
    'permitopen="localhost:80",permitopen="[::1]:*"',
    'principals="alice,bob",cert-authority',
]


@pytest.mark.parametrize("options", OPTIONS)
def test_options_are_read_alike(options: str) -> None:
    raw = f"{options} {SK_LINE}"
    line = parse_line(raw.encode())
    assert isinstance(line, AuthorizedKey)
    entry = asyncssh.import_authorized_keys(raw + "\n")
    other = (entry._ca_entries + entry._user_entries)[0]
    assert line.is_authority is bool(entry._ca_entries)
    assert {name.lower() for name in other.options} == {o.name for o in line.options}
    for option in line.options:
        if option.name == "command":
            assert other.options["command"] == option.value


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from(["pty", "no-pty", "restrict", 'command="a"', 'from="*"']), max_size=3),
    st.sampled_from([SK_ED25519, ED25519, ecdsa_token().public]),
    st.text(alphabet="ab @#", max_size=8),
)
def test_any_line_is_read_alike(options: list[str], key: PublicKey, comment: str) -> None:
    raw = f"{','.join(options)} {PublicLine(key, comment.strip()).encode()}".strip()
    line = parse_line(raw.encode())
    if not isinstance(line, AuthorizedKey):
        assert len(options) > len(set(options))  # command or from twice: sshd's rule
        return
    entry = asyncssh.import_authorized_keys(raw + "\n")._user_entries[0]
    assert entry.key is not None
    assert entry.key.public_data == line.key.blob() == key.blob()
    assert set(entry.options) == {option.name for option in line.options}


@settings(max_examples=100)
@given(st.binary(min_size=1, max_size=30))
def test_what_we_read_in_a_damaged_certificate_they_read_the_same(junk: bytes) -> None:
    blob = bytearray(certificate(SK_ED25519, ed25519_key(), principals=("alice",)).blob())
    at = junk[0] * len(blob) // 256
    blob[at : at + len(junk)] = junk
    with suppress(FidokitError):
        sample = parse_certificate(bytes(blob))
        assert sample.blob() == bytes(blob)
        with suppress(asyncssh.KeyImportError):
            other = imported(sample)
            assert other.principals == list(sample.principals)
            assert other.key.public_data == sample.public.blob()
