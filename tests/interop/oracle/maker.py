"""A site in the making: what the changes to it draw from."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from tests.interop.oracle.site import Person, Site

Version = tuple[int, int]
DAY = 86400


class Maker:
    """A site in the making."""

    def __init__(self, seed: int, version: Version) -> None:
        self.rng = random.Random(seed)
        self.version = version
        self.site = Site(f"seed {seed}", "")
        self.first: list[str] = []
        """Lines before Debian's, of which the first counts."""
        self.last: list[str] = []
        """Lines behind them: Match blocks."""
        self.days = int(time.time()) // DAY

    def one(self, choices: Sequence[str]) -> str:
        """One of them."""
        return self.rng.choice(choices)

    @property
    def user(self) -> Person:
        """Somebody."""
        return self.rng.choice(self.site.people)

    def add_match(self, *lines: str) -> None:
        """A block."""
        self.last += [match_line(self), *lines]


NETWORKS = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "192.0.2.7",
    "!10.0.0.5,*",
    "127.0.0.1,::1",
    "10.0.0.0/8,192.0.2.0/24",
    "::1/128",
)


def match_line(maker: Maker) -> str:
    """The head of a block."""
    criteria = maker.rng.sample(
        [
            f"User {maker.one(['alice', 'al*', 'alice,bob', '!bob,*', 'bob', '*', '*$', 'DOM*'])}",
            f"Group {maker.one(['alice', 'staff', 'users', '*', '!alice,*', 'root'])}",
            f"Address {maker.one(NETWORKS)}",
            f"Host {maker.one(['*', 'localhost', '127.*', 'inside.example', '10.0.0.*'])}",
            f"RDomain {maker.one(['*', 'vrf0', '!vrf0,*'])}",
            f"LocalPort {maker.one(['22', '2222'])}",
            f"LocalAddress {maker.one(['127.0.0.1', '127.0.0.9', '127.0.0.0/8'])}",
        ],
        maker.rng.choice([1, 1, 1, 2]),
    )
    text = " ".join(criteria)
    forms = [
        f"Match {text}",
        f"Match {text}",
        f"match {text.lower()}" if "::" not in text else f"MATCH {text}",
        f'"Match" {text}',
        f"\tMatch\t{text}",
        f"Match={text}",
    ]
    if len(criteria) == 1 and maker.rng.random() < 0.2:
        keyword, _, value = text.partition(" ")
        forms += [f'Match {keyword} "{value}"', f"Match {keyword}={value}"]
    if maker.rng.random() < 0.1:
        forms = ["Match all", "Match All"]
    if maker.rng.random() < 0.08 and maker.version >= (10, 0):
        forms = ["Match invalid-user", "Match version *", "Match version OpenSSH_1*"]
    return maker.one(forms)
