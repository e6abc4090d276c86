"""Who can log in to this machine, by what, and whether that is what was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fidokit.server.check.audit import Event as CheckEvent
from fidokit.server.check.audit import FileReport, ServerReport, UserReport
from fidokit.server.check.key_events import KeyLine, UnreadableLine
from fidokit.server.check.key_verdicts import Verdict as CheckVerdict
from fidokit.server.check.policy import Rule as CheckRule
from fidokit.server.check.policy import Violation
from fidokit.server.check.tally import Tally as CheckTally

if TYPE_CHECKING:
    from contextlib import ExitStack


__all__ = [
    "CheckEvent",
    "CheckRequest",
    "CheckRule",
    "CheckTally",
    "CheckVerdict",
    "FileReport",
    "KeyLine",
    "ServerReport",
    "UnreadableLine",
    "UserReport",
    "Violation",
    "check_server",
]


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What to look at.

    Attributes:
        users: by name; all of the machine's where empty.
        rules: policies to hold every login to.
        sshd: the server's program; found where None.
        config: its configuration file; its own where None.
        connection: where logins come from, as `sshd -C` takes it (`host=NAME,addr=ADDRESS`, also
            laddr, lport, rdomain); from a stranger's address where empty.
    """

    users: Sequence[str] = ()
    rules: frozenset[CheckRule] = frozenset()
    sshd: str | None = None
    config: str | None = None
    connection: str = ""


def check_server(request: CheckRequest = CheckRequest()) -> Iterator[CheckEvent]:
    """Report on the server, its users, their files and keys, as a stream in that order.

    Lines of files follow the `FileReport` of their file, files their user. `CheckTally.watch`
    counts, and collects what breaks the rules. All text in it that is not ours is hostile.

    Raises, with the first of them:
        Unsupported: there is no sshd; MalformedFile: it does not take its configuration.
        NoPermission, FidokitError: it does not tell its settings.
        UsageError: there is no such user, or the connection makes no sense.
    """
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield from _report(request, stack)


def _report(request: CheckRequest, stack: ExitStack) -> Iterator[CheckEvent]:
    import time
    from functools import cache

    from fidokit.server import accounts
    from fidokit.server.check import ways_in
    from fidokit.server.check.audit import Audit
    from fidokit.server.sshd import match_blocks
    from fidokit.server.sshd.query import Origin, Sshd
    from fidokit.system.host import run_program

    @cache
    def spare_key() -> str | None:
        """A key that nobody else knows, for a question that wants one."""
        from tempfile import TemporaryDirectory

        spare = f"{stack.enter_context(TemporaryDirectory(prefix='fidokit-'))}/host_key"
        made = run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", spare])
        return None if made is None else spare

    origin = Origin.parse(request.connection) if request.connection else Origin()
    chosen = [accounts.account(name) for name in dict.fromkeys(request.users)]
    audit = Audit(
        Sshd(run_program, request.sshd, request.config, origin, spare_key),
        ways_in.people(),
        match_blocks.criteria(request.config or match_blocks.MAIN),
        request.rules,
        time.time(),
    )
    yield from audit.run(chosen or accounts.all_accounts())
