"""The user's known_hosts files."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from tests.support.samples import ED25519, SK_ED25519

from fidokit.agent import known_hosts
from fidokit.agent.service import host_name
from fidokit.openssh.certificates.certificate import CertKind

pytestmark = pytest.mark.usefixtures("home")

LINE = f"near.example,192.0.2.1 ssh-ed25519 {b64encode(ED25519.blob()).decode()}\n"


@pytest.fixture(autouse=True)
def nothing_global(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_hosts, "GLOBAL", ())


def test_the_usual_files(home: Path) -> None:
    assert known_hosts.known_hosts() == []
    (home / ".ssh").mkdir()
    (home / ".ssh" / "known_hosts").write_text(LINE)
    assert [line.hosts for line in known_hosts.known_hosts()] == ["near.example,192.0.2.1"]


def test_files_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "one").write_text(LINE)
    assert len(known_hosts.known_hosts([tmp_path / "one", tmp_path / "none"])) == 1


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
