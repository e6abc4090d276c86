"""Who gets in by a password alone, or by nothing that is a key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.server.settings import settings

from fidokit.server.accounts import Password, ShadowEntry
from fidokit.server.check import login_methods
from fidokit.server.check.login_methods import PasswordWay
from fidokit.server.check.pam_stack import PamFiles

BOTH = "publickey,password"
DEBIAN = """\
auth [success=1 default=ignore] pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
account required pam_nologin.so
account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so
account requisite pam_deny.so
account required pam_permit.so
"""
CODE = "auth requisite pam_google_authenticator.so\nauth sufficient pam_permit.so\n"
Way = Callable[..., PasswordWay]


@pytest.fixture
def way(tmp_path: Path) -> Way:
    """`password_way` on a machine with these services."""

    def found(
        password: Password = Password.SET, *, is_root: bool = False, sshd: str = DEBIAN, **more: str
    ) -> PasswordWay:
        (tmp_path / "etc/pam.d").mkdir(parents=True, exist_ok=True)
        (tmp_path / "etc/pam.d/sshd").write_text(sshd)
        pam = PamFiles(tmp_path)
        return login_methods.password_way(settings(**more), password, is_root=is_root, pam=pam)

    return found


@pytest.mark.parametrize(
    ("changes", "possible", "why"),
    [
        ({}, True, "by password"),
        ({"passwordauthentication": "no"}, False, "are off"),
        (
            {"passwordauthentication": "no", "kbdinteractiveauthentication": "yes"},
            True,
            "PAM asks",
        ),
        (
            {
                "passwordauthentication": "no",
                "kbdinteractiveauthentication": "yes",
                "usepam": "no",
            },
            False,
            "nothing to ask",
        ),
        ({"authenticationmethods": "publickey"}, False, "leaves passwords out"),
        ({"authenticationmethods": BOTH}, False, "more than a password"),
        ({"authenticationmethods": f"{BOTH} password"}, True, "by password"),
        (
            {
                "authenticationmethods": "publickey,keyboard-interactive",
                "kbdinteractiveauthentication": "yes",
            },
            False,
            "more than a password",
        ),
        (
            {
                "authenticationmethods": "keyboard-interactive:pam",
                "kbdinteractiveauthentication": "yes",
            },
            True,
            "PAM asks",
        ),
        # A list with a method that is off does not count.
        ({"authenticationmethods": "keyboard-interactive"}, False, "leaves passwords out"),
        (
            {
                "authenticationmethods": "password,keyboard-interactive",
                "kbdinteractiveauthentication": "yes",
            },
            True,
            "PAM asks",
        ),
    ],
)
def test_by_settings(way: Way, changes: dict[str, str], possible: bool, why: str) -> None:
    found = way(**changes)
    assert found.possible is possible
    assert why in found.why
    assert not found.find_out


@pytest.mark.parametrize(
    ("password", "empty", "possible"),
    [
        (Password.SET, "no", True),
        (Password.UNKNOWN, "no", True),
        (Password.LOCKED, "yes", False),
        (Password.NONE, "yes", False),
        (Password.EMPTY, "no", False),
        (Password.EMPTY, "yes", True),
    ],
)
@pytest.mark.parametrize("usepam", ["yes", "no"])
def test_by_what_the_password_is(
    way: Way, password: Password, empty: str, possible: bool, usepam: str
) -> None:
    found = way(password, permitemptypasswords=empty, usepam=usepam)
    assert found.possible is possible
    assert bool(found.find_out) is (password is Password.UNKNOWN)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("auth sufficient pam_sss.so\nauth required pam_unix.so\n", "asks pam_sss, which may know"),
        ("auth sufficient pam_rootok.so\nauth required pam_deny.so\n", "may accept everyone"),
        (CODE, "a one-time code alone"),
        ("auth required pam_unix.so\n" + CODE, ""),
        ("auth required pam_exec.so\n", "asks pam_exec"),
        ("auth required\n", "cannot be followed: line 1 of"),
        ("auth required pam_deny.so\n", ""),
    ],
)
def test_what_else_pam_asks(way: Way, text: str, said: str) -> None:
    found = way(Password.NONE, sshd=text)
    assert found.possible is bool(said)
    assert bool(found.find_out) is bool(said)
    assert said in found.why


def test_pam_may_let_nobody_in(way: Way) -> None:
    assert way(sshd="auth required pam_deny.so\n") == PasswordWay(False, "PAM lets nobody in")


def test_a_reset_lets_an_empty_password_in(way: Way) -> None:
    assert not way(Password.EMPTY, sshd="auth required pam_unix.so nullok\n").possible
    assert way(Password.EMPTY, sshd="auth required pam_unix.so nullresetok\n").possible


def test_the_service_is_the_one_that_sshd_names(way: Way, tmp_path: Path) -> None:
    (tmp_path / "etc/pam.d").mkdir(parents=True)
    (tmp_path / "etc/pam.d/own").write_text(CODE)
    assert not way(Password.NONE).possible
    assert way(Password.NONE, pamservicename="own").possible
    service = login_methods.password_way(
        settings(), Password.NONE, is_root=False, service="own", pam=PamFiles(tmp_path)
    )
    assert service.possible


@pytest.mark.parametrize(
    ("changes", "possible", "doubt"),
    [
        ({"authenticationmethods": "none"}, False, False),
        ({"authenticationmethods": "none", "permitemptypasswords": "yes"}, True, False),
        ({"authenticationmethods": "publickey,publickey"}, False, False),
        ({"authenticationmethods": "publickey,publickey", "permitemptypasswords": "yes"}, False,
         False),
        ({"kerberosauthentication": "yes"}, True, True),
        ({"kerberosauthentication": "yes", "passwordauthentication": "no"}, False, False),
        ({"gssapiauthentication": "yes"}, True, True),
        ({"hostbasedauthentication": "yes"}, True, True),
        ({"hostbasedauthentication": "yes", "authenticationmethods": "publickey"}, False, False),
        ({"hostbasedauthentication": "yes", "authenticationmethods": "hostbased,password"}, True,
         True),
        ({"hostbasedauthentication": "yes", "authenticationmethods": "hostbased,publickey"}, False,
         False),
    ],
)  # fmt: skip
def test_ways_of_nobody_s_password(
    way: Way, changes: dict[str, str], possible: bool, doubt: bool
) -> None:
    empty = changes.get("permitemptypasswords") == "yes"
    found = way(Password.EMPTY if empty else Password.NONE, **changes)
    assert (found.possible, bool(found.find_out)) == (possible, doubt)
    others = login_methods.keyless_ways(settings(**changes))
    assert bool(others) is (doubt and "kerberosauthentication" not in changes)


@pytest.mark.parametrize(
    ("usepam", "text", "closed"),
    [
        ("no", "", True),
        ("yes", DEBIAN, True),
        ("yes", "account required pam_unix.so\n", True),
        ("yes", "account sufficient pam_localuser.so\naccount required pam_unix.so\n", False),
        ("yes", "account required pam_unix.so broken_shadow\n", False),
        ("yes", "account required pam_permit.so\n", False),
        ("yes", "account required\n", False),
    ],
)
def test_expired_accounts(tmp_path: Path, usepam: str, text: str, closed: bool) -> None:
    (tmp_path / "etc/pam.d").mkdir(parents=True)
    (tmp_path / "etc/pam.d/sshd").write_text(text)
    found, pam = settings(usepam=usepam), PamFiles(tmp_path)
    entry = ShadowEntry(Password.NONE, 10)
    assert login_methods.is_closed(found, entry, 10, pam=pam) is closed
    assert not login_methods.is_closed(found, entry, 9, pam=pam)
    assert not login_methods.is_closed(found, ShadowEntry(Password.NONE), 10, pam=pam)
    past_shadow = ShadowEntry(Password.NONE, 10, bypassed=True)  # pam_unix does not look there
    assert login_methods.is_closed(found, past_shadow, 10, pam=pam) is (usepam == "no")


@pytest.mark.parametrize(
    ("permit", "possible"),
    [
        ("yes", True),
        ("no", False),
        ("without-password", False),
        ("prohibit-password", False),
        ("forced-commands-only", False),
    ],
)
def test_root(way: Way, permit: str, possible: bool) -> None:
    assert way(permitrootlogin=permit, is_root=True).possible is possible


def test_where_no_key_counts() -> None:
    assert login_methods.key_refusals(settings()) == ()
    assert login_methods.key_refusals(settings(pubkeyauthentication="no")) == (
        "PubkeyAuthentication is off",
    )
    assert login_methods.key_refusals(settings(authenticationmethods="password")) == (
        "AuthenticationMethods leaves publickey out",
    )
    assert login_methods.key_refusals(settings(authenticationmethods=BOTH)) == ()
