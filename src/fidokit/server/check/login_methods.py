"""Who could still log in by a password alone: sshd's methods, and which of them must come together.

Source: sshd_config(5), AuthenticationMethods, PasswordAuthentication, KbdInteractiveAuthentication,
UsePAM, PermitRootLogin, PermitEmptyPasswords; what sshd does: a list with a method that is off
does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fidokit.server.accounts import Password
from fidokit.server.sshd.settings import SshdSettings

PASSWORD: Final = "password"  # noqa: S105  a method's name
ASKED: Final = "keyboard-interactive"
KEY: Final = "publickey"
_ANY: Final = "any"

_SWITCH: Final[Mapping[str, str]] = {
    PASSWORD: "passwordauthentication",
    ASKED: "kbdinteractiveauthentication",
    KEY: "pubkeyauthentication",
    "hostbased": "hostbasedauthentication",
    "gssapi-with-mic": "gssapiauthentication",
}


@dataclass(frozen=True)
class PasswordWay:
    """Whether a password alone is enough.

    Attributes:
        possible: it is, as far as can be seen.
        why: half a sentence: how, or what is in the way.
    """

    possible: bool
    why: str


def lists(settings: SshdSettings) -> tuple[tuple[str, ...], ...]:
    """AuthenticationMethods: the methods of each list that is left, without their devices.

    `any` is each method that is on, alone.
    """
    text = settings.first("authenticationmethods", _ANY)
    on = [method for method, switch in _SWITCH.items() if settings.is_on(switch)]
    if text == _ANY:
        return tuple((method,) for method in on)
    given = [tuple(m.partition(":")[0] for m in names.split(",")) for names in text.split()]
    return tuple(methods for methods in given if set(methods) <= set(on))


def key_refusals(settings: SshdSettings) -> tuple[str, ...]:
    """Why no key counts, whoever's; empty where keys do."""
    if not settings.is_on("pubkeyauthentication"):
        return ("PubkeyAuthentication is off",)
    if not any(KEY in methods for methods in lists(settings)):
        return ("AuthenticationMethods leaves publickey out",)
    return ()


def password_way(settings: SshdSettings, password: Password, *, is_root: bool) -> PasswordWay:
    """Whether one can log in by a password, or by answering PAM, and nothing else.

    Args:
        settings: effective for the user.
        password: what is known of it.
        is_root: the user's number is 0.
    """
    alone = [set(methods) for methods in lists(settings)]
    ways = [methods for methods in alone if methods <= {PASSWORD, ASKED}]
    if not ways:
        return PasswordWay(False, _closed(settings, alone))
    if is_root and settings.first("permitrootlogin", "prohibit-password") != "yes":
        return PasswordWay(False, "PermitRootLogin lets no password in")
    pam = settings.is_on("usepam")
    ways = [methods for methods in ways if pam or ASKED not in methods]
    if not ways:
        return PasswordWay(False, "keyboard-interactive has nothing to ask: UsePAM is off")
    return _by_state(settings, password, ways)


def _closed(settings: SshdSettings, alone: list[set[str]]) -> str:
    if any(methods & {PASSWORD, ASKED} for methods in alone):
        return "AuthenticationMethods wants more than a password"
    if settings.is_on(_SWITCH[PASSWORD]) or settings.is_on(_SWITCH[ASKED]):
        return "AuthenticationMethods leaves passwords out"
    return "PasswordAuthentication and KbdInteractiveAuthentication are off"


def _by_state(settings: SshdSettings, password: Password, ways: list[set[str]]) -> PasswordWay:
    by_password = any(methods == {PASSWORD} for methods in ways)
    how = "by password" if by_password else "by what PAM asks (keyboard-interactive)"
    if password is Password.EMPTY and settings.is_on("permitemptypasswords"):
        return PasswordWay(True, "with an EMPTY password")
    ways_in = {
        Password.SET: PasswordWay(True, how),
        Password.UNKNOWN: PasswordWay(True, f"{how}; whether one is set cannot be seen"),
        Password.EMPTY: PasswordWay(
            False, "the password is empty, and PermitEmptyPasswords is off"
        ),
        Password.LOCKED: PasswordWay(False, "the password is locked"),
        Password.NONE: PasswordWay(False, "no password is set"),
    }
    return ways_in[password]
