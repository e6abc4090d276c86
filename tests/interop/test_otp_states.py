"""What `otp verify` says of files, homes and codes, and what the real PAM module does."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pytest
from tests.support.otp_desk import SECRET, Desk, otp_desk
from tests.support.private_etc import UID, USER

from fidokit.server.otp.format import Method, Rules, compose, parse

pytestmark = [
    pytest.mark.interop,
    pytest.mark.root,
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, stock: Callable[[str], str]) -> Iterator[Desk]:
    with otp_desk(tmp_path_factory.mktemp("otp"), stock) as made:
        yield made


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
