"""The keys that sshd might read from an odd line, and where such a login may come from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.samples import PLAIN, TOKEN

from fidokit.openssh.keys.fingerprint import sha256
from fidokit.server.check.keys.evidence import keys_in, origins_of
from fidokit.server.sshd.query import LoginOrigin

LINE = PLAIN.encode().encode()
WANTED = sha256(PLAIN.key.blob())
STRANGER = LoginOrigin()


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        b"no-such-option " + LINE,
        b'command="a ' + LINE,
        LINE[:40] + b"\v" + LINE[40:],
        LINE[:40] + b"\f\r" + LINE[40:],
        b"\0" + LINE,
        b"\xff\xfe" + LINE + b" \xff",
    ],
)
def test_a_key_is_found_however_odd_its_line(line: bytes) -> None:
    assert [key.fingerprint for key in keys_in(line)] == [WANTED]


def test_several_keys_of_a_line() -> None:
    both = keys_in(LINE + b" " + TOKEN.encode().encode())
    assert len(both) == 2


@given(st.binary(max_size=200))
def test_whatever_a_line_holds_it_is_read(junk: bytes) -> None:
    for line in (junk, b"ssh-rsa AAAA" + junk, LINE + junk):
        keys_in(line)
        origins_of(line, [STRANGER], use_dns=True)


@pytest.mark.parametrize(
    ("options", "addresses"),
    [
        (b"", {STRANGER.addr}),
        (b'from="10.0.0.1" ', {"10.0.0.1"}),
        (b'restrict,FROM="10.0.0.0/8,!10.0.0.1" ', {"10.0.0.0", "10.0.0.1", "10.0.0.2"}),
    ],
)
def test_a_line_s_own_places_are_tried(options: bytes, addresses: set[str]) -> None:
    origins, doubt = origins_of(options + LINE, [STRANGER], use_dns=False)
    assert addresses <= {origin.addr for origin in origins}
    assert doubt == ""


@pytest.mark.parametrize("options", [b"from=10.0.0.1 ", b'from="'])
def test_places_that_cannot_be_read_are_a_doubt(options: bytes) -> None:
    assert origins_of(options + LINE, [STRANGER], use_dns=False)[1]


def test_names_are_a_doubt_where_sshd_looks_them_up() -> None:
    line = b'from="*.example" ' + LINE
    assert origins_of(line, [STRANGER], use_dns=True)[1]
    assert origins_of(line, [STRANGER], use_dns=False)[1] == ""
