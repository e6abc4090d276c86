"""Whether the options before a key let anybody in: `from=`, `expiry-time=`, `principals=`.

sshd takes a line whose values contradict each other, and then refuses every login by it without a
word to the user. Sources: sshd(8), "AUTHORIZED_KEYS FILE FORMAT"; ssh_config(5), "PATTERNS"; where
they are silent, what sshd does: one wrong entry in `from=` makes the whole list deny everybody.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fidokit.errors import MalformedFile
from fidokit.openssh.lines.options import Option, parse_time
from fidokit.openssh.lines.patterns import MAX_PATTERN, match_pattern

_BITS: Final = {4: 32, 16: 128}
_LONGEST_ADDRESS: Final = 63
_MASK: Final = re.compile(r"[0-9]{1,10}")
_CANNOT_MATCH: Final = re.compile(r"[^A-Za-z0-9._:%*?-]")
"""Signs that are in no host name and in no address."""

_IN_ADDRESSES: Final = re.compile(r"[0-9a-f.:*?]+(%.*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Network:
    """An address and the number of its bits that count.

    Attributes:
        address: in bytes, 4 or 16.
        bits: as many as count from the left.
    """

    address: bytes
    bits: int

    @property
    def spare(self) -> int:
        """The bits behind those that count, as a number: not 0 if sshd takes no such network."""
        return int.from_bytes(self.address, "big") & ((1 << self._behind) - 1)

    @property
    def is_valid(self) -> bool:
        """Whether sshd takes it."""
        return self._behind >= 0 and not self.spare

    @property
    def _behind(self) -> int:
        return _BITS[len(self.address)] - self.bits

    def base(self) -> str:
        """The network that was meant, as it is written."""
        number = int.from_bytes(self.address, "big") - self.spare
        family = socket.AF_INET if len(self.address) == 4 else socket.AF_INET6
        return f"{socket.inet_ntop(family, number.to_bytes(len(self.address), 'big'))}/{self.bits}"

    def holds(self, address: bytes) -> bool:
        """Whether an address is in it; never for one of the other family."""
        if len(address) != len(self.address):
            return False
        mine, other = (int.from_bytes(a, "big") for a in (self.address, address))
        return mine == other >> self._behind << self._behind


def read_address(text: str) -> bytes | None:
    """The bytes of a numeric address, read by the C library as sshd has it read; None for no such.

    So `127` is 0.0.0.127, and `10.1` is 10.0.0.1.
    """
    if not text or not text.isascii() or "\0" in text:
        return None
    try:
        found = socket.getaddrinfo(text.encode(), None, flags=socket.AI_NUMERICHOST)
    except OSError:
        return None
    family, _, _, _, place = found[0]
    return socket.inet_pton(family, str(place[0]).partition("%")[0])


def read_network(item: str) -> Network | None:
    """An address or `ADDRESS/BITS`; None for what sshd takes to be a pattern of names."""
    text, slash, mask = item.partition("/")
    if len(item) > _LONGEST_ADDRESS or (slash and not _MASK.fullmatch(mask)):
        return None
    address = read_address(text)
    if address is None:
        return None
    return Network(address, int(mask) if slash else _BITS[len(address)])


def place_fits(patterns: str, address: str, host: str = "") -> bool | None:
    """Whether `from=` lets a login in that comes from an address.

    Args:
        patterns: the option's value.
        address: numeric.
        host: its name, where sshd looks names up (UseDNS); else left out.

    Returns:
        None if the list is wrong and denies everybody.
    """
    own = read_address(address) or b""
    entries = list(_entries(patterns))
    by_address = False
    for denied, item in entries:
        network = read_network(item)
        if not item or (network and not network.is_valid):
            return None
        if network.holds(own) if network else match_pattern(address, item):
            if denied:
                return False
            by_address = True
    by_name = _name_fits(entries, (host or address).lower())
    return by_name is not None and (by_address or by_name)


def _entries(patterns: str) -> Iterator[tuple[bool, str]]:
    for item in patterns.split(","):
        denied = item.startswith("!")
        yield denied, item[1:] if denied else item


def _name_fits(entries: Sequence[tuple[bool, str]], host: str) -> bool | None:
    """None if a denial fits: that counts more than any address."""
    found = False
    for denied, item in entries:
        if len(item.encode("utf-8", "surrogateescape")) > MAX_PATTERN:
            return False
        if match_pattern(host, item.lower()):
            if denied:
                return None
            found = True
    return found


# --- what lets nobody in ---------------------------------------------------------------------


def problems(
    options: Iterable[Option],
    *,
    now: float | None = None,
    names: bool | None = None,
) -> list[str]:
    """Why a line with these options lets nobody in, or fewer than it seems; a phrase each.

    Args:
        options: taken by sshd (`options.check_options`).
        now: seconds since 1970; None asks nothing about times.
        names: whether sshd looks up the names of clients (UseDNS); None if that is not known.
    """
    options = list(options)
    authority = any(option.name == "cert-authority" for option in options)
    found: list[str] = []
    for option in options:
        value = option.value or ""
        if option.name == "from":
            found += _from_problems(value, names)
        elif option.name == "principals":
            found += _principals_problems(value) if authority else [_NO_AUTHORITY]
        elif option.name == "expiry-time" and now is not None and is_past(value, now):
            found.append(f"expiry-time={value} is past")
    return found


_NO_AUTHORITY: Final = "principals= is for cert-authority lines; before any other key it denies all"


def is_past(value: str, now: float) -> bool:
    """Whether sshd passes over a line with this `expiry-time=` now."""
    try:
        return parse_time(value) < int(now)
    except MalformedFile:
        return True


def _principals_problems(value: str) -> Iterator[str]:
    names = value.split(",")
    if not all(names):
        yield f'principals="{value}" has an empty name; sshd reads no further'
    for name in filter(None, names):
        if name != name.strip():
            yield f'principals="{value}" has a blank beside a comma, which becomes part of the name'
        elif set(name) & set("*?!"):
            yield f"principals= takes names, not patterns such as {name}"


def _from_problems(patterns: str, names: bool | None) -> list[str]:
    entries = list(_entries(patterns))
    found = [why for _, item in entries if (why := _entry_problem(item))]
    allowed = [item for denied, item in entries if not denied]
    if not allowed and not found:
        found.append(f'from="{patterns}" only denies; something must be allowed, such as *')
    if found:
        return found
    if names is False and (idle := _idle_names(allowed)):
        return idle
    denied = [item for item in allowed if read_address(item) and not place_fits(patterns, item)]
    return [f"from= allows {item} and denies it, too" for item in denied]


def _idle_names(allowed: Sequence[str]) -> list[str]:
    """Names where sshd looks up none (UseDNS no): only addresses are compared."""
    idle = [item for item in allowed if not _may_be_an_address(item)]
    if not idle:
        return []
    return [f"{', '.join(idle)} in from= can match nothing: sshd looks up no names (UseDNS no)"]


def _may_be_an_address(item: str) -> bool:
    if read_network(item):
        return True
    return _IN_ADDRESSES.fullmatch(item) is not None and bool(set(item) & set(".:*?"))


def _entry_problem(item: str) -> str:
    """What is wrong with one entry of from=; empty if nothing is."""
    if not item:
        return "from= has an empty entry, for which sshd denies everybody"
    network = read_network(item)
    if network is not None:
        return "" if network.is_valid else _network_problem(item, network)
    if item != item.strip():
        return f'from= has a blank beside a comma: "{item}" matches nothing'
    if len(item.encode("utf-8", "surrogateescape")) > MAX_PATTERN:
        return "from= has an entry that is longer than sshd reads"
    if _CANNOT_MATCH.search(item):
        return f'from= has an entry that matches nothing: "{item[:64]}"'
    return ""


def _network_problem(item: str, network: Network) -> str:
    bits = _BITS[len(network.address)]
    if network.bits > bits:
        return f"from= has {item}, but such an address has only {bits} bits; sshd denies everybody"
    return (
        f"from= has {item} with bits behind the mask; sshd denies everybody; write {network.base()}"
    )
