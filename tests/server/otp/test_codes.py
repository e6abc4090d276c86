"""Where a code belongs: the positions are numbers, so the codes can be as simple."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.otp.test_format import CODES, SECRET, new

from fidokit.errors import FidokitError, UsageError
from fidokit.server.otp.codes import (
    RESYNC_COUNTS,
    SEARCHED_COUNTS,
    CodeVerdict,
    Judgment,
    after_use,
    emergency_codes,
    judge,
    read_code,
    resynchronized,
)
from fidokit.server.otp.format import Method, OtpFile, Rules, compose

STEP = 500_000
NOW = STEP * 30.0 + 12


def code_at(position: int) -> str:
    """Every position has its own."""
    return f"{position:06d}"


def totp(window: int = 3, *, reuse: bool = False) -> OtpFile:
    return compose(SECRET, Method.TOTP, Rules(window, None, reuse), CODES)


def hotp(counter: int = 10, window: int = 3) -> OtpFile:
    return compose(SECRET, Method.HOTP, Rules(window, None, False), CODES).with_counter(counter)


def judged(file: OtpFile, position: int) -> CodeVerdict:
    return judge(file, code_at(position), NOW, code_at)


@pytest.mark.parametrize("typed", ["123456", " 123 456 ", "123\t456\n", "000000", "12345678"])
def test_codes_as_people_type_them(typed: str) -> None:
    assert read_code(typed) == "".join(typed.split())


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "123456789", "12345a", "１２３４５６"])
def test_what_is_no_code(typed: str) -> None:
    with pytest.raises(UsageError, match="not a code"):
        read_code(typed)


# --- by the clock --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "accepted"),
    [(1, [0]), (2, [0, 1]), (3, [-1, 0, 1]), (4, [-1, 0, 1, 2]), (17, list(range(-8, 9)))],
)
def test_the_window_is_the_modules(window: int, accepted: Sequence[int]) -> None:
    right = [d for d in range(-20, 21) if judged(totp(window), STEP + d).is_accepted]
    assert right == accepted


def test_the_difference_that_the_module_learned_moves_the_window() -> None:
    late = totp().with_option("TIME_SKEW", "-5")
    assert judged(late, STEP - 5) == CodeVerdict(Judgment.RIGHT, STEP - 5, -5)
    assert judged(late, STEP) == CodeVerdict(Judgment.ELSEWHERE, STEP, 0)


def test_longer_steps() -> None:
    slow = totp().with_option("STEP_SIZE", "60")
    assert judged(slow, STEP // 2).judgment is Judgment.RIGHT


def test_a_code_is_right_once() -> None:
    used = after_use(totp(), code_at(STEP), judged(totp(), STEP))
    assert judged(used, STEP) == CodeVerdict(Judgment.USED, STEP, 0)
    assert judged(used, STEP + 1).judgment is Judgment.RIGHT
    free = totp(reuse=True)
    assert after_use(free, code_at(STEP), judged(free, STEP)) == free


@pytest.mark.parametrize("distance", [-1500, -3, -2, 2, 3, 120, 1500])
def test_codes_of_another_time_say_how_far(distance: int) -> None:
    assert judged(totp(), STEP + distance) == CodeVerdict(
        Judgment.ELSEWHERE, STEP + distance, distance
    )


@pytest.mark.parametrize("distance", [-1501, 1501])
def test_beyond_half_a_day_nobody_looks(distance: int) -> None:
    assert judged(totp(), STEP + distance) == CodeVerdict(Judgment.WRONG)


def test_of_two_times_that_fit_the_nearer_is_told() -> None:
    both = judge(totp(), "777777", NOW, lambda at: "777777" if at % 100 == 90 else "000000")
    assert both.distance == -10


def test_before_1970_there_are_no_codes() -> None:
    assert judge(totp(), code_at(0), 3.0, code_at).judgment is Judgment.RIGHT


# --- by a counter --------------------------------------------------------------------------


def test_the_counters_window_looks_ahead_alone() -> None:
    right = [n for n in range(5, 20) if judged(hotp(), n).is_accepted]
    assert right == [10, 11, 12]
    assert judged(hotp(), 9) == CodeVerdict(Judgment.WRONG)


def test_a_counter_moves_behind_the_code() -> None:
    used = after_use(hotp(), code_at(11), judged(hotp(), 11))
    assert used.counter == 12
    assert judged(used, 11) == CodeVerdict(Judgment.WRONG)


def test_an_app_that_ran_ahead() -> None:
    last = 10 + SEARCHED_COUNTS - 1
    assert judged(hotp(), last) == CodeVerdict(Judgment.ELSEWHERE, last, SEARCHED_COUNTS - 1)
    assert judged(hotp(), last + 1) == CodeVerdict(Judgment.WRONG)
    assert after_use(hotp(), code_at(last), judged(hotp(), last)) == hotp()


@pytest.mark.parametrize("at", [10, 13, 10 + RESYNC_COUNTS - 1])
@pytest.mark.parametrize("count", [2, 3])
def test_codes_in_a_row_find_the_counter(at: int, count: int) -> None:
    shown = [code_at(at + n) for n in range(count)]
    assert resynchronized(hotp(), shown, code_at).counter == at + count


@pytest.mark.parametrize(
    "shown",
    [
        [9, 10],  # used: it must not let anybody in again
        [10 + RESYNC_COUNTS, 11 + RESYNC_COUNTS],
        [20, 22],
        [21, 20],
        [20, 21, 23],
    ],
)
def test_codes_that_do_not_follow_each_other_ahead(shown: Sequence[int]) -> None:
    with pytest.raises(FidokitError, match="do not follow"):
        resynchronized(hotp(), [code_at(at) for at in shown], code_at)


def test_one_code_is_too_few() -> None:
    with pytest.raises(UsageError, match="by chance"):
        resynchronized(hotp(), [code_at(10)], code_at)


def test_two_places_that_fit_want_a_third_code() -> None:
    def rarely(position: int) -> str:
        return "111111" if position in (20, 21, 30, 31) else code_at(position)

    with pytest.raises(UsageError, match="several counter values"):
        resynchronized(hotp(), ["111111", "111111"], rarely)
    assert resynchronized(hotp(), ["111111", "111111", code_at(32)], rarely).counter == 33


def test_the_clock_has_no_counter() -> None:
    with pytest.raises(UsageError, match="no counter"):
        resynchronized(totp(), ["111111", "222222"], code_at)


# --- emergency codes -----------------------------------------------------------------------


@pytest.mark.parametrize("file", [totp(), hotp()])
def test_an_emergency_code_works_once(file: OtpFile) -> None:
    verdict = judge(file, CODES[0], NOW, code_at)
    assert verdict == CodeVerdict(Judgment.EMERGENCY)
    assert verdict.is_accepted
    used = after_use(file, CODES[0], verdict)
    assert used.emergency_codes == CODES[1:]
    assert judge(used, CODES[0], NOW, code_at) == CodeVerdict(Judgment.WRONG)


def test_a_file_of_no_method_has_emergency_codes_alone() -> None:
    bare = new().encode().replace(b'" TOTP_AUTH\n', b"")
    from fidokit.server.otp.format import parse

    assert judge(parse(bare), CODES[0], NOW, code_at).is_accepted
    assert judge(parse(bare), code_at(STEP), NOW, code_at) == CodeVerdict(Judgment.WRONG)


def seeded(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


@given(st.integers(), st.integers(0, 50))
def test_new_ones_are_such_that_the_module_reads_them(seed: int, count: int) -> None:
    codes = emergency_codes(count, seeded(seed))
    assert len(set(codes)) == len(codes) == count
    assert new().with_codes(codes).emergency_codes == codes


def test_every_first_digit_is_as_likely() -> None:
    firsts = Counter(code[0] for code in emergency_codes(9000, seeded(1)))
    assert set(firsts) == set("123456789")
    assert all(850 < often < 1150 for often in firsts.values())


def test_numbers_that_do_not_fit_and_doubles_are_drawn_again() -> None:
    drawn = iter(
        [b"\xff" * 4, b"\0" * 4, b"\0" * 4, (90_000_000 << 5).to_bytes(4, "big"), b"\0\0\0 "]
    )
    assert emergency_codes(2, lambda _: next(drawn)) == ("10000000", "10000001")
