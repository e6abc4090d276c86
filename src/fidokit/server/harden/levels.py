"""What a level of hardening demands of sshd: its directives, and whether they took hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from fidokit.errors import FidokitError, Unsupported, UsageError
from fidokit.types import Word

if TYPE_CHECKING:
    from typing import Self

    from fidokit.server.sshd.settings import SshdSettings


class Level(Word):
    """How much sshd is to demand."""

    TOUCH = "touch"
    VERIFY = "verify"
    HARDWARE_ONLY = "hardware-only"
    SECOND_FACTOR = "second-factor"

    @property
    def ends_passwords(self) -> bool:
        """Whether a password alone lets nobody in any more."""
        return self in {Level.HARDWARE_ONLY, Level.SECOND_FACTOR}


@dataclass(frozen=True)
class Levels:
    """One level, or several at once: all that each of them demands."""

    levels: tuple[Level, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The levels of a text, words between spaces.

        Raises:
            UsageError: an unknown word, none at all, or levels that exclude each other.
        """
        words = text.split()
        unknown = [word for word in words if word not in set(Level)]
        if unknown or not words:
            raise UsageError(
                f"there is no level {unknown[0] if unknown else ''!r}",
                hint=f"there are {', '.join(Level)}",
            )
        found = cls(tuple(level for level in Level if level in words))
        if Level.HARDWARE_ONLY in found and Level.SECOND_FACTOR in found:
            raise UsageError(
                "hardware-only and second-factor exclude each other: a one-time code is for those "
                "who have no token",
                hint="choose one of them; verify goes with both",
            )
        return found

    @classmethod
    def of_title(cls, title: str) -> Self:
        """Those that the title of a block names, such as "harden verify"; whatever it says."""
        words = title.split()
        return cls(tuple(level for level in Level if level in words))

    def __contains__(self, level: Level) -> bool:
        return level in self.levels

    def __str__(self) -> str:
        return " ".join(self.levels)

    @property
    def ends_passwords(self) -> bool:
        """Whether a password alone lets nobody in any more."""
        return any(level.ends_passwords for level in self.levels)

    def lost_since(self, before: Self) -> list[Level]:
        """The levels before that these do not come up to."""
        covered = {*self.levels, *([Level.TOUCH] if Level.VERIFY in self else [])}
        return [level for level in before.levels if level not in covered]


@dataclass(frozen=True)
class Directive:
    """A line of sshd_config."""

    keyword: str
    value: str

    def __str__(self) -> str:
        return f"{self.keyword} {self.value}"

    def holds(self, settings: SshdSettings) -> bool:
        """Whether `sshd -T` says the same, or something stricter."""
        return self.is_met_by(settings.first(self.keyword.lower()))

    def is_met_by(self, said: str) -> bool:
        """Whether a value of the keyword demands all that this one does.

        Args:
            said: of `sshd -T`, which prints some words in an order of its own; or of a line.
        """
        wanted, found = _words(self.value), _words(said)
        if self.keyword == _OPTIONS:
            return wanted <= found
        if self.keyword in _ALGORITHMS:
            patterns = {name for name in found if name.startswith(_HARDWARE) and "*" in name}
            return bool(found) and found - patterns <= wanted
        if self.keyword == _METHODS:
            lists = said.split()
            return bool(lists) and all(_demands(one, self.value) for one in lists)
        return found == wanted


def _words(value: str) -> frozenset[str]:
    return frozenset(value.lower().replace(",", " ").split())


PAM_GUARD: Final = "pam_exec.so"
PAM_MODULE: Final = "pam_google_authenticator.so"
_AFTER_A_KEY: Final = 'case "$SSH_AUTH_INFO_0" in publickey*) exit 0;; esac; exit 1'


def pam_lines(options: Sequence[str] = ()) -> tuple[str, ...]:
    """For the top of sshd's PAM service (pam.conf(5)).

    Without a key before them they do nothing, so that a code alone opens no login, whichever of the
    files of PAM and of sshd changes first: sshd asks PAM after a key only where
    AuthenticationMethods demands both. Then a wrong code ends the login at once, where `required`
    would still ask for a password; a right one ends the stack. sshd has told PAM what was accepted
    since OpenSSH 7.6.

    Args:
        options: of the module, such as where the secrets are.
    """
    return (
        "# These lines count once a key was accepted (SSH_AUTH_INFO_0), and not before.",
        f"auth [success=ok default=2] {PAM_GUARD} quiet /bin/sh -c [{_AFTER_A_KEY}]",
        " ".join(("auth requisite", PAM_MODULE, *options)),
        "auth sufficient pam_permit.so",
    )


_OPTIONS: Final = "PubkeyAuthOptions"
_ALGORITHMS: Final = ("PubkeyAcceptedAlgorithms", "PubkeyAcceptedKeyTypes")
_METHODS: Final = "AuthenticationMethods"
_TOUCH: Final = "touch-required"
_VERIFY: Final = "verify-required"
_ANY: Final = "any"
_KEYS: Final = "publickey"
_BOTH: Final = "publickey,keyboard-interactive"
_HARDWARE: Final = ("sk-", "webauthn-sk-")
_OLD_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "PubkeyAcceptedAlgorithms": "PubkeyAcceptedKeyTypes",  # before OpenSSH 8.5
        "KbdInteractiveAuthentication": "ChallengeResponseAuthentication",  # before 8.7
    }
)


def directives(level: Level, base: SshdSettings) -> tuple[Directive, ...]:
    """The lines that bring sshd to a level.

    Args:
        level: what is wanted.
        base: the effective settings without any hardening of ours. What is stricter there stays:
            algorithms that are left out already, and AuthenticationMethods other than any.

    Raises:
        Unsupported: this sshd is too old for keys on tokens.
        FidokitError: its configuration takes no key that is on a token.
    """
    pairs = _LEVELS[level](base)
    return tuple(Directive(_name(keyword, base), value) for keyword, value in pairs)


def all_directives(levels: Levels, base: SshdSettings) -> tuple[Directive, ...]:
    """The lines for several levels at once; where two say something, the stricter one counts.

    Raises:
        As `directives`.
    """
    found = {line.keyword: line for level in levels.levels for line in directives(level, base)}
    return tuple(found.values())


def unmet(wanted: Sequence[Directive], settings: SshdSettings) -> list[Directive]:
    """The directives that something else has overruled.

    Args:
        settings: the effective ones, see `Sshd.settings`.
    """
    return [directive for directive in wanted if not directive.holds(settings)]


_Pairs = list[tuple[str, str]]


def _touch(base: SshdSettings) -> _Pairs:
    return _options(base, _TOUCH)


def _verify(base: SshdSettings) -> _Pairs:
    return _options(base, _TOUCH, _VERIFY)


def _options(base: SshdSettings, *demanded: str) -> _Pairs:
    """PubkeyAuthOptions with these words, and all that are there: `none` stands for no word."""
    _require_tokens(base)
    there = [word for word in base.first(_OPTIONS.lower()).split() if word.lower() != "none"]
    return [(_OPTIONS, " ".join(dict.fromkeys([*demanded, *there])))]


def _hardware_only(base: SshdSettings) -> _Pairs:
    _require_tokens(base)
    algorithms = base.listed(_name("PubkeyAcceptedAlgorithms", base).lower())
    hardware = [name for name in algorithms if name.startswith(_HARDWARE)]
    if not hardware:
        raise FidokitError(
            "sshd's configuration takes no keys that are on tokens",
            hint="look at PubkeyAcceptedAlgorithms in `sshd -T`",
        )
    return [
        ("PubkeyAuthentication", "yes"),
        ("PubkeyAcceptedAlgorithms", ",".join(hardware)),
        ("PasswordAuthentication", "no"),
        *_no_questions(base),  # PAM would ask for the password by them
        *_methods(base, _KEYS),  # nor by Kerberos, GSSAPI or the word of another host
    ]


def _no_questions(base: SshdSettings) -> _Pairs:
    """Nothing asked on the keyboard: before OpenSSH 8.7 the older name turns the newer one on."""
    new = "KbdInteractiveAuthentication"
    old = _OLD_NAMES[new]
    both = old.lower() in base.values and new.lower() in base.values
    return [*([(old, "no")] if both else []), (new, "no")]


def _second_factor(base: SshdSettings) -> _Pairs:
    return [
        ("UsePAM", "yes"),
        ("PubkeyAuthentication", "yes"),
        ("KbdInteractiveAuthentication", "yes"),
        ("PasswordAuthentication", "no"),
        *_methods(base, _BOTH),
    ]


_LEVELS: Final[Mapping[Level, Callable[[SshdSettings], _Pairs]]] = MappingProxyType(
    {
        Level.TOUCH: _touch,
        Level.VERIFY: _verify,
        Level.HARDWARE_ONLY: _hardware_only,
        Level.SECOND_FACTOR: _second_factor,
    }
)


def _methods(base: SshdSettings, wanted: str) -> _Pairs:
    """AuthenticationMethods, unless whoever wrote the configuration has thought of them."""
    there = base.first(_METHODS.lower(), _ANY)
    if there == _ANY:
        return [(_METHODS, wanted)]
    if not all(_demands(one, wanted) for one in there.split()):
        raise FidokitError(
            f"sshd's configuration says {_METHODS} {there}, which lets people in "
            f"without {wanted.replace(',', ' and then ')}",
            hint="take that line out, or write down there what you want",
        )
    if wanted == _KEYS and any(name in there for name in ("password", "keyboard-interactive")):
        raise FidokitError(
            f"sshd's configuration says {_METHODS} {there}, which asks for a password or a code",
            hint="hardware-only ends both: take that line out first",
        )
    return []


def second_factor_holds(settings: SshdSettings) -> bool:
    """Whether sshd asks everybody for a key, and then for what PAM asks."""
    methods = Directive(_METHODS, _BOTH)
    return methods.holds(settings) and settings.is_on("usepam")


def _demands(methods: str, wanted: str) -> bool:
    """Whether one list of methods has all that are wanted, in their order.

    PAM is told of the key only where the key comes first: see `PAM_LINES`.
    """
    left = iter(name.partition(":")[0] for name in methods.split(","))
    return all(name in left for name in wanted.split(","))


def _name(keyword: str, base: SshdSettings) -> str:
    """The name by which this version of sshd knows a keyword."""
    old = _OLD_NAMES.get(keyword)
    if old and keyword.lower() not in base.values and old.lower() in base.values:
        return old
    return keyword


def _require_tokens(base: SshdSettings) -> None:
    if _OPTIONS.lower() not in base.values:
        raise Unsupported(
            "this sshd knows no keys on tokens",
            hint="OpenSSH 8.2 is the first that does; `sshd -V` or `ssh -V` says which is here",
        )
