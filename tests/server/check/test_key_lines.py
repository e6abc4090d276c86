"""Lines of authorized_keys in a report: usual ones, odd ones, hostile ones."""

from __future__ import annotations

import io
import tracemalloc
from base64 import b64encode

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, TOKEN_ECDSA
from tests.server.settings import settings
from tests.support.mutate import fuzz_count, mutants

from fidokit.openssh import wire
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, OtherLine, parse_line
from fidokit.server.check.key_lines import KeyLine, UnreadableLine, read_lines
from fidokit.server.check.key_verdicts import KeyRules, rules_for
from fidokit.server.check.policy import CheckRule

T, E, P = (line.encode().encode() for line in (TOKEN, TOKEN_ECDSA, PLAIN))
DSA_BLOB = wire.text("ssh-dss") + b"".join(wire.mpint(n) for n in (1 << 1023, 1 << 159, 2, 3))
DSA = b"ssh-dss " + b64encode(DSA_BLOB) + b" old"


@pytest.fixture
def rules() -> KeyRules:
    return rules_for(settings(), is_root=False, rules=frozenset({CheckRule.HARDWARE}))


def read(text: bytes, rules: KeyRules) -> list[KeyLine | UnreadableLine]:
    return list(read_lines(io.BytesIO(text).read, rules))


def kinds(text: bytes, rules: KeyRules) -> list[tuple[int, str]]:
    found = read(text, rules)
    return [(f.line, f.type if isinstance(f, KeyLine) else "-") for f in found]


def test_a_file(rules: KeyRules) -> None:
    text = b"\n".join([b"# mine", b"", T, b"  ", b"verify-required " + E, b"\t#", P, b"junk", DSA])
    assert kinds(text, rules) == [
        (3, "ED25519-SK"),
        (5, "ECDSA-SK"),
        (7, "ED25519"),
        (8, "-"),
        (9, "DSA"),
    ]
    token, verified, plain, _, dsa = read(text, rules)
    assert isinstance(token, KeyLine)
    assert (token.fingerprint, token.comment) == (sha256(TOKEN.key.blob()), "token")
    assert isinstance(verified, KeyLine)
    assert verified.verdict.verify
    assert isinstance(plain, KeyLine)
    assert plain.verdict.violates == ((CheckRule.HARDWARE, "the key is not on a token"),)
    assert isinstance(dsa, KeyLine)
    assert (dsa.bits, dsa.comment, dsa.fingerprint) == (1024, "old", sha256(DSA_BLOB))
    assert dsa.verdict.refusals == ("PubkeyAcceptedAlgorithms leaves out ssh-dss",)


def test_line_ends_do_not_matter(rules: KeyRules) -> None:
    lines = [T, b"verify-required " + E, P, DSA]
    dos = read(b"\r\n".join(lines) + b"\r\n", rules)
    assert dos == read(b"\n".join(lines), rules)
    assert all(isinstance(line, KeyLine) for line in dos)


@pytest.mark.parametrize(
    "line",
    [
        b"\x00" + T,
        b"\xff\xfe\x00\x01\x80junk",
        T[:60],
        b"no-such-option " + T,
        b'from="10.* ' + T,
        b"ssh-rsa " + T.split()[1],
        b"ssh-dss AAAA",
        b"ssh-dss " + b64encode(DSA_BLOB + b"x"),
        b"no-such-option " + DSA,
        b"x" * 3000,
    ],
)
def test_what_sshd_passes_over_has_its_number(line: bytes, rules: KeyRules) -> None:
    (first, bad, last) = read(b"\n".join([T, line, E]), rules)
    assert isinstance(bad, UnreadableLine)
    assert bad.line == 2
    assert bad.reason
    harmless = b"ssh-dss" in line or T.split()[1] in line  # left out by sshd, or on a token
    assert bad.spared or bad.doubt or harmless  # sshd is asked, or nobody can tell
    assert (first.line, last.line) == (1, 3)


def test_a_comment_of_a_megabyte_hides_no_key(rules: KeyRules) -> None:
    for line in (T, P, DSA, b"restrict " + P):
        found, after = read(line + b"x" * (1 << 20) + b"\n" + E, rules)
        assert isinstance(found, KeyLine)
        assert after.line == 2


def test_what_is_too_long_to_be_judged_is_no_promise(rules: KeyRules) -> None:
    line = b'environment="A=' + b"x" * (1 << 20) + b'" ' + P
    (found,) = read(line, rules)
    assert isinstance(found, UnreadableLine)
    assert found.violates == ((CheckRule.HARDWARE, "the line is too long to be judged"),)


def test_long_options_are_not_kept(rules: KeyRules) -> None:
    lines = b"".join(b'environment="A%d=%s" %s\n' % (n, b"x" * 60_000, P) for n in range(200))
    tracemalloc.start()
    try:
        count = sum(isinstance(f, KeyLine) for f in read_lines(io.BytesIO(lines).read, rules))
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert count == 200
    assert kept < 3_000_000


def test_a_hundred_thousand_lines_pass_through(rules: KeyRules) -> None:
    block = (T + b"\n" + P + b"\n") * 500
    pieces = iter([block] * 100)
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_lines(lambda _: next(pieces, b""), rules))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 100_000
    assert peak < 4_000_000


def test_fuzz_agrees_with_the_reader_of_single_lines(rules: KeyRules) -> None:
    pad = b"restrict,no-pty "
    corpus = [
        T,
        pad + T,
        pad + P,
        b"cert-authority\t" + P,
        b'verify-required,from="10.*" ' + E,
        P,
        OTHER.encode().encode(),
    ]
    for mutant in mutants(corpus, fuzz_count(3000)):
        for raw in mutant.split(b"\n"):
            found, alone = read(raw, rules), parse_line(raw)
            keys = [line for line in found if isinstance(line, KeyLine)]
            if not isinstance(alone, AuthorizedKey):
                assert keys == [], (raw, alone)
                assert len(found) == 1 or isinstance(alone, OtherLine)
                continue
            (key,) = keys
            assert key.fingerprint == sha256(alone.key.blob())
            assert key.type == alone.key.short_type
            # The short cut leaves in a comment what a C program does not see of it.
            assert key.comment.split("\0")[0].rstrip(" \t\r\n") == alone.comment
            assert key.verdict.options == alone.options
