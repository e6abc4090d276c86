"""An export is the whole token, or refused: cut, changed, newer, or made up by a stranger."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.virtual.conftest import IDENTITY, STATE, credential

from fidokit import cbor
from fidokit.errors import (
    FidokitError,
    MalformedFile,
    PassphraseRequired,
    PassphraseWrong,
    UsageError,
)
from fidokit.virtual.core.ports import LargeBlob, Store, Template
from fidokit.virtual.store import MemoryStore, export
from fidokit.virtual.store.export import MAGIC, contents_of, decode, encode
from fidokit.virtual.store.file import Contents

WHOLE = Contents(
    IDENTITY,
    replace(STATE, pin_hash=bytes(16), pin_retries=3, templates=(Template(b"1", "thumb"),)),
    [
        replace(credential(1), created=1, large_blob=LargeBlob(b"blob", 7)),
        replace(credential(2, "ssh:other"), created=2, user_name=None),
    ],
    1000,
    7,
    {3: 2000, 65536: 1},
)
PLAIN = encode(WHOLE)
HEAD = len(MAGIC) + 2


def words() -> bytes:
    return b"words"


@pytest.fixture
def sealed() -> bytes:
    return encode(WHOLE, b"words")


def plain(members: Any) -> bytes:
    """An export whose digest is right."""
    content = cbor.encode(members)
    return MAGIC + b"\x01\x00" + hashlib.sha256(content).digest() + content


def members() -> dict[str, Any]:
    decoded: Any = cbor.decode(PLAIN[HEAD + 32 :])
    assert isinstance(decoded, dict)
    return dict(decoded)


def test_layout(sealed: bytes) -> None:
    assert PLAIN[:HEAD] == b"fidokit virtual token\n\x01\x00"
    assert PLAIN[HEAD : HEAD + 32] == hashlib.sha256(PLAIN[HEAD + 32 :]).digest()
    assert sealed[:HEAD] == b"fidokit virtual token\n\x01\x01"
    assert sealed[HEAD] == 10
    assert sealed[HEAD + 77 : HEAD + 85] == b"\x07FK-1234"


def test_round_trip(sealed: bytes) -> None:
    assert decode(PLAIN) == WHOLE
    assert decode(sealed, words) == WHOLE
    assert plain(members()) == PLAIN


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.text(st.characters(codec="utf-8"), max_size=20), st.binary(max_size=64))),
    st.integers(0, 2**32),
)
def test_round_trip_of_any_credentials(named: list[tuple[str, bytes]], counter: int) -> None:
    unique = {(rp, user): n for n, (rp, user) in enumerate(named, 1)}
    found = [
        replace(credential(n, rp, user), created=at)
        for at, ((rp, user), n) in enumerate(unique.items(), 1)
    ]
    contents = Contents(IDENTITY, STATE, found, counter)
    assert decode(encode(contents)) == contents


def test_the_contents_of_a_store(store: Store) -> None:
    store.save(WHOLE.state)
    for one in WHOLE.credentials:
        store.put(one)
    if isinstance(store, MemoryStore):
        return  # it has no identity, and is not registered
    found = contents_of(store)  # type: ignore[arg-type]
    assert (found.identity, found.state) == (IDENTITY, WHOLE.state)
    assert [c.id for c in found.credentials] == [c.id for c in WHOLE.credentials]
    assert (found.counter, found.revision) == (1, 2)


def test_nothing_sealed_is_in_plain(sealed: bytes) -> None:
    for secret in (b"ssh:other", credential(1).secret, b"w" * 32, b"thumb"):
        assert secret in PLAIN
        assert secret not in sealed


def test_a_sealed_one_needs_its_passphrase(sealed: bytes) -> None:
    with pytest.raises(PassphraseRequired) as caught:
        decode(sealed)
    assert caught.value.hint
    with pytest.raises(PassphraseWrong):
        decode(sealed, lambda: b"wrong")
    with pytest.raises(UsageError):
        encode(WHOLE, b"")


def test_cut_anywhere_it_is_refused(sealed: bytes) -> None:
    for cut in range(len(PLAIN)):
        with pytest.raises(MalformedFile) as caught:
            decode(PLAIN[:cut])
        assert caught.value.hint
    for cut in [*range(140), *range(140, len(sealed), 37)]:
        with pytest.raises((MalformedFile, PassphraseWrong)):
            decode(sealed[:cut], words)


def test_changed_anywhere_it_is_refused(sealed: bytes) -> None:
    for at in [*range(60), *range(60, len(PLAIN), 11)]:
        with pytest.raises(MalformedFile):
            decode(PLAIN[:at] + bytes([PLAIN[at] ^ 1]) + PLAIN[at + 1 :])
    for at in [*range(HEAD), *range(HEAD + 1, HEAD + 85, 5), len(sealed) - 1]:
        with pytest.raises((MalformedFile, PassphraseWrong)):
            decode(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], words)


def test_a_byte_too_many(sealed: bytes) -> None:
    for data in (PLAIN, sealed):
        with pytest.raises(MalformedFile):
            decode(data + b"\0", words)


def test_a_newer_version_says_so() -> None:
    with pytest.raises(MalformedFile, match="has format 2, newer than ours, 1") as caught:
        decode(MAGIC + b"\x02\x00" + PLAIN[HEAD:])
    assert "newer fidokit" in caught.value.hint


@pytest.mark.parametrize("head", [b"\x00\x00", b"\x01\x02", b"\x01\xff"])
def test_forms_that_mean_nothing(head: bytes) -> None:
    with pytest.raises(MalformedFile, match="means nothing"):
        decode(MAGIC + head + PLAIN[HEAD:])


def test_a_file_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LONGEST", len(PLAIN) - 1)
    with pytest.raises(MalformedFile):
        decode(PLAIN)
    with pytest.raises(MalformedFile, match="more than an export holds"):
        encode(WHOLE)


def changed(part: str, **values: Any) -> dict[str, Any]:
    whole = members()
    whole[part] = {**whole[part], **values}
    return whole


def without(part: str, name: str) -> dict[str, Any]:
    whole = members()
    whole[part] = {key: value for key, value in whole[part].items() if key != name}
    return whole


def one_credential(**values: Any) -> dict[str, Any]:
    whole = members()
    return {**whole, "credentials": [{**whole["credentials"][0], **values}]}


STRANGE = {
    "a list": [],
    "nothing": {},
    "one more": {**members(), "more": 1},
    "state is a number": {**members(), "state": 1},
    "counter is a text": {**members(), "counter": "1"},
    "counter is true": {**members(), "counter": True},
    "counter below zero": {**members(), "counter": -1},
    "counter too large": {**members(), "counter": 2**63},
    "counters is a list": {**members(), "counters": []},
    "a counter of no credential": {**members(), "counters": {0: 1}},
    "a credential's counter below zero": {**members(), "counters": {1: -1}},
    "a credential's counter is a text": {**members(), "counters": {1: "1"}},
    "credentials is a map": {**members(), "credentials": {}},
    "a credential is a number": {**members(), "credentials": [1]},
    "a credential twice": {**members(), "credentials": members()["credentials"] * 2},
    "an unknown member": changed("state", later=1),
    "retries beyond all": changed("state", pin_retries=9),
    "retries are a text": changed("state", pin_retries="8"),
    "a short hash": changed("state", pin_hash=b"x"),
    "templates are a text": changed("state", templates="x"),
    "no key": without("state", "wrapping_key"),
    "no serial": without("identity", "serial"),
    "serial is a number": changed("identity", serial=1),
    "an unknown algorithm": one_credential(alg=12345),
    "another hash": one_credential(rp_id_hash=bytes(32)),
    "a long user id": one_credential(user_id=bytes(65)),
    "a name of bytes": one_credential(user_name=b"x"),
}


@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE.keys())
def test_what_is_no_token_is_refused(strange: Any) -> None:
    with pytest.raises(MalformedFile, match="has no token in it") as caught:
        decode(plain(strange))
    assert caught.value.hint


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200), st.sampled_from([b"", MAGIC + b"\x01\x00", MAGIC + b"\x01\x01"]))
def test_fuzz_any_bytes_are_a_token_or_our_error(data: bytes, head: bytes) -> None:
    with pytest.raises(FidokitError):
        decode(head + data, words)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=100))
def test_fuzz_any_content_under_a_right_digest(content: bytes) -> None:
    with pytest.raises(MalformedFile):
        decode(MAGIC + b"\x01\x00" + hashlib.sha256(content).digest() + content)


def test_an_older_export_without_later_members_is_taken() -> None:
    whole = members()
    del whole["state"]["uv_count"]
    del whole["credentials"][1]["cred_blob"]
    assert decode(plain(whole)) == WHOLE


def test_sealed_exports_differ_each_time(sealed: bytes) -> None:
    assert encode(WHOLE, b"words") != sealed
