"""Who gets in by a password alone."""

from __future__ import annotations

import pytest
from tests.server.settings import settings

from fidokit.server.accounts import Password
from fidokit.server.check import login_methods

BOTH = "publickey,password"


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
def test_by_settings(changes: dict[str, str], possible: bool, why: str) -> None:
    way = login_methods.password_way(settings(**changes), Password.SET, is_root=False)
    assert way.possible is possible
    assert why in way.why


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
def test_by_what_the_password_is(password: Password, empty: str, possible: bool) -> None:
    found = settings(permitemptypasswords=empty)
    assert login_methods.password_way(found, password, is_root=False).possible is possible


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
def test_root(permit: str, possible: bool) -> None:
    found = settings(permitrootlogin=permit)
    assert login_methods.password_way(found, Password.SET, is_root=True).possible is possible


def test_where_no_key_counts() -> None:
    assert login_methods.key_refusals(settings()) == ()
    assert login_methods.key_refusals(settings(pubkeyauthentication="no")) == (
        "PubkeyAuthentication is off",
    )
    assert login_methods.key_refusals(settings(authenticationmethods="password")) == (
        "AuthenticationMethods leaves publickey out",
    )
    assert login_methods.key_refusals(settings(authenticationmethods=BOTH)) == ()
