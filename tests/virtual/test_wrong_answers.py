"""Answers made wrong on purpose: each differs from the right one just as it says."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from fido2 import cbor as lenient
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.core.client import HASH, Bench, check_signature

from fidokit import cbor
from fidokit.errors import MalformedCbor
from fidokit.virtual.wrong_answers import (
    NonCanonical,
    NonCanonicalForm,
    Oversize,
    Spoiling,
    Truncate,
    WrongCredentialId,
    WrongSignature,
    spoil,
    spoil_u2f,
)

ANSWER = b"\x00" + cbor.encode({1: b"one", 2: {"a": 1, "b": 2}, 3: "three"})
EVERY: list[Spoiling] = [
    Truncate(),
    Oversize(),
    WrongSignature(),
    WrongCredentialId(),
    *(NonCanonical(form) for form in NonCanonicalForm),
]


@pytest.mark.parametrize(
    ("fault", "answer", "spoiled"),
    [
        (Truncate(), b"\x00\xa1\x01\x02", b"\x00\xa1"),
        (Truncate(3), b"\x00\xa1\x01\x02", b"\x00\xa1\x01"),
        (Truncate(0), b"\x2e", b""),
        (Truncate(), b"\x2e", b""),
        (Truncate(4), b"\x00\xa1\x01\x02", None),
        (Truncate(), b"", None),
        (Oversize(6), b"\x00\xa1\x01\x02", b"\x00\xa1\x01\x02\x00\x00"),
        (Oversize(4), b"\x00\xa1\x01\x02", None),
    ],
)
def test_sizes(fault: Spoiling, answer: bytes, spoiled: bytes | None) -> None:
    assert spoil(fault, 0x04, answer) == spoiled
    assert spoil_u2f(fault, 0x03, answer) == spoiled


@pytest.mark.parametrize("form", list(NonCanonicalForm))
@pytest.mark.parametrize("members", [{1: b"one"}, {1: 2, 3: 4}, {n: n for n in range(24)}])
def test_forms_are_refused_by_a_strict_reader(
    form: NonCanonicalForm, members: dict[Any, Any]
) -> None:
    answer = b"\x00" + cbor.encode(members)
    spoiled = spoil(NonCanonical(form), 0x04, answer)
    if form is NonCanonicalForm.UNSORTED and len(members) == 1:
        assert spoiled is None
        return
    assert spoiled is not None
    assert spoiled[:1] == b"\x00"
    with pytest.raises(MalformedCbor):
        cbor.decode(spoiled[1:])
    if form is not NonCanonicalForm.INDEFINITE:  # python-fido2 does not know it at all
        assert lenient.decode_from(spoiled[1:])[0] == members


@pytest.mark.parametrize("fault", EVERY[2:])
@pytest.mark.parametrize(
    "answer", [b"", b"\x2e", b"\x00", b"\x00\xff", b"\x00\xa0", b"\x00\x81\x01"]
)
def test_what_has_no_members_is_left(fault: Spoiling, answer: bytes) -> None:
    assert spoil(fault, 0x01, answer) is None
    assert spoil(fault, 0x02, answer) is None


@pytest.mark.parametrize("fault", [WrongSignature(), WrongCredentialId()])
def test_other_commands_sign_nothing(fault: Spoiling) -> None:
    assert spoil(fault, 0x04, ANSWER) is None
    assert spoil(fault, 0x0A, ANSWER) is None


def reply(command: int, request: dict[Any, Any]) -> bytes:
    bench = Bench()
    return bench.authenticator.handle(bytes([command]) + cbor.encode(request))


@pytest.fixture
def made() -> bytes:
    """The answer to a makeCredential."""
    request = {
        1: HASH,
        2: {"id": "ssh:"},
        3: {"id": b"me"},
        4: [{"alg": -7, "type": "public-key"}],
        7: {"rk": True},
    }
    return reply(0x01, request)


def test_a_credential_with_a_wrong_signature(made: bytes) -> None:
    right, wrong = decoded(made), decoded(spoil(WrongSignature(), 0x01, made))
    assert {**wrong, 3: None} == {**right, 3: None}
    assert differs_in_one_bit(right[3]["sig"], wrong[3]["sig"])


def test_a_credential_with_another_id(made: bytes) -> None:
    right, wrong = decoded(made), decoded(spoil(WrongCredentialId(), 0x01, made))
    assert differs_in_one_bit(right[2], wrong[2])
    length = int.from_bytes(right[2][53:55])
    assert right[2][: 54 + length] == wrong[2][: 54 + length]
    assert right[2][55 + length :] == wrong[2][55 + length :]


def test_no_attestation_has_no_signature(made: bytes) -> None:
    bare = decoded(made) | {1: "none", 3: {}}
    assert spoil(WrongSignature(), 0x01, b"\x00" + cbor.encode(bare)) is None


def decoded(answer: bytes | None) -> dict[Any, Any]:
    assert answer is not None
    value: Any = cbor.decode(answer[1:])
    assert isinstance(value, dict)
    return dict(value)


def differs_in_one_bit(one: bytes, other: bytes) -> bool:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count() == 1 and len(one) == len(other)


@pytest.mark.parametrize("command", [0x02, 0x08])
def test_assertions(command: int) -> None:
    right: dict[int, Any] = {1: {"id": b"id", "type": "public-key"}, 2: b"data", 3: b"signature"}
    answer = b"\x00" + cbor.encode(right)
    assert decoded(spoil(WrongSignature(), command, answer)) == {**right, 3: b"signaturd"}
    other = {"id": b"ie", "type": "public-key"}
    assert decoded(spoil(WrongCredentialId(), command, answer)) == {**right, 1: other}
    nameless = {n: value for n, value in right.items() if n != 1}
    assert spoil(WrongCredentialId(), command, b"\x00" + cbor.encode(nameless)) is None


def test_a_wrong_signature_is_well_formed_and_does_not_verify() -> None:
    bench = Bench()
    made = bench.make(rk=True)
    answer = bench.authenticator.handle(
        b"\x02" + cbor.encode({1: "ssh:work", 2: HASH, 3: [{"id": made.id, "type": "public-key"}]})
    )
    right, wrong = decoded(answer), decoded(spoil(WrongSignature(), 0x02, answer))
    check_signature(made.data.key, right[3], right[2] + HASH)
    with pytest.raises(InvalidSignature):
        check_signature(made.data.key, wrong[3], wrong[2] + HASH)


# --- U2F ------------------------------------------------------------------------------------

REGISTERED = b"\x05" + b"\x04" * 65 + b"\x03abc" + b"certificate" + b"signature" + b"\x90\x00"


def test_u2f() -> None:
    assert spoil_u2f(WrongSignature(), 0x01, REGISTERED) == REGISTERED.replace(
        b"signature", b"signaturd"
    )
    assert spoil_u2f(WrongCredentialId(), 0x01, REGISTERED) == REGISTERED.replace(b"abc", b"abb")
    signed = b"\x01\0\0\0\x01sig\x90\x00"
    assert spoil_u2f(WrongSignature(), 0x02, signed) == b"\x01\0\0\0\x01sif\x90\x00"
    assert spoil_u2f(WrongCredentialId(), 0x02, signed) is None
    assert spoil_u2f(WrongSignature(), 0x03, b"U2F_V2\x90\x00") is None
    assert spoil_u2f(NonCanonical(), 0x01, REGISTERED) is None


@pytest.mark.parametrize("word", ["6985", "6a80", "9000"])
@pytest.mark.parametrize("fault", [WrongSignature(), WrongCredentialId()])
def test_a_u2f_refusal_is_left(fault: Spoiling, word: str) -> None:
    assert spoil_u2f(fault, 0x01, bytes.fromhex(word)) is None


@given(st.sampled_from(EVERY), st.sampled_from([0x04, 0x0A, 0x0C]), st.binary(max_size=60))
def test_fuzz_any_answer_is_changed_or_left(fault: Spoiling, command: int, answer: bytes) -> None:
    spoiled = spoil(fault, command, answer)
    assert spoiled is None or spoiled != answer
