"""Tokens as tests order them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fido2.ctap2.base import Ctap2
from fido2.ctap2.pin import ClientPin

from fidokit.errors import TokenGone, UsageError
from fidokit.testing import Credential, Stalled, TokenFactory, open_device
from fidokit.virtual.core.ports import NeedsPresence, Outcome, PresenceKind
from fidokit.virtual.core.profile import CTAP_2_1
from fidokit.virtual.world import ManualClock, SeededRng

PIN_CODE = "correct horse"


@pytest.fixture
def factory() -> Iterator[TokenFactory]:
    made = TokenFactory()
    yield made
    made.close()


def test_without_wishes(factory: TokenFactory) -> None:
    token = factory()
    with open_device(token) as device:
        info = Ctap2(device).info
        assert "FIDO_2_3" in info.versions
        assert info.options["clientPin"] is False
    assert token.credentials == ()


@pytest.mark.parametrize("profile", ["ctap2.0", "ctap2.1", "ctap2.3", CTAP_2_1])
def test_a_pin(factory: TokenFactory, profile: str) -> None:
    with open_device(factory(profile=profile, pin=PIN_CODE)) as device:
        pin = ClientPin(Ctap2(device))
        assert pin.get_pin_retries()[0] == 8
        assert pin.get_pin_token(PIN_CODE, ClientPin.PERMISSION.GET_ASSERTION, "x")


@pytest.mark.parametrize("presence", ["auto", "deny", "script", "delay 60000"])
@pytest.mark.parametrize("uv", [True, False])
@pytest.mark.parametrize("pin", [PIN_CODE, None])
def test_credentials_whatever_the_person_does(
    factory: TokenFactory, presence: str, uv: bool, pin: str | None
) -> None:
    wanted = [
        Credential("example.org", "ada"),
        Credential("example.org", "bob", b"\1", resident=False),
        Credential("ssh:", algorithm=-8, cred_protect=3, hmac_secret=True),
    ]
    token = factory(presence=presence, uv=uv, pin=pin, credentials=wanted)
    assert [made.public_key[3] for made in token.credentials] == [-7, -7, -8]
    with open_device(token) as device:
        ctap = Ctap2(device)
        (found,) = ctap.get_assertions("example.org", bytes(32), options={"up": False})
        assert found.user == {"id": b"ada"}
        found.verify(bytes(32), token.credentials[0].public_key)


def test_what_made_it_ready_does_not_answer_for_the_test() -> None:
    factory = TokenFactory(patience_s=0.05)
    token = factory(presence="script", uv=True, credentials=[Credential("example.org")])
    with open_device(token) as device, pytest.raises(Stalled):
        Ctap2(device).selection()
    assert factory.close() == token.stalls


def test_built_in_verification_by_policy(factory: TokenFactory) -> None:
    with open_device(factory(uv=True)) as device:
        ctap = Ctap2(device)
        assert ctap.info.options["uv"] is True
        assert ClientPin(ctap).get_uv_token(ClientPin.PERMISSION.GET_ASSERTION, "example.org")


def test_a_u2f_token(factory: TokenFactory) -> None:
    wanted = [Credential("ssh:", resident=False)]
    token = factory(profile="u2f", presence="script", credentials=wanted)
    assert len(token.credentials[0].credential_id) >= 64


@pytest.mark.parametrize(
    "wishes", [{"pin": PIN_CODE}, {"credentials": [Credential("example.org")]}]
)
def test_what_u2f_lacks(factory: TokenFactory, wishes: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="U2F") as caught:
        factory(profile="u2f", **wishes)  # type: ignore[arg-type]
    assert "resident=False" in caught.value.hint


class Willing:
    """A person of the test's own."""

    def wait(
        self,
        need: NeedsPresence,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> Outcome:
        return Outcome.UV_MATCHED if need.kind is PresenceKind.VERIFY else Outcome.TOUCHED


def test_a_person_of_the_tests_own(factory: TokenFactory) -> None:
    token = factory(presence=Willing(), credentials=[Credential("example.org")])
    assert len(token.credentials) == 1
    with pytest.raises(UsageError, match="the caller's own Person"):
        token.touch()


def test_the_same_seed_gives_the_same_token(factory: TokenFactory) -> None:
    serials = {factory(rng=SeededRng(b"7")).identity.serial for _ in range(2)}
    assert len(serials) == 1


def test_a_clock_of_the_tests_own(factory: TokenFactory) -> None:
    clock = ManualClock()
    with open_device(factory(clock=clock)) as device:
        ctap = Ctap2(device)
        clock.advance(11_000)
        with pytest.raises(Exception, match="NOT_ALLOWED"):
            ctap.reset()


def test_closing_unplugs_all(factory: TokenFactory) -> None:
    tokens = [factory(), factory()]
    assert factory.close() == []
    for token in tokens:
        with pytest.raises(TokenGone):
            token.link()


def test_patience_for_one_token(factory: TokenFactory) -> None:
    assert [factory(patience_s=3).patience_s, factory().patience_s] == [3, 10]
