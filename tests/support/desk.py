"""A desk with virtual tokens on it and a person in front: what api tests work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from fidokit.client.ports import Candidate, Link, PinCode, Quiet
from fidokit.client.session import Session
from fidokit.errors import PinRequired
from fidokit.tokens.access import open_token
from fidokit.types import Transport
from fidokit.virtual.token import VirtualToken

PIN = "2580"


@dataclass
class Person(Quiet):
    """Knows a PIN; what happened is written down."""

    pin: str | None = PIN
    new_pin: str | None = PIN
    asked: list[str] = field(default_factory=list)
    touches: list[str] = field(default_factory=list)

    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        if self.pin is None or previous_was_wrong:
            raise PinRequired("nobody knows the PIN")
        self.asked.append(why)
        return PinCode.parse(self.pin)

    def ask_new_pin(self, token: str, min_length: int, max_length: int) -> PinCode:
        if self.new_pin is None:
            raise PinRequired("nobody chooses a PIN")
        return PinCode.parse(self.new_pin)

    def touch_wanted(self, token: str, why: str) -> None:
        self.touches.append(why)


@dataclass
class Desk:
    """A backend whose tokens a test plugs in and out."""

    tokens: dict[str, VirtualToken] = field(default_factory=dict)
    person: Person = field(default_factory=Person)
    kind: Transport = Transport.USB
    refusals: dict[str, Exception] = field(default_factory=dict)
    plugged: set[str] = field(default_factory=set)
    looks: int = 0

    @property
    def transport(self) -> Transport:
        return self.kind

    def problem(self) -> str | None:
        return None

    def plug(self, name: str, token: VirtualToken | None = None) -> VirtualToken:
        self.tokens[name] = token or VirtualToken()
        self.plugged.add(name)
        return self.tokens[name]

    def candidates(self) -> Sequence[Candidate]:
        self.looks += 1
        return [self.candidate(name) for name in sorted(self.plugged)]

    def candidate(self, name: str) -> Candidate:
        return Candidate(
            transport=self.kind,
            path=f"/dev/{name}",
            product="Maker Token",
            serial=name,
            selector=f"{self.kind}:{name}",
            durable=True,
            open=self._opener(name),
        )

    def _opener(self, name: str) -> Callable[[], Link]:
        def open_link() -> Link:
            if name in self.refusals:
                raise self.refusals[name]
            return self.tokens[name].link()

        return open_link

    def open(self, selector: str | None = None) -> AbstractContextManager[Session]:
        return open_token(selector, self.person, backends=[self])

    def close(self) -> None:
        for token in self.tokens.values():
            token.close()
