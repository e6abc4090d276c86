"""What `sshd -ddd` says of its configuration: the files, the lines that decide, the Match blocks.

Source: servconf.c and log.c, OpenSSH 8.2 to 10.6. Lines that apply are logged as "FILE:LINE setting
KEYWORD VALUE"; a second pass, "reprocess config", sets what Match blocks say, which counts before
all else; bytes beyond ASCII are logged as \\ooo (vis(3)).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from fidokit.server.sshd.settings import ConfigPlace, ConfigReading

_SETTING: Final = re.compile(r"^debug3: (?:\w+: )?(.+?):(\d+) setting (\S+)", re.MULTILINE)
_FILE: Final = re.compile(r"^debug2: load_server_config: filename (.+?)\r?$", re.MULTILINE)
_MATCH: Final = re.compile(r"^debug3: (?:\w+: )?checking match for '(.*)' user ", re.MULTILINE)
_SYNTAX: Final = re.compile(
    r"^debug3: (?:\w+: )?checking syntax for 'Match (.*)'(?: on line \d+)?\r?$", re.MULTILINE
)
_INCLUDE: Final = re.compile(r"^debug2: .+? line \d+: new include (.+?)\r?$", re.MULTILINE)
_ESCAPE: Final = re.compile(rb"\\([0-7]{3}|\\)")
_AGAIN: Final = "reprocess config"
"""What sshd calls its main file when it reads it a second time, for the Match blocks that hold."""

COMMAND_LINE: Final = "sshd's command line"

_OTHER_NAMES: Final[Mapping[str, str]] = {
    "authorizedkeysfile2": "authorizedkeysfile",
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "hostbasedacceptedkeytypes": "hostbasedacceptedalgorithms",
    "hostdsakey": "hostkey",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "skeyauthentication": "kbdinteractiveauthentication",
}
"""Names that sshd takes for others, as its newest version prints them."""


def parse_debug(text: str, options: Sequence[str] = ()) -> ConfigReading:
    """The files that sshd read, and the line that decides each keyword.

    Args:
        text: what it logged.
        options: what its own command line sets, `NAME=VALUE` or `NAME VALUE` each; these count
            after Match blocks and before files.
    """
    files = _names(_FILE.findall(text))
    first, _, second = text.partition(f"config {_AGAIN} len ")
    places: dict[str, ConfigPlace] = {}
    named = [(COMMAND_LINE, "0", re.split(r"[\s=]", option.strip())[0]) for option in options]
    for path, line, keyword in [*_SETTING.findall(second), *named, *_SETTING.findall(first)]:
        read = files[0] if path == _AGAIN and files else _plain(path)
        name = _OTHER_NAMES.get(keyword.lower(), keyword.lower())
        places.setdefault(name, ConfigPlace(read, int(line)))
    matches = tuple(dict.fromkeys([*_SYNTAX.findall(first), *_MATCH.findall(second)]))
    patterns = _names(_INCLUDE.findall(text))
    return ConfigReading(MappingProxyType(places), files, matches, patterns)


def _names(shown: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(_plain, shown)))


def _plain(shown: str) -> str:
    """A name as it is on disk."""
    data = _ESCAPE.sub(_byte, shown.encode("utf-8", "surrogateescape"))
    return data.decode("utf-8", "surrogateescape")


def _byte(found: re.Match[bytes]) -> bytes:
    return b"\\" if found[1] == b"\\" else bytes([int(found[1], 8) & 0xFF])
