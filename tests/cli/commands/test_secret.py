"""`fidokit secret`: where secrets go, and where they never go."""

from __future__ import annotations

import json
import os
import stat

import pytest
from tests.cli.commands.conftest import Bench

from fidokit.lab.named_tokens import create_virtual


@pytest.fixture
def made(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> str:
    """A credential that wants no PIN."""
    monkeypatch.chdir(bench.home)
    bench.ok(*bench.with_pin("secret", "create", "a", "--no-verify"))
    return "a"


def test_a_file_of_32_bytes(bench: Bench, made: str) -> None:
    said = bench.ok("secret", "derive", made, "-o", "out")
    assert "out" in said
    assert len((bench.home / "out").read_bytes()) == 32
    assert stat.S_IMODE((bench.home / "out").stat().st_mode) == 0o600
    again = bench.run("secret", "derive", made, "-o", "out")
    assert again.code == 9
    bench.ok("secret", "derive", made, "-o", "out", "--force")


def test_forms_are_of_one_secret(bench: Bench, made: str) -> None:
    bench.ok("secret", "derive", made, "-o", "raw")
    bench.ok("secret", "derive", made, "-o", "hex", "--format", "hex")
    raw = (bench.home / "raw").read_bytes()
    assert (bench.home / "hex").read_text() == raw.hex() + "\n"


def test_a_descriptor(bench: Bench, made: str) -> None:
    reading, writing = os.pipe()
    try:
        assert bench.ok("secret", "derive", made, "--fd", str(writing)) == ""
        assert len(os.read(reading, 100)) == 32
    finally:
        os.close(reading)
        os.close(writing)
    assert bench.run("secret", "derive", made, "--fd", "999").code == 2


def test_salts(bench: Bench, made: str) -> None:
    (bench.home / "salt").write_bytes(bytes(32))
    found = {}
    for name, salt in {
        "file": ("--salt", "salt"),
        "hex": ("--salt-hex", "00" * 32),
        "label": ("--label", "backup of 2026"),
        "own": (),
    }.items():
        bench.ok("secret", "derive", made, *salt, "-o", name)
        found[name] = (bench.home / name).read_bytes()
    assert found["file"] == found["hex"]
    assert len(set(found.values())) == 3
    (bench.home / "salt").write_bytes(bytes(31))
    for bad in (
        ("--salt", "salt"), ("--salt-hex", "0g"), ("--salt-hex", "00"),
        ("--salt-hex", "00" * 32, "--label", "x"),
    ):  # fmt: skip
        assert bench.run("secret", "derive", made, *bad, "-o", "bad").code == 2
        assert not (bench.home / "bad").exists()


def test_secrets_never_go_into_json(bench: Bench, made: str) -> None:
    bench.ok("secret", "derive", made, "-o", "hex", "--format", "hex")
    done = bench.run("secret", "derive", made, "--json")
    assert done.code == 2
    said = bench.json("secret", "derive", made, "-o", "again", "--format", "hex")
    assert said["derived"] == [{"path": "again", "format": "hex"}]
    shown = bench.json("secret", "show", made)["secret"]
    assert shown["application"] == "io.systemd.cryptsetup"
    text = json.dumps([said, shown])
    assert (bench.home / "hex").read_text().strip() not in text


def test_a_key_and_its_backup_in_one_ceremony(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bench.home)
    create_virtual("spare")
    also = ("--also", "virtual:spare")
    said = bench.json(*bench.with_pin("secret", "create", "a", "--no-verify", *also))
    assert [one["path"] for one in said["secrets"]] == ["a", "a_backup"]
    bench.ok("secret", "derive", "a", "-o", "out", *also)
    one, two = ((bench.home / name).read_bytes() for name in ("out", "out_backup"))
    assert len(one) == len(two) == 32
    assert one != two
    assert bench.run("secret", "derive", "a", *also).code == 2


def test_the_pin_is_asked_for_where_the_token_has_one(bench: Bench) -> None:
    bench.ok(*bench.with_pin("secret", "create", str(bench.home / "v")))
    assert (
        bench.run("secret", "derive", str(bench.home / "v"), "-o", str(bench.home / "o")).code == 5
    )
    bench.ok(
        *bench.with_pin("secret", "derive", str(bench.home / "v"), "-o", str(bench.home / "o"))
    )
    assert "verify       yes" in bench.ok("secret", "show", str(bench.home / "v"))


def test_lines_of_other_programs(bench: Bench, made: str) -> None:
    token = json.loads(bench.ok("secret", "show", "--systemd", made))
    assert token["type"] == "systemd-fido2"
    assert bench.run("secret", "show", "--pam-u2f", "alice", made).code == 2
    bench.ok(*bench.with_pin("secret", "create", "p", "--no-verify", "--application", "pam://h"))
    line = bench.ok("secret", "show", "--pam-u2f", "alice", "p")
    (bench.home / "keys").write_text(line)
    bench.ok("secret", "derive", "keys", "--application", "pam://h", "--label", "x", "-o", "one")
    bench.ok("secret", "derive", "p", "--label", "x", "-o", "two")
    assert (bench.home / "one").read_bytes() == (bench.home / "two").read_bytes()
