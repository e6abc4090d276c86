"""Destinations as `ssh-add -h` takes them."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from tests.support.samples import ED25519, RSA, SK_ED25519

from fidokit.agent import hosts
from fidokit.agent.hosts import destinations, host_name
from fidokit.errors import UsageError
from fidokit.openssh.agent_constraints import Destination, Hop, KeySpec
from fidokit.openssh.certificates.certificate import CertKind
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


LINE = f"near.example,192.0.2.1 ssh-ed25519 {b64encode(ED25519.blob()).decode()}\n"


@pytest.fixture(autouse=True)
def nothing_global(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "GLOBAL", ())


def test_the_usual_files(home: Path) -> None:
    assert hosts.known_hosts() == []
    (home / ".ssh").mkdir()
    (home / ".ssh" / "known_hosts").write_text(LINE)
    assert [line.hosts for line in hosts.known_hosts()] == ["near.example,192.0.2.1"]


def test_files_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "one").write_text(LINE)
    assert len(hosts.known_hosts([tmp_path / "one", tmp_path / "none"])) == 1


def test_a_host_key_has_the_names_that_the_user_knows(home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh" / "known_hosts").write_text(LINE)
    assert host_name(ED25519.blob()) == "near.example, 192.0.2.1"
    assert host_name(SK_ED25519.blob()) == ""
    assert host_name(b"rubbish") == ""


def test_a_host_certificate_names_itself() -> None:
    from tests.support.signers import certificate, ed25519_key

    made = certificate(ED25519, ed25519_key(), kind=CertKind.HOST, principals=("near.example",))
    assert host_name(made.blob()) == "near.example"
    made = certificate(ED25519, ed25519_key(), kind=CertKind.HOST, principals=())
    assert host_name(made.blob()) == ""
