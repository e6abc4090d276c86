"""OpenSSH's patterns: `*`, `?`, and comma lists in which `!` denies (ssh_config(5), PATTERNS).

Matching is by byte, as in OpenSSH: a `?` is half of a letter that UTF-8 writes with two.
"""

from __future__ import annotations

from typing import Final

MAX_PATTERN: Final = 1022
"""Longest pattern in a list, bytes; OpenSSH gives up on a list that holds a longer one."""


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def match_pattern(text: str, pattern: str) -> bool:
    """Whether the whole of `text` fits `pattern`, in time proportional to their product."""
    return _match(_to_bytes(text), _to_bytes(pattern))


def _match(text: bytes, pattern: bytes) -> bool:
    at = here = 0
    star, resume = -1, 0
    while at < len(text):
        if here < len(pattern) and pattern[here] == ord("*"):
            star, resume = here, at
            here += 1
        elif here < len(pattern) and pattern[here] in (ord("?"), text[at]):
            at, here = at + 1, here + 1
        elif star >= 0:
            # Only the last star needs to give way: an earlier one that took more would leave
            # less text to what stands between the two.
            resume += 1
            at, here = resume, star + 1
        else:
            return False
    return not pattern[here:].strip(b"*")


def match_pattern_list(text: str, patterns: str) -> bool:
    """Whether some pattern of a comma list fits `text` and none with `!` before it does.

    A list of denials alone fits nothing. An item longer than `MAX_PATTERN` ends the search: what
    was denied before it is denied, and nothing is allowed.
    """
    data = _to_bytes(text)
    found = False
    # A comma at the end closes the last item and opens no further one.
    for item in _to_bytes(patterns).removesuffix(b",").split(b",") if patterns else ():
        denied = item.startswith(b"!")
        pattern = item[1:] if denied else item
        if len(pattern) > MAX_PATTERN:
            return False
        if _match(data, pattern):
            if denied:
                return False
            found = True
    return found
