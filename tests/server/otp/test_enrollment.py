"""One-time codes, wired together: pyotp's codes, the file on disk, QR codes."""

from __future__ import annotations

import os
import random
import stat
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest

from fidokit.errors import FidokitError, FileInTheWay, NotEnrolled, Unsupported, UsageError
from fidokit.server.otp.enrollment import (
    OtpPlan,
    OtpRequest,
    confirm_otp,
    new_emergency_codes,
    otp_state,
    plan_otp,
    qr_code,
    resync_otp,
    save_otp,
    verify_otp,
    write_codes,
    write_qr,
)

pytestmark = pytest.mark.usefixtures("home")

NOW = 1_795_766_400.0


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def enrolled(**wishes: object) -> OtpPlan:
    plan = planned(**wishes)
    save_otp(plan)
    return plan


def planned(**wishes: object) -> OtpPlan:
    request = OtpRequest(**wishes)  # type: ignore[arg-type]
    return plan_otp(request, random=random.Random(7).randbytes, hostname="box")


def totp(plan: OtpPlan, seconds: float = 0) -> str:
    return pyotp.TOTP(plan.content.base32).at(int(NOW + seconds))


def hotp(plan: OtpPlan, count: int) -> str:
    return pyotp.HOTP(plan.content.base32).at(count)


def judged(code: str, *, burn: bool = False) -> tuple[str, int]:
    verdict, _ = verify_otp(code, burn=burn, now=NOW)
    return str(verdict.judgment), verdict.distance


def test_a_plan_writes_nothing(home: Path) -> None:
    plan = planned()
    assert plan.path == home / ".google_authenticator"
    assert list(home.iterdir()) == []
    state = save_otp(plan)
    assert stat.S_IMODE(plan.path.stat().st_mode) == 0o400
    assert (state.method, state.window, state.emergency_codes, state.problem) == ("totp", 3, 5, "")
    assert state == otp_state()


def test_the_secret_is_of_the_given_randomness_and_160_bits() -> None:
    plan = planned()
    assert plan.content == planned().content
    assert len(plan.content.secret) == 20
    assert plan_otp(OtpRequest()).content.secret != plan.content.secret


def test_secrets_are_not_in_the_representation() -> None:
    plan = planned()
    assert plan.content.base32 not in repr(plan)
    assert plan.content.emergency_codes[0] not in repr(plan)


def test_the_uri_is_what_apps_read() -> None:
    user = plan_otp(OtpRequest()).account.name
    plan = planned()
    parts = urlsplit(plan.uri)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == f"/box:{user}@box"
    assert parse_qs(parts.query) == {"secret": [plan.content.base32], "issuer": ["box"]}
    again = pyotp.parse_uri(plan.uri)
    assert isinstance(again, pyotp.TOTP)
    assert again.at(int(NOW)) == totp(plan)


def test_the_uri_of_a_counter_begins_where_the_file_does() -> None:
    plan = planned(hotp=True, issuer="Ex & Co", label="jörg")
    assert plan.content.counter == 1
    assert "counter=1" in plan.uri
    again = pyotp.parse_uri(plan.uri)
    assert isinstance(again, pyotp.HOTP)
    assert (again.issuer, again.name) == ("Ex & Co", "jörg")


@pytest.mark.parametrize("text", ["", "a:b", "x" * 101, "a\nb", "\x1b[31m", "\udc80"])
@pytest.mark.parametrize("what", ["issuer", "label"])
def test_names_that_would_break_the_uri(what: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"cannot be a {what}"):
        planned(**{what: text})


def test_the_rules_are_written() -> None:
    state = save_otp(planned(window=5, rate_limit=None, reuse=True, emergency_codes=0))
    assert (state.window, state.rate_limit, state.reuse) == (5, None, True)
    assert state.emergency_codes == 0
    assert save_otp(planned(hotp=True, force=True)).window == 10
    with pytest.raises(UsageError, match="never gives a code twice"):
        planned(hotp=True, reuse=True, force=True)


def test_a_file_that_is_there_stays() -> None:
    before = enrolled().path.read_bytes()
    with pytest.raises(FileInTheWay, match="already exists"):
        planned()
    plan = planned(force=True)
    late = OtpPlan(plan.account, plan.content, plan.uri, False)
    with pytest.raises(FileInTheWay, match="already exists"):
        save_otp(late)
    assert plan.path.read_bytes() == before
    save_otp(planned(force=True, emergency_codes=1))
    assert plan.path.read_bytes() != before


# --- confirming ----------------------------------------------------------------------------


def test_the_apps_code_confirms() -> None:
    plan = planned()
    verdict, after = confirm_otp(plan, totp(plan), now=NOW)
    assert verdict.is_accepted
    assert after == plan, "the code is not used up: the first login may follow at once"


def test_a_counter_moves_on() -> None:
    plan = planned(hotp=True)
    verdict, after = confirm_otp(plan, hotp(plan, 2), now=NOW)
    assert verdict.is_accepted
    assert after.content.counter == 3
    assert after.content.emergency_codes == plan.content.emergency_codes


def test_other_codes_do_not() -> None:
    plan = planned()
    for code in (totp(plan, -120), plan.content.emergency_codes[0]):
        verdict, after = confirm_otp(plan, code, now=NOW)
        assert not verdict.is_accepted
        assert after == plan


# --- verifying -----------------------------------------------------------------------------


def test_right_wrong_and_of_another_time() -> None:
    plan = enrolled()
    before = plan.path.read_bytes()
    assert judged(totp(plan)) == ("right", 0)
    assert judged(totp(plan)) == ("right", 0), "looking uses nothing up"
    assert judged(totp(plan, -90)) == ("elsewhere", -3)
    assert judged(totp(plan, 3600)) == ("elsewhere", 120)
    assert judged(plan.content.emergency_codes[1]) == ("emergency", 0)
    assert judged("00000000") == ("wrong", 0)
    assert plan.path.read_bytes() == before


def test_burning_is_what_a_login_does() -> None:
    plan = enrolled()
    assert judged(totp(plan), burn=True) == ("right", 0)
    assert judged(totp(plan), burn=True) == ("used", 0)
    assert judged(totp(plan)) == ("used", 0)
    code = plan.content.emergency_codes[0]
    assert judged(code, burn=True) == ("emergency", 0)
    assert judged(code, burn=True) == ("wrong", 0)
    assert otp_state().emergency_codes == 4


def test_a_counter_is_found_again() -> None:
    plan = enrolled(hotp=True)
    assert judged(hotp(plan, 40)) == ("elsewhere", 39)
    state = resync_otp([hotp(plan, 40), hotp(plan, 41)])
    assert state.counter == 42
    assert judged(hotp(plan, 41)) == ("wrong", 0)
    assert judged(hotp(plan, 42), burn=True) == ("right", 0)
    assert otp_state().counter == 43
    with pytest.raises(FidokitError, match="do not follow"):
        resync_otp([hotp(plan, 40), hotp(plan, 41)])


def test_secrets_of_80_bits_work_as_they_do_for_the_module(home: Path) -> None:
    path = home / ".google_authenticator"
    path.write_text('JBSWY3DPEHPK3PXP\n" TOTP_AUTH\n')
    path.chmod(0o400)
    code = api_code("JBSWY3DPEHPK3PXP", int(NOW) // 30)
    assert judged(code) == ("right", 0)


def api_code(secret: str, position: int) -> str:
    """RFC 4226, since pyotp refuses such a secret."""
    import base64
    import hmac

    mac = hmac.digest(base64.b32decode(secret), position.to_bytes(8, "big"), "sha1")
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at : at + 4], 'big') & 0x7FFFFFFF) % 10**6:06d}"


def test_nothing_is_there() -> None:
    for call in (lambda: verify_otp("123456"), otp_state, lambda: resync_otp(["1"])):
        with pytest.raises((NotEnrolled, UsageError)):
            call()


# --- recovering ----------------------------------------------------------------------------


def test_new_emergency_codes_replace_the_old() -> None:
    plan = enrolled()
    codes, state = new_emergency_codes(3, random=random.Random(8).randbytes)
    assert state.emergency_codes == len(codes) == 3
    assert judged(codes[0]) == ("emergency", 0)
    assert judged(plan.content.emergency_codes[0]) == ("wrong", 0)
    assert judged(totp(plan)) == ("right", 0)
    assert new_emergency_codes(0)[1].emergency_codes == 0


# --- files ---------------------------------------------------------------------------------


def test_qr_files(home: Path) -> None:
    plan = planned()
    write_qr(plan.uri, home / "code.png")
    write_qr(plan.uri, home / "code.SVG")
    assert (home / "code.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert b"<svg" in (home / "code.SVG").read_bytes()
    assert plan.content.base32.encode() not in (home / "code.SVG").read_bytes()
    for name in ("code.png", "code.SVG"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    with pytest.raises(FileInTheWay):
        write_qr(plan.uri, home / "code.png")
    write_qr(plan.uri, home / "code.png", force=True)
    with pytest.raises(UsageError, match=r"neither in .png nor in .svg"):
        write_qr(plan.uri, home / "code.gif")


def test_the_code_has_the_three_corners() -> None:
    rows = [bytes(row) for row in qr_code(planned().uri).matrix]
    assert {len(row) for row in rows} == {len(rows)}
    assert rows[0][:8] == rows[0][-8:][::-1] == rows[-1][:8] == b"\1" * 7 + b"\0"


def test_codes_file(home: Path) -> None:
    before = os.umask(0)
    try:
        write_codes(["12345678", "87654321"], home / "codes")
    finally:
        os.umask(before)
    assert (home / "codes").read_text() == "12345678\n87654321\n"
    assert stat.S_IMODE((home / "codes").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["pyotp", "segno"])
def test_without_the_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Unsupported) as caught:
        qr_code(planned().uri)
    assert "fidokit[otp]" in caught.value.hint
