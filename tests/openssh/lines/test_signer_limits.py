"""Limits on lines of allowed_signers, and lines like others for another key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.inventory.samples import line_of

from fidokit.errors import MalformedFile
from fidokit.openssh.lines.allowed_signers import AllowedSigner, parse_line
from fidokit.openssh.lines.signer_limits import limited, with_key

KEY, OTHER = line_of(1, "me"), line_of(2, "me (backup)")
MOMENT = 1_796_000_000  # 2026-11-30 00:53:20 UTC
LIMIT = 'valid-before="20261130005320Z"'


def parsed(raw: bytes) -> AllowedSigner:
    found = parse_line(raw)
    assert isinstance(found, AllowedSigner), found
    return found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"a@b {KEY}\n", f"a@b {LIMIT} {KEY}\n"),
        (f"a@b\t {KEY}", f"a@b\t {LIMIT} {KEY}"),
        (f'"a b" {KEY}\r\n', f'"a b" {LIMIT} {KEY}\r\n'),
        (f'a@b namespaces="git" {KEY}\n', f'a@b {LIMIT},namespaces="git" {KEY}\n'),
        (f"a,b cert-authority {KEY}\n", f"a,b {LIMIT},cert-authority {KEY}\n"),
        (f'a valid-before="20300101Z" {KEY}\n', f"a {LIMIT} {KEY}\n"),
        (
            f'a namespaces="x",valid-before="20300101Z",cert-authority {KEY}\n',
            f'a {LIMIT},namespaces="x",cert-authority {KEY}\n',
        ),
        (f'a valid-before="20200101Z" {KEY}\n', f'a valid-before="20200101Z" {KEY}\n'),
        (f'a valid-after="20200101Z" {KEY}\n', f'a {LIMIT},valid-after="20200101Z" {KEY}\n'),
        (f'a valid-after="20300101Z" {KEY}\n', f'# a valid-after="20300101Z" {KEY}\n'),
    ],
)
def test_limited(before: str, after: str) -> None:
    assert limited(before.encode(), MOMENT).decode() == after
    if not after.startswith("#"):
        assert (parsed(after.encode()).valid_before or 0) <= MOMENT
        assert limited(after.encode(), MOMENT).decode() == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"a@b {KEY}\n", f"a@b {OTHER}\n"),
        (f'a@b {LIMIT},namespaces="git,file" {KEY}', f'a@b namespaces="git,file" {OTHER}\n'),
        (f'"a b" cert-authority,{LIMIT} {KEY}\n', f'"a b" cert-authority {OTHER}\n'),
    ],
)
def test_with_another_key(before: str, after: str) -> None:
    assert with_key(before.encode(), OTHER.encode()).decode() == after
    assert parsed(after.encode()).principals == parsed(before.encode()).principals


@pytest.mark.parametrize("raw", [b"", b"# x\n", b"a\n", b"a b c\n", b"\0", b'a "'])
def test_what_is_not_a_line(raw: bytes) -> None:
    for change in (lambda: limited(raw, MOMENT), lambda: with_key(raw, OTHER.encode())):
        with pytest.raises(MalformedFile):
            change()


NAMES = st.sampled_from(["a@b", '"a b"', "*@b,!c@b"])
OPTIONS = st.lists(
    st.sampled_from(['namespaces="git"', "cert-authority", 'valid-after="20200101Z"',
                     'valid-before="20310101"', 'NAMESPACES="a,b c"']),
    unique_by=lambda one: one.partition("=")[0].lower(),
)  # fmt: skip


@given(NAMES, OPTIONS, st.sampled_from([" ", "\t", "  "]))
def test_any_line_keeps_all_else(name: str, options: list[str], gap: str) -> None:
    words = gap.join(filter(None, [name, ",".join(options), KEY]))
    before, after = parsed(words.encode()), parsed(limited(words.encode(), MOMENT))
    assert after.valid_before == MOMENT
    for one in ("principals", "key", "is_authority", "namespaces", "valid_after", "comment"):
        assert getattr(after, one) == getattr(before, one)
    assert after.refusal(at=MOMENT - 1) == before.refusal(at=MOMENT - 1)
