"""The text of ~/.google_authenticator: as the module reads it, kept byte for byte."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.mutate import fuzz_count, mutants

from fidokit.errors import MalformedFile
from fidokit.server.otp.format import (
    MAX_FILE,
    Method,
    OtpFile,
    RateLimit,
    Rules,
    compose,
    encode_secret,
    parse,
)

SECRET = bytes(range(20))
CODES = ("12345678", "87654321")
RULES = Rules(3, RateLimit(3, 30), reuse=False)

# google-authenticator -t -d -f -r 3 -R 30 -w 3 -e 2 wrote the one, -c -f -u -W -e 2 the other
STOCK = b"""NMNLAQJWADIKH366JUXCQPKM2I
" RATE_LIMIT 3 30
" WINDOW_SIZE 3
" DISALLOW_REUSE
" TOTP_AUTH
43611137
99268961
"""
STOCK_HOTP = b"""S2WHUFWCDUGUKGE2TRWTS7TWMQ
" HOTP_COUNTER 1
" WINDOW_SIZE 1
51302264
29484130
"""
LIVED_IN = b"""abcd efgh-ijkl mnop
" SOMETHING_NEW  as it\twas\xff
" RATE_LIMIT 3 30 1795766000 1795766010
" WINDOW_SIZE 17 and more
" DISALLOW_REUSE 59858866 59858867
" TIME_SKEW -3
" STEP_SIZE 60
" TOTP_AUTH
" WINDOW_SIZE 5

12345678
87654321
words
11111111
"""


def new(method: Method = Method.TOTP, rules: Rules = RULES) -> OtpFile:
    return compose(SECRET, method, rules, CODES)


def test_what_stock_wrote() -> None:
    found = parse(STOCK)
    assert (found.method, found.window, found.rate_limit) == (Method.TOTP, 3, RateLimit(3, 30))
    assert (found.used_steps, found.skew, found.step_seconds) == ((), 0, 30)
    assert found.emergency_codes == ("43611137", "99268961")
    assert found.base32 == "NMNLAQJWADIKH366JUXCQPKM2I"
    assert found.encode() == STOCK


def test_what_stock_wrote_for_hotp() -> None:
    found = parse(STOCK_HOTP)
    assert (found.method, found.counter, found.window) == (Method.HOTP, 1, 1)
    assert (found.rate_limit, found.used_steps) == (None, None)


def test_what_was_lived_in() -> None:
    found = parse(LIVED_IN)
    assert found.encode() == LIVED_IN
    assert found.base32 == "ABCDEFGHIJKLMNOP"
    assert (found.window, found.skew, found.step_seconds) == (17, -3, 60)
    assert found.used_steps == (59858866, 59858867)
    assert found.emergency_codes == CODES, "the module stops at the first line of no meaning"


def test_ours_are_written_as_stock_writes_them() -> None:
    assert new().encode() == (
        b'AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT\n" RATE_LIMIT 3 30\n" WINDOW_SIZE 3\n'
        b'" DISALLOW_REUSE\n" TOTP_AUTH\n12345678\n87654321\n'
    )
    assert compose(SECRET, Method.HOTP, Rules(10, None, reuse=False), ()).encode() == (
        b'AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT\n" WINDOW_SIZE 10\n" HOTP_COUNTER 1\n'
    )


def test_neither_totp_nor_hotp() -> None:
    assert parse(b"ABCDEFGH\n").method is None
    assert parse(b'ABCDEFGH\n" HOTP_COUNTER 0\n').method is None
    assert parse(b'ABCDEFGH\n" HOTP_COUNTER 0\n" TOTP_AUTH\n').method is Method.TOTP
    assert parse(b'ABCDEFGH\n" HOTP_COUNTER 7\n" TOTP_AUTH\n').method is Method.HOTP


@pytest.mark.parametrize("text", [b"MFRGG", b"mfrgg\r\n", b"M F-R\tGG\n", b"MFRGG\n"])
def test_secrets_as_the_module_reads_them(text: bytes) -> None:
    assert parse(text).secret == b"abc"


def test_letters_that_look_like_digits() -> None:
    assert parse(b"O108LB\n").secret == parse(b"OLOBLB\n").secret


@given(st.binary(min_size=1, max_size=64))
def test_any_secret_comes_back(secret: bytes) -> None:
    assert parse(encode_secret(secret).encode()).secret == secret
    assert base64.b32encode(secret).decode().rstrip("=") == encode_secret(secret)


# --- changes -------------------------------------------------------------------------------


def test_an_option_is_set_in_its_place_and_doubles_go() -> None:
    changed = parse(LIVED_IN).with_option("WINDOW_SIZE", "9")
    assert changed.window == 9
    assert changed.encode() == LIVED_IN.replace(b"17 and more", b"9").replace(
        b'" WINDOW_SIZE 5\n', b""
    )


def test_a_new_option_comes_behind_the_secret() -> None:
    assert parse(b"ABCDEFGH").with_option("TOTP_AUTH").encode() == b'ABCDEFGH\n" TOTP_AUTH\n'
    assert new().with_counter(3).encode().splitlines()[1] == b'" HOTP_COUNTER 3'


def test_used_steps_out_of_reach_are_forgotten() -> None:
    used = new().with_used_step(100).with_used_step(102)
    assert used.used_steps == (100, 102)
    assert used.with_used_step(104).used_steps == (102, 104)
    free = new(rules=Rules(3, None, reuse=True))
    assert free.with_used_step(100) == free


def test_codes_are_replaced_and_all_else_stays() -> None:
    assert parse(LIVED_IN).with_codes(["22222222"]).encode() == LIVED_IN.replace(
        b"12345678\n87654321\n", b"22222222\n"
    )
    assert new().with_codes(()).emergency_codes == ()
    assert parse(STOCK).without_code("43611137").encode() == STOCK.replace(b"43611137\n", b"")
    assert parse(b"ABCDEFGH\n12345678").with_codes(CODES).emergency_codes == CODES


def test_secrets_are_not_in_the_representation() -> None:
    shown = repr(parse(STOCK))
    assert "NMNLAQ" not in shown
    assert "43611137" not in shown
    assert str(parse(STOCK).secret) not in shown


# --- hostile -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "0 bytes"),
        (b"A" * (MAX_FILE + 1), f"{MAX_FILE + 1} bytes"),
        (b"ABCDEFGH\n\0", "zero byte at offset 9"),
        (b'ABCDEFGH\r" TOTP_AUTH\n', "carriage return that ends no line at offset 8"),
        (b"\nABCDEFGH\n", "line 1: there is no secret"),
        (b"A\n", "line 1: there is no secret"),
        (b"ABCDEFG=\n", "line 1: letter 8"),
        (b'" TOTP_AUTH\n', "line 1: letter 1 "),
        (b"\xff\xfe\n", "line 1: letter 1 "),
        (b'AAAA\n" WINDOW_SIZE 0\n', "line 2: WINDOW_SIZE has no number from 1 to 100"),
        (b'AAAA\n" WINDOW_SIZE 101\n', "line 2: WINDOW_SIZE"),
        (b'AAAA\n" WINDOW_SIZE\n', "line 2: WINDOW_SIZE"),
        (b'AAAA\n" WINDOW_SIZE ' + b"9" * 5000, "line 2: WINDOW_SIZE"),
        (b'AAAA\n\n" STEP_SIZE 61\n', "line 3: STEP_SIZE"),
        (b'AAAA\n" STEP_SIZE x\n', "line 2: STEP_SIZE"),
        (b'AAAA\n" RATE_LIMIT 3\n', "line 2: RATE_LIMIT"),
        (b'AAAA\n" RATE_LIMIT\n', "line 2: RATE_LIMIT"),
        (b'AAAA\n" RATE_LIMIT 101 30\n', "line 2: RATE_LIMIT"),
        (b'AAAA\n" RATE_LIMIT 3 3601\n', "line 2: RATE_LIMIT"),
        (b'AAAA\n" RATE_LIMIT 3 30 now\n', "line 2: RATE_LIMIT has a time"),
        (b'AAAA\n" DISALLOW_REUSE x\n', "line 2: DISALLOW_REUSE"),
        (b'AAAA\n" HOTP_COUNTER 9223372036854775808\n', "line 2: HOTP_COUNTER"),
        (b'AAAA\n" HOTP_COUNTER ' + b"9" * 5000, "line 2: HOTP_COUNTER"),
        (b'AAAA\n" TIME_SKEW -2147483648\n', "line 2: TIME_SKEW"),
    ],
)
def test_refused(text: bytes, said: str) -> None:
    with pytest.raises(MalformedFile) as caught:
        parse(text)
    assert said in caught.value.message


@pytest.mark.parametrize("text", [STOCK, STOCK_HOTP, LIVED_IN])
def test_cut_at_every_byte_it_is_read_or_refused(text: bytes) -> None:
    for cut in range(len(text)):
        _read_or_refused(text[:cut])


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    _read_or_refused(data)


WORDS = [b'" ', b"TOTP_AUTH", b"RATE_LIMIT", b"HOTP_COUNTER", b"TIME_SKEW", b"DISALLOW_REUSE"]
WORDS += [b"\n", b"\r\n", b" ", b"3", b"30", b"12345678", b"-", b"WINDOW_SIZE", b'"', b"x", b"\t"]


@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_lines(words: list[bytes]) -> None:
    _read_or_refused(b"ABCDEFGH\n" + b"".join(words))


def test_fuzz() -> None:
    for data in mutants([STOCK, STOCK_HOTP, LIVED_IN], fuzz_count(2000)):
        _read_or_refused(data)


def _read_or_refused(data: bytes) -> None:
    try:
        found = parse(data)
    except MalformedFile:
        return
    assert found.encode() == data
    codes = found.emergency_codes
    assert found.with_codes(codes).emergency_codes == codes
    counted = found.with_counter(5)
    assert (counted.counter, counted.emergency_codes) == (5, codes)
    assert counted.with_counter(5) == counted
    for code in codes[:2]:
        assert code not in found.without_code(code).emergency_codes


# --- how often, and how late -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ("", 0),
        ("100", 0),
        ("100 99", 0),
        ("100 100 100", 31),
        ("98 99 100", 29),
        ("70 99 100", 1),
        ("69 99 100", 0),
        ("69 90 95 99", 21),
        ("101 99 100", 0),
        ("50 60 80 90 95 100", 21),
    ],
)
def test_how_long_the_rate_limit_refuses(times: str, seconds: int) -> None:
    """As the module counts: attempts of the last 30 seconds, none of the future."""
    file = parse(f'ABCDEFGH\n" RATE_LIMIT 3 30 {times}\n" TOTP_AUTH\n'.encode())
    assert file.blocked_for(100.9) == seconds
    assert file.blocked_for(100.9 + seconds) == 0


def test_no_limit_refuses_nothing() -> None:
    assert parse(b'ABCDEFGH\n" TOTP_AUTH\n').blocked_for(0) == 0


def test_what_was_learned_of_the_clock_goes() -> None:
    text = b'ABCDEFGH\n" TIME_SKEW 3\n" OTHER\n" RESETTING_TIME_SKEW 1+2\n" TOTP_AUTH\n12345678\n'
    assert parse(text).without_skew().encode() == b'ABCDEFGH\n" OTHER\n" TOTP_AUTH\n12345678\n'


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        (b'ABCDEFGH\n" TOTP_AUTH\n', False),
        (b'ABCDEFGH\n" TOTP_AUTH\n" DISALLOW_REUSE\n', True),
        (b'ABCDEFGH\n" TOTP_AUTH\n" RATE_LIMIT 3 30\n', True),
        (b'ABCDEFGH\n" HOTP_COUNTER 1\n', True),
    ],
)
def test_which_files_each_login_writes(text: bytes, notes: bool) -> None:
    assert parse(text).notes_logins is notes
