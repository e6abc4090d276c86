"""Whom sshd turns away before any key counts, and who gets in by a password alone.

Source: sshd_config(5) (AllowUsers and the like, PermitRootLogin, UsePAM), and what sshd does in
`allowed_user`: the shell must be there, and without PAM no locked or expired account gets in.
"""

from __future__ import annotations

import grp
import os
import pwd
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fidokit.openssh.lines.patterns import match_pattern
from fidokit.server.accounts import Account, Password, ShadowEntry, local_passwords
from fidokit.server.check import login_methods
from fidokit.server.sshd.query import LOOPBACK, LoginOrigin
from fidokit.server.sshd.settings import SshdSettings

_SUPERUSER: Final = 0
_ANY_X: Final = 0o111


@dataclass(frozen=True)
class LoginUser:
    """A user as sshd looks at one.

    Attributes:
        shell: as the user database has it; empty is /bin/sh.
        groups: names of all the groups.
        shadow: what is known of the password.
    """

    name: str
    uid: int
    shell: str
    groups: tuple[str, ...]
    shadow: ShadowEntry


def refusals(
    person: LoginUser, settings: SshdSettings, origin: LoginOrigin, now: float
) -> Iterator[str]:
    """Why sshd lets nobody in as this user; nothing if it does.

    Args:
        now: seconds since 1970.
    """
    yield from stated(person, settings)
    yield from readings(person, settings, origin, now)


def stated(person: LoginUser, settings: SshdSettings) -> Iterator[str]:
    """Those reasons that sshd itself states when it is asked for its settings."""
    if person.uid == _SUPERUSER and settings.first("permitrootlogin") == "no":
        yield "PermitRootLogin is no"
    if settings.is_on("refuseconnection"):
        yield "RefuseConnection is on"


def readings(
    person: LoginUser, settings: SshdSettings, origin: LoginOrigin, now: float
) -> Iterator[str]:
    """Those reasons that only our own reading of its settings gives; sshd has to confirm them.

    Args:
        now: seconds since 1970.
    """
    yield from _by_lists(person, settings, origin)
    if settings.first("chrootdirectory", "none") == "none" and not _runs(person.shell):
        yield f"the shell {person.shell} cannot be run"
    if not settings.is_on("usepam"):
        if person.shadow.password is Password.LOCKED:
            yield "the account is locked, and UsePAM is off"
        if person.shadow.expires is not None and person.shadow.expires <= now:
            yield "the account has expired"


def _runs(shell: str) -> bool:
    path = Path(shell or "/bin/sh")
    try:
        return path.is_file() and bool(path.stat().st_mode & _ANY_X)
    except OSError:
        return False


def _by_lists(person: LoginUser, settings: SshdSettings, origin: LoginOrigin) -> Iterator[str]:
    values = settings.values
    denied, allowed = values.get("denyusers", ()), values.get("allowusers", ())
    if any(_is_user(person.name, origin, pattern) for pattern in denied):
        yield "DenyUsers names the user"
    if allowed and not any(_is_user(person.name, origin, pattern) for pattern in allowed):
        yield "AllowUsers does not name the user"
    if _in_groups(person, values.get("denygroups", ())):
        yield "DenyGroups names a group of the user"
    if values.get("allowgroups") and not _in_groups(person, values["allowgroups"]):
        yield "AllowGroups names no group of the user"


def _in_groups(person: LoginUser, patterns: Sequence[str]) -> bool:
    return any(match_pattern(group, pattern) for group in person.groups for pattern in patterns)


def _is_user(name: str, origin: LoginOrigin, pattern: str) -> bool:
    user, at, host = pattern.partition("@")
    if not at:
        return match_pattern(name, pattern)
    return match_pattern(name, user) and _is_place(origin, host)


def _is_place(origin: LoginOrigin, patterns: str) -> bool:
    """Whether a list of networks and patterns names a place; one with `!` that fits ends it."""
    fits = False
    for pattern in patterns.split(","):
        if _is_like(origin, pattern.lstrip("!")):
            if pattern.startswith("!"):
                return False
            fits = True
    return fits


def _is_like(origin: LoginOrigin, pattern: str) -> bool:
    if "/" in pattern:
        import ipaddress

        try:
            return ipaddress.ip_address(origin.addr) in ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            return False
    return any(match_pattern(text.lower(), pattern.lower()) for text in (origin.addr, origin.host))


def people() -> Callable[[Account], LoginUser]:
    """Users as sshd looks at them, by this machine's database."""
    password_of = local_passwords()

    def user(account: Account) -> LoginUser:
        found = pwd.getpwnam(account.name)
        entry = password_of(account.name, found.pw_passwd)
        groups = tuple(_group_names(account.name, account.gid))
        return LoginUser(account.name, account.uid, found.pw_shell, groups, entry)

    return user


def _group_names(name: str, gid: int) -> Iterator[str]:
    for number in os.getgrouplist(name, gid):
        try:
            yield grp.getgrgid(number).gr_name
        except KeyError:
            continue  # sshd passes over such groups too


@dataclass(frozen=True)
class WaysIn:
    """What is known of users.

    Attributes:
        person: a user as sshd looks at one.
    """

    person: Callable[[Account], LoginUser] = field(default_factory=people)

    def refusal(self, account: Account, settings: SshdSettings) -> str:
        """Why sshd lets nobody in as this user, whatever the key; empty if it does.

        The public-key query tells it of some of these reasons only.
        """
        person = self.person(account)
        return next(refusals(person, settings, LOOPBACK, time.time()), "")

    def may_have_password(self, account: Account) -> bool:
        """Whether a password could be set."""
        state = self.person(account).shadow.password
        return state not in {Password.NONE, Password.LOCKED}

    def password_is_enough(self, account: Account, settings: SshdSettings) -> bool:
        """Whether the user gets in by a password alone, as far as can be seen."""
        if self.refusal(account, settings):
            return False
        state = self.person(account).shadow.password
        is_root = account.uid == _SUPERUSER
        return login_methods.password_way(settings, state, is_root=is_root).possible
