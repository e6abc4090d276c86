"""`fidokit attestation show|verify`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.commands.conftest import Bench

from fidokit.keys.attestation import Origin, ShownAttestation, VerifiedAttestation
from fidokit.keys.holder import open_key_file


@pytest.fixture
def files(bench: Bench) -> Path:
    (bench.home / "challenge").write_bytes(b"what was sent")
    made = ("-f", "key", "-O", "challenge=challenge", "-O", "write-attestation=proof")
    done = bench.run(*bench.with_pin("key", "generate", "--no-passphrase", *made))
    assert done.code == 0, done.err
    return bench.home


def test_shown(bench: Bench, files: Path) -> None:
    done = bench.run("attestation", "show", "proof")
    assert (done.code, done.err) == (0, "")
    for words in ("Touched", "Application", "ssh:", "CN=fidokit virtual authenticator"):
        assert words in done.out
    shown = json.loads(bench.run("attestation", "show", "proof", "--json").out)["attestation"]
    assert (shown["version"], shown["application"], shown["model"]) == (1, "ssh:", None)
    assert shown["key_handle"] == open_key_file(files / "key").key.key_handle.hex()
    assert shown["certificate"]["not_after"] == "2054-01-01"


def test_a_certificate_with_the_serial_number_zero(bench: Bench) -> None:
    """Home-made firmware (Solo 1) has one; a library warns of it, in its own words."""
    option = bench.plug("diy", pin=True, quirks=["certificate-serial-zero"])
    (bench.home / "challenge").write_bytes(b"what was sent")
    wanted = ("-O", "challenge=challenge", "-O", "write-attestation=proof")
    bench.generate("key", *wanted, *option)
    for command in (
        ("show", "proof"),
        ("verify", "proof", "--key", "key.pub", "--challenge", "challenge"),
    ):
        done = bench.run("attestation", *command)
        assert (done.code, done.err) == (0, "")
    shown = bench.json("attestation", "show", "proof")["attestation"]
    assert shown["certificate"]["serial"] == "0"


def test_verified(bench: Bench, files: Path) -> None:
    about = ("--key", "key.pub", "--challenge", "challenge")
    done = bench.run("attestation", "verify", "proof", *about)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Good packed attestation: a token made this key.\n")
    assert "is not proved" in done.out
    verified = json.loads(bench.run("attestation", "verify", "proof", *about, "--json").out)
    assert verified["attestation"]["origin"] == "unknown"
    assert bench.run("attestation", "verify", "proof", *about, "--require-certified").code == 1


def test_not_verified(bench: Bench, files: Path) -> None:
    (files / "other").write_bytes(b"something else")
    about = ("--key", "key", "--challenge", "other")
    done = bench.run("attestation", "verify", "proof", *about)
    assert (done.code, done.out) == (1, "")
    assert "not over this challenge" in done.err
    done = bench.run("attestation", "verify", "challenge", *about)
    assert done.code == 4


def test_a_key_under_a_passphrase(bench: Bench, files: Path) -> None:
    (files / "words").write_text("correct horse battery\n")
    lock = ("key", "passphrase", "key", "--new-passphrase-file", "words")
    done = bench.run(*lock)
    assert done.code == 0, done.err
    about = ("--key", "key", "--challenge", "challenge", "--passphrase-file", "words")
    assert bench.run("attestation", "verify", "proof", *about).code == 0


@pytest.mark.parametrize(
    ("origin", "untrusted", "words", "code"),
    [
        (Origin.MODEL, False, "maker's roots vouch for the model: Maker Key (L1)", 0),
        (Origin.MODEL, True, "Warning: this model is reported as L1", 1),
        (Origin.CLAIMED, False, "claims to be a Maker Key", 1),
        (Origin.SELF, False, "The key itself signed", 1),
    ],
)
def test_who_vouches(
    *,
    in_process: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    origin: Origin,
    untrusted: bool,
    words: str,
    code: int,
) -> None:
    shown = ShownAttestation(1, "ssh:", None, "Maker Key", b"h", True, True, None)
    found = VerifiedAttestation(shown, "packed", origin, "L1", untrusted, True)
    monkeypatch.setattr("fidokit.keys.attestation.verify_attestation", lambda *_, **__: found)
    verify = ("attestation", "verify", "p", "--key", "k", "--challenge", "c")
    assert in_process(*verify) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert words in said
    assert "with PIN or finger" in said
    assert in_process(*verify, "--require-certified") == code
