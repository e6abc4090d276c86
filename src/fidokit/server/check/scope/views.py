"""What holds for one user, on every sshd of a machine and from every place that is told apart.

Most users have one view. Where there are more, a key gets in if some view lets it in, and a rule
holds if it holds in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from fidokit.server.check.key_verdicts import CheckVerdict, KeyRules
from fidokit.server.check.policy import CheckRule, Claim
from fidokit.server.check.scope.places import Places
from fidokit.server.sshd import services
from fidokit.server.sshd.instances import SshdInstance
from fidokit.server.sshd.query import LoginOrigin
from fidokit.server.sshd.settings import SshdSettings

if TYPE_CHECKING:
    from fidokit.openssh.lines.options import Option


@dataclass(frozen=True)
class View:
    """One user, one sshd, one place.

    Attributes:
        instance: the sshd.
        origin: where the login comes from.
        settings: what it says of that login.
    """

    instance: SshdInstance
    origin: LoginOrigin
    settings: SshdSettings

    @property
    def where(self) -> str:
        """The place and the sshd, half a sentence."""
        return f"for logins from {self.origin.addr} to port {self.origin.lport}"


@dataclass(frozen=True)
class Plan:
    """How one sshd is asked about users.

    Attributes:
        general: its settings for nobody in particular, with where they come from.
        usual: where logins come from if nothing is told apart.
        origins: every place that its configuration tells apart, the usual one first.
        is_complete: whether these are all.
        is_fixed: the places were given, and no others count.
        is_same_for_all: it has the same settings for every user.
    """

    instance: SshdInstance
    general: SshdSettings
    usual: LoginOrigin
    origins: tuple[LoginOrigin, ...]
    is_complete: bool = True
    is_fixed: bool = False
    is_same_for_all: bool = False
    _shared: dict[LoginOrigin, SshdSettings] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def settings(self, user: str, origin: LoginOrigin) -> SshdSettings:
        """What the sshd says of a user's login; it is asked once if it cannot tell users apart.

        Raises:
            FidokitError: it does not tell its settings, or cannot be asked about such a name.
        """
        if not self.is_same_for_all:
            return self.instance.sshd.settings(user, origin)
        origin.spec(user)
        if origin not in self._shared:
            self._shared[origin] = self.instance.sshd.settings(user, origin)
        return self._shared[origin]

    def more_origins(self, settings: SshdSettings) -> list[LoginOrigin]:
        """Places that a user's own settings tell apart, beyond those asked about."""
        if self.is_fixed:
            return []
        places = Places()
        places.add_users(settings)
        if places.is_empty:
            return []
        found, _ = places.origins(self.usual, use_dns=settings.is_on("usedns"))
        return [origin for origin in found if origin not in self.origins]


def plan_for(instance: SshdInstance, given: LoginOrigin | None = None) -> Plan:
    """Find out what an sshd tells apart.

    Args:
        given: the only place that counts.

    Raises:
        FidokitError: it does not tell its settings.
    """
    first = given or LoginOrigin()
    general = instance.sshd.explained(None, first)
    same = general.reading is not None and not general.reading.tells_users_apart
    if given is not None:
        return Plan(instance, general, given, (given,), is_fixed=True, is_same_for_all=same)
    ports = _ports(general)
    usual = replace(first, lport=ports[0])
    places = Places(ports=set(ports))
    for conditions in general.reading.matches if general.reading else ():
        places.add_match(conditions)
    places.add_users(general)
    origins, complete = places.origins(usual, use_dns=general.is_on("usedns"))
    if places.is_empty or (len(ports) == 1 and places == Places(ports=set(ports))):
        origins = [usual]
    return Plan(instance, general, usual, tuple(origins), complete, is_same_for_all=same)


def _ports(settings: SshdSettings) -> list[str]:
    """Where sshd listens, or a socket of systemd that starts it; what Port says may not count."""
    socket = services.of_socket()
    listening = [*services.addresses(settings), *(socket[1] if socket else ())]
    found = [*(str(port) for _, port in listening), *settings.all("port")]
    return list(dict.fromkeys(found)) or ["22"]


@dataclass(frozen=True)
class MergedRules:
    """The rules of several views, as one.

    Attributes:
        parts: of each view; at least one.
    """

    parts: tuple[KeyRules, ...]
    _judged: dict[object, CheckVerdict] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def rules(self) -> frozenset[CheckRule]:
        """The policies to hold each key to."""
        return self.parts[0].rules

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why no view takes any key; empty if one does."""
        if any(not part.refusals for part in self.parts):
            return ()
        return self.parts[0].refusals

    def refusing(self, why: Sequence[str]) -> MergedRules:
        """These rules for a file that sshd passes over, as far as we can read."""
        return MergedRules(tuple(part.refusing(why) for part in self.parts)) if why else self

    def judge(self, type_name: str, bits: int, options: Sequence[Option] = ()) -> CheckVerdict:
        """What becomes of a key: the worst that some view makes of it."""
        if len(self.parts) == 1:
            return self.parts[0].judge(type_name, bits, options)
        verdicts = [part.judge(type_name, bits, options) for part in self.parts]
        return merged(verdicts)

    def doubted(self, why: str) -> tuple[tuple[CheckRule, str], ...]:
        """The rules that a line breaks which may hold any key."""
        return _union(part.doubted(why) for part in self.parts)

    def could_take(self, type_name: str) -> bool:
        """Whether some view leaves a key of a type a chance."""
        return any(part.could_take(type_name) for part in self.parts)

    def promise(self, type_name: str) -> Claim:
        """What is certain in every view of a key behind options that nobody here can read."""
        claim = self.parts[0].promise(type_name)
        for part in self.parts[1:]:
            claim &= part.promise(type_name)
        return claim


def merged(verdicts: Sequence[CheckVerdict]) -> CheckVerdict:
    """One verdict of several: let in where one lets in, demanded where all demand."""
    open_ones = [verdict for verdict in verdicts if not verdict.refusals]
    counted = open_ones or verdicts
    violates = _union(verdict.violates for verdict in verdicts)
    spared = _union(verdict.spared for verdict in verdicts)
    return replace(
        counted[0],
        touch=_all(verdict.touch for verdict in counted),
        verify=_all(verdict.verify for verdict in counted),
        hardware=_all(verdict.hardware for verdict in counted),
        violates=violates,
        spared=tuple(one for one in spared if one[0] not in {rule for rule, _ in violates}),
    )


def _all(said: Iterator[bool | None]) -> bool | None:
    found = list(said)
    if any(one is False for one in found):
        return False
    return None if any(one is None for one in found) else True


def _union(
    many: Iterator[tuple[tuple[CheckRule, str], ...]],
) -> tuple[tuple[CheckRule, str], ...]:
    found: dict[CheckRule, str] = {}
    for broken in many:
        for rule, why in broken:
            found.setdefault(rule, why)
    return tuple(found.items())


NOT_ALL_PLACES: Final = (
    "the configuration tells apart more places than are asked about here; name those that matter"
    " with -C"
)
