"""`fidokit key generate`: ssh-keygen's letters, prompts, and what is refused."""

from __future__ import annotations

import stat
from collections.abc import Callable

import pytest
from tests.cli.commands.conftest import PASSPHRASE, PIN, Bench

Run = Callable[..., int]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["-N", "topsecret"], "--passphrase-file"),
        (["-N"], "--passphrase-file"),
        (["-b", "4096"], "leave out -b"),
        (["-Z", "aes128-ctr"], "leave out -Z"),
        (["-w", "/lib/x.so"], "--token"),
        (["-K"], "fidokit key download"),
        (["-O", "nonsense"], "there is no -O nonsense; there are resident, verify-required"),
        (["-O", "nonsense=1"], "there is no -O nonsense"),
        (["-O", "resident=1"], "-O resident takes no value"),
        (["-O", "application"], "-O application needs a value"),
        (["-t", "rsa"], "ed25519-sk"),
        (["--no-passphrase", "--passphrase-file", "x"], "exclude each other"),
        (["-a", "0"], "0 is not in the range"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refusals_help(
    in_process: Run, capsys: pytest.CaptureFixture[str], args: list[str], said: str
) -> None:
    assert in_process("key", "generate", *args) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "topsecret" not in err


def test_default_type_is_ed25519_and_files_have_their_modes(bench: Bench) -> None:
    key = bench.generate("k", "-C", "a comment")
    assert key["type"] == "ed25519-sk"
    assert key["public_key"].endswith(" a comment")
    assert stat.S_IMODE((bench.home / "k").stat().st_mode) == 0o600
    assert (bench.home / "k.pub").read_text() == key["public_key"] + "\n"


def test_json_members(bench: Bench) -> None:
    options = ("resident", "verify-required", "application=ssh:x", "user=bob")
    key = bench.generate("k", "-t", "ecdsa-sk", *(w for o in options for w in ("-O", o)))
    assert key.pop("fingerprint").startswith("SHA256:")
    assert key.pop("public_key").startswith("sk-ecdsa-sha2-nistp256@openssh.com ")
    assert isinstance(key.pop("comment"), str)
    assert key == {
        "path": str(bench.home / "k"),
        "public_path": str(bench.home / "k.pub"),
        "attestation_path": None,
        "type": "ecdsa-sk",
        "application": "ssh:x",
        "user": "bob",
        "resident": True,
        "verify_required": True,
        "touch_required": True,
        "warnings": [],
    }


def test_challenge_and_attestation(bench: Bench) -> None:
    (bench.home / "challenge").write_bytes(b"c" * 32)
    wanted = str(bench.home / "att")
    given = f"challenge={bench.home / 'challenge'}"
    key = bench.generate("k", "-O", given, "-O", f"write-attestation={wanted}")
    assert key["attestation_path"] == wanted
    assert b"ssh-sk-attest-v01" in (bench.home / "att").read_bytes()


def test_device_chooses_the_token(bench: Bench) -> None:
    done = bench.run("key", "generate", "-O", "device=virtual:none", "--no-passphrase")
    assert done.code == 3


def test_plain_output_says_the_next_step(bench: Bench) -> None:
    path = str(bench.home / "k")
    out = bench.ok(*bench.with_pin("key", "generate", "-f", path, "--no-passphrase"))
    assert "SHA256:" in out
    assert "fidokit server authorize ~/k.pub --host user@host" in out
    assert "authorized_keys" in out
    assert "[ED25519-SK" not in out  # randomart is for people on a terminal


def test_quiet_says_nothing(bench: Bench) -> None:
    path = str(bench.home / "k")
    args = bench.with_pin("key", "generate", "-q", "-f", path, "--no-passphrase")
    assert bench.ok(*args) == ""


def test_existing_file_is_kept_without_force(bench: Bench) -> None:
    bench.generate("k")
    before = (bench.home / "k").read_bytes()
    args = bench.with_pin("key", "generate", "-f", str(bench.home / "k"), "--no-passphrase")
    done = bench.run(*args)
    assert done.code == 9
    assert (bench.home / "k").read_bytes() == before
    bench.generate("k", "--force")
    assert (bench.home / "k").read_bytes() != before


def test_existing_credential_is_kept_without_force(bench: Bench) -> None:
    bench.generate("k", "-O", "resident")
    done = bench.run(
        *bench.with_pin("key", "generate", "-f", str(bench.home / "j"), "-O", "resident"),
        "--no-passphrase",
    )
    assert done.code == 9
    assert not (bench.home / "j").exists()
    bench.generate("j", "-O", "resident", "--force")


def test_application_must_be_ssh(bench: Bench) -> None:
    args = ("key", "generate", "-f", str(bench.home / "k"), "-O", "application=web.example")
    assert bench.run(*bench.with_pin(*args, "--no-passphrase")).code == 2
    bench.generate("k", "-O", "application=web.example", "--allow-any-application")


def test_passphrase_must_be_chosen(bench: Bench) -> None:
    done = bench.run(*bench.with_pin("key", "generate", "-f", str(bench.home / "k")))
    assert done.code == 1
    assert "--no-passphrase" in done.err
    assert not (bench.home / "k").exists()


def test_on_a_terminal(bench: Bench) -> None:
    done = bench.sandbox.talk(
        "--token",
        "virtual:t",
        "key",
        "generate",
        "-O",
        "resident",
        "-O",
        "verify-required",
        answers=[
            ("File for the key (~/.ssh/id_ed25519_sk): ", "\n"),
            ("(empty for none): ", f"{PASSPHRASE}\n"),
            ("New passphrase again: ", "something else\n"),
            ("not the same", ""),
            ("(empty for none): ", f"{PASSPHRASE}\n"),
            ("New passphrase again: ", f"{PASSPHRASE}\n"),
            ("tries left): ", f"{PIN}\n"),
        ],
    )
    assert done.code == 0, done.out
    assert "[ED25519-SK 256]" in done.out
    assert PIN not in done.out
    assert PASSPHRASE not in done.out
    assert b"OPENSSH PRIVATE KEY" in (bench.home / ".ssh" / "id_ed25519_sk").read_bytes()
    shown = bench.json(
        "key", "flags", str(bench.home / ".ssh/id_ed25519_sk"),
        "--passphrase-file", str(bench.home / "passphrase"),
    )["file"]  # fmt: skip
    assert shown["encrypted"] is True
    assert shown["flags"] == ["touch-required", "verify-required", "resident"]


def test_hostile_comment_is_never_shown_raw(bench: Bench) -> None:
    hostile = "\x1b]0;owned\x07\u202eevil"
    bench.generate("k", "-O", "resident", "-C", hostile)
    for args in (("key", "list"), ("key", "show", "k"), ("key", "flags", "k")):
        done = bench.run(*bench.with_pin(*args) if args == ("key", "list") else args)
        assert done.code == 0, done.err
        assert "\x1b" not in done.out + done.err
        assert "\u202e" not in done.out + done.err


def generate(*options: str) -> tuple[str, ...]:
    args = ("--token", "virtual:t", "key", "generate", "-f", "k", "--no-passphrase")
    return (*args, "--pin-file", "pin", *options)


def test_a_file_in_the_way_is_replaced_where_the_person_says_so(bench: Bench) -> None:
    old = bench.generate("k")
    done = bench.sandbox.talk(*generate(), answers=[("Overwrite? [y/N] ", "y\n")])
    assert done.code == 0, done.out
    assert "k and k.pub already exist." in done.out
    assert "loses the key" in done.out
    assert (bench.home / "k.pub").read_text().split()[1] != old["public_key"].split()[1]


@pytest.mark.parametrize("answer", ["n\n", "\n", "what\n"])
def test_a_file_in_the_way_stays_where_the_person_does_not(bench: Bench, answer: str) -> None:
    bench.generate("k")
    before = (bench.home / "k").read_bytes()
    done = bench.sandbox.talk(*generate(), answers=[("Overwrite? [y/N] ", answer)])
    assert done.code == 9
    assert (bench.home / "k").read_bytes() == before


def test_a_resident_key_in_the_way_is_replaced_where_the_person_says_so(bench: Bench) -> None:
    old = bench.generate("old", "-O", "resident")
    answers = [("Replace the key on the token? [y/N] ", "y\n")]
    done = bench.sandbox.talk(*generate("-O", "resident"), answers=answers)
    assert done.code == 0, done.out
    assert "its files stop working" in done.out
    listed = bench.json(*bench.with_pin("key", "list", "--only-token"))["keys"]
    assert len(listed) == 1
    assert listed[0]["fingerprint"] != old["fingerprint"]


def test_a_resident_key_in_the_way_stays_where_the_person_does_not(bench: Bench) -> None:
    old = bench.generate("old", "-O", "resident")
    answers = [("Replace the key on the token? [y/N] ", "n\n")]
    assert bench.sandbox.talk(*generate("-O", "resident"), answers=answers).code == 9
    listed = bench.json(*bench.with_pin("key", "list", "--only-token"))["keys"]
    assert [key["fingerprint"] for key in listed] == [old["fingerprint"]]
    assert not (bench.home / "k").exists()


def test_both_in_the_way_are_two_questions(bench: Bench) -> None:
    bench.generate("k", "-O", "resident")
    answers = [("Overwrite? [y/N] ", "y\n"), ("Replace the key on the token? [y/N] ", "y\n")]
    assert bench.sandbox.talk(*generate("-O", "resident"), answers=answers).code == 0


def test_what_cannot_be_replaced_is_not_asked_about(bench: Bench) -> None:
    (bench.home / "k").symlink_to(bench.home / "elsewhere")
    done = bench.sandbox.talk(*generate())
    assert done.code == 9
    assert "is a symbolic link" in done.out


@pytest.mark.parametrize("options", [[], ["-O", "resident"]])
def test_scripts_are_never_asked(bench: Bench, options: list[str]) -> None:
    bench.generate("k", *options)
    kind = bench.json(*generate(*options)[2:], code=9)["error"]["kind"]
    assert kind == "FileInTheWay"
    for name in ("k", "k.pub"):
        (bench.home / name).unlink()
    if options:
        kind = bench.json(*generate(*options)[2:], code=9)["error"]["kind"]
        assert kind == "CredentialInTheWay"


def test_an_enterprise_attestation_is_asked_for(fresh: Bench) -> None:
    at = fresh.plug("company", "ctap2.3-enterprise")

    def make(name: str, *options: str) -> tuple[str, ...]:
        written = "-O", f"write-attestation={fresh.home / name}.att"
        where = "-f", str(fresh.home / name), "--no-passphrase"
        return (*at, "key", "generate", *where, *written, *options)

    def serial(name: str) -> str:
        shown = fresh.json("attestation", "show", f"{fresh.home / name}.att")
        return str(shown["attestation"]["certificate"]["serial"])

    asked = "-O", "enterprise-attestation"
    off = fresh.run(*make("a", *asked))
    assert (off.code, "fidokit config enterprise-attestation on" in off.err) == (8, True)
    assert not (fresh.home / "a").exists()
    fresh.ok(*at, "config", "enterprise-attestation", "on", "--yes")
    for name, options in (("a", asked), ("b", asked), ("c", ()), ("d", ())):
        assert "ordinary attestation" not in fresh.run(*make(name, *options)).err
    assert serial("a") == serial("b") != serial("c") == serial("d")


def test_a_token_without_enterprise_attestation_says_so(fresh: Bench) -> None:
    args = ("key", "generate", "-f", str(fresh.home / "k"), "--no-passphrase")
    refused = fresh.run(*args, "-O", "enterprise-attestation")
    assert (refused.code, "without -O enterprise-attestation" in refused.err) == (8, True)
    assert not (fresh.home / "k").exists()
