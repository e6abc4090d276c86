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
    assert made.pop("stored") == []
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


def test_key_show_tells_of_the_certificate_beside_a_key(desk: Bench) -> None:
    desk.ok("cert", "sign", "-s", "ca", "-I", "an id", "-n", "alice", "user.pub")
    done = desk.run("key", "show", "user.pub")
    assert done.code == 0
    assert "certificate" not in done.out
    advice = done.err.strip().partition(": fidokit ")[2].split()
    assert 'Key ID: "an id"' in desk.ok(*advice)
    for quiet in (("user-cert.pub",), ("host.pub",), ("user.pub", "user-cert.pub"), ("ca",)):
        assert desk.run("key", "show", *quiet).err == ""


# --- on the token --------------------------------------------------------------------------


@pytest.fixture
def resident(desk: Bench) -> Bench:
    """Keys on the token, one of which has room for a certificate; an authority in a file."""
    desk.generate("work", "-O", "resident", "--large-blob", "-O", "application=ssh:work")
    desk.generate("small", "-O", "resident", "-O", "application=ssh:small")
    return desk


def sign_on_token(bench: Bench, name: str, *more: str) -> tuple[str, ...]:
    args = ("-s", "ca", "-I", "an id", "-n", "alice", "-V", "20200101Z:20991231Z", *more)
    return (*bench.with_pin("cert", "sign"), *args, "--on-token", f"{name}.pub")


def test_a_certificate_on_the_token(resident: Bench) -> None:
    made = resident.json(*sign_on_token(resident, "work"))
    [stored] = made["stored"]
    assert stored.pop("fingerprint").startswith("SHA256:")
    assert stored.pop("token")
    assert stored == {
        "path": "work-cert.pub",
        "key_id": "an id",
        "application": "ssh:work",
        "user": "",
    }
    listed = resident.json(*resident.with_pin("key", "list"))["keys"]
    [(row,)] = [key["certificates"] for key in listed if key["application"] == "ssh:work"]
    assert row == {
        "key_id": "an id",
        "serial": 0,
        "principals": ["alice"],
        "valid_after": "2020-01-01T00:00:00Z",
        "valid_before": "2099-12-31T00:00:00Z",
    }
    assert "an id, until 2099-12-31" in resident.ok(*resident.with_pin("key", "list"))
    got = resident.json(*resident.with_pin("blob", "get", "ssh:work"))
    assert bytes.fromhex(got["blob"]) == (resident.home / "work-cert.pub").read_bytes()
    (resident.home / "there").mkdir()
    args = ("--dir", "there", "--no-passphrase", "ssh:work")
    [saved] = resident.json(*resident.with_pin("key", "download"), *args)["keys"]
    assert saved["certificate"] == "there/id_ed25519_sk_rk_work-cert.pub"
    said = resident.ok("cert", "show", saved["certificate"])
    assert 'Key ID: "an id"' in said


def test_one_that_was_made_is_stored_later(resident: Bench) -> None:
    resident.ok("cert", "sign", "-s", "ca", "-I", "id", "-n", "alice", "work.pub")
    said = resident.ok(*resident.with_pin("cert", "store"), "work-cert.pub")
    assert said.startswith("Stored work-cert.pub on ")
    assert said.endswith("beside the key for ssh:work.\n")


def test_what_was_signed_before_a_failure_is_said(resident: Bench) -> None:
    done = resident.run(*sign_on_token(resident, "small"))
    assert done.code == 8
    assert "Signed user key small-cert.pub" in done.err
    assert "--large-blob" in done.err
    assert "--certificates FOLDER" in done.err
    assert (resident.home / "small-cert.pub").exists()


def test_files_that_no_token_is_to_keep(resident: Bench) -> None:
    resident.ok("cert", "sign", "-s", "ca", "-I", "id", "-h", "-n", "web", "work.pub")
    for name, code in (("work.pub", 4), ("work-cert.pub", 2), ("nowhere", 1)):
        assert resident.run(*resident.with_pin("cert", "store"), name).code == code
    assert resident.json(*resident.with_pin("blob", "list"))["blobs"] == []


def test_a_broken_one_is_named_and_the_keys_are_listed(resident: Bench) -> None:
    resident.ok(*sign_on_token(resident, "work"))
    text = (resident.home / "work-cert.pub").read_text()
    (resident.home / "broken").write_text(text[:100] + "\x1b[31m\n")
    resident.ok(*resident.with_pin("blob", "set", "ssh:work", "broken"))
    done = resident.run(*resident.with_pin("key", "list"))
    assert done.code == 0
    assert "ssh:work" in done.out
    assert "Ignored: a certificate of ssh:work" in done.err
    assert "\x1b" not in done.err
