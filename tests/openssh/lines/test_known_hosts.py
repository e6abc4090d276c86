"""known_hosts: names, patterns, hashes, markers; ssh-keygen's own hashing is the judge."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from tests.support.mutate import fuzz_count, survive
from tests.support.samples import ECDSA, ED25519, RSA

from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.lines.known_hosts import hosts_of, keys_of, parse_known_hosts

P256 = ECDSA["nistp256"]


def line(hosts: str, key: PublicKey, marker: str = "") -> str:
    return f"{marker} {hosts} {key.type_name} {b64encode(key.blob()).decode()} a comment".strip()


TEXT = "\n".join(
    [
        "# a comment",
        "",
        line("near.example,192.0.2.1", ED25519),
        line("*.far.example,!bad.far.example", RSA),
        line("*.example", P256, "@cert-authority"),
        line("[near.example]:2222", RSA),
        "near.example ssh-ed25519 rubbish",
        "near.example ssh-rsa " + b64encode(ED25519.blob()).decode(),
        "near.example",
        line("gone.example", ED25519),
        line("gone.example", ED25519, "@revoked"),
        line("new.example", ED25519, "@something"),
    ]
)
LINES = list(parse_known_hosts(TEXT))


@pytest.mark.parametrize(
    ("host", "keys"),
    [
        ("near.example", [(ED25519, False), (P256, True)]),
        ("NEAR.example", [(ED25519, False), (P256, True)]),
        ("192.0.2.1", [(ED25519, False)]),
        ("a.far.example", [(RSA, False), (P256, True)]),
        ("bad.far.example", [(P256, True)]),
        ("[near.example]:2222", [(RSA, False)]),
        ("gone.example", [(P256, True)]),
        ("new.example", [(P256, True)]),
        ("nowhere", []),
    ],
)
def test_keys_of_a_host(host: str, keys: list[tuple[PublicKey, bool]]) -> None:
    assert keys_of(host, LINES) == keys


def test_names_of_a_key() -> None:
    assert hosts_of(ED25519, LINES) == ["near.example", "192.0.2.1", "gone.example"]
    assert hosts_of(P256, LINES) == []


def test_names_that_ssh_keygen_hashed(ssh_keygen_in: object, tmp_path: Path) -> None:
    file = tmp_path / "known"
    file.write_text(line("near.example", ED25519) + "\n")
    ssh_keygen_in("-H", "-f", str(file))  # type: ignore[operator]
    assert "near.example" not in file.read_text()
    lines = list(parse_known_hosts(file.read_text()))
    assert keys_of("near.example", lines) == [(ED25519, False)]
    assert keys_of("far.example", lines) == []
    assert hosts_of(ED25519, lines) == []


@pytest.mark.parametrize("name", ["|1|", "|1|a|b", "|1|!!|??", "|1|a|b|c"])
def test_damaged_hashes_name_nobody(name: str) -> None:
    assert keys_of("near.example", list(parse_known_hosts(line(name, ED25519)))) == []


def test_fuzz_known_hosts() -> None:
    def parse(data: bytes) -> None:
        lines = list(parse_known_hosts(data.decode("utf-8", "replace")))
        keys_of("near.example", lines)
        hosts_of(ED25519, lines)

    survive([TEXT.encode()], parse, (), fuzz_count(500))
