"""The places that a configuration tells apart, one representative each.

Whatever an address decides, it decides by comparing: with networks, patterns, ports, names. Between
two neighbouring bounds of all networks that are mentioned every address is alike, so that one of
each stretch stands for all. Patterns with wildcards get addresses that fit them.

Source: sshd_config(5), Match and PATTERNS; ssh_config(5).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Final, Union

from fidokit.server.sshd.query import LoginOrigin
from fidokit.server.sshd.settings import SshdSettings

MOST: Final = 64
"""Places that are asked about, at most: the rest is a doubt, and said so."""

_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]  # noqa: UP007  Python 3.9
_FILLS: Final = ("1", "7.1", "9.1.1", "1.1.1.1", "::1", "1:1", "db8::1", "x", "")
_SIX: Final = "2001:db8::1"
_CRITERION: Final = re.compile(
    r"(?i)\b(address|host|localaddress|localport|rdomain)(?:\s*=\s*|\s+)(\"[^\"]*\"|\S+)"
)


@dataclass
class Places:
    """What is mentioned, by what it is compared with.

    Attributes:
        addresses, hosts, local_addresses: patterns and networks, without their `!`.
        ports: numbers as text.
        rdomains: patterns of routing domains.
    """

    addresses: set[str] = field(default_factory=set)
    hosts: set[str] = field(default_factory=set)
    local_addresses: set[str] = field(default_factory=set)
    ports: set[str] = field(default_factory=set)
    rdomains: set[str] = field(default_factory=set)

    def add_match(self, conditions: str) -> None:
        """Take in a Match line's conditions, as they are written."""
        kinds = {
            "address": self.addresses,
            "host": self.hosts,
            "localaddress": self.local_addresses,
            "localport": self.ports,
            "rdomain": self.rdomains,
        }
        for name, value in _CRITERION.findall(conditions):
            kinds[name.lower()].update(_listed(value))

    def add_users(self, settings: SshdSettings) -> None:
        """Take in what AllowUsers and DenyUsers say behind an @."""
        for keyword in ("allowusers", "denyusers"):
            for pattern in settings.all(keyword):
                for name in pattern.split():
                    _, at, place = name.partition("@")
                    if at:
                        self.add_from(place)

    def add_from(self, patterns: str) -> None:
        """Take in a list that sshd compares with a client's address and its name."""
        found = _listed(patterns)
        self.addresses.update(found)
        self.hosts.update(name for name in found if not _is_numeric(name))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is told apart."""
        return not (
            self.addresses or self.hosts or self.local_addresses or self.ports or self.rdomains
        )

    def origins(self, usual: LoginOrigin, *, use_dns: bool) -> tuple[list[LoginOrigin], bool]:
        """One place of each kind, the usual one first, and whether that is all of them.

        Args:
            usual: where nothing is mentioned.
            use_dns: whether sshd looks up the names of its clients.
        """
        clients = [(a, a) for a in representatives(self.addresses | self.hosts, usual.addr)]
        if use_dns:
            clients += [(usual.addr, name) for name in sorted(map(_name, self.hosts)) if name]
        servers = representatives(self.local_addresses, usual.laddr)
        ports = [usual.lport, *sorted(self.ports - {usual.lport})]
        domains = [usual.rdomain, *sorted({_name(text) for text in self.rdomains} - {""})]
        found = (
            replace(usual, addr=addr, host=host, laddr=laddr, lport=lport, rdomain=rdomain)
            for (addr, host), laddr, lport, rdomain in product(clients, servers, ports, domains)
        )
        kept = [origin for origin, _ in zip(found, range(MOST))]  # noqa: B905  Python 3.9
        total = len(clients) * len(servers) * len(ports) * len(domains)
        return list(dict.fromkeys([usual, *kept])), total <= MOST


def _listed(text: str) -> set[str]:
    names = text.strip().strip('"').split(",")
    return {name.strip().lstrip("!") for name in names} - {""}


def _is_numeric(text: str) -> bool:
    return not re.search(r"[g-zG-Z]", text)


def _name(pattern: str) -> str:
    """A name that fits a pattern; empty for one that has no letters."""
    name = pattern.replace("*", "x").replace("?", "x")
    return name if re.search(r"[A-Za-z]", name) and "/" not in name and ":" not in name else ""


# --- addresses -------------------------------------------------------------------------------


def representatives(patterns: Iterable[str], usual: str) -> list[str]:
    """Addresses that the patterns tell apart, one of each kind, the usual one first."""
    asked = sorted(patterns)
    found = {str(usual): None}
    if any(":" in text or "*" in text for text in asked):
        found[_SIX] = None
    found.update((str(address), None) for address in _between(asked))
    found.update((text, None) for pattern in asked for text in _fitting(pattern))
    return list(found)


def _between(patterns: Iterable[str]) -> Iterator[_Address]:
    """An address of each stretch between the bounds of all networks."""
    networks = [network for text in patterns for network in _networks(text)]
    for kind in (ipaddress.IPv4Address, ipaddress.IPv6Address):
        ours = [one for one in networks if isinstance(one.network_address, kind)]
        last = (1 << (32 if kind is ipaddress.IPv4Address else 128)) - 1
        bounds = {int(one.network_address) for one in ours}
        bounds |= {int(one.broadcast_address) + 1 for one in ours}
        if bounds:
            bounds.add(min(bounds) - 1)
        yield from (kind(at) for at in sorted(bounds) if 0 <= at <= last)


def _networks(
    text: str,
) -> Iterator[Union[ipaddress.IPv4Network, ipaddress.IPv6Network]]:  # noqa: UP007
    try:
        yield ipaddress.ip_network(text, strict=False)
    except ValueError:
        return


def _fitting(pattern: str) -> Iterator[str]:
    """Addresses that fit a pattern with wildcards."""
    if not set(pattern) & set("*?"):
        return
    for fill in _FILLS:
        text = pattern.replace("*", fill).replace("?", "1")
        try:
            yield str(ipaddress.ip_address(text))
        except ValueError:
            continue
