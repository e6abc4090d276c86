"""`fidokit cert`: certificates by a token's key, and what they say."""

from __future__ import annotations

import base64

import pytest
from tests.cli.commands.conftest import Bench
from tests.support.keygen import line
from tests.support.signers import certificate, ed25519_key

from fidokit.openssh.certificates.certificate import parse_certificate


@pytest.fixture
def desk(bench: Bench) -> Bench:
    """An authority on the token, and two public keys."""
    bench.generate("ca")
    for name, seed in (("user", 5), ("host", 6)):
        text = line(ed25519_key(seed).public, "").lstrip().rstrip(b"\n")
        (bench.home / f"{name}.pub").write_bytes(text + f" {name}\n".encode())
    return bench


def test_sign_and_show(desk: Bench) -> None:
    args = ("-s", "ca", "-I", "an id", "-n", "alice,bob", "-z", "7", "-V", "20200101Z:forever")
    made = desk.json("cert", "sign", *args, "-O", "clear", "-O", "force-command=/bin/x", "user.pub")
    assert desk.json("cert", "show", "user-cert.pub") == made
    (one,) = made["certificates"]
    assert one.pop("authority").startswith("ED25519-SK SHA256:")
    assert one.pop("key").startswith("ED25519-CERT SHA256:")
    assert one == {
        "path": "user-cert.pub",
        "type": "ssh-ed25519-cert-v01@openssh.com",
        "kind": "user",
        "signature_type": "sk-ssh-ed25519@openssh.com",
        "key_id": "an id",
        "serial": 7,
        "valid_after": "2020-01-01T00:00:00Z",
        "valid_before": None,
        "principals": ["alice", "bob"],
        "critical_options": [
            {"name": "force-command", "value": "/bin/x", "data": "000000062f62696e2f78"}
        ],
        "extensions": [],
    }


def test_for_people(desk: Bench) -> None:
    said = desk.ok("cert", "sign", "-s", "ca", "-I", "an id", "-n", "alice", "user.pub")
    assert said == 'Signed user key user-cert.pub: id "an id" serial 0 for alice valid forever\n'
    shown = desk.ok("cert", "show", "user-cert.pub").splitlines()
    assert shown[0] == "user-cert.pub:"
    assert '        Key ID: "an id"' in shown
    assert "                permit-pty" in shown


def test_hosts_and_numbers_that_count_up(desk: Bench) -> None:
    args = ("-s", "ca", "-I", "id", "-h", "-n", "h.example", "-z", "+5")
    made = desk.json("cert", "sign", *args, "user.pub", "host.pub")["certificates"]
    assert [(one["kind"], one["serial"]) for one in made] == [("host", 5), ("host", 6)]
    assert made[0]["extensions"] == []


def test_without_names_it_says_so(desk: Bench) -> None:
    done = desk.run("cert", "sign", "-s", "ca", "-I", "id", "user.pub")
    assert done.code == 0
    assert "lets nobody in" in done.err


def test_nothing_is_overwritten(desk: Bench) -> None:
    args = ("cert", "sign", "-s", "ca", "-I", "id", "-n", "alice", "user.pub")
    desk.ok(*args)
    before = (desk.home / "user-cert.pub").read_bytes()
    assert desk.run(*args).code == 9
    assert (desk.home / "user-cert.pub").read_bytes() == before
    desk.ok(*args, "--force")
    assert (desk.home / "user-cert.pub").read_bytes() != before


@pytest.mark.parametrize(
    "args",
    [
        ("-V", "soon"),
        ("-O", "bogus"),
        ("-O", "source-address=10.0.0.1/8"),
        ("-z", "x"),
        ("-z", "18446744073709551616"),
        ("-z", "-1"),
        ("-n", "a,,b"),
        ("missing.pub", "-n", ""),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense(desk: Bench, args: tuple[str, ...]) -> None:
    assert desk.run("cert", "sign", "-s", "ca", "-I", "id", *args, "user.pub").code == 2
    assert not (desk.home / "user-cert.pub").exists()


def test_what_is_missing(desk: Bench) -> None:
    assert desk.run("cert", "sign", "-s", "ca", "user.pub").code == 2
    assert desk.run("cert", "sign", "-I", "id", "user.pub").code == 2
    assert desk.run("cert", "sign", "-s", "ca", "-I", "id").code == 2
    assert desk.run("cert", "sign", "-s", "nowhere", "-I", "id", "user.pub").code == 1
    assert desk.run("cert", "sign", "-U", "-s", "ca", "-I", "id", "user.pub").code == 1


def test_show_several(desk: Bench) -> None:
    desk.ok("cert", "sign", "-s", "ca", "-I", "id", "-n", "a", "user.pub")
    done = desk.run("cert", "show", "user.pub", "user-cert.pub", "nowhere")
    assert done.code == 4
    assert "user-cert.pub:" in done.out
    assert "user.pub: user.pub is a plain public key" in done.err
    assert desk.run("cert", "show", "user.pub").code == 4


def test_an_issuers_words_cannot_reach_the_terminal(desk: Bench) -> None:
    made = certificate(ed25519_key().public, ed25519_key(9), key_id="\x1b[2J", principals=("\x9b",))
    (desk.home / "bad-cert.pub").write_bytes(line(made, "").lstrip())
    shown = desk.ok("cert", "show", "bad-cert.pub")
    assert "\x1b" not in shown
    assert r"\x1b[2J" in shown


def test_times_beyond_any_calendar(desk: Bench) -> None:
    made = certificate(ed25519_key().public, ed25519_key(9), valid_before=2**63)
    (desk.home / "far-cert.pub").write_bytes(line(made, "").lstrip())
    (one,) = desk.json("cert", "show", "far-cert.pub")["certificates"]
    assert one["valid_before"] == str(2**63)


def test_what_is_written_is_a_certificate_by_the_token(desk: Bench) -> None:
    desk.ok("cert", "sign", "-s", "ca", "-I", "id", "-n", "a", "user.pub")
    blob = base64.b64decode((desk.home / "user-cert.pub").read_bytes().split()[1])
    assert parse_certificate(blob).signature_key.type_name == "sk-ssh-ed25519@openssh.com"
