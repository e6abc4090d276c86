"""Who could log in without a key: sshd's methods, which of them must come together, and PAM.

Source: sshd_config(5), AuthenticationMethods, PasswordAuthentication, KbdInteractiveAuthentication,
UsePAM, PermitRootLogin, PermitEmptyPasswords, KerberosAuthentication; what sshd does: a list with a
method that is off does not count, and `none` is a try with an empty password.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from fidokit.server.accounts import Password, ShadowEntry
from fidokit.server.check import pam_stack
from fidokit.server.check.pam_stack import ANYTHING, SUCCESS, PamFiles, PamStep, PamUnclear
from fidokit.server.sshd.settings import SshdSettings

PASSWORD: Final = "password"  # noqa: S105  a method's name
ASKED: Final = "keyboard-interactive"
KEY: Final = "publickey"
NOTHING: Final = "none"
_ANY: Final = "any"
_KERBEROS: Final = "kerberosauthentication"

_SWITCH: Final[Mapping[str, str]] = {
    PASSWORD: "passwordauthentication",
    ASKED: "kbdinteractiveauthentication",
    KEY: "pubkeyauthentication",
    "hostbased": "hostbasedauthentication",
    "gssapi-with-mic": "gssapiauthentication",
}

_OTHERS: Final[Mapping[str, str]] = {
    "hostbased": "HostbasedAuthentication lets in users of other machines by these machines' keys",
    "gssapi-with-mic": "GSSAPIAuthentication lets in everyone with a Kerberos ticket",
}
_SECRET_WAYS: Final = frozenset({PASSWORD, ASKED, NOTHING})
_SERVICE: Final = "sshd"

_TRY: Final = "try it without a key: ssh -o PubkeyAuthentication=no USER@localhost"
_AS_ROOT: Final = "repeat it with sudo"


@dataclass(frozen=True)
class PasswordWay:
    """Whether a password alone is enough, or what else is neither a key nor beside one.

    Attributes:
        possible: it is, or nobody can tell.
        why: half a sentence: how, or what is in the way.
        find_out: if nobody can tell: what would show it; else empty.
    """

    possible: bool
    why: str
    find_out: str = ""


def lists(settings: SshdSettings) -> tuple[tuple[str, ...], ...]:
    """AuthenticationMethods: the methods of each list that is left, without their devices.

    `any` is each method that is on, alone.
    """
    text = settings.first("authenticationmethods", _ANY)
    on = [method for method, switch in _SWITCH.items() if settings.is_on(switch)]
    if settings.is_on("passwordauthentication") and settings.is_on("permitemptypasswords"):
        on.append(NOTHING)
    if text == _ANY:
        return tuple((method,) for method in on)
    given = [tuple(m.partition(":")[0] for m in names.split(",")) for names in text.split()]
    return tuple(methods for methods in given if set(methods) <= set(on))


def key_refusals(settings: SshdSettings) -> tuple[str, ...]:
    """Why no key counts, whoever's; empty if keys do."""
    if not settings.is_on("pubkeyauthentication"):
        return ("PubkeyAuthentication is off",)
    if not any(KEY in methods for methods in lists(settings)):
        return ("AuthenticationMethods leaves publickey out",)
    return ()


def keyless_ways(settings: SshdSettings) -> tuple[str, ...]:
    """What lets in without a password, and without a key that could be looked at here."""
    alone = {method for methods in lists(settings) if KEY not in methods for method in methods}
    return tuple(sentence for method, sentence in _OTHERS.items() if method in alone)


def password_way(
    settings: SshdSettings,
    password: Password,
    *,
    is_root: bool,
    service: str = _SERVICE,
    pam: PamFiles | None = None,
) -> PasswordWay:
    """Whether one can log in by a password, or by answering PAM, and nothing else.

    Args:
        settings: effective for the user.
        password: what is known of it.
        is_root: the user's number is 0.
        service: the name of sshd's program, by which it asks PAM where its settings name none.
        pam: the services; this machine's where None.
    """
    name = settings.first("pamservicename", service)
    way = _secret_way(settings, password, is_root=is_root, pam=(pam or PamFiles(), name))
    others = keyless_ways(settings)
    if others and not way.possible:
        return PasswordWay(True, others[0], "switch it off, or look at what it trusts")
    return way


def _secret_way(
    settings: SshdSettings, password: Password, *, is_root: bool, pam: tuple[PamFiles, str]
) -> PasswordWay:
    alone = [set(methods) for methods in lists(settings)]
    ways = [methods for methods in alone if methods <= _SECRET_WAYS]
    if not ways:
        return PasswordWay(False, _closed(settings, alone))
    if is_root and settings.first("permitrootlogin", "prohibit-password") != "yes":
        return PasswordWay(False, "PermitRootLogin lets no password in")
    uses_pam = settings.is_on("usepam")
    ways = [methods for methods in ways if uses_pam or ASKED not in methods]
    if not ways:
        return PasswordWay(False, "keyboard-interactive has nothing to ask: UsePAM is off")
    how = _how(ways)
    if settings.is_on(_KERBEROS) and any(methods & {PASSWORD, NOTHING} for methods in ways):
        return PasswordWay(True, "KerberosAuthentication asks Kerberos for the password", _TRY)
    if uses_pam:
        return _by_pam(settings, password, how, pam)
    return _by_state(settings, password, how)


def _closed(settings: SshdSettings, alone: list[set[str]]) -> str:
    if any(methods & _SECRET_WAYS for methods in alone):
        return "AuthenticationMethods requires more than a password"
    if settings.is_on(_SWITCH[PASSWORD]) or settings.is_on(_SWITCH[ASKED]):
        return "AuthenticationMethods leaves passwords out"
    return "PasswordAuthentication and KbdInteractiveAuthentication are off"


def _how(ways: list[set[str]]) -> str:
    by_password = any(ASKED not in methods for methods in ways)
    return "by password" if by_password else "by what PAM asks (keyboard-interactive)"


# --- whose password fits -------------------------------------------------------------------


def _by_state(settings: SshdSettings, password: Password, how: str) -> PasswordWay:
    """What sshd itself makes of the password."""
    if password is Password.EMPTY and settings.is_on("permitemptypasswords"):
        return PasswordWay(True, "with an EMPTY password")
    ways_in = {
        Password.SET: PasswordWay(True, how),
        Password.UNKNOWN: PasswordWay(
            True, f"{how}; whether one is set cannot be seen", _TRY if _is_root() else _AS_ROOT
        ),
        Password.EMPTY: PasswordWay(
            False, "the password is empty, and PermitEmptyPasswords is off"
        ),
        Password.LOCKED: PasswordWay(False, "the password is locked"),
        Password.NONE: PasswordWay(False, "no password is set"),
    }
    return ways_in[password]


def _is_root() -> bool:
    return os.geteuid() == 0


_UNIX: Final = "pam_unix"
_SURE: Final[Mapping[str, frozenset[str]]] = {
    "pam_deny": pam_stack.REFUSAL,
    "pam_permit": frozenset({SUCCESS}),
}
_CODES: Final = frozenset({"pam_google_authenticator", "pam_oath", "pam_yubico"})
_SECRETLESS: Final = frozenset(
    [
        "pam_permit",
        "pam_deny",
        "pam_unix",
        "pam_access",
        "pam_cap",
        "pam_debug",
        "pam_echo",
        "pam_env",
        "pam_faildelay",
        "pam_faillock",
        "pam_group",
        "pam_issue",
        "pam_keyinit",
        "pam_lastlog",
        "pam_limits",
        "pam_listfile",
        "pam_localuser",
        "pam_loginuid",
        "pam_mail",
        "pam_mkhomedir",
        "pam_motd",
        "pam_namespace",
        "pam_nologin",
        "pam_rootok",
        "pam_securetty",
        "pam_selinux",
        "pam_sepermit",
        "pam_shells",
        "pam_succeed_if",
        "pam_tally",
        "pam_tally2",
        "pam_time",
        "pam_umask",
        "pam_usertype",
        "pam_warn",
        "pam_wheel",
        "substack",
    ]
)
"""Modules that know no passwords but pam_unix's; any of them may still say yes."""

_RESETS: Final = "nullresetok"


def _by_pam(
    settings: SshdSettings, password: Password, how: str, pam: tuple[PamFiles, str]
) -> PasswordWay:
    files, service = pam
    state = _by_state(settings, password, how)
    try:
        stacks = files.stacks(service, pam_stack.AUTH)
        if not _may_answer(stacks, state):
            return state if not state.possible else PasswordWay(False, "PAM lets nobody in")
    except PamUnclear as unclear:
        return PasswordWay(True, f"{how}; what PAM asks cannot be followed: {unclear}", _TRY)
    if state.possible:
        return state
    modules = {line.module for lines in stacks for line in lines}
    return PasswordWay(True, _other_secret(modules, service), _TRY)


def _may_answer(stacks: Collection[tuple[PamStep, ...]], state: PasswordWay) -> bool:
    def returns(line: PamStep) -> frozenset[str]:
        if line.module == _UNIX and not state.possible and _RESETS not in line.words:
            return pam_stack.FAILURE
        return _SURE.get(line.module, ANYTHING)

    return any(pam_stack.may_answer(lines, returns) for lines in stacks)


def _other_secret(modules: set[str], service: str) -> str:
    others = sorted(modules - _SECRETLESS)
    if others and set(others) <= _CODES:
        return f"by a one-time code alone ({others[0]} in PAM's service {service})"
    if others:
        return f"PAM's service {service} asks {', '.join(others)}, which may know a password"
    return f"PAM's service {service} may accept everyone, according to its files"


# --- accounts that are closed --------------------------------------------------------------


def is_closed(
    settings: SshdSettings,
    entry: ShadowEntry,
    now: float,
    service: str = _SERVICE,
    pam: PamFiles | None = None,
) -> bool:
    """Whether the account has expired, and sshd surely refuses it for that.

    Args:
        now: seconds since 1970.
        service, pam: as for `password_way`.
    """
    if entry.expires is None or entry.expires > now:
        return False
    if not settings.is_on("usepam"):
        return True
    if entry.bypassed:
        return False
    name = settings.first("pamservicename", service)
    try:
        stacks = (pam or PamFiles()).stacks(name, pam_stack.ACCOUNT)
        wanted = frozenset({SUCCESS, pam_stack.RENEW})
        return not any(pam_stack.may_answer(lines, _expired, wanted) for lines in stacks)
    except PamUnclear:
        return False


def _expired(line: PamStep) -> frozenset[str]:
    if line.module == _UNIX and "broken_shadow" not in line.words:
        return frozenset({"acct_expired"})
    return _SURE.get(line.module, ANYTHING)
