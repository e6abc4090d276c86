"""Users of this machine: their passwords' state, and working with no more rights than theirs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import NoPermission, UsageError
from fidokit.server.words import Word


@dataclass(frozen=True)
class Account:
    """A user of this machine.

    Attributes:
        uid, gid: numbers; the gid is the primary group's.
        home: as the user database has it.
    """

    name: str
    uid: int
    gid: int
    home: Path


def account(name: str | None = None) -> Account:
    """A user by name; the one who runs this when None.

    Raises:
        UsageError: there is no such user.
    """
    import pwd

    try:
        found = pwd.getpwnam(name) if name is not None else pwd.getpwuid(os.geteuid())
    except (KeyError, ValueError):
        who = f"no user {name!r}" if name is not None else f"no name for user id {os.geteuid()}"
        raise UsageError(
            f"there is {who} on this machine", hint="`getent passwd` lists them"
        ) from None
    home = found.pw_dir
    if name is None and os.environ.get("HOME", "").startswith("/"):
        home = os.environ["HOME"]  # of whoever runs this, as ssh-copy-id and others have it
    return Account(found.pw_name, found.pw_uid, found.pw_gid, Path(home))


def all_accounts() -> list[Account]:
    """Every user that this machine's database lists, each name once."""
    import pwd

    found = {u.pw_name: u for u in reversed(pwd.getpwall())}  # the first of a name counts
    return [
        Account(u.pw_name, u.pw_uid, u.pw_gid, Path(u.pw_dir)) for u in reversed(found.values())
    ]


@contextmanager
def acting_as(user: Account, *, alone: bool = False) -> Iterator[None]:
    """Do the block with this user's rights alone.

    What root does in a home folder goes through names that its owner can change meanwhile: as
    that owner it can do no more harm than they could themselves.

    Args:
        alone: without the user's further groups, as PAM modules do it.

    Raises:
        NoPermission: this process runs as somebody else and is not root.
    """
    me, group = os.geteuid(), os.getegid()
    if user.uid == me:
        yield
        return
    if me != 0:
        raise NoPermission(
            f"only {user.name} and root may change what belongs to {user.name}",
            hint="repeat it with sudo",
        )
    groups = os.getgroups()
    if alone:
        os.setgroups([])
    else:
        os.initgroups(user.name, user.gid)
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        yield
    finally:
        os.seteuid(me)
        os.setegid(group)
        os.setgroups(groups)


# --- passwords -----------------------------------------------------------------------------
# Source: shadow(5), passwd(5), crypt(5). No hash leaves this module.

SHADOW: Final = Path("/etc/shadow")
_NO_HASH: Final = ("*", "!")
_DAY: Final = 86400


class Password(Word):
    """What is known of a user's password."""

    SET = "set"
    EMPTY = "empty"
    LOCKED = "locked"  # `passwd -l`: a hash behind a !, or a ! alone
    NONE = "none"  # a * or the like, which no password fits
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ShadowEntry:
    """A user's line in /etc/shadow.

    Attributes:
        expires: seconds since 1970 after which the account is closed; None is never.
    """

    password: Password
    expires: int | None = None


def parse_shadow(text: str) -> Mapping[str, ShadowEntry]:
    """The users in a shadow file; lines of another form are passed over."""
    return dict(_entries(text))


def _entries(text: str) -> Iterator[tuple[str, ShadowEntry]]:
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) > 1 and fields[0]:
            day = fields[7] if len(fields) > 7 else ""
            expires = int(day) * _DAY if day.isascii() and day.isdigit() else None
            yield fields[0], ShadowEntry(password_state(fields[1]), expires)


def password_state(field: str) -> Password:
    """What a password field means."""
    if not field:
        return Password.EMPTY
    if field.startswith("!"):
        return Password.LOCKED
    # Everything that crypt(3) makes is longer; shorter is no hash.
    return Password.SET if len(field) >= 13 and not field.startswith(_NO_HASH) else Password.NONE


def read_shadow(path: Path = SHADOW) -> Mapping[str, ShadowEntry] | None:
    """The machine's users; None where this user may not look, or nothing is there."""
    try:
        return parse_shadow(path.read_text("utf-8", "surrogateescape"))
    except OSError:
        return None


def shadow_entry(name: str, field: str, entries: Mapping[str, ShadowEntry] | None) -> ShadowEntry:
    """A user's line, or what the user database's own password field (passwd(5)) says.

    Args:
        field: `x` where the password is kept elsewhere.
        entries: as `read_shadow` gives them.
    """
    if entries and name in entries:
        return entries[name]
    password = password_state(field)
    elsewhere = password not in {Password.SET, Password.EMPTY}
    return ShadowEntry(Password.UNKNOWN if elsewhere else password)
