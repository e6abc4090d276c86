"""Listing a file's fingerprints: what counts as a key, and that the short cut never differs."""

from __future__ import annotations

import io
import tracemalloc
from base64 import b64encode
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.mutate import fuzz_count, mutants
from tests.support.samples import (
    ED25519,
    PUBLIC_KEYS,
    RSA,
    SK_ECDSA,
    SK_ED25519,
    SK_KEYS,
    comments,
    key_id,
    public_keys,
)
from tests.support.signers import certificate, ed25519_key

from fidokit.openssh.keys.fingerprint import bubblebabble, md5, sha256
from fidokit.openssh.keys.public import PublicKey, PublicLine
from fidokit.openssh.lines import key_stream
from fidokit.openssh.lines.key_stream import (
    MAX_LINE,
    Listed,
    Unreadable,
    bounded_lines,
    list_fingerprints,
)


def line_of(key: PublicKey, comment: str = "") -> bytes:
    return PublicLine(key, comment).encode().encode()


def only(line: bytes) -> Listed:
    (found,) = list_fingerprints([line])
    assert isinstance(found, Listed), found
    return found


SK_LINE = line_of(SK_ED25519)


class TestKeys:
    @pytest.mark.parametrize("key", PUBLIC_KEYS, ids=key_id)
    def test_every_type(self, key: PublicKey) -> None:
        found = only(line_of(key, "me@here"))
        assert found == Listed(1, key.bits, sha256(key.blob()), "me@here", key.short_type)

    @pytest.mark.parametrize("key", PUBLIC_KEYS, ids=key_id)
    def test_a_certificate_counts_as_the_key_in_it(self, key: PublicKey) -> None:
        held = certificate(key, ed25519_key())
        line = f"{held.type_name} {b64encode(held.blob()).decode()} me@here".encode()
        expected = Listed(1, key.bits, sha256(key.blob()), "me@here", f"{key.short_type}-CERT")
        assert only(line) == expected
        assert only(b"restrict " + line) == expected._replace(options="restrict")
        name = held.type_name.encode()
        (found,) = list_fingerprints([line.replace(name, b"x-cert-v01@openssh.com")])
        assert isinstance(found, Unreadable)

    @pytest.mark.parametrize("hash_of", [sha256, md5, bubblebabble])
    @pytest.mark.parametrize("key", [SK_ED25519, RSA], ids=key_id)
    def test_every_hash(self, hash_of: object, key: PublicKey) -> None:
        assert callable(hash_of)
        (found,) = list_fingerprints([line_of(key, "c")], hash_of)
        assert isinstance(found, Listed)
        assert found.fingerprint == hash_of(key.blob())

    @pytest.mark.parametrize(
        ("before", "tail", "options", "comment"),
        [
            (b"", b"", "", ""),
            (b"", b" me@here\n", "", "me@here"),
            (b"", b" me@here\r\n", "", "me@here"),
            (b"  \t", b"  \tme  @here ", "", "me  @here "),
            (b"", b" #7", "", ""),
            (b"", b" caf\xe9", "", "caf\\xe9"),
            (b"", " café".encode(), "", "café"),
            (b"restrict ", b" c", "restrict", "c"),
            (b'command="a b \\" c",no-pty\t', b" c", 'command="a b \\" c",no-pty', "c"),
            (b"host.example,10.0.0.1 ", b"", "host.example,10.0.0.1", ""),
            (b'\\"odd ', b" c", '\\"odd', "c"),
        ],
    )
    def test_what_surrounds_the_key(
        self, before: bytes, tail: bytes, options: str, comment: str
    ) -> None:
        found = only(before + SK_LINE + tail)
        assert (found.options, found.comment) == (options, comment)
        assert found.fingerprint == sha256(SK_ED25519.blob())

    @pytest.mark.parametrize(
        ("options", "comment", "shown"),
        [("", "", "no comment"), ("restrict", "", "restrict"), ("restrict", "me", "me")],
    )
    def test_text(self, options: str, comment: str, shown: str) -> None:
        found = Listed(7, 256, "SHA256:abc", comment, "ED25519-SK", options)
        assert found.text() == f"256 SHA256:abc {shown} (ED25519-SK)"


class TestOtherLines:
    @pytest.mark.parametrize("line", [b"", b"\n", b"\r\n", b" \t\n", b"# " + SK_LINE, b"  #"])
    def test_blank_lines_and_comments_are_passed_over(self, line: bytes) -> None:
        assert list(list_fingerprints([line])) == []

    @pytest.mark.parametrize(
        ("line", "problem"),
        [
            (b"garbage", "no public key stands"),
            (b"more garbage here", "no public key stands"),
            (b"ssh-ed25519", "no public key stands"),
            (b'command="never closed ' + SK_LINE, "no public key stands"),
            (b"@revoked * " + SK_LINE, "no public key stands"),
            (b"ssh-dss AAAAB3NzaC1kc3MAAACB me", "no public key stands"),
            (b"ssh-ed25519 AAAA! me", "base64"),
            (b"ssh-ed25519 AAAA me", "public key: need 4 bytes"),
            (SK_LINE.replace(b"sk-ssh-ed25519@openssh.com ", b"ssh-rsa "), "the key in it is sk-"),
            (line_of(SK_ECDSA, "c")[:-4] + b" c", "base64"),
            (b"x" * (MAX_LINE + 1), "longer than"),
            (SK_LINE + b" " + b"x" * MAX_LINE, "longer than"),
        ],
    )
    def test_unreadable(self, line: bytes, problem: str) -> None:
        (found,) = list_fingerprints([line])
        assert isinstance(found, Unreadable)
        assert problem in found.error.message

    def test_lines_are_counted_from_one_and_the_rest_goes_on(self) -> None:
        lines = [b"# head", SK_LINE, b"", b"bad line", b"restrict " + SK_LINE, SK_LINE + b" c"]
        assert [(found.line, type(found)) for found in list_fingerprints(lines)] == [
            (2, Listed),
            (4, Unreadable),
            (5, Listed),
            (6, Listed),
        ]

    def test_it_streams(self) -> None:
        def endless() -> Iterator[bytes]:
            while True:
                yield SK_LINE

        found = list_fingerprints(endless())
        assert [next(found).line for _ in range(3)] == [1, 2, 3]


def both_ways(line: bytes) -> None:
    quick = key_stream.usual_key(line, sha256)
    if quick is not None:
        fingerprint, comment, kind = quick
        listed = Listed(1, kind.bits, fingerprint, comment, kind.short_type)
        assert listed == key_stream._unusual(1, line, sha256)


class TestShortCut:
    @pytest.mark.parametrize("key", [*SK_KEYS, ED25519], ids=key_id)
    def test_is_taken(self, key: PublicKey) -> None:
        for end in (b"", b"\n", b"\r\n"):
            assert key_stream.usual_key(line_of(key, "me@here") + end, sha256) is not None

    @given(public_keys, comments, st.sampled_from([b"", b"\n", b"\r\n", b" \n", b"\t"]))
    def test_agrees_on_honest_lines(self, key: PublicKey, comment: str, end: bytes) -> None:
        both_ways(line_of(key, comment) + end)

    @given(st.sampled_from(SK_KEYS), st.integers(0, 250), st.binary(max_size=4))
    def test_agrees_on_damaged_lines(self, key: PublicKey, at: int, piece: bytes) -> None:
        line = line_of(key, "me@here")
        both_ways(line[:at] + piece + line[at + len(piece) :])

    @pytest.mark.parametrize(
        "line",
        [
            SK_LINE + b"  c",
            SK_LINE + b" #c",
            SK_LINE + b"= c",
            SK_LINE.replace(b"AAAA", b"AA*AA", 1) + b" c",
            SK_LINE.replace(b"sk-ssh-ed25519@openssh.com", b"sk-ecdsa-sha2-nistp256@openssh.com")
            + b" c",
            SK_LINE + b" \xff",
            SK_LINE + b" " + b"c" * MAX_LINE,
        ],
    )
    def test_leaves_odd_lines_to_the_full_parser(self, line: bytes) -> None:
        assert key_stream.usual_key(line, sha256) is None

    @pytest.mark.parametrize("line", [b"\x0c", b"\x0b\x0b\n", b"\x0c \x0b x"])
    def test_other_blanks_are_no_key(self, line: bytes) -> None:
        (found,) = list_fingerprints([line])
        assert isinstance(found, Unreadable)

    def test_fuzz_both_ways_agree(self) -> None:
        corpus = [line_of(key, "me@here") for key in (*SK_KEYS, ED25519)]
        for mutant in mutants(corpus, fuzz_count(20_000)):
            both_ways(mutant)
            assert len(list(list_fingerprints([mutant]))) <= 1


class TestBoundedLines:
    @given(st.binary(max_size=300), st.integers(1, 40))
    def test_the_same_lines_as_split(self, data: bytes, chunk: int) -> None:
        lines = data.split(b"\n")
        if not lines[-1]:
            del lines[-1]
        assert list(bounded_lines(io.BytesIO(data).read, chunk)) == lines

    @pytest.mark.parametrize("chunk", [1 << 10, 1 << 20])
    @pytest.mark.parametrize("size", [MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE])
    def test_long_lines_are_cut_and_counted_once(self, size: int, chunk: int) -> None:
        data = b"a\n" + b"x" * size + b"\nb\n" + b"y" * size
        lines = list(bounded_lines(io.BytesIO(data).read, chunk))
        cut = min(size, MAX_LINE + 1)
        assert lines == [b"a", b"x" * cut, b"b", b"y" * cut]

    def test_an_endless_line_takes_bounded_memory(self) -> None:
        left = 64

        def read(size: int) -> bytes:
            nonlocal left
            left -= 1
            return b"x" * size if left else b""

        tracemalloc.start()
        try:
            (line,) = bounded_lines(read, 1 << 18)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(line) == MAX_LINE + 1
        assert peak < 4 << 20
