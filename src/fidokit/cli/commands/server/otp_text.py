"""What `fidokit otp` says of codes and files."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fidokit.cli.render import home_path

if TYPE_CHECKING:
    from fidokit.server.otp.codes import CodeVerdict
    from fidokit.server.otp.enrollment import OtpState


def told_state(state: OtpState) -> Iterator[str]:
    """What was set up."""
    yield f"Wrote {home_path(state.path)}: {str(state.method).upper()} codes are set up."
    yield "`fidokit server harden second-factor` makes sshd ask for codes, if it does not yet."
    if state.problem:
        yield f"The PAM module will refuse them all: {state.problem}"


def told(verdict: CodeVerdict, state: OtpState) -> Iterator[str]:
    """Whether a code would let its user in, and why not."""
    if not verdict.is_accepted:
        yield from why(verdict, state.method, state.step_seconds)
        if state.problem:
            yield f"Right codes let nobody in either: {state.problem}."
    elif state.problem:
        yield f"It lets nobody in: the code is right, but {state.problem}."
    elif state.blocked_seconds:
        yield (
            "Not now: the code is right, but too many logins were tried, and PAM refuses every "
            f"code for another {state.blocked_seconds} s."
        )
    elif verdict.judgment == "emergency":
        yield f"Right: an emergency code. {state.emergency_codes} left."
    else:
        yield "Right."
        if state.method == "totp" and abs(verdict.distance) > 1:
            yield _clocks(verdict.distance * state.step_seconds)


def learned(state: OtpState, user: str | None) -> Iterator[str]:
    """The most common reason why a phone that shows the right time is refused."""
    if not state.skew_seconds or state.method != "totp":
        return
    where = "behind" if state.skew_seconds < 0 else "ahead"
    yield (
        f"PAM has learned that the phone is {abs(state.skew_seconds)} s {where} (TIME_SKEW), and "
        "expects it to stay so. Once both clocks are right, have it forget that:"
    )
    whose = f"--user {shlex.quote(user)} " if user else ""
    yield f"  fidokit otp verify {whose}--clear-skew"


def why(verdict: CodeVerdict, method: str | None, step: int) -> Iterator[str]:
    """Why a code lets nobody in."""
    if verdict.judgment == "used":
        yield f"Used already: wait for the next code, up to {step} s."
    elif verdict.judgment == "elsewhere" and method == "hotp":
        yield f"Not now: the app is {verdict.distance} codes ahead of the counter here."
        yield "`fidokit otp verify --resync` finds it by two or three codes in a row."
    elif verdict.judgment == "elsewhere":
        yield "Not now: it is this secret's code of another time."
        yield _clocks(verdict.distance * step)
    else:
        yield "Wrong: mistyped, of another account, or of an older secret."


def _clocks(seconds: int) -> str:
    behind = "behind" if seconds < 0 else "ahead of"
    hours, rest = divmod(abs(seconds) + 90, 1800)
    if hours and rest <= 180:
        amount = f"{hours / 2:g} h"
        remedy = "Its time zone or daylight saving looks wrong: let it set both by itself."
    else:
        amount = f"{abs(seconds)} s"
        remedy = "Let the phone set its clock by itself, and look at this one with `timedatectl`."
    return f"The phone's clock is about {amount} {behind} this machine's. {remedy}"
