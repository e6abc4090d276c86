"""One-time codes for users without a token: TOTP and HOTP, in the PAM module's file."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from fidokit.errors import Unsupported, UsageError
from fidokit.files import atomic
from fidokit.files.keyfile import check_free
from fidokit.server.accounts import Account, account
from fidokit.server.otp import google_authenticator as on_disk
from fidokit.server.otp.codes import (
    CodeAt,
    CodeVerdict,
    Judgment,
    RandomBytes,
    after_use,
    emergency_codes,
    judge,
    read_code,
    resynchronized,
)
from fidokit.server.otp.format import Method, OtpFile, RateLimit, Rules, compose
from fidokit.server.otp.pam import HOME, SecretPlace

SECRET_BYTES: Final = 20
"""What RFC 4226 recommends, and as long as HMAC-SHA-1 makes use of."""

DEFAULT_RATE_LIMIT: Final = (3, 30)
TOTP_WINDOW: Final = 3
HOTP_WINDOW: Final = 10
"""Buttons get pressed in pockets: the module's own 3 would lock people out."""

LONGEST_NAME: Final = 100
_PNG_SCALE: Final = 8
_BORDER: Final = 4
"""Modules of light margin, which the QR standard demands."""


@dataclass(frozen=True)
class OtpRequest:
    """What to set up.

    Attributes:
        user: on this machine; None is whoever runs this.
        hotp: codes from a counter instead of the clock.
        window: see `fidokit.server.otp.format.Rules`; None for 3, or 10 with a counter.
        rate_limit: attempts and seconds; None for no limit.
        reuse: let a TOTP code in twice.
        issuer: what the app shows above the code; None for this machine's name.
        label: what it shows below; None for user@machine.
        emergency_codes: how many.
        force: replace what is there.
        place: where the PAM module looks.
    """

    user: str | None = None
    hotp: bool = False
    window: int | None = None
    rate_limit: tuple[int, int] | None = DEFAULT_RATE_LIMIT
    reuse: bool = False
    issuer: str | None = None
    label: str | None = None
    emergency_codes: int = 5
    force: bool = False
    place: SecretPlace = HOME


@dataclass(frozen=True)
class OtpPlan:
    """What `save_otp` will write; nothing is on the disk yet.

    Attributes:
        account: whose.
        content: the file; secrets.
        uri: otpauth://, what the QR code says; a secret.
        force: replace what is there.
        place: where the PAM module looks.
    """

    account: Account
    content: OtpFile = field(repr=False)
    uri: str = field(repr=False)
    force: bool
    place: SecretPlace = HOME

    @property
    def path(self) -> Path:
        """The file that will be written."""
        return self.place.path(self.account)


@dataclass(frozen=True)
class OtpState:
    """What a user has.

    Attributes:
        user: their name.
        path: the file.
        method: None if only emergency codes work.
        counter: of the next HOTP code; below 1 for TOTP.
        window, rate_limit: see `fidokit.server.otp.format.Rules`.
        step_seconds: how long a TOTP code lasts.
        reuse: whether a TOTP code may be used twice.
        emergency_codes: how many are left.
        problem: why the PAM module would refuse every code; empty if it would not.
        blocked_seconds: for how long it refuses every code, since the rate limit is used up; or 0.
        skew_seconds: by how much the phone's clock is ahead of this one, as the module has learned.
    """

    user: str
    path: Path
    method: Method | None
    counter: int
    window: int
    rate_limit: RateLimit | None
    step_seconds: int
    reuse: bool
    emergency_codes: int
    problem: str
    blocked_seconds: int = 0
    skew_seconds: int = 0


def lets_in(verdict: CodeVerdict, state: OtpState) -> bool:
    """Whether PAM would let this code in now: it is right, and nothing else is wrong."""
    return verdict.is_accepted and not state.problem and not state.blocked_seconds


def plan_otp(
    request: OtpRequest, *, random: RandomBytes = os.urandom, hostname: str | None = None
) -> OtpPlan:
    """Make a secret and emergency codes, and write nothing.

    Args:
        request: whose codes, and of what kind.
        random: random bytes; a test's own.
        hostname: None for this machine's.

    Raises:
        FileInTheWay: the user has a file already. UsageError: an impossible wish.
        Unsupported: the extra `otp` is not installed. NoPermission: of another user, and not root.
    """
    _extra("pyotp")
    user = account(request.user)
    if not request.force:
        on_disk.check_free(user, request.place)
    method = Method.HOTP if request.hotp else Method.TOTP
    codes = emergency_codes(request.emergency_codes, random)
    content = compose(random(SECRET_BYTES), method, _rules(request), codes)
    uri = _uri(request, content, user, hostname)
    return OtpPlan(user, content, uri, request.force, request.place)


def confirm_otp(
    plan: OtpPlan, code: str, *, now: float | None = None
) -> tuple[CodeVerdict, OtpPlan]:
    """Whether the app shows the right codes, and the plan after that: a counter moves on.

    Args:
        plan: not saved yet.
        code: as a user types it.
        now: seconds since 1970; None for this machine's clock.

    Raises:
        UsageError: it cannot be a code.
    """
    code = read_code(code)
    bare = plan.content.with_codes(())  # an emergency code would prove nothing about the app
    verdict = judge(bare, code, time.time() if now is None else now, _code_at(bare))
    if not verdict.is_accepted or bare.method is not Method.HOTP:
        return verdict, plan
    return verdict, replace(plan, content=after_use(plan.content, code, verdict))


def save_otp(plan: OtpPlan) -> OtpState:
    """Write the user's file, mode 0400.

    Raises:
        FileInTheWay: there is one by now; WouldOverwrite: a link or the like has its name.
        NoPermission, FidokitError: the disk refused.
    """
    on_disk.create(plan.account, plan.content, force=plan.force, place=plan.place)
    return _state(plan.account, plan.content, plan.place)


def otp_state(user: str | None = None, place: SecretPlace = HOME) -> OtpState:
    """What a user has.

    Args:
        user: None is whoever runs this.
        place: where the PAM module looks; see `pam.place_of`.

    Raises:
        NotEnrolled: nothing; MalformedFile: what the PAM module would not take.
        NoPermission: of another user, and not root.
    """
    found = account(user)
    return _state(found, on_disk.load(found, place), place)


def verify_otp(
    code: str,
    user: str | None = None,
    *,
    burn: bool = False,
    now: float | None = None,
    place: SecretPlace = HOME,
) -> tuple[CodeVerdict, OtpState]:
    """What the PAM module would make of a code, and what the user has after that.

    Whether it would let the user in, `lets_in` says of both.

    Args:
        code: as a user types it.
        user: None is whoever runs this.
        burn: use the code up, as a login would.
        now: seconds since 1970; None for this machine's clock.
        place: where the PAM module looks.

    Raises:
        NotEnrolled: the user has none. MalformedFile: what the PAM module would not take.
        UsageError: it cannot be a code. Unsupported: without the extra `otp`.
        NoPermission: of another user, and not root.
    """
    _extra("pyotp")
    code, found = read_code(code), account(user)
    at = time.time() if now is None else now
    content = on_disk.load(found, place)
    verdict = judge(content, code, at, _code_at(content))
    state = _judged(_state(found, content, place, at), verdict, found, place)
    if not burn or not lets_in(verdict, state):
        return verdict, state

    def use(fresh: OtpFile) -> OtpFile:
        nonlocal verdict  # of the file that is changed: somebody may have used the code meanwhile
        verdict = judge(fresh, code, at, _code_at(fresh))
        return after_use(fresh, code, verdict)

    return verdict, _state(found, on_disk.edit(found, use, place), place, at)


def _judged(state: OtpState, verdict: CodeVerdict, user: Account, place: SecretPlace) -> OtpState:
    """With what stands against an emergency code alone, which the module strikes out."""
    if verdict.judgment is not Judgment.EMERGENCY or state.problem:
        return state
    return replace(state, problem=on_disk.unwritable(user, place))


def next_code(content: OtpFile, now: float) -> str | None:
    """A code that the PAM module would take now, for a trial; None if none can be computed.

    Args:
        content: a user's file; a secret, and so is the code.
        now: seconds since 1970.
    """
    emergency = next(iter(content.emergency_codes), None)
    try:
        code_at = _code_at(content)
    except Unsupported:
        return emergency
    if content.method is Method.HOTP:
        return code_at(content.counter)
    if content.method is None:
        return emergency
    middle = int(now) // content.step_seconds + content.skew
    reach = range(-((content.window - 1) // 2), content.window // 2 + 1)
    steps = [middle + away for away in sorted(reach, key=lambda away: (abs(away), -away))]
    free = [step for step in steps if step not in (content.used_steps or ())]
    return code_at(free[0]) if free else emergency


def forget_skew(user: str | None = None, place: SecretPlace = HOME) -> OtpState:
    """Take back what the PAM module has learned of the phone's clock (TIME_SKEW).

    Args:
        user: None is whoever runs this.
        place: where the PAM module looks.

    Raises:
        NotEnrolled: the user has none. MalformedFile: what the PAM module would not take.
        NoPermission: of another user, and not root.
    """
    found = account(user)
    return _state(found, on_disk.edit(found, OtpFile.without_skew, place), place)


def resync_otp(
    codes: Sequence[str], user: str | None = None, place: SecretPlace = HOME
) -> OtpState:
    """Put a HOTP counter behind codes that the app showed one after the other.

    Args:
        codes: two or three.
        user: None is whoever runs this.
        place: where the PAM module looks.

    Raises:
        FidokitError: the codes do not follow each other ahead of the counter.
        NotEnrolled: the user has none. UsageError: one cannot be a code, or the file is for TOTP.
        Unsupported: without the extra `otp`. NoPermission: of another user, and not root.
    """
    _extra("pyotp")
    read, found = [read_code(code) for code in codes], account(user)
    after = on_disk.edit(found, lambda file: resynchronized(file, read, _code_at(file)), place)
    return _state(found, after, place)


def new_emergency_codes(
    count: int,
    user: str | None = None,
    *,
    random: RandomBytes = os.urandom,
    place: SecretPlace = HOME,
) -> tuple[tuple[str, ...], OtpState]:
    """Give a user new emergency codes; the old ones no longer work.

    Args:
        count: how many; none takes them away.
        user: None is whoever runs this.
        random: random bytes; a test's own.
        place: where the PAM module looks.

    Raises:
        NotEnrolled: the user has none. MalformedFile: what the PAM module would not take.
        NoPermission: of another user, and not root.
    """
    codes, found = emergency_codes(count, random), account(user)
    after = on_disk.edit(found, lambda content: content.with_codes(codes), place)
    return codes, _state(found, after, place)


def check_otp_files(*paths: Path, force: bool = False) -> None:
    """Refuse files that cannot be written before there is a secret that would be lost.

    Raises:
        FileInTheWay: some are taken, and `force` is not given. WouldOverwrite: one is not a file.
        NoPermission, UsageError: a folder cannot be written to, or there is none.
    """
    check_free(*paths, force=force)


def qr_code(uri: str) -> Any:
    """A QR code of segno's (`segno.QRCode`), as small as it gets.

    Raises:
        Unsupported: without the extra `otp`.
    """
    return _extra("segno").make(uri, error="l", micro=False)


def write_qr(uri: str, path: Path, *, force: bool = False) -> None:
    """Write a QR code as PNG or SVG, by the name's ending, mode 0600.

    Raises:
        UsageError: another ending. FileInTheWay: the name is taken.
        Unsupported: without the extra `otp`. NoPermission, FidokitError: the disk refused.
    """
    kind = path.suffix.lower().lstrip(".")
    if kind not in {"png", "svg"}:
        raise UsageError(f"{path} ends neither in .png nor in .svg", hint="name it so")
    image = BytesIO()
    qr_code(uri).save(image, kind=kind, scale=_PNG_SCALE, border=_BORDER, light="white")
    _write(path, image.getvalue(), force=force)


def write_codes(codes: Sequence[str], path: Path, *, force: bool = False) -> None:
    """Write emergency codes, one a line, mode 0600; raises what `write_qr` raises."""
    _write(path, "".join(f"{code}\n" for code in codes).encode("ascii"), force=force)


def _write(path: Path, data: bytes, *, force: bool) -> None:
    write = atomic.replace if force else atomic.write_new
    write(path, data)


def _state(
    user: Account, content: OtpFile, place: SecretPlace, now: float | None = None
) -> OtpState:
    return OtpState(
        user.name,
        place.path(user),
        content.method,
        content.counter,
        content.window,
        content.rate_limit,
        content.step_seconds,
        content.used_steps is None,
        len(content.emergency_codes),
        on_disk.problem(user, place),
        content.blocked_for(time.time() if now is None else now),
        content.skew * content.step_seconds,
    )


def _rules(request: OtpRequest) -> Rules:
    if request.hotp and request.reuse:
        raise UsageError("a counter never gives a code twice", hint="leave out --allow-reuse")
    window = request.window or (HOTP_WINDOW if request.hotp else TOTP_WINDOW)
    limit = RateLimit(*request.rate_limit) if request.rate_limit else None
    return Rules(window, limit, request.reuse)


def _uri(request: OtpRequest, content: OtpFile, user: Account, hostname: str | None) -> str:
    host = hostname or socket.gethostname()
    issuer = host if request.issuer is None else request.issuer
    label = f"{user.name}@{host}" if request.label is None else request.label
    for what, text in (("issuer", issuer), ("label", label)):
        if not text or len(text) > LONGEST_NAME or ":" in text or not text.isprintable():
            raise UsageError(
                f"{text!r} cannot be a {what}",
                hint=f"use 1 to {LONGEST_NAME} visible characters without a colon",
            )
    pyotp = _extra("pyotp")
    if request.hotp:
        made = pyotp.HOTP(content.base32, initial_count=content.counter)
    else:
        made = pyotp.TOTP(content.base32)
    return str(made.provisioning_uri(name=label, issuer_name=issuer))


def _code_at(content: OtpFile) -> CodeAt:
    pyotp = _extra("pyotp")
    # secrets of 80 bits are not for new files, but older ones of google-authenticator have them
    made = type("AnyLength", (pyotp.HOTP,), {"min_secret_length_bits": 0})(content.base32)
    return lambda position: str(made.generate_otp(position))


def _extra(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise Unsupported(
            f"one-time codes need {name}, which is not installed",
            hint="`pip install 'fidokit[otp]'` adds it",
        ) from None
