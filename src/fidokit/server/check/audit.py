"""Who can log in to this machine over ssh, and by what: everything that can be seen, in order.

A report is a stream: the server, then each user, the user's files and their lines. Files of any
length pass through; what is kept is one fingerprint a key, to find keys that are there twice.

What our own reading says of a login is believed where it says that it gets in. Where it says that
sshd refuses something, and a rule would hold because of that, sshd itself is asked (`evidence`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Union

from fidokit.errors import FidokitError
from fidokit.server.accounts import Account, Password, ShadowEntry
from fidokit.server.check import admission, login_methods
from fidokit.server.check.admission import LoginUser
from fidokit.server.check.key_lines import KeyLine, UnreadableLine
from fidokit.server.check.key_verdicts import KeyRules, rules_for
from fidokit.server.check.keys.evidence import SshdEvidence
from fidokit.server.check.keys.sources import FileReport as FileReport  # noqa: PLC0414
from fidokit.server.check.keys.sources import KeySources
from fidokit.server.check.login_methods import PasswordWay
from fidokit.server.check.policy import CheckRule, Violation
from fidokit.server.check.scope import keywords, running
from fidokit.server.check.scope.views import NOT_ALL_PLACES, MergedRules, Plan, View, plan_for
from fidokit.server.harden.half import half_second_factor
from fidokit.server.sshd.config import DEFAULT
from fidokit.server.sshd.instances import SshdInstance
from fidokit.server.sshd.query import LoginOrigin, in_batches
from fidokit.server.sshd.settings import SshdSettings

_SUPERUSER: Final = 0
_EVERYBODY: Final = "all"
_WORKERS: Final = 6


@dataclass(frozen=True)
class ServerReport:
    """What holds for nobody in particular.

    Attributes:
        settings: the effective ones of the first sshd, with the lines that decide them.
        notes: sentences: what this report cannot see.
        violations: rules that are in doubt for everybody, such as what a running sshd that was not
            reloaded does; they name no user.
        instances: the sshds that were asked, as users would call them.
    """

    settings: SshdSettings
    notes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    instances: tuple[str, ...] = ()


@dataclass(frozen=True)
class UserReport:
    """What holds for one user; the files follow.

    Attributes:
        account: hostile text in its name, home and shell.
        settings: effective for the user, from a place where most is let in.
        refusals: why sshd lets nobody in as this user, or takes no key; empty if it does.
        password: whether a password alone is enough, from some place.
        notes: sentences: where keys may be that nobody here sees.
        violations: rules that no line breaks, but the user's settings.
        unknown: why nothing can be said; else empty.
        views: every sshd and place that differs for the user.
    """

    account: Account
    settings: SshdSettings
    refusals: tuple[str, ...]
    password: PasswordWay
    notes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    unknown: str = ""
    views: tuple[View, ...] = field(default=(), repr=False)


CheckEvent = Union[  # noqa: UP007  Python 3.9 evaluates it
    ServerReport, UserReport, FileReport, KeyLine, UnreadableLine
]


@dataclass(frozen=True)
class JudgedView:
    """A view, and what keeps the user out of it.

    Attributes:
        stated: why sshd lets nobody in, as it says itself.
        readings: why it does not, as only we read.
        doubt: why sshd could not confirm those; else empty.
    """

    view: View
    stated: tuple[str, ...]
    readings: tuple[str, ...]
    doubt: str = ""

    @property
    def refusals(self) -> tuple[str, ...]:
        """What certainly keeps the user out."""
        return () if self.doubt else (*self.stated, *self.readings)


@dataclass
class Audit:
    """One look at a machine.

    Attributes:
        instances: the sshds.
        person: what sshd looks at in an account.
        evidence: asks a throw-away sshd.
        rules: the policies to hold everything to.
        now: seconds since 1970.
        origin: the only place that logins come from; every place that matters where None.
        workers: how many sshds are asked at once.
        unlisted: why there may be users whom nobody lists (`user_sources`), a sentence each.
    """

    instances: Sequence[SshdInstance]
    person: Callable[[Account], LoginUser]
    evidence: SshdEvidence
    rules: frozenset[CheckRule] = frozenset()
    now: float = 0.0
    origin: LoginOrigin | None = None
    workers: int = _WORKERS
    unlisted: Sequence[str] = ()
    _sources: KeySources = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._sources = KeySources(self.evidence, self.rules)

    def run(self, accounts: Iterable[Account]) -> Iterator[CheckEvent]:
        """The whole report.

        Raises:
            FidokitError: no sshd tells its settings; see `sshd.query.Sshd.settings`.
        """
        plans = [plan_for(instance, self.origin) for instance in self.instances]
        yield self._server(plans)
        asked = in_batches(accounts, lambda account: self._views(plans, account), self.workers)
        for account, found in asked:
            yield from self._user(account, found)

    # --- the server ------------------------------------------------------------------------

    def _server(self, plans: Sequence[Plan]) -> ServerReport:
        doubts = list(dict.fromkeys(doubt for plan in plans for doubt in self._doubts(plan)))
        violations = tuple(
            Violation(rule, "", why, doubt=True, find_out=how)
            for why, how in doubts
            for rule in sorted(self.rules)
        )
        violations += tuple(one for plan in plans for one in self._unlisted(plan))
        halves = (half for plan in plans for half in _half_factors(plan))
        notes = (*(why for why, _ in doubts), *self.unlisted, *halves)
        names = tuple(plan.instance.name for plan in plans)
        return ServerReport(plans[0].general, notes, violations, names)

    @staticmethod
    def _doubts(plan: Plan) -> Iterator[tuple[str, str]]:
        for why in running.differences(plan.instance, plan.general):
            yield why, "reload or restart sshd, then check again"
        for why in keywords.doubts(plan.general):
            yield why, "see `man sshd_config` there, or update fidokit"
        if not plan.is_complete:
            yield NOT_ALL_PLACES, "name a place with -C addr=ADDRESS"

    def _unlisted(self, plan: Plan) -> Iterator[Violation]:
        """What users may do whom nobody lists: they may have any password and any key.

        A Match block may be about any of them, and about the places that they come from.
        """
        view = View(plan.instance, plan.usual, plan.general)
        nobody = LoginUser("", -1, "", (), ShadowEntry(Password.UNKNOWN))
        way = self._password(nobody, view)
        rules = rules_for(plan.general, is_root=False, rules=self.rules)
        broken = [] if rules.refusals else [rule for rule, _ in rules.unseen().broken(self.rules)]
        if way.possible and CheckRule.NO_PASSWORD in self.rules:
            broken.append(CheckRule.NO_PASSWORD)
        matches = plan.general.reading.matches if plan.general.reading else ()
        if any(conditions.strip().lower() != _EVERYBODY for conditions in matches):
            broken = sorted(self.rules)
        for why in self.unlisted:
            how = "name the users that matter with --user"
            yield from (Violation(rule, "", why, doubt=True, find_out=how) for rule in broken)

    # --- a user ----------------------------------------------------------------------------

    def _views(self, plans: Sequence[Plan], account: Account) -> list[View] | FidokitError:
        """What each sshd says of a user, from each place; or why one of them says nothing."""
        found = []
        try:
            for plan in plans:
                origins = list(plan.origins)
                for origin in origins:
                    settings = plan.settings(account.name, origin)
                    found.append(View(plan.instance, origin, settings))
                    more = plan.more_origins(settings)
                    origins += [one for one in more if one not in origins]
        except FidokitError as error:
            return error
        return found

    def _user(self, account: Account, found: list[View] | FidokitError) -> Iterator[CheckEvent]:
        if isinstance(found, FidokitError):
            yield self._unknown(account, found)
            return
        person = self.person(account)
        judged = self._judged(account, person, found)
        rules = MergedRules(tuple(self._rules(person, one) for one in judged))
        report = self._report(account, person, judged, rules)
        views = [one.view for one in judged]
        known = self._sources.others(account, views, rules)
        yield replace(
            report,
            violations=(*report.violations, *known.violations),
            notes=(*report.notes, *known.notes),
        )
        yield from self._sources.files(account, views, rules)

    def _unknown(self, account: Account, error: FidokitError) -> UserReport:
        violations = tuple(
            Violation(rule, account.name, error.message, doubt=True, find_out=error.hint)
            for rule in sorted(self.rules)
        )
        way = PasswordWay(True, error.message)
        return UserReport(account, SshdSettings(), (), way, (), violations, unknown=error.message)

    def _judged(
        self, account: Account, person: LoginUser, views: Sequence[View]
    ) -> list[JudgedView]:
        """The views that differ; those in which only our own reading keeps the user out, confirmed.

        A view that keeps the user out says nothing new beside one that does not, and is the same.
        """
        found: dict[object, list[JudgedView]] = {}
        for view in views:
            stated = tuple(admission.stated(person, view.settings))
            if self._is_closed(person, view):
                stated = (*stated, "the account has expired")
            readings = tuple(admission.readings(person, view.settings, view.origin, self.now))
            key = (view.instance.sshd.program, *sorted(view.settings.values.items()))
            found.setdefault(key, []).append(JudgedView(view, stated, readings))
        return [self._confirmed(account, person, alike) for alike in found.values()]

    def _confirmed(
        self, account: Account, person: LoginUser, alike: Sequence[JudgedView]
    ) -> JudgedView:
        """One of several places with the same settings: where somebody gets in, if there is one."""
        worst = next((one for one in alike if not one.readings), alike[0])
        if not worst.readings or worst.stated:
            return worst
        if not self._is_at_stake(account, person, worst.view):
            return worst
        for one in alike:
            sshd, origin = one.view.instance.sshd, one.view.origin
            allowed, why = self.evidence.user_is_allowed(sshd, account.name, origin)
            if allowed:
                return JudgedView(one.view, one.stated, ())
            if allowed is None:
                worst = JudgedView(one.view, one.stated, one.readings, doubt=why)
        return worst

    def _is_at_stake(self, account: Account, person: LoginUser, view: View) -> bool:
        """Whether a rule could hold only because sshd keeps the user out."""
        way = self._password(person, view)
        by_password = CheckRule.NO_PASSWORD in self.rules and way.possible
        return bool(self.rules) and (by_password or self._sources.has_any(account, view))

    def _rules(self, person: LoginUser, one: JudgedView) -> KeyRules:
        return rules_for(
            one.view.settings,
            is_root=person.uid == _SUPERUSER,
            refusals=one.refusals,
            rules=self.rules,
            now=self.now,
        )

    def _is_closed(self, person: LoginUser, view: View) -> bool:
        service = Path(view.instance.sshd.program).name
        return login_methods.is_closed(view.settings, person.shadow, self.now, service)

    @staticmethod
    def _password(person: LoginUser, view: View) -> PasswordWay:
        return login_methods.password_way(
            view.settings,
            person.shadow.password,
            is_root=person.uid == _SUPERUSER,
            service=Path(view.instance.sshd.program).name,
        )

    def _keyless(self, user: str, judged: Sequence[JudgedView]) -> list[Violation]:
        """Rules about keys that a login without any key on this machine may break."""
        ways = {
            said: None
            for one in judged
            if not one.refusals
            for said in login_methods.keyless_ways(one.view.settings)
        }
        return [
            Violation(rule, user, said, doubt=True, find_out="turn it off, or name who may use it")
            for said in ways
            for rule in sorted(self.rules - {CheckRule.NO_PASSWORD})
        ]

    def _report(
        self,
        account: Account,
        person: LoginUser,
        judged: Sequence[JudgedView],
        rules: MergedRules,
    ) -> UserReport:
        ways = [(self._password(person, one.view), one) for one in judged]
        way, shown = next(
            ((way, one) for way, one in ways if way.possible and not one.refusals), ways[0]
        )
        if way.possible and shown.refusals:
            way = PasswordWay(False, shown.refusals[0])
        violations = []
        if way.possible and CheckRule.NO_PASSWORD in self.rules:
            where = f" {shown.view.where}" if len(judged) > 1 else ""
            violations.append(
                Violation(
                    CheckRule.NO_PASSWORD,
                    account.name,
                    f"{way.why}{where}" + (f"; {shown.doubt}" if shown.doubt else ""),
                    doubt=bool(shown.doubt or way.find_out),
                    find_out=way.find_out or shown.doubt,
                )
            )
        violations += self._keyless(account.name, judged)
        notes = [f"{'; '.join(one.readings)}: {one.doubt}" for one in judged if one.doubt]
        notes += [said for one in judged for said in login_methods.keyless_ways(one.view.settings)]
        return UserReport(
            account,
            shown.view.settings,
            rules.refusals,
            way,
            tuple(dict.fromkeys(notes)),
            tuple(violations),
            views=tuple(one.view for one in judged),
        )


def _half_factors(plan: Plan) -> Iterator[str]:
    """A second factor of which one side was taken away."""
    config = plan.instance.sshd.named_config or str(DEFAULT)
    for half in half_second_factor(Path(config), settings=plan.general):
        yield f"{half.sentence}; {half.hint}"
