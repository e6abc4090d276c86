"""Tokens that Hypothesis draws."""

from __future__ import annotations

import pytest
from fido2.ctap2.base import Ctap2
from hypothesis import find, given, settings
from hypothesis import strategies as st

from fidokit.errors import UsageError
from fidokit.testing import Stalled, WatchedToken, open_device, strategies
from fidokit.virtual.quirks import choice

FEW = settings(max_examples=8, deadline=None, database=None)


def info(token: WatchedToken) -> bytes:
    return token.link().cbor(b"\x04")


@FEW
@given(strategies.tokens())
def test_any_profile_without_quirks(token: WatchedToken) -> None:
    assert token.quirks == ()
    assert token.profile.has_ctap2 == (info(token)[0] == 0)


@FEW
@given(strategies.quirks())
def test_quirks_go_together(names: tuple[str, ...]) -> None:
    assert len(choice.chosen(names).quirks) <= strategies.MOST_QUIRKS


@FEW
@given(strategies.tokens(model=strategies.models("yubikey"), pin=st.just("123456")))
def test_certified_models_with_a_pin(token: WatchedToken) -> None:
    assert token.identity.model
    if token.profile.has_ctap2:
        with open_device(token) as device:
            assert Ctap2(device).info.options["clientPin"] is True


def test_models_that_are_not_there() -> None:
    with pytest.raises(UsageError, match="no certified model is called 'no such thing'"):
        strategies.models("no such thing")


def test_what_fails_shrinks_to_the_plainest_token() -> None:
    anything = strategies.tokens(quirk=strategies.quirks())
    plain = find(anything, lambda _: True, settings=FEW)
    assert (plain.profile.name, plain.quirks, plain.identity.model) == ("ctap2.3", (), "")


@given(st.data())
@settings(max_examples=3, deadline=None, database=None)
def test_an_example_repeats_itself(data: st.DataObject) -> None:
    """The same draw is the same token: nothing in it comes from the system's randomness."""
    seed = data.draw(st.binary(max_size=4))
    made = [
        strategies._token(
            profile="ctap2.3",
            model=None,
            quirks=(),
            pin="123456",
            presence="auto",
            seed=seed,
            patience_s=1,
        )
        for _ in range(2)
    ]
    assert made[0].identity.serial == made[1].identity.serial


def test_a_stall_is_told_once() -> None:
    token = find(
        strategies.tokens(presence=st.just("script"), patience_s=0.01, profile=st.just("ctap2.3")),
        lambda _: True,
        settings=FEW,
    )
    with pytest.raises(Stalled):
        token.link().cbor(b"\x0b")
    assert len(strategies.take_stalls()) == 1
    assert strategies.take_stalls() == []


def test_a_stall_that_was_meant() -> None:
    token = find(
        strategies.tokens(presence=st.just("script"), patience_s=0.01, profile=st.just("ctap2.3")),
        lambda _: True,
        settings=FEW,
    )
    with pytest.raises(Stalled):
        token.link().cbor(b"\x0b")
    token.stalls.clear()
    assert strategies.take_stalls() == []
