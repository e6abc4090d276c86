"""How users of this machine get in apart from their keys: not at all, or by a password."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fidokit.server import shadow
from fidokit.server.accounts import Account
from fidokit.server.check import admission, login_methods
from fidokit.server.check.admission import Person
from fidokit.server.shadow import Password
from fidokit.server.sshd.program import LOOPBACK
from fidokit.server.sshd.settings import Settings

_SUPERUSER: Final = 0


def people() -> Callable[[Account], Person]:
    """Users as sshd looks at them, by this machine's database."""
    entries = shadow.read()

    def person(account: Account) -> Person:
        import pwd

        found = pwd.getpwnam(account.name)
        entry = shadow.entry_of(account.name, found.pw_passwd, entries)
        return admission.person(account.name, account.uid, account.gid, found.pw_shell, entry)

    return person


@dataclass(frozen=True, slots=True)
class WaysIn:
    """What is known of users.

    Attributes:
        person: a user as sshd looks at one.
    """

    person: Callable[[Account], Person] = field(default_factory=people)

    def refusal(self, account: Account, settings: Settings) -> str:
        """Why sshd lets nobody in as this user, whatever the key; empty where it does.

        The public-key query tells it of some of these reasons only.
        """
        person = self.person(account)
        return next(admission.refusals(person, settings, LOOPBACK, time.time()), "")

    def may_have_password(self, account: Account) -> bool:
        """Whether a password could be set."""
        state = self.person(account).shadow.password
        return state not in {Password.NONE, Password.LOCKED}

    def password_is_enough(self, account: Account, settings: Settings) -> bool:
        """Whether the user gets in by a password alone, as far as can be seen."""
        if self.refusal(account, settings):
            return False
        state = self.person(account).shadow.password
        is_root = account.uid == _SUPERUSER
        return login_methods.password_way(settings, state, is_root=is_root).possible
