"""Users of this machine, and working with no more rights than theirs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fidokit.errors import NoPermission, UsageError


@dataclass(frozen=True, slots=True)
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
def acting_as(user: Account) -> Iterator[None]:
    """Do the block with this user's rights alone.

    What root does in a home folder goes through names that its owner can change meanwhile: as
    that owner it can do no more harm than they could themselves.

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
    os.initgroups(user.name, user.gid)
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        yield
    finally:
        os.seteuid(me)
        os.setegid(group)
        os.setgroups(groups)
