"""The options and the validity of a certificate, as `ssh-keygen -s` is told them by -O and -V.

Sources: ssh-keygen(1), "CERTIFICATES" and "-V"; PROTOCOL.certkeys, which wants options sorted by
name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from fidokit.errors import MalformedFile, UsageError
from fidokit.openssh.certificates.certificate import FOREVER, CertKind, CertOption
from fidokit.openssh.lines.options import parse_time

PERMITS: Final = (
    "permit-X11-forwarding",
    "permit-agent-forwarding",
    "permit-port-forwarding",
    "permit-pty",
    "permit-user-rc",
)
"""What a user certificate allows where nothing is said; a host's allows nothing."""

_CRITICAL_FLAG: Final = "verify-required"
_EXTENSION_FLAG: Final = "no-touch-required"
_FLAGS: Final[Mapping[str, tuple[str, bool]]] = {
    **{name.lower(): (name, True) for name in (*PERMITS, _CRITICAL_FLAG, _EXTENSION_FLAG)},
    **{name.lower().replace("permit-", "no-"): (name, False) for name in PERMITS},
    "no-verify-required": (_CRITICAL_FLAG, False),
    "touch-required": (_EXTENSION_FLAG, False),
}
"""From an option, in lower case, to the flag that it sets or clears."""

Options = tuple[tuple[CertOption, ...], tuple[CertOption, ...]]


def options_of(given: Iterable[str], kind: CertKind = CertKind.USER) -> Options:
    """The critical options and the extensions of a certificate.

    Args:
        given: as behind -O, such as `clear`, `no-pty`, `force-command=/bin/true`,
            `source-address=10.0.0.0/8`, `critical:NAME[=VALUE]`, `extension:NAME[=VALUE]`; names
            in any case.
        kind: whose certificate it is.

    Raises:
        UsageError: an option that ssh-keygen does not know either, the same value twice, or a
            value that is not valid.
    """
    flags = set(PERMITS if kind is CertKind.USER else ())
    critical: list[CertOption] = []
    extensions: list[CertOption] = []
    for option in given:
        name = option.lower()
        if name == "clear":
            flags.clear()
        elif name in _FLAGS:
            flag, wanted = _FLAGS[name]
            (flags.add if wanted else flags.discard)(flag)
        elif name.startswith(("critical:", "extension:")):
            (critical if name.startswith("c") else extensions).append(_free(option))
        else:
            critical.append(_valued(option, critical))
    critical += [CertOption(flag) for flag in flags if flag == _CRITICAL_FLAG]
    extensions += [CertOption(flag) for flag in flags if flag != _CRITICAL_FLAG]
    return tuple(sorted(critical, key=_order)), tuple(sorted(extensions, key=_order))


def _order(option: CertOption) -> tuple[bytes, bytes]:
    return option.name.encode(), option.data


def _free(option: str) -> CertOption:
    name, equals, value = option.partition(":")[2].partition("=")
    if not name or "\0" in option:
        raise UsageError(f"the option {option!r} names nothing", hint="Write critical:NAME=VALUE")
    return CertOption.with_value(name, value) if equals else CertOption(name)


def _valued(option: str, before: Iterable[CertOption]) -> CertOption:
    written, _, value = option.partition("=")
    name = written.lower()
    check = _VALUES.get(name)
    if check is None:
        raise UsageError(
            f"the certificate option {option!r} is unknown",
            hint="See ssh-keygen(1), or write critical:NAME=VALUE or extension:NAME=VALUE",
        )
    if not value or "\0" in value:
        raise UsageError(f"the option {name} needs a value", hint=f"Write {name}=VALUE")
    if any(option.name == name for option in before):
        raise UsageError(f"the option {name} is there twice", hint="Say it once")
    check(value)
    return CertOption.with_value(name, value)


def _addresses(value: str) -> None:
    """Addresses and networks in CIDR form with commas between; a network without host bits."""
    import ipaddress

    for entry in value.split(","):
        try:
            # neither zones nor masks written as addresses, which sshd does not take
            valid = re.fullmatch(r"[0-9a-fA-F.:]+(/[0-9]{1,3})?", entry) is not None
            ipaddress.ip_network(entry, strict=True)
        except ValueError:
            valid = False
        if not valid:
            raise UsageError(
                f"source-address: {entry[:64]!r} is neither an address nor a network",
                hint="Write 192.0.2.0/24,2001:db8::/32, with no bits set behind the mask",
            )


def option_names() -> list[str]:
    """What `options_of` takes; those that take a value end in `=`."""
    return sorted(["clear", *_FLAGS, *(f"{name}=" for name in _VALUES)])


def _any(_value: str) -> None:
    """A command is what the server's shell makes of it."""


_VALUES: Final[Mapping[str, Callable[[str], None]]] = {
    "force-command": _any,
    "source-address": _addresses,
}


ALWAYS: Final = (0, FOREVER)
"""What a certificate gets that nobody set an end to."""

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART: Final = re.compile(r"([0-9]{1,10})([smhdw]?)", re.IGNORECASE)
_MOST: Final = (1 << 31) - 1
"""Longest interval, seconds: 68 years (INT_MAX, as OpenSSH's convtime has it)."""

_HINT: Final = "Write +52w, -1d:+52w, 20260101:20270101 or always:forever"


def parse_validity(text: str, now: int) -> tuple[int, int]:
    """From when and until when, seconds since 1970.

    Args:
        text: `+INTERVAL`, which begins a minute ago; or `FROM:TO`, each of them `+INTERVAL`,
            `-INTERVAL`, a date (see `parse_time`) or a number of seconds as `0x...`; FROM may be
            `always`, TO `forever`. An interval is `1w2d3h4m5s` or parts of it.
        now: seconds since 1970.

    Raises:
        UsageError: another form, or an end that is not later than the beginning.
    """
    if text.startswith("+") and ":" not in text:
        # a minute back, to the full minute: clocks differ
        return (now - 59) // 60 * 60, now + _interval(text[1:], text)
    first, _, last = text.partition(":")
    if not first or not last:
        raise _bad_time(text)
    after = 0 if first == "always" else _moment(first, now)
    before = FOREVER if last == "forever" else _moment(last, now)
    if before <= after:
        raise UsageError(f"{text[:64]!r} ends before it begins", hint=_HINT)
    return after, before


def _moment(text: str, now: int) -> int:
    if text[0] in "+-":
        away = _interval(text[1:], text)
        moment = now + (away if text[0] == "+" else -away)
    elif re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", text):
        moment = int(text, 16)
    else:
        try:
            moment = parse_time(text)
        except MalformedFile:
            raise _bad_time(text) from None
    if moment < 0:
        raise UsageError(f"{text[:64]!r} is a time before 1970", hint=_HINT)
    return moment


def _interval(text: str, whole: str) -> int:
    parts = _PART.findall(text)
    if not text or "".join(number + unit for number, unit in parts) != text:
        raise _bad_time(whole)
    seconds = sum(int(number) * _UNITS[unit.lower()] for number, unit in parts)
    if seconds > _MOST:
        raise UsageError(f"{whole[:64]!r} is longer than 68 years", hint="Use forever, or a date")
    return seconds


def _bad_time(text: str) -> UsageError:
    return UsageError(f"{text[:64]!r} is not a time for a certificate", hint=_HINT)
