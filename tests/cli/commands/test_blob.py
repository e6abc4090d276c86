from __future__ import annotations

import pytest
from tests.cli.commands.conftest import Bench

TEXT = b"a certificate\nof two lines\n"


@pytest.fixture
def stocked(bench: Bench) -> Bench:
    """A token with a key that can have a blob, and one that cannot."""
    bench.generate("work", "-O", "resident", "--large-blob", "-O", "application=ssh:work")
    bench.generate("plain", "-O", "resident", "-O", "application=ssh:plain")
    (bench.home / "blob").write_bytes(TEXT)
    return bench


def test_set_list_get_delete(stocked: Bench) -> None:
    empty = stocked.run(*stocked.with_pin("blob", "list"))
    assert (empty.code, empty.out) == (0, "")
    assert "--large-blob" in empty.err
    assert "17 of 4096 bytes" in empty.err
    stored = stocked.json(*stocked.with_pin("blob", "set", "ssh:work", str(stocked.home / "blob")))
    assert stored["size"] == len(TEXT)
    table = stocked.json(*stocked.with_pin("blob", "list"))
    (row,) = table["blobs"]
    assert (row["size"], row["key"]["application"]) == (len(TEXT), "ssh:work")
    assert table["used"] == 17 + row["stored"]
    assert "ssh:work" in stocked.ok(*stocked.with_pin("blob", "list"))
    got = stocked.json(*stocked.with_pin("blob", "get", str(stocked.home / "work")))
    assert bytes.fromhex(got["blob"]) == TEXT
    deleted = stocked.json(*stocked.with_pin("blob", "delete", "ssh:work", "--yes"))
    assert deleted["deleted"] == 1
    missing = stocked.run(*stocked.with_pin("blob", "get", "ssh:work"))
    assert missing.code == 1
    assert "blob list" in missing.err


def test_pipes_carry_it_byte_for_byte(stocked: Bench) -> None:
    raw = bytes(range(256))
    pin = str(stocked.home / "pin")
    stored = stocked.run("blob", "set", "ssh:work", "-", "--pin-file", pin, stdin=raw)
    assert stored.code == 0
    stocked.ok("blob", "get", "ssh:work", "-o", str(stocked.home / "out"), "--pin-file", pin)
    assert (stocked.home / "out").read_bytes() == raw
    (stocked.home / "text").write_bytes(TEXT)
    stocked.ok("blob", "set", "ssh:work", str(stocked.home / "text"), "--pin-file", pin)
    piped = stocked.run("blob", "get", "ssh:work", "--pin-file", pin, LANG="C")
    assert piped.out.encode() == TEXT


def test_a_terminal_gets_text_and_nothing_else(stocked: Bench) -> None:
    pin = str(stocked.home / "pin")
    for raw, code, said in (
        (b"hello \x1b[31m world\n", 0, "hello \\x1b[31m world"),
        (b"\xff\xfe", 2, "-o FILE"),
    ):
        (stocked.home / "blob").write_bytes(raw)
        stocked.ok("blob", "set", "ssh:work", str(stocked.home / "blob"), "--pin-file", pin)
        done = stocked.sandbox.talk(
            "--token", "virtual:t", "blob", "get", "ssh:work", "--pin-file", pin
        )
        assert done.code == code
        assert said in done.out
        assert "\x1b[31m" not in done.out


def test_a_file_in_the_way(stocked: Bench) -> None:
    stocked.ok(*stocked.with_pin("blob", "set", "ssh:work", str(stocked.home / "blob")))
    there = stocked.home / "there"
    there.write_text("mine")
    args = stocked.with_pin("blob", "get", "ssh:work", "-o", str(there))
    assert stocked.run(*args).code == 9
    assert there.read_text() == "mine"
    stocked.ok(*args, "--force")
    assert there.read_bytes() == TEXT


def test_a_key_made_without(stocked: Bench) -> None:
    done = stocked.run(*stocked.with_pin("blob", "set", "ssh:plain", str(stocked.home / "blob")))
    assert done.code == 8
    assert "--large-blob" in done.err


def test_too_large(stocked: Bench) -> None:
    import os

    for size in (6000, (1 << 20) + 5):
        (stocked.home / "large").write_bytes(os.urandom(size))
        args = stocked.with_pin("blob", "set", "ssh:work", str(stocked.home / "large"))
        done = stocked.run(*args)
        assert done.code == (8 if size < 1 << 20 else 2)
    missing = stocked.run(*stocked.with_pin("blob", "set", "ssh:work", "/nowhere"))
    assert missing.code == 2


def test_orphans_and_all(stocked: Bench) -> None:
    stocked.ok(*stocked.with_pin("blob", "set", "ssh:work", str(stocked.home / "blob")))
    stocked.ok(*stocked.with_pin("key", "delete", "ssh:work", "--yes"))
    listed = stocked.run(*stocked.with_pin("blob", "list"))
    assert "1 more" in listed.err
    orphans = stocked.with_pin("blob", "delete", "--orphans")
    assert stocked.run(*orphans).code == 2  # nobody says yes
    assert stocked.json(*orphans, "--yes")["deleted"] == 1
    assert stocked.json(*orphans, "--yes")["deleted"] == 0
    assert stocked.json(*stocked.with_pin("blob", "delete", "--all", "-y"))["deleted"] is None


@pytest.mark.parametrize("words", [(), ("--all", "--orphans"), ("ssh:work", "--all")])
def test_what_to_delete_has_to_be_said(stocked: Bench, words: tuple[str, ...]) -> None:
    assert stocked.run("blob", "delete", "-y", *words).code == 2


def test_a_token_without(bench: Bench) -> None:
    bench.plug("old", "ctap2.0")
    (bench.home / "blob").write_bytes(TEXT)
    for args in (
        ("list",),
        ("get", "ssh:"),
        ("set", "ssh:", str(bench.home / "blob")),
        ("delete", "ssh:", "-y"),
        ("delete", "--all", "-y"),
    ):
        done = bench.run("--token", "virtual:old", "blob", *args)
        assert done.code == 8, args
        assert "hint: " in done.err
    done = bench.run(
        "--token", "virtual:old", "key", "generate", "-O", "resident", "--large-blob", "-f", "x"
    )
    assert done.code == 8


def test_beside_the_key_on_newer_tokens(bench: Bench) -> None:
    new = bench.plug("new", "ctap2.3-largeblob", pin=True)
    bench.generate("k", *new, "-O", "resident", "--large-blob")
    (bench.home / "blob").write_bytes(TEXT)
    bench.ok(*new, *bench.with_pin("blob", "set", "ssh:", str(bench.home / "blob")))
    table = bench.json(*new, *bench.with_pin("blob", "list"))
    assert [row["size"] for row in table["blobs"]] == [len(TEXT)]
    assert (table["used"], table["capacity"]) == (None, None)
    got = bench.json(*new, *bench.with_pin("blob", "get", "ssh:"))
    assert bytes.fromhex(got["blob"]) == TEXT
    bench.ok(*new, *bench.with_pin("blob", "delete", "ssh:", "-y"))
    assert bench.json(*new, *bench.with_pin("blob", "list"))["blobs"] == []
    assert bench.run(*new, *bench.with_pin("blob", "delete", "--all", "-y")).code == 8
