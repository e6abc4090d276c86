"""One-time codes at a real login: stock ssh on a terminal, stock sshd, the real PAM module.

As root: sshd runs with users, homes and PAM services of the test's own (tests/support/private_etc).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyotp
import pytest
from tests.server.otp.test_format import LIVED_IN
from tests.support.otp_desk import ENROLL, PROMPT, SECRET, Desk, otp_desk
from tests.support.private_etc import USER
from tests.support.typist import converse

from fidokit.server.otp.format import Method, OtpFile, RateLimit, Rules, compose, parse

pytestmark = [
    pytest.mark.interop,
    pytest.mark.root,
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, stock: Callable[[str], str]) -> Iterator[Desk]:
    with otp_desk(tmp_path_factory.mktemp("otp"), stock) as made:
        yield made


# --- by the clock --------------------------------------------------------------------------


def test_a_code_lets_in_once(desk: Desk) -> None:
    desk.enroll()
    code = desk.totp()
    assert desk.verifies(code), "looking at it uses nothing up"
    assert desk.lets_in(code)
    assert not desk.verifies(code)
    assert not desk.lets_in(code)
    used = desk.content().used_steps
    assert used is not None
    assert len(used) == 1
    assert desk.lets_in(desk.totp(1))


def test_neither_key_nor_code_alone(desk: Desk) -> None:
    desk.enroll()
    only_code = desk.ssh(desk.totp(), "-oPreferredAuthentications=keyboard-interactive")
    only_key = desk.ssh(desk.totp(), "-oPreferredAuthentications=publickey")
    password = desk.ssh(desk.totp(), "-oPreferredAuthentications=publickey,password")
    for seen in (only_code, only_key, password):
        assert seen.status == 255
        assert PROMPT not in seen.text
        assert "Permission denied" in seen.text
    assert desk.lets_in(desk.totp())


@pytest.mark.parametrize("code", ["000000", "00000000", "x", "", "12345", "1234567"])
def test_wrong_codes(desk: Desk, code: str) -> None:
    desk.put(compose(SECRET, Method.TOTP, Rules(1, None, reuse=False), ()).encode())
    assert not desk.lets_in(code)


def test_a_burnt_code_is_refused(desk: Desk) -> None:
    desk.enroll()
    code = desk.totp()
    assert desk.verifies(code, "--burn")
    assert not desk.lets_in(code)


def test_reuse_where_it_is_allowed(desk: Desk) -> None:
    desk.enroll("--allow-reuse")
    code = desk.totp()
    assert desk.lets_in(code)
    assert desk.lets_in(code)


def test_a_clock_that_is_wrong_is_explained(desk: Desk) -> None:
    desk.enroll()
    code = desk.totp(-120)
    assert not desk.lets_in(code)
    done = desk.fidokit("verify", "--code-file", "-", text=code)
    assert "about 1 h behind" in done.stdout
    early = desk.totp(-5)
    assert desk.verifies(early)
    assert desk.lets_in(early)


def test_the_difference_that_the_module_learned(desk: Desk) -> None:
    desk.put(
        compose(SECRET, Method.TOTP, Rules(17, None, reuse=True), ())
        .with_option("TIME_SKEW", "-300")
        .encode()
    )
    for steps, right in ((-300, True), (0, False), (300, False)):
        code = desk.totp(steps)
        assert desk.verifies(code) is right
        assert desk.lets_in(code) is right


def test_the_rate_limit_refuses_even_right_codes(desk: Desk) -> None:
    desk.enroll("--rate-limit", "2/3600")
    assert not desk.lets_in("000000")
    assert desk.lets_in(desk.totp())
    seen = desk.ssh(desk.totp(1))
    assert seen.status == 255
    assert desk.content().rate_limit == RateLimit(2, 3600)


# --- by a counter --------------------------------------------------------------------------


def test_a_counter_and_its_window(desk: Desk) -> None:
    desk.enroll("--hotp", "--window", "3")
    assert desk.lets_in(desk.hotp(1))
    assert desk.content().counter == 2
    assert not desk.lets_in(desk.hotp(1))
    assert desk.content().counter == 3, "the module moves on at wrong codes"
    assert desk.lets_in(desk.hotp(5)), "3, 4 and 5 are in the window"
    assert desk.content().counter == 6


def test_the_windows_edges_are_the_modules(desk: Desk) -> None:
    desk.enroll("--hotp", "--window", "4")
    start = desk.content()
    for ahead, right in ((0, True), (3, True), (4, False)):
        desk.put(start.with_counter(20).encode())
        code = desk.hotp(20 + ahead)
        assert desk.verifies(code) is right
        assert desk.lets_in(code) is right
        assert desk.content().counter == (21 + ahead if right else 21)


def test_an_app_that_ran_ahead_comes_back(desk: Desk) -> None:
    desk.enroll("--hotp")
    assert not desk.lets_in(desk.hotp(40))
    row = f"{desk.hotp(41)} {desk.hotp(42)}"
    done = desk.fidokit("verify", "--resync", "--code-file", "-", text=row)
    assert done.stdout == "The counter stands at 43 now.\n"
    assert desk.lets_in(desk.hotp(43))
    assert not desk.lets_in(desk.hotp(42))


# --- emergency codes -----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["--hotp", "--allow-reuse"])
def test_an_emergency_code_lets_in_once(desk: Desk, method: str) -> None:
    desk.enroll(method)
    first, *others = desk.content().emergency_codes
    assert desk.lets_in(first)
    assert desk.content().emergency_codes == tuple(others)
    assert not desk.lets_in(first)
    assert "4 emergency codes left" in desk.fidokit("recover", "--left").stdout


def test_new_emergency_codes(desk: Desk) -> None:
    desk.enroll()
    old = desk.content().emergency_codes[0]
    shown = re.findall(r"^  (\d{8})$", desk.fidokit("recover").stdout, re.MULTILINE)
    assert tuple(shown) == desk.content().emergency_codes
    assert not desk.lets_in(old)
    assert desk.lets_in(shown[4])
    use = desk.fidokit("recover", "--use", "--code-file", "-", text=shown[0])
    assert use.stdout == "3 emergency codes left.\n"
    assert not desk.lets_in(shown[0])


# --- enrolling as a person does ------------------------------------------------------------


def shown_key(text: str) -> str:
    found = re.search(r"cannot scan: ([A-Z2-7 ]+)", text)
    assert found
    return found[1].replace(" ", "")


def test_enrolled_on_a_terminal_and_logged_in(desk: Desk) -> None:
    """The app's code confirms, after one that is an hour early; the same one may log in."""
    desk.file.unlink(missing_ok=True)
    early = lambda seen: pyotp.TOTP(shown_key(seen)).at(int(time.time()) + 3600)  # noqa: E731
    right = lambda seen: pyotp.TOTP(shown_key(seen)).now()  # noqa: E731
    command = [sys.executable, "-m", "fidokit", "otp", "enroll", "--user", USER, "--window", "17"]
    seen = converse(
        desk.etc.within(command),
        [("shows: ", early), ("shows: ", right)],
        os.environ | {"TERM": "xterm"},
    )
    assert seen.status == 0, seen.text
    assert "about 1 h ahead" in seen.text
    assert re.findall(r"^  (\d{8})\r$", seen.text, re.MULTILINE) == list(
        desk.content().emergency_codes
    )
    assert desk.lets_in(pyotp.TOTP(shown_key(seen.text)).now())


def test_an_app_that_counts_confirms_and_logs_in_with_the_next(desk: Desk) -> None:
    desk.file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "fidokit", "otp", "enroll", "--user", USER, "--hotp"]
    seen = converse(
        desk.etc.within(command), [("shows: ", lambda seen: pyotp.HOTP(shown_key(seen)).at(1))]
    )
    assert seen.status == 0, seen.text
    assert desk.content().counter == 2
    assert desk.lets_in(desk.hotp(2))


# --- beside google-authenticator -----------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "method", "rules"),
    [
        (["-t", "-d", "-r3", "-R30", "-w3"], Method.TOTP, Rules(3, RateLimit(3, 30), False)),
        (["-t", "-D", "-u", "-w17"], Method.TOTP, Rules(17, None, True)),
        (["-c", "-r10", "-R60", "-w10"], Method.HOTP, Rules(10, RateLimit(10, 60), False)),
    ],
)
def test_stock_writes_what_we_write(
    desk: Desk, theirs: list[str], method: Method, rules: Rules
) -> None:
    wrote = stock_enrolled(desk, *theirs, "-e3")
    ours = compose(wrote.secret, method, rules, wrote.emergency_codes)
    assert sorted(ours.encode().splitlines()) == sorted(wrote.encode().splitlines())
    assert ours.secret == wrote.secret
    assert (ours.method, ours.window, ours.rate_limit) == (method, rules.window, rules.rate_limit)
    assert len(wrote.emergency_codes) == 3


def stock_enrolled(desk: Desk, *options: str) -> OtpFile:
    """What Debian's google-authenticator writes when the user runs it."""
    desk.file.unlink(missing_ok=True)
    command = ["google-authenticator", "--force", "--no-confirm", "--quiet", "--qr-mode=NONE"]
    if "-c" in options:
        command.remove("--no-confirm")
    done = subprocess.run(
        desk.etc.as_user([*command, *options]), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done
    return desk.content()


def test_stocks_file_under_our_commands(desk: Desk) -> None:
    stock_enrolled(desk, "-t", "-d", "-u", "-w17", "-e2")
    code = desk.totp()
    assert desk.verifies(code)
    assert desk.lets_in(code)
    assert not desk.verifies(code), "the module's DISALLOW_REUSE is read"
    assert desk.fidokit("recover").returncode == 0
    assert desk.lets_in(desk.content().emergency_codes[2])
    assert desk.lets_in(desk.totp(1))


# --- who is enrolled: the module agrees ----------------------------------------------------

GOOD = compose(SECRET, Method.TOTP, Rules(3, None, reuse=True), ["12345678"]).encode()


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        LIVED_IN.replace(b'" RATE_LIMIT 3 30', b'" RATE_LIMIT 100 30'),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.lower()
        .replace(b'" window_size', b'" WINDOW_SIZE')
        .replace(b"totp_auth", b"TOTP_AUTH"),
        b'MFRGG\n" HOTP_COUNTER 5\n12345678',
        b'M-F R0G18\n" TOTP_AUTH\n\n\n12345678\n',
    ],
)
def test_what_we_read_the_module_reads(desk: Desk, text: bytes) -> None:
    desk.put(text)
    assert parse(text).method
    assert desk.verifies("12345678")
    assert desk.lets_in("12345678")
    assert "12345678" not in desk.content().emergency_codes


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        (GOOD, 0o440),
        (GOOD, 0o404),
        (GOOD.replace(b"AAA", b"A!A", 1), 0o400),
        (b"\n" + GOOD, 0o400),
        (GOOD + b"\0", 0o400),
        (GOOD + b"\n" * 65536, 0o400),
        (GOOD.replace(b"WINDOW_SIZE 3", b"RATE_LIMIT 3"), 0o400),
        (GOOD.replace(b"WINDOW_SIZE 3", b"RATE_LIMIT 0 30"), 0o400),
    ],
)
def test_what_we_refuse_the_module_refuses(desk: Desk, text: bytes, mode: int) -> None:
    """Even an emergency code: verify says so, or does not read the file at all."""
    desk.put(text, mode)
    done = desk.fidokit("verify", "--code-file", "-", text="12345678")
    assert done.returncode in {1, 4}
    assert re.search("the PAM module refuses|lets nobody in", done.stdout + done.stderr)
    assert desk.ssh("12345678").status == 255


def test_nobody_gets_in_without_a_file(desk: Desk) -> None:
    desk.file.unlink(missing_ok=True)
    assert desk.ssh("123456").status == 255
    assert desk.fidokit("verify", "--code-file", "-", text="123456").returncode == 1


# --- another PAM service -------------------------------------------------------------------


def test_the_service_of_the_sshd_that_runs(tmp_path: Path, stock: Callable[[str], str]) -> None:
    """By its setting, or by its name where the version has none; nobody names it to us."""
    with otp_desk(tmp_path, stock, "codes", "secret=${HOME}/elsewhere") as other:
        other.etc.service("sshd", "auth required pam_deny.so\n")
        done = other.fidokit(*ENROLL, "--force")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert not other.file.exists()
        secret = parse((other.etc.home / "elsewhere").read_bytes())
        code = pyotp.TOTP(secret.base32).now()
        assert other.verifies(code)
        assert other.lets_in(code)
        assert not other.verifies(code)
