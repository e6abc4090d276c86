"""Destinations as `ssh-add -h` takes them."""

from __future__ import annotations

from base64 import b64encode

import pytest
from tests.support.samples import ED25519, RSA

from fidokit.agent.destinations import destinations
from fidokit.errors import UsageError
from fidokit.openssh.agent_constraints import Destination, Hop, KeySpec
from fidokit.openssh.lines.known_hosts import parse_known_hosts

pytestmark = pytest.mark.usefixtures("home")

KNOWN = list(
    parse_known_hosts(
        f"near ssh-ed25519 {b64encode(ED25519.blob()).decode()}\n"
        f"@cert-authority far ssh-rsa {b64encode(RSA.blob()).decode()}\n"
    )
)
NEAR = Hop("", "near", (KeySpec(ED25519, is_ca=False),))
FAR = (KeySpec(RSA, is_ca=True),)


@pytest.mark.parametrize(
    ("spec", "means"),
    [
        ("near", Destination(Hop(), NEAR)),
        ("me@far", Destination(Hop(), Hop("me", "far", FAR))),
        ("near>far", Destination(NEAR, Hop("", "far", FAR))),
        ("near>me@far", Destination(NEAR, Hop("me", "far", FAR))),
        ("near>a@b@far", Destination(NEAR, Hop("a@b", "far", FAR))),
    ],
)
def test_what_words_mean(spec: str, means: Destination) -> None:
    assert destinations([spec], KNOWN) == (means,)


@pytest.mark.parametrize("spec", ["", ">near", "near>", "me@", "near>far>near", "nowhere"])
def test_words_that_mean_nothing(spec: str) -> None:
    with pytest.raises(UsageError):
        destinations([spec], KNOWN)


def test_a_user_on_the_first_host_is_refused_with_the_remedy() -> None:
    with pytest.raises(UsageError) as caught:
        destinations(["me@near>far"], KNOWN)
    assert "near>far" in caught.value.hint
