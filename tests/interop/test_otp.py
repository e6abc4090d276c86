"""One-time codes at a real login: stock ssh on a terminal, stock sshd, the real PAM module.

As root: sshd runs with users, homes and PAM services of the test's own (tests/support/private_etc).
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest
from tests.server.otp.test_format import LIVED_IN
from tests.support.private_etc import UID, USER, PrivateEtc, private_etc
from tests.support.sshd import Sshd, running
from tests.support.typist import Seen, converse

from fidokit.server.otp.format import Method, OtpFile, RateLimit, Rules, compose, parse

pytestmark = [
    pytest.mark.interop,
    pytest.mark.root,
]

PAGE = (Path(__file__).parents[2] / "docs/otp.md").read_text().partition("## The server")[2]
"""Its two blocks are what an administrator writes: these tests log in by them."""

SETTINGS, AUTH = re.findall(r"^```\n(.*?)^```\n", PAGE, re.MULTILINE | re.DOTALL)
SERVICE = (
    f"{AUTH}@include common-auth\naccount required pam_permit.so\nsession required pam_permit.so\n"
)
PROMPT = "Verification code: "
ENROLL = ("enroll", "--no-confirm", "--qr", "none", "--rate-limit", "none", "--window", "17")
"""No limit: these tests log in more often than people. A wide window: a slow machine takes long."""

SECRET = bytes(range(20))


@dataclass
class Desk:
    """A user with a key, the server that wants a code too, and fidokit beside it."""

    etc: PrivateEtc
    server: Sshd
    key: Path

    def fidokit(self, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run `fidokit otp` as root, for the user."""
        verb, *others = words
        program = [sys.executable, "-m", "fidokit", "otp", verb, "--user", USER]
        return self.etc.run([*program, *others], text)

    def enroll(self, *more: str) -> None:
        done = self.fidokit(*ENROLL, "--force", *more)
        assert done.returncode == 0, done.stderr

    @property
    def file(self) -> Path:
        return self.etc.home / ".google_authenticator"

    def content(self) -> OtpFile:
        """What is in the file, which must still be what the PAM module wants."""
        found = self.file.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o400, UID)
        return parse(self.file.read_bytes())

    def put(self, text: bytes, mode: int = 0o400) -> None:
        self.file.unlink(missing_ok=True)
        self.file.write_bytes(text)
        os.chown(self.file, UID, UID)
        self.file.chmod(mode)

    def totp(self, steps: int = 0) -> str:
        """The code of so many steps from now."""
        return pyotp.TOTP(self.content().base32).at(int(time.time()) + 30 * steps)

    def hotp(self, count: int) -> str:
        return pyotp.HOTP(self.content().base32).at(count)

    def ssh(self, code: str, *options: str) -> Seen:
        """Log in with the key and this code."""
        program, *words = self.server.client("-i", str(self.key), "-oNumberOfPasswordPrompts=1")
        command = [
            program,
            "-oBatchMode=no",
            *options,
            *words,
            f"{USER}@127.0.0.1",
            "echo here $USER",
        ]
        return converse(command, [(PROMPT, code)])

    def lets_in(self, code: str) -> bool:
        seen = self.ssh(code)
        assert PROMPT in seen.text, seen.text + self.server.log()
        assert (f"here {USER}" in seen.text) is (seen.status == 0)
        return seen.status == 0

    def verifies(self, code: str, *more: str) -> bool:
        """What `otp verify` says of a code."""
        done = self.fidokit("verify", "--code-file", "-", *more, text=code)
        assert done.returncode in (0, 1), done.stderr
        return done.returncode == 0


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, stock: Callable[[str], str]) -> Iterator[Desk]:
    stock("google-authenticator")  # of the same package as the module
    folder = tmp_path_factory.mktemp("otp")
    etc = private_etc(folder)
    for path in Path("/etc/pam.d").glob("common-*"):
        shutil.copy(path, folder / "pam.d" / path.name)
    etc.service("sshd", SERVICE)
    key = folder / "key"
    subprocess.run([stock("ssh-keygen"), "-qt", "ed25519", "-N", "", "-f", key], check=True)
    (folder / "home/keys").write_text(key.with_suffix(".pub").read_text())
    settings = (*SETTINGS.splitlines(), "AuthorizedKeysFile /home/keys")
    sshd = stock("/usr/sbin/sshd")
    with running(folder / "sshd", *settings, sshd=sshd, within=etc.within([])) as server:
        yield Desk(etc, server, key)


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


# --- what verify says, the module does ------------------------------------------------------


@dataclass(frozen=True)
class State:
    """A file, the home around it, and the code that is tried."""

    options: bytes
    mode: int = 0o400
    owner: int = UID
    home: tuple[int, int] = (UID, 0o700)
    code: str = "now"
    lets_in: bool = False


LIMIT = b'" RATE_LIMIT 3 3600'
STATES = {
    "fresh": State(b"", lets_in=True),
    "with room in the limit": State(LIMIT + b" NOW NOW\n", lets_in=True),
    "the limit is used up": State(LIMIT + b" NOW NOW NOW\n"),
    "the limit, and an emergency code": State(LIMIT + b" NOW NOW NOW\n", code="12345678"),
    "the limit of yesterday": State(LIMIT + b" 1 2 3 4\n", lets_in=True),
    "the limit of tomorrow": State(LIMIT + b" 3999999999 3999999999 3999999999\n", lets_in=True),
    "mode 0755": State(b"", mode=0o755),
    "mode 0755, and an emergency code": State(b"", mode=0o755, code="12345678"),
    "mode 0600": State(b"", mode=0o600, lets_in=True),
    "of somebody else": State(b"", mode=0o644, owner=0),
    "the home of root": State(b'" DISALLOW_REUSE\n', home=(0, 0o755)),
    "the home of root, nothing to write": State(b"", home=(0, 0o755), lets_in=True),
    "the home of root, and an emergency code": State(b"", home=(0, 0o755), code="12345678"),
    "the home of root, with a limit": State(LIMIT + b"\n", home=(0, 0o755)),
    "a home that is read-only to its user": State(b'" DISALLOW_REUSE\n', home=(UID, 0o500)),
    "a home where all may write": State(b'" DISALLOW_REUSE\n', home=(0, 0o777), lets_in=True),
    "a home as /tmp is": State(b'" DISALLOW_REUSE\n', home=(0, 0o1777), lets_in=True),
    "a phone that is right again": State(b'" TIME_SKEW 300\n'),
    "a code that was used": State(b'" DISALLOW_REUSE STEPS\n'),
    "an emergency code": State(b"", code="12345678", lets_in=True),
}


@pytest.mark.parametrize("name", STATES)
def test_verify_says_what_the_module_does(desk: Desk, name: str) -> None:
    state, now = STATES[name], int(time.time())
    steps = " ".join(str(now // 30 + n) for n in range(-9, 20))
    options = state.options.replace(b"NOW", b"%d" % now).replace(b"STEPS", steps.encode())
    desk.put(
        b'AAAABBBBCCCCDDDDEEEEFFFFGGGG2222\n" WINDOW_SIZE 17\n" TOTP_AUTH\n'
        + options
        + b"12345678\n",
        state.mode,
    )
    try:
        os.chown(desk.file, state.owner, -1)
        os.chown(desk.etc.home, state.home[0], -1)
        desk.etc.home.chmod(state.home[1])
        code = (
            pyotp.TOTP("AAAABBBBCCCCDDDDEEEEFFFFGGGG2222").now()
            if state.code == "now"
            else state.code
        )
        said = desk.verifies(code)
        seen = desk.ssh(code)
        assert (said, seen.status == 0) == (state.lets_in, state.lets_in), seen.text
    finally:
        os.chown(desk.etc.home, UID, UID)
        desk.etc.home.chmod(0o700)


def test_a_secret_that_root_keeps(desk: Desk) -> None:
    where = f"{desk.etc.home.parent}/otp/${{USER}}"
    kept = "/home/otp/${USER}"
    service = (desk.etc.folder / "pam.d/sshd").read_text()
    option = f"pam_google_authenticator.so secret={kept} user=root"
    desk.etc.service("sshd", service.replace("pam_google_authenticator.so", option))
    desk.file.unlink(missing_ok=True)
    try:
        desk.enroll()  # where PAM's line says
        path = Path(where.replace("${USER}", USER))
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (0, 0o400)
        assert not desk.file.exists()
        code = parse(path.read_bytes()).emergency_codes[0]
        assert desk.verifies(code)
        assert desk.lets_in(code)
        assert not desk.verifies(code)
    finally:
        desk.etc.service("sshd", service)


def test_what_the_module_learned_can_be_cleared(desk: Desk) -> None:
    desk.put(
        compose(SECRET, Method.TOTP, Rules(17, None, reuse=True), ())
        .with_option("TIME_SKEW", "-300")
        .encode()
    )
    assert not desk.lets_in(desk.totp())
    done = desk.fidokit("verify", "--code-file", "-", text=desk.totp())
    command = re.search(
        rf"^  fidokit otp verify --user {USER} (--clear-skew)$", done.stdout, re.MULTILINE
    )
    assert command
    assert desk.fidokit("verify", command[1]).returncode == 0
    assert desk.verifies(desk.totp())
    assert desk.lets_in(desk.totp())


def test_nobody_gets_in_without_a_file(desk: Desk) -> None:
    desk.file.unlink(missing_ok=True)
    assert desk.ssh("123456").status == 255
    assert desk.fidokit("verify", "--code-file", "-", text="123456").returncode == 1
