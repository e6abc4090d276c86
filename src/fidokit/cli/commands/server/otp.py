"""`fidokit otp`: enroll, verify, recover."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.commands.server.otp_text import learned, told, told_state, why
from fidokit.cli.options import verb
from fidokit.cli.render import Lines, show
from fidokit.cli.settings import Settings
from fidokit.errors import FidokitError, UsageError
from fidokit.prompt import questions
from fidokit.prompt.text import escape, is_fancy, note

if TYPE_CHECKING:
    from segno import QRCode

    from fidokit.server.otp.enrollment import OtpPlan, OtpState
    from fidokit.server.otp.pam import SecretPlace

TRIES = 3
NOTHING_WRITTEN = "nothing was set up: the app's codes are not this secret's"

QR_MARGIN = 2
"""Light modules around; the standard's 4 would not fit 24 lines, and phones do with 2."""

_BLACK, _WHITE = 16, 231  # of the 256 colors those two that no theme changes
_INVERSE = str.maketrans(" \u2588\u2580\u2584", "\u2588 \u2584\u2580")
_SGR = re.compile(r"\x1b\[[0-9;]*m")


def _place_options(command: Callable[..., None]) -> Callable[..., None]:
    """Where the secrets are: as PAM's line says, or as its line is going to say."""
    pam = click.option(
        "--pam-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="The PAM service whose line names the file of secrets.  [default: sshd's own]",
    )
    own = click.option(
        "--secret-file",
        metavar="PATTERN",
        help="The file where root keeps secrets, such as '/var/lib/otp/${USER}'.  [default: as "
        "PAM says]",
    )
    return own(pam(command))


def _place(secret_file: str | None, pam_file: Path | None) -> SecretPlace:
    from fidokit.server.otp.pam import SecretPlace, place_of
    from fidokit.server.otp.sshd_service import service_of_sshd

    if secret_file:
        return SecretPlace.of_root(secret_file)
    if pam_file is None:
        service = service_of_sshd()
        if service.doubt:
            note(f"warning: {service.doubt}")
        pam_file = service.path
    return place_of(pam_file)


_user_option = click.option(
    "--user", metavar="NAME", help="The user on this machine.  [default: you]"
)
_code_file_option = click.option(
    "--code-file", metavar="FILE", help="Read the code from FILE (- is standard input)."
)
_codes_file_option = click.option(
    "--codes-file",
    metavar="FILE",
    help="Write the emergency codes to FILE instead of showing them.",
)


@verb()
@_user_option
@click.option("--hotp", is_flag=True, help="Use a counter, not the clock.")
@click.option(
    "--window",
    metavar="N",
    type=click.IntRange(1, 100),
    help="How many codes are accepted, including the current one.  [default: 3; 10 with --hotp]",
)
@click.option(
    "--rate-limit",
    metavar="N/SECONDS|none",
    default="3/30",
    show_default=True,
    help="The most logins in that time, including failed ones.",
)
@click.option("--allow-reuse", is_flag=True, help="Accept the same code more than once.")
@click.option(
    "--issuer", metavar="TEXT", help="The issuer that the app shows.  [default: the machine's name]"
)
@click.option(
    "--label", metavar="TEXT", help="The account that the app shows.  [default: user@machine]"
)
@click.option(
    "--emergency-codes",
    metavar="N",
    type=click.IntRange(0, 100),
    default=5,
    show_default=True,
    help="The number of codes for a lost phone; each works once.",
)
@click.option(
    "--qr",
    type=click.Choice(["terminal", "none"]),
    default="terminal",
    show_default=True,
    help="Show the QR code here.",
)
@click.option("--qr-file", metavar="F.png|F.svg", help="Write the QR code to a file, mode 0600.")
@_codes_file_option
@click.option("--no-confirm", is_flag=True, help="Do not ask for a code from the app.")
@click.option("--force", is_flag=True, help="Replace an existing secret and existing files.")
@_place_options
def enroll(
    settings: Settings,
    *,
    user: str | None,
    hotp: bool,
    window: int | None,
    rate_limit: str,
    allow_reuse: bool,
    issuer: str | None,
    label: str | None,
    emergency_codes: int,
    qr: str,
    qr_file: str | None,
    codes_file: str | None,
    no_confirm: bool,
    force: bool,
    secret_file: str | None,
    pam_file: Path | None,
) -> None:
    """Set up one-time codes for a user who has no token.

    Shows a secret for an authenticator app, asks for a code from the app, and writes
    ~/.google_authenticator, which libpam-google-authenticator reads at login. A token is a better
    second factor, because it cannot be phished.
    """
    from fidokit.server.otp.enrollment import OtpRequest, plan_otp, save_otp, write_qr

    _check_places(settings, qr_file, codes_file, emergency_codes, force=force)
    request = OtpRequest(
        user,
        hotp,
        window,
        _rate_limit(rate_limit),
        allow_reuse,
        issuer,
        label,
        emergency_codes,
        force,
        _place(secret_file, pam_file),
    )
    plan = plan_otp(request)
    if not settings.json:
        _show_secret(plan, draw=qr == "terminal", in_file=qr_file is not None)
    with ExitStack() as undo:
        if qr_file:
            write_qr(plan.uri, Path(qr_file), force=force)
            undo.callback(Path(qr_file).unlink)  # else a secret stays that opens nothing
        plan = plan if no_confirm else _confirmed(plan)
        state = save_otp(plan)
        undo.pop_all()
    if qr_file and not settings.json:
        print(f"The QR code is in {escape(qr_file)}: delete it when it was scanned.")
    _give_codes(plan.content.emergency_codes, codes_file, settings, force=force)
    files = {"qr_file": qr_file, "codes_file": codes_file}
    show(settings, {"otp": {**schema.otp(state), **files}}, Lines(list(told_state(state))))


@verb()
@_user_option
@_code_file_option
@click.option("--burn", is_flag=True, help="Use up the code, as a login would.")
@click.option(
    "--resync", is_flag=True, help="Find the counter from two or three consecutive codes (--hotp)."
)
@click.option(
    "--clear-skew", is_flag=True, help="Forget what PAM has learned of the phone's clock."
)
@_place_options
def verify(
    settings: Settings,
    *,
    user: str | None,
    code_file: str | None,
    burn: bool,
    resync: bool,
    clear_skew: bool,
    secret_file: str | None,
    pam_file: Path | None,
) -> None:
    """Check whether a code would let a user in, and if not, why.

    Does not use up the code unless you give --burn. With --resync, give two or three codes that the
    app shows one after the other, on one line, to find its counter.
    """
    from fidokit.server.otp.enrollment import forget_skew, lets_in, otp_state, verify_otp

    place = _place(secret_file, pam_file)
    state = otp_state(user, place)  # nobody types a code for what is not there
    if clear_skew:
        cleared = forget_skew(user, place)
        show(settings, {"otp": schema.otp(cleared)}, Lines([_forgotten(state.skew_seconds)]))
    if resync:
        _resync(settings, user, code_file, place)
    if resync or clear_skew:
        return
    verdict, state = verify_otp(_code(code_file), user, burn=burn, place=place)
    data = {"otp": schema.otp(state), "code": schema.otp_code(verdict, state)}
    show(settings, data, Lines([*told(verdict, state), *learned(state, user)]))
    if not lets_in(verdict, state):
        raise click.exceptions.Exit(1)


def _resync(
    settings: Settings, user: str | None, code_file: str | None, place: SecretPlace
) -> None:
    from fidokit.server.otp.enrollment import resync_otp

    state = resync_otp(_codes_in_a_row(code_file), user, place)
    show(
        settings,
        {"otp": schema.otp(state)},
        Lines([f"The counter stands at {state.counter} now."]),
    )


def _forgotten(seconds: int) -> str:
    if not seconds:
        return "The PAM module had learned no difference between the clocks."
    return "The PAM module takes the codes of this machine's clock again."


@verb()
@_user_option
@click.option(
    "--emergency-codes",
    metavar="N",
    type=click.IntRange(0, 100),
    default=5,
    show_default=True,
    help="The number of codes.",
)
@_codes_file_option
@click.option("--left", is_flag=True, help="Only show how many are left.")
@click.option("--use", is_flag=True, help="Use up one code instead, as a login would.")
@_code_file_option
@click.option("--force", is_flag=True, help="Replace an existing file.")
@_place_options
def recover(
    settings: Settings,
    *,
    user: str | None,
    emergency_codes: int,
    codes_file: str | None,
    left: bool,
    use: bool,
    code_file: str | None,
    force: bool,
    secret_file: str | None,
    pam_file: Path | None,
) -> None:
    """Give a user new emergency codes, or use one up.

    The old codes stop working. The new codes are shown once. With --use, asks for one of the old
    codes and uses it up instead.
    """
    from fidokit.server.otp.enrollment import new_emergency_codes, otp_state

    place = _place(secret_file, pam_file)
    if left:
        state = otp_state(user, place)
    elif use:
        state = _use_up(user, code_file, place)
    else:
        _check_places(settings, "", codes_file, emergency_codes, force=force)
        codes, state = new_emergency_codes(emergency_codes, user, place=place)
        _give_codes(codes, codes_file, settings, force=force)
    count = state.emergency_codes
    data = {"otp": {**schema.otp(state), "codes_file": codes_file}}
    show(settings, data, Lines([f"{count} emergency code{'' if count == 1 else 's'} left."]))


# --- what is asked -------------------------------------------------------------------------


def _rate_limit(text: str) -> tuple[int, int] | None:
    if text == "none":
        return None
    attempts, _, seconds = text.partition("/")
    if not all(part.isascii() and part.isdigit() and len(part) < 5 for part in (attempts, seconds)):
        raise UsageError(f"--rate-limit {text!r} is not N/SECONDS", hint="such as 3/30, or none")
    if not (1 <= int(attempts) <= 100 and 1 <= int(seconds) <= 3600):
        raise UsageError(
            "the PAM module takes a rate limit of 1 to 100 logins in 1 to 3600 seconds"
        )
    return int(attempts), int(seconds)


def _check_places(
    settings: Settings,
    qr_file: str | None,
    codes_file: str | None,
    codes: int,
    *,
    force: bool,
) -> None:
    """Refuse before there is a secret what would lose it afterwards."""
    if settings.json and qr_file is None:
        raise UsageError("there are no secrets in JSON", hint="write the QR code with --qr-file")
    if settings.json and codes and codes_file is None:
        raise UsageError(
            "there are no secrets in JSON", hint="say --codes-file FILE, or --emergency-codes 0"
        )
    if qr_file and Path(qr_file).suffix.lower() not in {".png", ".svg"}:
        raise UsageError(f"{qr_file} ends neither in .png nor in .svg", hint="name it so")
    from fidokit.server.otp.enrollment import check_otp_files

    check_otp_files(*(Path(name) for name in (qr_file, codes_file) if name), force=force)


def _code(code_file: str | None) -> str:
    if code_file is not None:
        return questions.read_secret(code_file, "code")
    return _typed("Code: ")


def _typed(prompt: str) -> str:
    answer = questions.ask_line(prompt)
    if answer is None:
        raise UsageError("a code is needed, and nobody can be asked", hint="say --code-file FILE")
    return answer


def _codes_in_a_row(code_file: str | None) -> list[str]:
    if code_file is not None:
        return questions.read_secret(code_file, "codes").split()
    codes = [_typed("Code: "), _typed("The next code: "), _typed("And the next (or nothing): ")]
    return [code for code in codes if code.strip()]


def _confirmed(plan: OtpPlan) -> OtpPlan:
    """The plan after a right code of the app."""
    from fidokit.server.otp.enrollment import confirm_otp

    for _ in range(TRIES):
        answer = questions.ask_line("Code that the app shows: ")
        if answer is None:
            raise UsageError("nobody can be asked for a code", hint="say --no-confirm")
        try:
            verdict, after = confirm_otp(plan, answer)
        except UsageError as error:
            note(f"{error.message}.")
            continue
        if verdict.is_accepted:
            return after
        note("\n".join(why(verdict, after.content.method, after.content.step_seconds)))
    raise FidokitError(NOTHING_WRITTEN, hint="try again; --no-confirm leaves the question out")


def _use_up(user: str | None, code_file: str | None, place: SecretPlace) -> OtpState:
    from fidokit.server.otp.codes import EMERGENCY_DIGITS
    from fidokit.server.otp.enrollment import lets_in, otp_state, verify_otp

    otp_state(user, place)
    code = questions.read_secret(code_file, "code") if code_file else _typed("Emergency code: ")
    if len("".join(code.split())) != EMERGENCY_DIGITS:
        raise UsageError(f"an emergency code has {EMERGENCY_DIGITS} digits")
    verdict, state = verify_otp(code, user, burn=True, place=place)
    if not verdict.is_accepted:
        raise FidokitError("that is none of the emergency codes that are left")
    if not lets_in(verdict, state):
        raise FidokitError("\n".join(told(verdict, state)), hint="the code was not used up")
    return state


# --- what is shown -------------------------------------------------------------------------


def _show_secret(plan: OtpPlan, *, draw: bool, in_file: bool) -> None:
    import shutil

    from fidokit.server.otp.enrollment import qr_code

    lines = qr_lines(qr_code(plan.uri)) if draw else []
    if any(len(re.sub(_SGR, "", line)) > shutil.get_terminal_size().columns for line in lines):
        note("The terminal is too narrow for the QR code: type the key, or use --qr-file.")
    elif draw:
        print("\n".join(lines))
    if draw or not in_file:
        key = plan.content.base32
        groups = " ".join(key[at : at + 4] for at in range(0, len(key), 4))
        print(f"Key, if the app cannot scan: {groups}", flush=True)


def qr_lines(code: QRCode, environ: Mapping[str, str] = os.environ) -> list[str]:
    """A QR code as segno draws it, dark on light; none where no phone could read what is printed.

    Args:
        code: of segno's.
        environ: NO_COLOR, and COLORFGBG, by which a terminal says that its ground is light.
    """
    colors = is_fancy(sys.stdout) and not environ.get("NO_COLOR")
    blocks = _can_print("".join(map(chr, _INVERSE)))
    if not colors and not blocks:
        return []
    drawn = io.StringIO()
    code.terminal(drawn, border=QR_MARGIN, compact=blocks)
    if not blocks:  # two spaces a module, on a ground that no theme changes
        text = drawn.getvalue().replace("\x1b[7m", f"\x1b[48;5;{_WHITE}m")
        return text.replace("\x1b[49m", f"\x1b[48;5;{_BLACK}m").splitlines()
    lines = drawn.getvalue().splitlines()  # what is light is drawn: right where the ground is dark
    if colors:
        return [f"\x1b[38;5;{_WHITE};48;5;{_BLACK}m{line}\x1b[0m" for line in lines]
    ground = environ.get("COLORFGBG", "").rpartition(";")[2]
    is_light = ground == "7" or (ground.isdigit() and 9 <= int(ground) <= 15)
    return [line.translate(_INVERSE) for line in lines] if is_light else lines


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _give_codes(
    codes: Sequence[str], codes_file: str | None, settings: Settings, *, force: bool
) -> None:
    from fidokit.server.otp.enrollment import write_codes

    if codes_file is not None:
        write_codes(codes, Path(codes_file), force=force)
        if not settings.json:
            print(f"The emergency codes are in {escape(codes_file)}.")
    elif codes and not settings.json:
        print("Emergency codes, shown this once; write them down:")
        print("\n".join(f"  {code}" for code in codes))
