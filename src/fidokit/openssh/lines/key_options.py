"""The options that sshd knows in authorized_keys, and what their values may be.

Source: sshd(8), "AUTHORIZED_KEYS FILE FORMAT". An option that is unknown, or whose value makes
no sense, makes sshd ignore the whole line: nobody gets in with that key, and no message says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from fidokit.errors import MalformedFile
from fidokit.openssh.lines.option_list import Option
from fidokit.openssh.lines.timestamps import parse_time

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
