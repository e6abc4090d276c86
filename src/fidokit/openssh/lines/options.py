"""The options that stand before keys, `no-pty,command="echo \\"hi\\"",from="10.*"`: the lists of
them, what sshd knows in authorized_keys, and the times of expiry-time=, valid-after= and
valid-before=, as OpenSSH reads them.

Sources: sshd(8) "AUTHORIZED_KEYS FILE FORMAT" and ssh-keygen(1) "ALLOWED SIGNERS"; where those
are silent, what OpenSSH does: names in any case, empty items skipped. An option that is unknown, or
whose value is not valid, makes sshd ignore the whole line: nobody gets in with that key, and no
message says so.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from fidokit.errors import MalformedFile, UsageError

_FORM: Final = re.compile(
    r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?)?(Z|UTC)?", re.ASCII | re.IGNORECASE
)
_LIMITS: Final = ((1, 12), (1, 31), (0, 23), (0, 59), (0, 61))
"""Month, day, hour, minute, second, as strptime(3) has them: two leap seconds, no look at how
many days the month has."""


def parse_time(text: str, *, summer: bool = True) -> int:
    """Seconds since 1970 of `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`.

    With `Z` or `UTC` behind it the time is UTC, else the machine's own zone.

    Args:
        text: the time.
        summer: whether local times have summer time. OpenSSH before 10.6 takes them for standard
            time all the year, an hour later.

    Raises:
        MalformedFile: another form, or a time before 1970.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise _bad(text)
    year, *parts = (int(part or 0) for part in found.groups()[:6])
    if year < 1969 or not all(
        low <= part <= high
        for part, (low, high) in zip(parts, _LIMITS)  # noqa: B905  Python 3.9 has no strict
    ):
        raise _bad(text)
    month, day, hour, minute, second = parts
    seconds = _seconds(
        (year, month, day, hour, minute, second, 0, 0, -1 if summer else 0),
        utc=found.group(7) is not None,
    )
    if seconds < 0:
        raise _bad(text)
    return seconds


def _seconds(moment: tuple[int, int, int, int, int, int, int, int, int], *, utc: bool) -> int:
    year, month, day, hour, minute, second = moment[:6]
    if utc:
        import calendar  # 4 ms, for what few lines need

        midnight = calendar.timegm((year, month, 1, 0, 0, 0))
        return midnight + ((day - 1) * 24 + hour) * 3600 + minute * 60 + second
    try:
        return int(time.mktime(moment))
    except (OverflowError, ValueError):
        return -1


def _bad(text: str) -> MalformedFile:
    return MalformedFile(
        f"{text[:64]!r} is not a time",
        hint="Write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with Z behind it for UTC",
    )


@dataclass(frozen=True)
class Option:
    """One option: its name in lower case, and its value without quotes; None for a flag."""

    name: str
    value: str | None = None

    def encode(self) -> str:
        """The option as it is written in a file.

        Raises:
            UsageError: the value holds a line break, NUL or bytes that are not UTF-8, or ends
                in a backslash, none of which the format can carry.
        """
        if self.value is None:
            return self.name
        if re.search(r"[\r\n\0\ud800-\udfff]|\\\Z", self.value):
            raise UsageError(
                f"the value of {self.name} cannot be written into an option list",
                hint="Leave out line breaks, and a backslash at the end",
            )
        quoted = self.value.replace('"', '\\"')
        return f'{self.name}="{quoted}"'


def encode_options(options: Iterable[Option]) -> str:
    """The whole list, without blanks around it; empty for no options."""
    return ",".join(option.encode() for option in options)


_ESCAPE: Final = rb'\\(?:"|(?!"))'
_INSIDE: Final = rb'[^"\\]*(?:' + _ESCAPE + rb'[^"\\]*)*'
LIST: Final = rb'[^ \t"\\]*(?:(?:' + _ESCAPE + rb'|"' + _INSIDE + rb'")[^ \t"\\]*)*'
"""All up to the first blank outside quotes, where a backslash saves a quote (sshd(8)); stops early
at a quote that is never closed. No two parts can match the same bytes, which keeps a long hostile
line from being tried in many ways; possessive quantifiers would too, but Python 3.9 has none."""
_LIST: Final = re.compile(LIST)


def split_list(text: bytes) -> tuple[bytes, bytes]:
    """The option list at the start of `text`, and what follows it and its blanks.

    The list ends at the first blank outside quotes.

    Raises:
        MalformedFile: a quote is never closed.
    """
    found = _LIST.match(text)
    end = found.end() if found else 0
    if text[end : end + 1] == b'"':
        raise MalformedFile("a quote in the options is never closed")
    return text[:end], text[end:].lstrip(b" \t")


_NAME: Final = re.compile(rb"[A-Za-z0-9-]+")
_VALUE: Final = re.compile(rb'"(' + _INSIDE + rb')"')


def parse_list(text: bytes, *, end_comma: bool = False) -> tuple[Option, ...]:
    """The options of a list, names not yet judged.

    Bytes of a value that are not UTF-8 are written as `\\xNN`, so that they can be shown.

    Args:
        text: the list alone, as `split_list` cuts it out.
        end_comma: take a comma at the end, as sshd does and ssh-keygen does not.

    Raises:
        MalformedFile: something between commas that is neither `name` nor `name="value"`, or a
            comma at the end where that is not taken.
    """
    options = []
    at = 0
    while at < len(text):
        if text[at] != ord(","):
            option, at = _one(text, at)
            options.append(option)
            if at == len(text):
                break
        if text[at] != ord(","):
            raise MalformedFile(f"option {options[-1].name!r} is followed by something else")
        at += 1
        if at == len(text) and not end_comma:
            raise MalformedFile("the options end in a comma")
    return tuple(options)


def _one(text: bytes, at: int) -> tuple[Option, int]:
    name = _NAME.match(text, at)
    if name is None:
        raise MalformedFile(f"an option cannot start with {text[at : at + 1]!r}")
    shown = name.group().decode("ascii").lower()
    if text[name.end() : name.end() + 1] != b"=":
        return Option(shown), name.end()
    value = _VALUE.match(text, name.end() + 1)
    if value is None:
        raise MalformedFile(f"the value of option {shown!r} is not in quotes")
    plain = value.group(1).replace(b'\\"', b'"')
    return Option(shown, plain.decode("utf-8", "backslashreplace")), value.end()


FLAGS: Final = frozenset(
    {"cert-authority", "restrict"}
    | {
        prefix + name
        for prefix in ("", "no-")
        for name in (
            "agent-forwarding",
            "port-forwarding",
            "pty",
            "touch-required",
            "user-rc",
            "verify-required",
            "x11-forwarding",
        )
    }
)
"""Options without a value, in lower case; sshd takes every one of the second group either way."""

_ONCE: Final = frozenset({"command", "from", "principals"})
"""Options that sshd takes only once in a line."""

MAX_PERMITS: Final = 4096
MAX_ENVIRONMENT: Final = 1024
"""As many permitopen, permitlisten and environment options as sshd takes in a line."""


def _any(_: str) -> bool:
    return True


def _expiry_time(value: str) -> bool:
    try:
        return parse_time(value) > 0
    except MalformedFile:
        return False


def _environment(value: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_]+=.*", value, re.DOTALL) is not None


_HOST_PORT: Final = re.compile(r"(?:\[([^\]]*)\]|([^:/\[][^:/]*)?)[:/](.+)", re.DOTALL)
_SERVICE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]*", re.ASCII)


def _port(text: str) -> bool:
    """`*`, 1 to 65535, or the name of a service, which only sshd's own machine can judge."""
    if text.isascii() and text.isdigit():
        return len(text) <= 5 and 0 < int(text) <= 0xFFFF
    return text == "*" or _SERVICE.fullmatch(text) is not None


def _permitopen(value: str) -> bool:
    found = _HOST_PORT.fullmatch(value)
    return found is not None and _port(found.group(3))


def _permitlisten(value: str) -> bool:
    return _permitopen(value if ":" in value else f"*:{value}")


MAX_TUNNEL: Final = 0x7FFFFFFD
"""The highest number of a tunnel device; the two above mean `any` and an error to sshd."""


def _tunnel(value: str) -> bool:
    if value.lower() == "any":
        return True
    return value.isascii() and value.isdigit() and len(value) <= 10 and int(value) <= MAX_TUNNEL


VALUED: Final[Mapping[str, Callable[[str], bool]]] = {
    "command": _any,
    "environment": _environment,
    "expiry-time": _expiry_time,
    "from": _any,
    "permitlisten": _permitlisten,
    "permitopen": _permitopen,
    "principals": _any,
    "tunnel": _tunnel,
}
"""Options with a value, and whether sshd would take it."""

_AT_MOST: Final[Mapping[str, int]] = {
    **dict.fromkeys(_ONCE, 1),
    "permitopen": MAX_PERMITS,
    "permitlisten": MAX_PERMITS,
    "environment": MAX_ENVIRONMENT,
}


def check_options(options: Iterable[Option]) -> None:
    """Return where sshd would take all of the options.

    Raises:
        MalformedFile: the first one that it would not take, and why.
    """
    seen: Counter[str] = Counter()
    for option in options:
        seen[option.name] += 1
        _check(option)
        if seen[option.name] > _AT_MOST.get(option.name, seen[option.name]):
            raise MalformedFile(f"option {option.name!r} is there too often")


def _check(option: Option) -> None:
    if option.value is None:
        if option.name in VALUED:
            raise MalformedFile(f"option {option.name!r} needs a value")
        if option.name not in FLAGS:
            raise MalformedFile(f"option {option.name!r} is unknown to sshd")
    elif option.name in FLAGS:
        raise MalformedFile(f"option {option.name!r} takes no value")
    elif option.name not in VALUED:
        raise MalformedFile(f"option {option.name!r} is unknown to sshd")
    elif not VALUED[option.name](option.value):
        raise MalformedFile(f"option {option.name!r} cannot have the value {option.value[:64]!r}")
