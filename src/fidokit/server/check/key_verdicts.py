"""What sshd would make of a key: whether it takes it, and what it demands of a token.

Source: sshd_config(5), sshd(8) "AUTHORIZED_KEYS FILE FORMAT". Of options that contradict each
other the last one counts; touch and PIN are demanded of keys on tokens alone, so that
`verify-required` before another key demands nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

from fidokit.server.check import login_methods
from fidokit.server.check.policy import CheckRule, Claim
from fidokit.server.sshd.settings import SshdSettings
from fidokit.types import Word

if TYPE_CHECKING:
    from fidokit.openssh.lines.options import Option

SK: Final = "sk-"
RSA: Final = "ssh-rsa"
DSA: Final = "ssh-dss"
_CERTIFICATE: Final = "-cert"
_SIGNS_AS: Final[Mapping[str, tuple[str, ...]]] = {RSA: ("rsa-sha2-512", "rsa-sha2-256", RSA)}
_WEAK_RSA: Final = 2048
_SHORT_RSA: Final = 3072
_NO_SIZE: Final = 1 << 20
KNOWN: Final = frozenset(
    {
        *(RSA, DSA, "ssh-ed25519", "sk-ssh-ed25519@openssh.com"),
        "sk-ecdsa-sha2-nistp256@openssh.com",
        *(f"ecdsa-sha2-nistp{size}" for size in (256, 384, 521)),
        *("ssh-mldsa44-ed25519", "ssh-mldsa44-ed25519@openssh.com"),
    }
)
"""Types of keys that lines are read for; sshd may know more."""

_PLAIN_ALGORITHMS: Final = (*KNOWN, "rsa-sha2-256", "rsa-sha2-512")
_ALGORITHMS: Final = frozenset(
    {
        *_PLAIN_ALGORITHMS,
        *(f"{name.partition('@')[0]}-cert-v01@openssh.com" for name in _PLAIN_ALGORITHMS),
        "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
        "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "ssh-mldsa44-ed25519-cert",
    }
)
"""What those keys sign by."""

_REVOKED: Final = "sshd refuses it, as RevokedKeys says"
_COMMANDS_ONLY: Final = "forced-commands-only"
_EXPIRY: Final = "expiry-time"
_REMEMBERED: Final = 500
_SHORT: Final = 256
"""How many verdicts, and on how long options, are kept: a hostile file must not fill memory."""

_TOUCH: Final = "touch-required"
_VERIFY: Final = "verify-required"
_OF_TOKENS: Final = (SK, "webauthn-sk-")


class Strength(Word):
    """Whether a key's type and size are still good (NIST SP 800-131A, SP 800-57)."""

    GOOD = "good"
    SHORT = "short"  # RSA below 3072 bits: not beyond 2030
    WEAK = "weak"  # RSA below 2048 bits, DSA


@dataclass(frozen=True)
class CheckVerdict:
    """What becomes of a key in a line.

    Attributes:
        hardware: it is on a token; None if an authority certifies keys that nobody here sees.
        touch, verify: sshd demands it at each login; None for keys that are not on a token.
        strength: of its type and size.
        refusals: why sshd does not take it; empty if it does.
        options: what stands before the key, as sshd reads it; hostile text.
        violates: the rules that it breaks, and why.
        spared: the rules that it would break if sshd took it after all: only our own reading says
            that it does not, so sshd has to be asked.
        doubt: why nobody here can tell whether sshd takes it; else empty.
    """

    hardware: bool | None
    touch: bool | None
    verify: bool | None
    strength: Strength = Strength.GOOD
    refusals: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    violates: tuple[tuple[CheckRule, str], ...] = ()
    spared: tuple[tuple[CheckRule, str], ...] = ()
    doubt: str = ""

    def answered(self, taken: bool | None, why: str) -> CheckVerdict:
        """The verdict once sshd was asked whether it takes the key; None if it could not be."""
        if taken is None:
            doubt = "; ".join(filter(None, (*self.refusals, why)))
            return replace(self, violates=self.spared, spared=(), doubt=doubt)
        if taken:
            return replace(self, refusals=(), violates=self.spared, spared=())
        return replace(self, refusals=self.refusals or (_REVOKED,), spared=())

    @property
    def is_authority(self) -> bool:
        """Whether the key signs certificates rather than logging in."""
        return any(option.name == "cert-authority" for option in self.options)


class JudgesKeys(Protocol):
    """What becomes of keys, for one user: `KeyRules`, or several of them."""

    @property
    def rules(self) -> frozenset[CheckRule]:
        """The policies to hold each key to."""

    def judge(self, type_name: str, bits: int, options: Sequence[Option] = ()) -> CheckVerdict:
        """What becomes of a key."""

    def doubted(self, why: str) -> tuple[tuple[CheckRule, str], ...]:
        """The rules that a line breaks which may hold any key."""

    def could_take(self, type_name: str) -> bool:
        """Whether sshd's settings leave a key of a type a chance."""

    def promise(self, type_name: str) -> Claim:
        """What is certain of a key of a type behind options that nobody here can read."""


@dataclass(frozen=True)
class KeyRules:
    """What a user's effective settings make of keys.

    Attributes:
        settings: effective for the user.
        is_root: the user's number is 0.
        refusals: why none of the user's keys gets in, whatever it is.
        readings: why sshd takes none of them by our own reading, which it has to confirm.
        rules: the policies to hold each key to.
        now: seconds since 1970.
    """

    settings: SshdSettings
    is_root: bool = False
    refusals: tuple[str, ...] = ()
    rules: frozenset[CheckRule] = frozenset()
    now: float = 0.0
    readings: tuple[str, ...] = ()
    _judged: dict[tuple[str, int, tuple[Option, ...]], CheckVerdict] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def refusing(self, why: Sequence[str]) -> KeyRules:
        """These rules for a file that sshd passes over, as far as we can read."""
        return replace(self, readings=(*self.readings, *why)) if why else self

    def judge(self, type_name: str, bits: int, options: Sequence[Option] = ()) -> CheckVerdict:
        """What becomes of a key; lines that say the same share one answer, as far as they are few.

        Args:
            type_name: on the wire; `ssh-dss` too.
            bits: as ssh-keygen counts them.
            options: what stands before it, taken by sshd (`options.check_options`).
        """
        asked = (type_name, bits, tuple(options))
        found = self._judged.get(asked)
        if found is None:
            found = self._judge(*asked)
            size = sum(len(option.value or "") + 1 for option in asked[2])
            if len(self._judged) < _REMEMBERED and size < _SHORT:
                self._judged[asked] = found
        return found

    def _judge(self, type_name: str, bits: int, options: tuple[Option, ...]) -> CheckVerdict:
        authority = any(option.name == "cert-authority" for option in options)
        certain = (*self.refusals, *self._refusals(type_name, bits, options, authority))
        readings = (*self.readings, *self._expired(options))
        claim, verdict = self._demands(type_name, options, authority)
        broken = () if certain else claim.broken(self.rules)
        asked = bool(readings) or self.settings.is_set("revokedkeys")
        return replace(
            verdict,
            strength=_strength(type_name, bits),
            refusals=(*certain, *readings),
            options=options,
            violates=() if asked else broken,
            spared=broken if asked else (),
        )

    def _demands(
        self, type_name: str, options: Sequence[Option], authority: bool
    ) -> tuple[Claim, CheckVerdict]:
        touch, verify = self.demanded(options)
        if authority:
            sure = self.only_tokens_certify
            doubt = "" if sure else "an authority may certify keys that are not on a token"
            unbounded = _unbounded(type_name, options)
            return Claim(sure, sure and verify, doubt, unbounded), CheckVerdict(
                True if sure else None, touch if sure else None, verify if sure else None
            )
        if not type_name.startswith(SK):
            return Claim(False, False), CheckVerdict(False, None, None)
        return Claim(True, verify), CheckVerdict(True, touch, verify)

    def demanded(self, options: Sequence[Option] = ()) -> tuple[bool, bool]:
        """Whether a token's touch, and its PIN or fingerprint, are demanded behind options."""
        server = self.settings.first("pubkeyauthoptions").split()
        touch = _TOUCH in server or _last_of(options, _TOUCH) != f"no-{_TOUCH}"
        verify = _VERIFY in server or _last_of(options, _VERIFY) == _VERIFY
        return touch, verify

    @cached_property
    def accepted(self) -> frozenset[str]:
        """The names in PubkeyAcceptedAlgorithms; empty if sshd does not print it."""
        return frozenset(self.settings.listed("pubkeyacceptedalgorithms"))

    @cached_property
    def only_tokens(self) -> bool:
        """Whether sshd takes signatures of no key but a token's, certified or not."""
        return bool(self.accepted) and all(name.startswith(_OF_TOKENS) for name in self.accepted)

    @cached_property
    def only_tokens_certify(self) -> bool:
        """Whether sshd takes no certificate but a token key's."""
        certified = [name for name in self.accepted if _certifies(name)]
        return bool(self.accepted) and all(name.startswith(_OF_TOKENS) for name in certified)

    def authority(self, type_name: str) -> CheckVerdict:
        """What becomes of the certificates that an authority of a type makes; any type if empty."""
        claim, verdict = self._demands(type_name, (), authority=True)
        refusals = (*self.refusals, *(self._authority_refusals(type_name) if type_name else ()))
        return replace(
            verdict, refusals=refusals, violates=() if refusals else claim.broken(self.rules)
        )

    def unseen(self) -> Claim:
        """What is certain of keys that nobody here sees, whatever options stand before them."""
        _, verify = self.demanded()
        doubt = "" if self.only_tokens else "it may let in keys that are not on a token"
        return Claim(self.only_tokens, self.only_tokens and verify, doubt)

    def doubted(self, why: str) -> tuple[tuple[CheckRule, str], ...]:
        """The rules that a line breaks which may hold any key."""
        return () if self.refusals else replace(self.unseen(), doubt=why).broken(self.rules)

    def could_take(self, type_name: str) -> bool:
        """Whether sshd's settings leave a key of a type a chance."""
        return not self.refusals and not self._type_refusals(type_name, _NO_SIZE)

    def promise(self, type_name: str) -> Claim:
        """What is certain of a key of a type behind options that nobody here can read."""
        if not type_name.startswith(SK):
            return Claim(False, False)
        return Claim(True, self.demanded()[1])

    def _refusals(
        self, type_name: str, bits: int, options: Sequence[Option], authority: bool
    ) -> list[str]:
        if authority:
            return self._authority_refusals(type_name)
        found = self._type_refusals(type_name, bits)
        by_command = any(option.name == "command" for option in options)
        only_so = self.settings.first("permitrootlogin") == _COMMANDS_ONLY
        if self.is_root and only_so and not by_command:
            found.append("PermitRootLogin requires a command= here")
        return found

    def _type_refusals(self, type_name: str, bits: int) -> list[str]:
        signs_as = _SIGNS_AS.get(type_name, (type_name,))
        unheard_of = type_name not in KNOWN and not self.accepted <= _ALGORITHMS
        if self.accepted and not unheard_of and not self.accepted.intersection(signs_as):
            return [f"PubkeyAcceptedAlgorithms leaves out {type_name}"]
        least = self.settings.first("requiredrsasize", "0")
        if type_name == RSA and least.isdigit() and bits < int(least):
            return [f"RequiredRSASize is {least}"]
        return []

    def _authority_refusals(self, type_name: str) -> list[str]:
        if self.accepted and not any(map(_certifies, self.accepted)):
            return ["PubkeyAcceptedAlgorithms leaves out certificates"]
        signs = self.settings.listed("casignaturealgorithms")
        if signs and not set(signs).intersection(_SIGNS_AS.get(type_name, (type_name,))):
            return [f"CASignatureAlgorithms leaves out {type_name}"]
        return []

    def _expired(self, options: Sequence[Option]) -> list[str]:
        given = [option.value for option in options if option.name == _EXPIRY and option.value]
        if not given:
            return []
        from fidokit.openssh.lines.options import parse_time

        # OpenSSH before 10.6 lets in an hour longer in summer.
        times = [(parse_time(value, summer=False), value) for value in given]
        if min(times)[0] >= self.now:
            return []
        return [f"expired ({_EXPIRY}={min(times)[1]})"]


def _last_of(options: Sequence[Option], name: str) -> str | None:
    """The last of NAME and no-NAME, which is the one that counts."""
    said = [option.name for option in options if option.name in {name, f"no-{name}"}]
    return said[-1] if said else None


def _unbounded(type_name: str, options: Sequence[Option]) -> str | None:
    """Why an authority's certificates are as good as keys in files; None if it is on a token and
    bounded. (TrustedUserCAKeys knows no options: nothing sets an end there.)"""
    if not type_name.startswith(SK):
        return "the authority's own key is not on a token"
    given = {option.name for option in options if option.value}
    if "principals" not in given and options:
        return "the authority's line names no principals="
    return (
        None if _EXPIRY in given else f"no {_EXPIRY}= sets an end to the authority's certificates"
    )


def _certifies(algorithm: str) -> bool:
    """Whether an algorithm is a certificate's: `...-cert` or `...-cert-v01@...`."""
    return _CERTIFICATE in algorithm


def _strength(type_name: str, bits: int) -> Strength:
    if type_name == DSA or (type_name == RSA and bits < _WEAK_RSA):
        return Strength.WEAK
    return Strength.SHORT if type_name == RSA and bits < _SHORT_RSA else Strength.GOOD


def rules_for(
    settings: SshdSettings,
    *,
    is_root: bool,
    refusals: Sequence[str] = (),
    readings: Sequence[str] = (),
    rules: frozenset[CheckRule] = frozenset(),
    now: float = 0.0,
) -> KeyRules:
    """The rules for a user's keys, with what keeps all keys out counted in."""
    return KeyRules(
        settings,
        is_root=is_root,
        refusals=(*refusals, *login_methods.key_refusals(settings)),
        readings=tuple(readings),
        rules=rules,
        now=now,
    )
