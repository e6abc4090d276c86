"""Does a key let its holder in now: what the installed sshd says, and what that leaves open.

The public-key query of a throw-away sshd proves that a line lets the key in as far as sshd looks
before it has a signature. Whether the signature will do depends on touch and PIN: the key's flags
tell, or a login. What cannot be known is said with its reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fidokit.openssh.lines import admission
from fidokit.openssh.lines.options import Option
from fidokit.server.accounts import Account, read_shadow, shadow_entry
from fidokit.server.authorize.wishes import SshdFacts, WantedKey, futile, left_out_type
from fidokit.server.sshd.settings import SshdSettings
from fidokit.types import Word

_SK: Final = "sk-"
_TOUCH: Final = "touch-required"
_VERIFY: Final = "verify-required"
_SAMPLES: Final = 8


class Admittance(Word):
    """What is proved of a key in an account."""

    LETS_IN = "lets in"
    ACCEPTED = "accepted"
    UNPROVED = "not proved"
    REFUSED = "does not let in"


WORDS: Final[Mapping[Admittance, str]] = {
    Admittance.LETS_IN: "lets in",
    Admittance.ACCEPTED: "accepted",
    Admittance.UNPROVED: "written, not proved",
    Admittance.REFUSED: "does not let in",
}


@dataclass(frozen=True)
class KeyStanding:
    """What is proved of one key.

    Attributes:
        key: which.
        standing: see `Admittance`. ACCEPTED: sshd would take a signature by it, and it is not known
            whether every signature will do.
        why: what is in the way, or not known; empty for LETS_IN.
        how: how to find out or fix it; may be empty.
    """

    key: WantedKey
    standing: Admittance
    why: str = ""
    how: str = ""


@dataclass(frozen=True)
class ServerAnswer:
    """What a server said about a key.

    Attributes:
        accepted: it would take a signature by the key; None if it could not be asked.
        options: of the line that let it in; None if that is not known.
        why: what was in the way of an answer.
    """

    accepted: bool | None
    options: tuple[Option, ...] | None = None
    why: str = ""


def judge(
    key: WantedKey,
    asked: ServerAnswer,
    settings: SshdSettings,
    *,
    lines: Sequence[tuple[Option, ...]],
    facts: SshdFacts,
    obstacles: Sequence[str] = (),
) -> KeyStanding:
    """What is proved of a key.

    Args:
        asked: what the server said.
        settings: of the server, for this user.
        lines: the options of each line of the key that sshd reads.
        facts: what is known of the server.
        obstacles: what keeps the user out whatever the key is, such as an account that expired.
    """
    if key.is_authority:
        why = "only a certificate signed by this authority can show it"
        return KeyStanding(key, Admittance.UNPROVED, why, "log in with such a certificate")
    if asked.accepted is None:
        for sure in (*_line_refusals(key, lines, facts), *_no_keys(settings)):
            return KeyStanding(key, Admittance.REFUSED, sure)
        return KeyStanding(key, Admittance.UNPROVED, asked.why, _LOG_IN)
    if not asked.accepted:
        reasons = [*_line_refusals(key, lines, facts), *obstacles, *_setting_refusals(settings)]
        return _refused(key, reasons, lines)
    options = asked.options if asked.options is not None else (lines[0] if lines else ())
    return _accepted(key, settings, options, obstacles)


def _line_refusals(
    key: WantedKey, lines: Sequence[tuple[Option, ...]], facts: SshdFacts
) -> list[str]:
    """Why no line of the key lets in, whoever asks; empty if one may."""
    if why := left_out_type(key, facts):
        return [why]
    whys = [futile(replace(key, options=options), facts) for options in lines]
    return [why[0] for why in whys] if whys and all(whys) else []


def _refused(
    key: WantedKey, reasons: Sequence[str], lines: Sequence[tuple[Option, ...]]
) -> KeyStanding:
    if not reasons and any(option.name == "from" for options in lines for option in options):
        why = "from= excludes this machine, so the login cannot be tested here"
        return KeyStanding(
            key, Admittance.UNPROVED, why, "log in with it from a host that from= allows"
        )
    why = reasons[0] if reasons else "the installed sshd refuses it"
    return KeyStanding(key, Admittance.REFUSED, why, "sshd's log says more; look at: sshd -T")


def _no_keys(settings: SshdSettings) -> Iterator[str]:
    if settings.first("pubkeyauthentication", "yes").lower() == "no":
        yield "PubkeyAuthentication is off"


def _setting_refusals(settings: SshdSettings) -> Iterator[str]:
    yield from _no_keys(settings)
    for keyword in ("AllowUsers", "AllowGroups", "DenyUsers", "DenyGroups"):
        if settings.all(keyword):
            yield f"sshd refuses the user or the key; {keyword} is set"
    if settings.is_set("revokedkeys"):
        yield "sshd refuses the key; look into its RevokedKeys"


def _accepted(
    key: WantedKey,
    settings: SshdSettings,
    options: Sequence[Option],
    obstacles: Sequence[str],
) -> KeyStanding:
    if obstacles:
        return KeyStanding(key, Admittance.REFUSED, obstacles[0])
    for mark, why, how in _demands(key, settings, options):
        return KeyStanding(key, mark, why, how)
    methods = settings.first("authenticationmethods", "any").lower()
    if methods != "any" and "publickey" not in methods.split():
        why = f"sshd asks for more than the key: AuthenticationMethods {methods}"
        return KeyStanding(key, Admittance.ACCEPTED, why, _LOG_IN)
    return KeyStanding(key, Admittance.LETS_IN)


_LOG_IN: Final = "log in with the key"
_UNKNOWN: Final = "whether the key {} that sshd demands is not known here"


def _demands(
    key: WantedKey, settings: SshdSettings, options: Sequence[Option]
) -> Iterator[tuple[Admittance, str, str]]:
    """What sshd wants of a token's signature, if it is not known that it gets it."""
    if not key.key.type_name.startswith(_SK):
        return
    server = settings.first("pubkeyauthoptions").lower().split()
    if _TOUCH in server or _last_of(options, _TOUCH) != f"no-{_TOUCH}":
        yield from _touch_demand(key, everywhere=_TOUCH in server)
    if _VERIFY in server or _last_of(options, _VERIFY) == _VERIFY:
        yield from _verify_demand(key)


def _touch_demand(key: WantedKey, *, everywhere: bool) -> Iterator[tuple[Admittance, str, str]]:
    if key.touch is None:
        yield Admittance.ACCEPTED, _UNKNOWN.format("asks for the touch"), _LOG_IN
    elif not key.touch and everywhere:
        why = "the key asks for no touch, and sshd's PubkeyAuthOptions require one"
        yield Admittance.REFUSED, why, "make a key without -O no-touch-required"
    elif not key.touch:
        why = "the key asks for no touch, and sshd requires one"
        yield Admittance.REFUSED, why, "add --no-touch-required to allow that"


def _verify_demand(key: WantedKey) -> Iterator[tuple[Admittance, str, str]]:
    if key.verify is None:
        yield Admittance.ACCEPTED, _UNKNOWN.format("asks for the PIN or finger"), _LOG_IN
    elif not key.verify:
        why = "sshd requires the PIN or a finger, and the key does not ask its token for it"
        how = "log in with the key, or make one with -O verify-required"
        yield Admittance.ACCEPTED, why, how


def _last_of(options: Sequence[Option], name: str) -> str | None:
    said = [option.name for option in options if option.name in {name, f"no-{name}"}]
    return said[-1] if said else None


# --- what a user is kept out by --------------------------------------------------------------


def obstacles_of(user: Account, settings: SshdSettings, now: float) -> list[str]:
    """What keeps a user of this machine out even with a good key, as far as it can be seen."""
    found = []
    entry = shadow_entry(user.name, "x", read_shadow()) if os.geteuid() == 0 else None
    if entry and entry.expires is not None and entry.expires <= now:
        found.append(f"the account of {user.name} has expired")
    if user.uid != 0 and Path("/etc/nologin").exists():
        found.append("/etc/nologin lets only root log in")
    if user.uid == 0 and settings.first("permitrootlogin").lower() == "no":
        found.append("PermitRootLogin is no")
    return found


def sample_address(lines: Sequence[tuple[Option, ...]]) -> str:
    """An address from which one of the lines lets in; empty if any will do, or none is found."""
    for options in lines:
        lists = [option.value or "" for option in options if option.name == "from"]
        if not lists:
            return ""
        for item in lists[0].split(",")[:_SAMPLES]:
            network = admission.read_network(item)
            if network and network.is_valid:
                address = _first_in(network)
                if admission.place_fits(lists[0], address):
                    return address
    return ""


def _first_in(network: admission.Network) -> str:
    base = network.base().partition("/")[0]
    if 8 * len(network.address) == network.bits:
        return base
    import ipaddress

    return str(ipaddress.ip_address(base) + 1)
