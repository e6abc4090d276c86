"""Which keys need the provider library: those on tokens that stock ssh does not reach."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.desk import Desk

from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.provider import need
from fidokit.types import KeyType, Transport


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(need, "provider_path", lambda: Path("/lib/ours.so"))


def key(desk: Desk, path: Path, secret: bytes = b"") -> Path:
    request = GenerateRequest(KeyType.ECDSA_SK, path=path)
    with desk.open() as session:
        generate_key(session, request, passphrase=lambda _: secret)
    return path


@pytest.mark.parametrize(
    ("kind", "needed"),
    [(Transport.USB, ""), (Transport.VIRTUAL, "/lib/ours.so"), (Transport.PCSC, "/lib/ours.so")],
)
@pytest.mark.parametrize("secret", [b"", b"words"])
def test_by_the_way_to_the_token(
    bare_desk: Desk, folder: Path, kind: Transport, needed: str, secret: bytes
) -> None:
    made = key(bare_desk, folder / "id", secret)
    bare_desk.kind = kind
    assert need.provider_for_key(made, backends=[bare_desk]) == needed


def test_without_a_token_ssh_has_its_own_way(bare_desk: Desk, folder: Path) -> None:
    made = key(bare_desk, folder / "id")
    assert need.provider_for_key(made, backends=[]) == ""
    assert need.provider_for_key(folder / "missing", backends=[bare_desk]) == ""


def test_ordinary_keys_need_none(bare_desk: Desk, folder: Path) -> None:
    bare_desk.kind = Transport.VIRTUAL
    plain = folder / "id.pub"
    plain.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ==\n")
    assert need.provider_for_key(plain, backends=[bare_desk]) == ""
