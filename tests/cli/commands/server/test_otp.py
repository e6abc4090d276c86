"""`fidokit otp enroll|verify|recover`, as a person and as a script run them."""

from __future__ import annotations

import json
import re
import stat
import time
from pathlib import Path

import pyotp
import pytest
from tests.support.sandbox import Done, Sandbox

QUIET = ("otp", "enroll", "--no-confirm", "--qr", "none")
WIDE = ("--window", "17")
"""For tests that type the code of now: a slow machine takes a while until it is read."""


def secret_file(sandbox: Sandbox) -> Path:
    return sandbox.home / ".google_authenticator"


def secret(sandbox: Sandbox) -> str:
    return secret_file(sandbox).read_text().splitlines()[0]


def codes(sandbox: Sandbox) -> list[str]:
    return re.findall(r"^\d{8}$", secret_file(sandbox).read_text(), re.MULTILINE)


def enroll(sandbox: Sandbox, *more: str) -> Done:
    done = sandbox.run(*QUIET, *more)
    assert done.code == 0, done.err
    return done


def verify(sandbox: Sandbox, code: str, *more: str) -> Done:
    return sandbox.run("otp", "verify", "--code-file", "-", *more, stdin=code.encode() + b"\n")


def totp(sandbox: Sandbox, seconds: float = 0) -> str:
    return pyotp.TOTP(secret(sandbox)).at(int(time.time() + seconds))


def hotp(sandbox: Sandbox, count: int) -> str:
    return pyotp.HOTP(secret(sandbox)).at(count)


# --- enroll --------------------------------------------------------------------------------


def test_key_and_emergency_codes_are_shown_once(sandbox: Sandbox) -> None:
    done = enroll(sandbox)
    shown = re.search(r"Key, if the app cannot scan: ([A-Z2-7 ]+)\n", done.out)
    assert shown
    assert shown[1].replace(" ", "") == secret(sandbox)
    assert re.findall(r"^  (\d{8})$", done.out, re.MULTILINE) == codes(sandbox)
    assert len(codes(sandbox)) == 5
    assert stat.S_IMODE(secret_file(sandbox).stat().st_mode) == 0o400
    again = sandbox.run(*QUIET)
    assert again.code == 9
    assert "already exists" in again.err
    assert shown[1] not in again.out + again.err


def test_the_terminal_shows_a_qr_code_and_asks_for_a_code(sandbox: Sandbox) -> None:
    """The code is wrong three times: nothing is set up, and the picture goes."""
    done = sandbox.talk(
        *("otp", "enroll", "--qr-file", "code.png"),
        answers=[("shows: ", "x\n"), ("shows: ", "12345\n"), ("shows: ", "1234567\n")],
    )
    assert done.code == 1
    assert "\x1b[38;5;" in done.out
    assert "not a code" in done.out
    assert "nothing was set up" in done.out
    assert list(sandbox.home.iterdir()) == []


def test_a_terminal_that_is_too_narrow(sandbox: Sandbox) -> None:
    done = sandbox.talk("otp", "enroll", "--no-confirm", COLUMNS="20")
    assert done.code == 0
    assert "too narrow" in done.out
    assert "\u2580" not in done.out


def test_nobody_to_confirm(sandbox: Sandbox) -> None:
    done = sandbox.run("otp", "enroll")
    assert done.code == 2
    assert "--no-confirm" in done.err
    assert list(sandbox.home.iterdir()) == []


@pytest.mark.parametrize("name", ["code.png", "code.svg"])
def test_files(sandbox: Sandbox, name: str) -> None:
    done = enroll(sandbox, "--qr-file", name, "--codes-file", "codes")
    assert secret(sandbox) not in done.out.replace(" ", "")
    assert codes(sandbox)[0] not in done.out
    assert (sandbox.home / "codes").read_text().split() == codes(sandbox)
    for made in (name, "codes"):
        assert stat.S_IMODE((sandbox.home / made).stat().st_mode) == 0o600


def test_files_in_the_way_are_told_before_there_is_a_secret(sandbox: Sandbox) -> None:
    (sandbox.home / "codes").write_text("old")
    for more in (["--codes-file", "codes"], ["--qr-file", "nowhere/code.png"]):
        done = sandbox.run(*QUIET, *more)
        assert done.code in (1, 9)
        assert not secret_file(sandbox).exists()
    assert (sandbox.home / "codes").read_text() == "old"
    assert sandbox.run(*QUIET, "--qr-file", "code.gif").code == 2
    enroll(sandbox, "--codes-file", "codes", "--force")
    assert (sandbox.home / "codes").read_text() != "old"


def test_json_has_no_secrets(sandbox: Sandbox) -> None:
    wanted = ("--json", "--qr-file", "code.svg")
    assert sandbox.run(*QUIET, "--json").code == 2
    assert sandbox.run(*QUIET, *wanted).code == 2
    done = enroll(sandbox, *wanted, "--codes-file", "codes")
    assert secret(sandbox) not in done.out + done.err
    assert not any(code in done.out + done.err for code in codes(sandbox))
    assert json.loads(done.out)["otp"] == {
        "user": json.loads(done.out)["otp"]["user"],
        "path": str(secret_file(sandbox)),
        "method": "totp",
        "window": 3,
        "rate_limit": {"attempts": 3, "seconds": 30},
        "reuse": False,
        "emergency_codes": 5,
        "problem": "",
        "blocked_seconds": 0,
        "skew_seconds": 0,
        "qr_file": "code.svg",
        "codes_file": "codes",
    }


def test_rules(sandbox: Sandbox) -> None:
    enroll(
        sandbox,
        *("--window", "5", "--rate-limit", "10/60", "--allow-reuse", "--emergency-codes", "0"),
    )
    assert secret_file(sandbox).read_text().splitlines()[1:] == [
        '" RATE_LIMIT 10 60',
        '" WINDOW_SIZE 5',
        '" TOTP_AUTH',
    ]
    enroll(sandbox, *("--hotp", "--rate-limit", "none", "--emergency-codes", "0", "--force"))
    assert secret_file(sandbox).read_text().splitlines()[1:] == [
        '" WINDOW_SIZE 10',
        '" HOTP_COUNTER 1',
    ]


@pytest.mark.parametrize(
    "limit", ["", "3", "3/", "/30", "0/30", "101/30", "3/3601", "-3/30", "a/b"]
)
def test_rate_limits_that_the_module_refuses(sandbox: Sandbox, limit: str) -> None:
    assert sandbox.run(*QUIET, "--rate-limit", limit).code == 2
    assert not secret_file(sandbox).exists()


def test_a_user_that_is_not_there(sandbox: Sandbox) -> None:
    done = sandbox.run(*QUIET, "--user", "$(reboot)")
    assert done.code == 2
    assert "no user" in done.err


# --- verify --------------------------------------------------------------------------------


def test_right_and_wrong(sandbox: Sandbox) -> None:
    enroll(sandbox, *WIDE)
    done = verify(sandbox, totp(sandbox))
    assert (done.code, done.out) == (0, "Right.\n")
    done = verify(sandbox, codes(sandbox)[0])
    assert (done.code, done.out) == (0, "Right: an emergency code. 5 left.\n")
    done = verify(sandbox, "00000000")
    assert done.code == 1
    assert done.out.startswith("Wrong: ")
    assert verify(sandbox, "no code").code == 2


def test_on_a_terminal(sandbox: Sandbox) -> None:
    enroll(sandbox, *WIDE)
    done = sandbox.talk("otp", "verify", answers=[("Code: ", f"{totp(sandbox)}\n")])
    assert done.code == 0
    assert "Right." in done.out


def test_nobody_to_ask(sandbox: Sandbox) -> None:
    enroll(sandbox)
    done = sandbox.run("otp", "verify")
    assert done.code == 2
    assert "--code-file" in done.err


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3600, "about 1 h behind"),
        (7200, "about 2 h ahead of"),
        (-19800, "about 5.5 h behind"),
    ],
)
def test_clocks_are_explained(sandbox: Sandbox, seconds: int, said: str) -> None:
    enroll(sandbox)
    done = verify(sandbox, totp(sandbox, seconds))
    assert done.code == 1
    assert said in done.out
    assert "time zone" in done.out


def test_a_clock_that_is_a_little_late(sandbox: Sandbox) -> None:
    enroll(sandbox)
    done = verify(sandbox, totp(sandbox, -95))
    assert done.code == 1
    assert re.search(r"The phone's clock is about (90|120|150) s behind this machine's", done.out)
    enroll(sandbox, "--window", "17", "--force")
    done = verify(sandbox, totp(sandbox, 95))
    assert (done.code, done.out.splitlines()[0]) == (0, "Right.")
    assert re.search(r"about (60|90|120) s ahead", done.out)


def test_burnt(sandbox: Sandbox) -> None:
    enroll(sandbox, *WIDE)
    code = totp(sandbox)
    assert verify(sandbox, code, "--burn").code == 0
    done = verify(sandbox, code)
    assert done.code == 1
    assert done.out == "Used already: wait for the next code, up to 30 s.\n"


def test_json_of_verify(sandbox: Sandbox) -> None:
    enroll(sandbox)
    found = json.loads(verify(sandbox, "00000000", "--json").out)
    assert found["otp"]["emergency_codes"] == 5
    assert found["code"] == {
        "judgment": "wrong",
        "accepted": False,
        "ahead_seconds": None,
        "ahead_codes": None,
    }
    found = json.loads(verify(sandbox, totp(sandbox, -36000), "--json").out)
    assert found["code"]["ahead_seconds"] in (-36000, -36030)


def test_a_file_that_pam_refuses_is_told(sandbox: Sandbox) -> None:
    enroll(sandbox)
    secret_file(sandbox).chmod(0o444)
    done = verify(sandbox, codes(sandbox)[0])
    assert done.code == 1
    assert "It lets nobody in: the code is right, but others than" in done.out
    assert "Right codes let nobody in either" in verify(sandbox, "00000000").out
    advice = re.search(r"chmod 0400 (\S+?)\.\n", done.out)
    assert advice
    Path(advice[1]).chmod(0o400)
    assert verify(sandbox, codes(sandbox)[0]).code == 0


def test_a_rate_limit_that_is_used_up(sandbox: Sandbox) -> None:
    enroll(sandbox, "--rate-limit", "2/3600")
    now = int(time.time())
    text = secret_file(sandbox).read_text().replace("LIMIT 2 3600", f"LIMIT 2 3600 {now} {now}")
    secret_file(sandbox).chmod(0o600)
    secret_file(sandbox).write_text(text)
    done = verify(sandbox, codes(sandbox)[0], "--burn")
    assert done.code == 1
    assert re.search(
        r"too many logins were tried, and PAM refuses every code for another 3", done.out
    )
    assert secret_file(sandbox).read_text() == text
    found = json.loads(verify(sandbox, codes(sandbox)[0], "--json").out)
    assert found["code"]["judgment"] == "emergency"
    assert found["code"]["accepted"] is False
    assert found["otp"]["blocked_seconds"] > 3500


def test_a_difference_that_was_learned_is_explained_and_cleared(sandbox: Sandbox) -> None:
    enroll(sandbox)
    secret_file(sandbox).chmod(0o600)
    with secret_file(sandbox).open("a") as file:
        file.write('" TIME_SKEW -300\n" RESETTING_TIME_SKEW 1-2\n')
    done = verify(sandbox, totp(sandbox))
    assert done.code == 1
    assert "PAM has learned that the phone is 9000 s behind (TIME_SKEW)" in done.out
    command = re.search(r"^  fidokit (otp verify --clear-skew)\n", done.out, re.MULTILINE)
    assert command
    cleared = sandbox.run(*command[1].split())
    assert (cleared.code, cleared.err) == (0, "")
    assert "SKEW" not in secret_file(sandbox).read_text()
    assert verify(sandbox, codes(sandbox)[0]).code == 0
    assert "had learned no difference" in sandbox.run("otp", "verify", "--clear-skew").out


def test_a_secret_of_roots(sandbox: Sandbox) -> None:
    """PAM's line says where the secrets are, and all verbs look there."""
    service = sandbox.home / "service"
    (sandbox.home / "kept").mkdir()
    service.write_text(
        f"auth required pam_google_authenticator.so secret={sandbox.home}/kept/${{USER}}\n"
    )
    where = ("--pam-file", str(service))
    enroll(sandbox, *where)
    (path,) = (sandbox.home / "kept").iterdir()
    code = path.read_text().splitlines()[-1]
    assert not secret_file(sandbox).exists()
    assert verify(sandbox, code, *where).code == 0
    assert "5 emergency" in sandbox.run("otp", "recover", "--left", *where).out
    assert sandbox.run("otp", "verify", "--secret-file", "/var/lib/otp").code == 2


def test_a_counter_that_ran_ahead(sandbox: Sandbox) -> None:
    enroll(sandbox, "--hotp")
    done = verify(sandbox, hotp(sandbox, 31))
    assert done.code == 1
    assert "30 codes ahead" in done.out
    row = f"{hotp(sandbox, 31)} {hotp(sandbox, 32)}"
    done = verify(sandbox, row, "--resync")
    assert (done.code, done.out) == (0, "The counter stands at 33 now.\n")
    assert verify(sandbox, hotp(sandbox, 33)).code == 0
    done = sandbox.talk(
        *("otp", "verify", "--resync"),
        answers=[
            ("Code: ", f"{hotp(sandbox, 50)}\n"),
            ("next code: ", f"{hotp(sandbox, 51)}\n"),
            ("nothing): ", "\n"),
        ],
    )
    assert "at 52 now" in done.out
    done = verify(sandbox, row, "--resync")
    assert done.code == 1
    assert "do not follow each other" in done.err


def test_nothing_set_up(sandbox: Sandbox) -> None:
    for args in (["verify"], ["recover"], ["recover", "--left"], ["recover", "--use"]):
        done = sandbox.run("otp", *args)
        assert done.code == 1
        assert "no codes were set up" in done.err


# --- recover -------------------------------------------------------------------------------


def test_new_codes(sandbox: Sandbox) -> None:
    enroll(sandbox, *WIDE)
    old = codes(sandbox)
    done = sandbox.run("otp", "recover", "--emergency-codes", "3")
    assert re.findall(r"^  (\d{8})$", done.out, re.MULTILINE) == codes(sandbox)
    assert len(codes(sandbox)) == 3
    assert not set(codes(sandbox)) & set(old)
    assert done.out.endswith("3 emergency codes left.\n")
    assert verify(sandbox, totp(sandbox)).code == 0


def test_one_is_used_up(sandbox: Sandbox) -> None:
    enroll(sandbox, "--emergency-codes", "2")
    first, second = codes(sandbox)
    use = ("otp", "recover", "--use", "--code-file", "-")
    done = sandbox.run(*use, stdin=first.encode())
    assert (done.code, done.out) == (0, "1 emergency code left.\n")
    done = sandbox.run(*use, stdin=first.encode())
    assert done.code == 1
    assert "none of the emergency codes" in done.err
    assert sandbox.run(*use, stdin=totp(sandbox).encode()).code == 2
    assert codes(sandbox) == [second]


def test_how_many_are_left(sandbox: Sandbox) -> None:
    enroll(sandbox)
    assert sandbox.run("otp", "recover", "--left").out == "5 emergency codes left.\n"
    found = json.loads(sandbox.run("otp", "recover", "--left", "--json").out)
    assert found["otp"]["emergency_codes"] == 5


def test_json_of_recover_has_no_codes(sandbox: Sandbox) -> None:
    enroll(sandbox)
    before = codes(sandbox)
    assert sandbox.run("otp", "recover", "--json").code == 2
    assert codes(sandbox) == before
    done = sandbox.run("otp", "recover", "--json", "--codes-file", "new")
    assert done.code == 0
    assert not any(code in done.out for code in codes(sandbox))
    assert (sandbox.home / "new").read_text().split() == codes(sandbox)
