"""Where a one-time code belongs: right now, used, early, late, or nowhere. Pure arithmetic.

The codes themselves come from a function of their position: a TOTP step (seconds since 1970 by
STEP_SIZE) or a HOTP counter.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fidokit.errors import FidokitError, UsageError
from fidokit.server.otp.format import CODE_DIGITS, Method, OtpFile
from fidokit.types import Word

CodeAt = Callable[[int], str]
RandomBytes = Callable[[int], bytes]

EMERGENCY_DIGITS: Final = 8
SEARCHED_SECONDS: Final = 45_000
"""12.5 hours on both sides, as the PAM module searches: any time zone set wrong is in it."""

SEARCHED_COUNTS: Final = 100
"""For one HOTP code; one in 10,000 fits by chance."""

RESYNC_COUNTS: Final = 1000
"""For two and more in a row, which fit by chance once in a thousand million."""

_FIRST: Final = 10_000_000
_BELOW: Final = 100_000_000
_RANDOM_BITS: Final = 27


class Judgment(Word):
    """What becomes of a code."""

    RIGHT = "right"
    EMERGENCY = "emergency"
    USED = "used"
    """Right, but it let somebody in already."""

    ELSEWHERE = "elsewhere"
    """Of this secret, but of another time, or a later count, than the PAM module takes."""

    WRONG = "wrong"


@dataclass(frozen=True)
class CodeVerdict:
    """What a code is, and where it belongs.

    Attributes:
        judgment: what becomes of it.
        position: its step or counter; None for emergency codes and wrong ones.
        distance: how many steps it is ahead of this machine's clock, or counts of the counter.
    """

    judgment: Judgment
    position: int | None = None
    distance: int = 0

    @property
    def is_accepted(self) -> bool:
        """Whether the PAM module would take it now."""
        return self.judgment in {Judgment.RIGHT, Judgment.EMERGENCY}


def read_code(text: str) -> str:
    """A code as a user types it, without the spaces that apps show in it.

    Raises:
        UsageError: it cannot be a code.
    """
    code = "".join(text.split())
    if not (code.isascii() and code.isdigit() and len(code) in (CODE_DIGITS, EMERGENCY_DIGITS)):
        raise UsageError(
            f"not a code: it needs {CODE_DIGITS} digits, an emergency code {EMERGENCY_DIGITS}",
            hint="type what the app shows",
        )
    return code


def judge(file: OtpFile, code: str, now: float, code_at: CodeAt) -> CodeVerdict:
    """What the PAM module would make of a code, and where else it belongs.

    Args:
        code: see `read_code`.
        now: seconds since 1970.
        code_at: the code of a position.
    """
    if any(_same(code, left) for left in file.emergency_codes):
        return CodeVerdict(Judgment.EMERGENCY)
    if len(code) != CODE_DIGITS or file.method is None:
        return CodeVerdict(Judgment.WRONG)
    if file.method is Method.HOTP:
        return _judge_count(file, code, code_at)
    return _judge_step(file, code, int(now) // file.step_seconds, code_at)


def after_use(file: OtpFile, code: str, verdict: CodeVerdict) -> OtpFile:
    """The file as a login with this code would leave it."""
    if verdict.judgment is Judgment.EMERGENCY:
        return file.without_code(code)
    if verdict.judgment is not Judgment.RIGHT or verdict.position is None:
        return file
    if file.method is Method.HOTP:
        return file.with_counter(verdict.position + 1)
    return file.with_used_step(verdict.position)


def resynchronized(file: OtpFile, codes: Sequence[str], code_at: CodeAt) -> OtpFile:
    """The file whose counter stands behind codes that an app showed one after the other.

    Only ahead of the counter: what lies behind it was used, and must not let anybody in again.

    Args:
        codes: two or more, see `read_code`.
        code_at: the code of a counter.

    Raises:
        UsageError: too few codes, the file is for TOTP, or several places fit.
        FidokitError: no place fits.
    """
    if file.method is not Method.HOTP:
        raise UsageError(
            "these codes use the clock, so there is no counter to find",
            hint="check the clocks of the phone and of this machine",
        )
    if len(codes) < 2:
        raise UsageError("one code matches by chance too often", hint="give two or three in a row")
    ahead = range(file.counter, file.counter + RESYNC_COUNTS)
    found = [at for at in _places(ahead, codes[0], code_at) if _runs(at, codes, code_at)]
    if not found:
        raise FidokitError(
            f"these codes do not follow each other within the next {RESYNC_COUNTS}",
            hint="type them in the order the app showed them; a phone that was set up anew "
            "needs `fidokit otp enroll --force`",
        )
    if len(found) > 1:
        raise UsageError("several counter values match", hint="give one more code")
    return file.with_counter(found[0] + len(codes))


def emergency_codes(count: int, random: RandomBytes) -> tuple[str, ...]:
    """New emergency codes, no two the same.

    Args:
        count: how many.
        random: that many random bytes, as os.urandom gives them.
    """
    codes: dict[str, None] = {}
    while len(codes) < count:
        number = int.from_bytes(random(4), "big") >> (32 - _RANDOM_BITS)
        if number < _BELOW - _FIRST:  # else the lower numbers would come more often
            codes[str(_FIRST + number)] = None
    return tuple(codes)


def _judge_count(file: OtpFile, code: str, code_at: CodeAt) -> CodeVerdict:
    reach = max(SEARCHED_COUNTS, file.window)
    at = next(_places(range(file.counter, file.counter + reach), code, code_at), None)
    if at is None:
        return CodeVerdict(Judgment.WRONG)
    ahead = at - file.counter
    return CodeVerdict(Judgment.RIGHT if ahead < file.window else Judgment.ELSEWHERE, at, ahead)


def _judge_step(file: OtpFile, code: str, now: int, code_at: CodeAt) -> CodeVerdict:
    middle = now + file.skew
    near = range(middle - (file.window - 1) // 2, middle + file.window // 2 + 1)
    for at in _places(near, code, code_at):
        used = at in (file.used_steps or ())
        return CodeVerdict(Judgment.USED if used else Judgment.RIGHT, at, at - now)
    far = SEARCHED_SECONDS // file.step_seconds
    for at in _places(_outwards(now, far), code, code_at):
        return CodeVerdict(Judgment.ELSEWHERE, at, at - now)
    return CodeVerdict(Judgment.WRONG)


def _outwards(middle: int, far: int) -> Iterator[int]:
    """Steps with the nearest first: of two that fit, the smaller error is the likelier."""
    for distance in range(far + 1):
        yield middle - distance
        yield middle + distance


def _places(positions: Iterable[int], code: str, code_at: CodeAt) -> Iterator[int]:
    return (at for at in positions if at >= 0 and _same(code_at(at), code))


def _runs(at: int, codes: Sequence[str], code_at: CodeAt) -> bool:
    return all(_same(code_at(at + n), code) for n, code in enumerate(codes))


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one, other)
