"""What is wished of a key that is let in: its options, where they come from, and whether sshd
understands them and would let anybody in by them.

Options in a file are its owner's wishes and are kept. Options that came over the network are
somebody else's: those that narrow are kept, those that widen are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fidokit.errors import UsageError
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import PublicKey, PublicLine
from fidokit.openssh.lines import admission
from fidokit.openssh.lines.options import FLAGS, VALUED, Option

Version = tuple[int, int]

_NARROWING: Final = frozenset(
    {
        "command",
        "expiry-time",
        "from",
        "no-agent-forwarding",
        "no-port-forwarding",
        "no-pty",
        "no-user-rc",
        "no-x11-forwarding",
        "permitlisten",
        "permitopen",
        "restrict",
        "touch-required",
        "verify-required",
    }
)
AUTHORITY: Final = "cert-authority"

_SINCE: Final[Mapping[str, Version]] = {
    "restrict": (7, 2),
    "expiry-time": (7, 7),
    "permitlisten": (7, 8),
    "touch-required": (8, 2),
    "no-touch-required": (8, 2),
    "verify-required": (8, 4),
    "no-verify-required": (8, 4),
}
"""The OpenSSH that came to know an option. Source: its release notes."""

_UTC_SINCE: Final = (9, 1)
_SK: Final = "sk-"
_SK_SINCE: Final = (8, 2)
_SIGNS_AS: Final[Mapping[str, Sequence[str]]] = {
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
}


@dataclass(frozen=True)
class WantedKey:
    """A key to let in.

    Attributes:
        comment: hostile text.
        options: what stands before it, taken by sshd as we know it.
        source: the file, account or address that it came from.
        touch, verify: whether what signs with it lets the token ask for a touch, for PIN or finger;
            None if that is not known, or the key is not on a token.
        identity: the private file beside it; empty if there is none.
    """

    key: PublicKey
    comment: str = ""
    options: tuple[Option, ...] = ()
    source: str = ""
    touch: bool | None = None
    verify: bool | None = None
    identity: str = field(default="", compare=False)

    @property
    def line(self) -> PublicLine:
        """What a public file of this key holds: key and comment."""
        return PublicLine(self.key, self.comment)

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint, `SHA256:...`."""
        return fingerprint.sha256(self.key.blob())

    @property
    def is_authority(self) -> bool:
        """Whether it signs certificates, and does not log in itself."""
        return any(option.name == AUTHORITY for option in self.options)


@dataclass(frozen=True)
class SshdFacts:
    """What is known of the sshd that will read a line.

    Attributes:
        version: of OpenSSH; None if it is not known.
        algorithms: PubkeyAcceptedAlgorithms; empty if that is not known.
        names: whether it looks up the names of clients; None if that is not known.
        environment: whether `environment=` counts (PermitUserEnvironment); None for not known.
        now: seconds since 1970.
    """

    version: Version | None = None
    algorithms: tuple[str, ...] = ()
    names: bool | None = None
    environment: bool | None = None
    now: float | None = None


def _base_name(option: Option) -> str:
    """What an option and its opposite share."""
    return option.name.removeprefix("no-")


def option_names() -> list[str]:
    """What may stand before a key; those that take a value end in `=`."""
    return sorted([*(FLAGS - {AUTHORITY}), *(f"{name}=" for name in VALUED)])


def merged(own: Sequence[Option], wished: Sequence[Option]) -> tuple[Option, ...]:
    """The options of a line after a wish: those of other names stay, since they restrict it."""
    if set(wished) <= set(own):
        return tuple(own)
    names = {_base_name(option) for option in wished}
    return (*(old for old in own if _base_name(old) not in names), *wished)


def trusted_part(options: Iterable[Option]) -> tuple[tuple[Option, ...], tuple[str, ...]]:
    """Options that came over the network: those that are kept, and the names of the others."""
    options = tuple(options)
    kept = tuple(option for option in options if option.name in _NARROWING)
    left = dict.fromkeys(option.name for option in options if option.name not in _NARROWING)
    return kept, tuple(left)


# --- would it let anybody in -----------------------------------------------------------------


def check(wanted: WantedKey, facts: SshdFacts) -> None:
    """Return where sshd understands a line and its options can let somebody in.

    Raises:
        UsageError: not so; says why.
    """
    for why in (*too_new(wanted, facts), *futile(wanted, facts)):
        named = wanted.source or wanted.comment or wanted.fingerprint
        raise UsageError(f"{named}: {why}", hint="nothing was changed")


def futile(wanted: WantedKey, facts: SshdFacts) -> list[str]:
    """Why its options let nobody in, a phrase each."""
    return admission.problems(wanted.options, now=facts.now, names=facts.names)


def left_out_type(wanted: WantedKey, facts: SshdFacts) -> str:
    """Why sshd takes no key of this type; empty if it does, or if that is not known."""
    name = wanted.key.type_name
    if not facts.algorithms or wanted.is_authority:
        return ""
    if any(signs in facts.algorithms for signs in _SIGNS_AS.get(name, (name,))):
        return ""
    return f"sshd's PubkeyAcceptedAlgorithms leaves out {name}"


def too_new(wanted: WantedKey, facts: SshdFacts) -> list[str]:
    """What that OpenSSH does not understand of a line, a phrase each."""
    version = facts.version
    if version is None:
        return []
    shown = f"OpenSSH {version[0]}.{version[1]} there"
    found = []
    if wanted.key.type_name.startswith(_SK) and version < _SK_SINCE:
        found.append(f"{shown} does not support keys on tokens; 8.2 and later do")
    for option in wanted.options:
        since = _SINCE.get(option.name, (0, 0))
        if version < since:
            found.append(f"{shown} does not know {option.name}; {since[0]}.{since[1]} does")
        elif _is_utc(option) and version < _UTC_SINCE:
            found.append(f"{shown} does not support Z in times; use the server's time")
    return found


def _is_utc(option: Option) -> bool:
    value = (option.value or "").upper()
    return option.name == "expiry-time" and value.endswith(("Z", "UTC"))


def remarks(wanted: WantedKey, facts: SshdFacts) -> list[str]:
    """Options that do nothing, a sentence each."""
    found = []
    on_token = wanted.key.type_name.startswith(_SK)
    idle = [o.name for o in wanted.options if o.name in {"verify-required", "no-touch-required"}]
    if idle and not on_token and not wanted.is_authority:
        found.append(f"{' and '.join(idle)} does nothing for keys that are not on a token")
    if facts.environment is False and any(o.name == "environment" for o in wanted.options):
        found.append("environment= does nothing: sshd's PermitUserEnvironment is off")
    return found
