"""Who can log in to this machine, by what, and whether that is what was meant."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.server import accounts
from fidokit.server.check.admission import people
from fidokit.server.check.audit import Audit
from fidokit.server.check.break_glass import BreakGlassWatch, ThrowAwaySshd, watched
from fidokit.server.check.findings.derivation import Derivation, ReportEvent
from fidokit.server.check.findings.server_files import ServerFiles
from fidokit.server.check.findings.setting_origins import SettingOrigins
from fidokit.server.check.keys.evidence import SshdEvidence
from fidokit.server.check.policy import BreakGlass, CheckRule
from fidokit.server.sshd.instances import find_instances
from fidokit.server.sshd.query import LoginOrigin
from fidokit.server.user_sources import UserSources
from fidokit.system.host import run_program

_SUPERUSER: Final = 0
DECISIVE_SETTINGS: Final = (
    "AuthenticationMethods",
    "PubkeyAuthentication",
    "PubkeyAuthOptions",
    "PubkeyAcceptedAlgorithms",
    "PasswordAuthentication",
    "KbdInteractiveAuthentication",
    "UsePAM",
    "PermitEmptyPasswords",
    "PermitRootLogin",
    "StrictModes",
    "RequiredRSASize",
    "AuthorizedKeysFile",
    "AuthorizedKeysCommand",
    "AuthorizedPrincipalsFile",
    "TrustedUserCAKeys",
    "RevokedKeys",
    "HostbasedAuthentication",
    "GSSAPIAuthentication",
)
"""The settings that decide who gets in, as sshd_config(5) spells and groups them."""


Progress = Callable[[int, int], None]
"""Is told how many users of how many are looked at."""


@dataclass(frozen=True)
class CheckRequest:
    """What to look at.

    Attributes:
        users: by name; all of the machine's where empty.
        rules: policies to hold every login to.
        sshd: the server's program; found where None.
        config: its configuration file; its own where None.
        connection: where logins come from, as `sshd -C` takes it (`host=NAME,addr=ADDRESS`, also
            laddr, lport, rdomain); from every place that the configuration tells apart where empty.
        progress: see `Progress`.
    """

    users: Sequence[str] = ()
    rules: Collection[CheckRule | BreakGlass] = ()
    sshd: str | None = None
    config: str | None = None
    connection: str = ""
    progress: Progress = lambda _done, _total: None


def check_server(request: CheckRequest = CheckRequest()) -> Iterator[ReportEvent]:
    """Report on the server, its users, their files and keys, as a stream in that order.

    Lines of files follow the `FileReport` of their file, files their user, and findings what they
    are about. `CheckTally.watch` counts and collects. All text in it that is not ours is hostile.

    Raises, with the first of them:
        SshdNotAsked: there is no sshd, or it does not tell its settings.
        UsageError: there is no such user, or the connection is not valid.
    """
    with ExitStack() as stack:

        @cache
        def spare_key() -> str | None:
            """A key that nobody else knows, for a question that wants one."""
            spare = f"{stack.enter_context(TemporaryDirectory(prefix='fidokit-'))}/host_key"
            made = run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", spare])
            return None if made is None else spare

        given = LoginOrigin.parse(request.connection) if request.connection else None
        chosen = [accounts.account(name) for name in dict.fromkeys(request.users)]
        instances = find_instances(request.sshd, request.config, spare_key=spare_key)
        sshd, origin = instances[0].sshd, given or LoginOrigin()
        audit = Audit(
            instances,
            people(),
            stack.enter_context(SshdEvidence()),
            frozenset(rule for rule in request.rules if isinstance(rule, CheckRule)),
            time.time(),
            given,
            unlisted=() if chosen else UserSources().unlisted(),
        )
        events = audit.run(_counted(chosen or accounts.all_accounts(), request.progress))
        asker = ThrowAwaySshd(sshd, origin, stack)
        keys = [rule for rule in request.rules if isinstance(rule, BreakGlass)]
        watches = [BreakGlassWatch(rule, asker.accepts) for rule in keys]
        derivation = Derivation(
            SettingOrigins(
                lambda asked: (asked.sshd or sshd).explained(asked.user, asked.origin or origin)
            ),
            ServerFiles(_trusted(request.config)),
        )
        yield from derivation.watch(watched(events, watches))


def _counted(found: Sequence[accounts.Account], progress: Progress) -> Iterator[accounts.Account]:
    for done, account in enumerate(found):
        progress(done, len(found))
        yield account


def _trusted(config: str | None) -> frozenset[int]:
    """Who may own what decides: root, and for a configuration of one's own whoever runs this."""
    return frozenset({_SUPERUSER, os.geteuid()} if config else {_SUPERUSER})
