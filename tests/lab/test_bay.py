"""A token that is plugged in, pulled out and plugged in again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from fidokit.errors import TokenGone, Unsupported
from fidokit.lab.bay import Bay, kept_in_memory
from fidokit.lab.named_tokens import create_virtual, serve_virtual
from fidokit.testing import Credential, open_device
from fidokit.testing.factory import TokenFactory
from fidokit.virtual.faults import Unplug
from fidokit.virtual.token import VirtualToken


class Place:
    """Counts who is attached."""

    def __init__(self) -> None:
        self.attached: list[VirtualToken] = []

    @contextmanager
    def attach(self, token: VirtualToken) -> Iterator[str]:
        self.attached.append(token)
        try:
            yield "here"
        finally:
            self.attached.remove(token)


@pytest.fixture
def place() -> Place:
    return Place()


def test_in_memory_it_keeps_what_is_on_it(place: Place) -> None:
    token = TokenFactory()(credentials=[Credential("example.org")])
    with Bay("it", partial(kept_in_memory, token), place.attach) as bay:
        assert (bay.attached, place.attached) == ("here", [token])
        bay.unplug()
        assert not bay.plugged_in
        assert place.attached == []
        with pytest.raises(TokenGone, match="it is unplugged"):
            _ = bay.token
        bay.insert()
        bay.insert()
        assert place.attached == [token]
        from fido2.ctap2.base import Ctap2

        with open_device(token) as device:
            Ctap2(device).get_assertion("example.org", bytes(32), options={"up": False})
    assert place.attached == []
    with pytest.raises(TokenGone, match="no longer served"):
        bay.insert()


def test_a_named_token_is_opened_anew(place: Place, home: object) -> None:
    create_virtual("shelf")
    with Bay("virtual:shelf", partial(serve_virtual, "shelf"), place.attach) as bay:
        first = bay.token
        bay.unplug()
        with serve_virtual("shelf"):  # it is free for others meanwhile
            pass
        bay.insert()
        assert bay.token is not first
        assert bay.token.identity == first.identity


def test_a_fault_that_takes_the_power(place: Place) -> None:
    token = VirtualToken()
    with Bay("it", partial(kept_in_memory, token), place.attach) as bay:
        token.faults.add(Unplug())
        with pytest.raises(TokenGone):
            token.link().cbor(b"\x04")
        assert not bay.plugged_in
        bay.insert()
        assert place.attached == [token]
        assert token.link().cbor(b"\x04")[:1] == b"\0"


def test_who_waits_for_a_touch_sees_it_go(place: Place) -> None:
    token = VirtualToken(presence="script")
    seen: list[BaseException] = []

    def ask() -> None:
        try:
            token.link().cbor(b"\x0b")
        except TokenGone as gone:
            seen.append(gone)

    with Bay("it", partial(kept_in_memory, token), place.attach) as bay:
        asking = threading.Thread(target=ask)
        asking.start()
        assert token.waits.until_one(20)
        bay.unplug()
        asking.join(20)
    assert len(seen) == 1


def test_what_cannot_be_attached_leaves_nothing(place: Place) -> None:
    @contextmanager
    def refuse(_: VirtualToken) -> Iterator[None]:
        raise Unsupported("no such way")
        yield

    token = VirtualToken()
    with pytest.raises(Unsupported), Bay("it", partial(kept_in_memory, token), refuse):
        pass
    assert not token.plugged_in
