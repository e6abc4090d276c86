"""Users of this machine: their passwords' state, and working with no more rights than theirs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fidokit.errors import NoPermission, UsageError
from fidokit.server.user_sources import UserSources
from fidokit.types import Word


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
            "only root may do this" if user.uid == 0 else f"only {user.name} and root may do this",
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
_IN_SHADOW: Final = "x"
_DAY: Final = 86400
_FIELDS: Final = 9


class Password(Word):
    """What is known of a user's password."""

    SET = "set"
    EMPTY = "empty"
    LOCKED = "locked"  # `passwd -l`: a hash behind a !, or a ! alone
    NONE = "none"  # a * or the like, which no password fits
    UNKNOWN = "unknown"


_WORST_FIRST: Final = (
    Password.SET,
    Password.EMPTY,
    Password.UNKNOWN,
    Password.NONE,
    Password.LOCKED,
)
"""Of several, which one counts where the wrong guess would call a way in shut."""


@dataclass(frozen=True)
class ShadowEntry:
    """A user's line in /etc/shadow; of several, what shuts the least.

    Attributes:
        expires: seconds since 1970 from which on the account is closed, whichever program looks;
            None is never. sshd still lets in on the day that the line names, and so do some
            versions of PAM.
        bypassed: passwd(5) does not refer to /etc/shadow, so that pam_unix does not look there.
    """

    password: Password
    expires: int | None = None
    bypassed: bool = False

    def beside(self, other: ShadowEntry) -> ShadowEntry:
        """What two lines of one user shut together."""
        both = None not in {self.expires, other.expires}
        latest = max(self.expires or 0, other.expires or 0) if both else None
        return ShadowEntry(_worst(self.password, other.password), latest)


def _worst(*found: Password) -> Password:
    return min(found, key=_WORST_FIRST.index)


def parse_shadow(text: str) -> Mapping[str, ShadowEntry]:
    """The users in a shadow file; lines of another form are passed over."""
    found: dict[str, ShadowEntry] = {}
    for name, entry in _entries(text):
        found[name] = entry.beside(found[name]) if name in found else entry
    return found


def _entries(text: str) -> Iterator[tuple[str, ShadowEntry]]:
    for line in text.split("\n"):
        fields = line.lstrip().split(":")
        if len(fields) > 1 and fields[0]:
            state, day = password_state(fields[1]), ""
            if len(fields) == _FIELDS and all(map(_is_number, fields[2:])):
                day = fields[7]
            elif state is Password.LOCKED:
                state = Password.NONE  # the C library may pass over the line, and find no lock
            yield fields[0], ShadowEntry(state, (int(day) + 1) * _DAY if day.isdigit() else None)


def _is_number(field: str) -> bool:
    return not field or (field.isascii() and field.isdigit() and len(field) < _FIELDS)


def password_state(field: str) -> Password:
    """What a password field means."""
    if not field:
        return Password.EMPTY
    if field.startswith("!"):
        return Password.LOCKED
    # Everything that crypt(3) makes is longer; shorter is not a hash.
    return Password.SET if len(field) >= 13 and not field.startswith(_NO_HASH) else Password.NONE


def read_shadow(path: Path = SHADOW) -> Mapping[str, ShadowEntry] | None:
    """The machine's users; None if this user may not look, or nothing is there."""
    try:
        return parse_shadow(path.read_text("utf-8", "surrogateescape"))
    except OSError:
        return None


def shadow_entry(
    name: str,
    field: str,
    entries: Mapping[str, ShadowEntry] | None,
    *,
    complete: bool = True,
) -> ShadowEntry:
    """What is known of a user's password, by /etc/shadow and passwd(5)'s own field together.

    PAM looks at the field first, sshd without PAM at /etc/shadow.

    Args:
        field: `x` where the password is kept elsewhere.
        entries: as `read_shadow` gives them.
        complete: nothing but /etc/shadow keeps passwords; see `user_sources`.
    """
    here = password_state(field)
    missing = Password.NONE if complete and entries is not None else Password.UNKNOWN
    entry = (entries or {}).get(name, ShadowEntry(missing))
    closed = entry.expires if complete else None
    entry = replace(entry, expires=closed, bypassed=field != _IN_SHADOW)
    if here in {Password.SET, Password.EMPTY}:
        return replace(entry, password=_worst(here, entry.password))
    if not complete and entry.password in {Password.NONE, Password.LOCKED}:
        return replace(entry, password=Password.UNKNOWN)
    return entry


def local_passwords(root: Path = Path("/")) -> Callable[[str, str], ShadowEntry]:
    """Gives what is known of a user's password, by name and passwd(5)'s own field.

    Args:
        root: the folder that stands for /.
    """
    entries = read_shadow(root / SHADOW.relative_to("/"))
    sources = UserSources(root)
    complete, files_first = not sources.unlisted("shadow"), sources.files_first("shadow")

    def known(name: str, field: str) -> ShadowEntry:
        here = complete or (files_first and name in (entries or ()))
        return shadow_entry(name, field, entries, complete=here)

    return known
