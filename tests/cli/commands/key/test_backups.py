"""`key generate --also`, `--backup-of`, and what `key list` and `server authorize` make of them."""

from __future__ import annotations

import json

import pytest
from tests.cli.commands.conftest import Bench

from fidokit.keys.holder import open_key_file

OTHER_PIN = "2718-drawer"


@pytest.fixture
def two(bench: Bench) -> Bench:
    """Beside `t`, a token with another PIN for the drawer."""
    bench.run("virtual", "create", "drawer")
    (bench.home / "other-pin").write_text(f"{OTHER_PIN}\n")
    done = bench.run("--token", "virtual:drawer", "pin", "set", "--new-pin-file", "other-pin")
    assert done.code == 0, done.err
    return bench


ALSO = ("--also", "virtual:drawer", "--also-pin-file", "other-pin")


def generate(bench: Bench, *args: str, code: int = 0, file: str = "id") -> str:
    command = ("key", "generate", "--no-passphrase", "-C", "me", *args)
    done = bench.run(*bench.with_pin(*command), *(("-f", file) if file else ()))
    assert done.code == code, done.err
    assert OTHER_PIN not in done.out + done.err
    return done.out + done.err if code else done.out


def test_two_keys_in_one_ceremony(two: Bench) -> None:
    said = generate(two, *ALSO, "-O", "resident", "-O", "verify-required")
    for words in ("The key is made.", "Its backup is made.", "id_backup.pub"):
        assert words in said
    assert "fidokit server authorize id.pub --host user@host" in said.replace(f"{two.home}/", "")
    keys = [open_key_file(two.home / name) for name in ("id", "id_backup")]
    assert [key.comment for key in keys] == ["me", "me (backup)"]
    assert keys[0].key.flags == keys[1].key.flags
    assert keys[0].key.public != keys[1].key.public


def test_as_json(two: Bench) -> None:
    document = json.loads(generate(two, *ALSO, "--json"))
    assert document["key"]["comment"] == "me"
    assert [key["comment"] for key in document["backups"]] == ["me (backup)"]
    assert json.loads(generate(two, "--json", file="solo"))["backups"] == []


def test_the_list_says_which_have_none(two: Bench) -> None:
    generate(two, *ALSO, "-O", "resident")
    generate(two, "-O", "resident", "-O", "application=ssh:solo", file="solo")
    listing = two.with_pin("key", "list", str(two.home))
    keys = {key["comment"] + key["application"]: key for key in two.json(*listing)["keys"]}
    found = {name: (key["has_backup"], key["is_backup"]) for name, key in keys.items()}
    assert found == {
        "messh:": (True, False),
        "me (backup)ssh:": (False, True),
        "messh:solo": (False, False),
    }
    assert "Backup" in two.run(*listing).out or "\tnone\t" in two.run(*listing).out


def test_a_pin_is_not_tried_on_another_token(two: Bench) -> None:
    """--pin-file is for the first: without its own, the second has nobody to ask."""
    said = generate(two, "--also", "virtual:drawer", "-O", "resident", code=5)
    assert "the backup on" in said
    assert "needs the PIN" in said
    assert "key generate --backup-of" in said
    assert (two.home / "id").exists()
    assert not (two.home / "id_backup").exists()
    status = two.json("--token", "virtual:drawer", "pin", "status")
    assert status["pin"]["retries"] == 8


def test_the_backup_is_made_later(two: Bench) -> None:
    generate(two, "--also", "virtual:drawer", "-O", "resident", code=5)
    later = ("key", "generate", "--backup-of", "id", "--no-passphrase", "--pin-file", "other-pin")
    done = two.run("--token", "virtual:drawer", *later)
    assert done.code == 0, done.err
    assert open_key_file(two.home / "id_backup").comment == "me (backup)"


@pytest.mark.parametrize(
    "beside", [("-t", "ecdsa-sk"), ("-f", "x"), ("-C", "x"), ("-O", "resident"), ("--large-blob",)]
)
def test_backup_of_takes_the_rest_from_the_key(two: Bench, beside: tuple[str, ...]) -> None:
    generate(two)
    done = two.run("key", "generate", "--backup-of", "id", "--no-passphrase", *beside)
    assert done.code == 2
    assert "--backup-of takes" in done.err


def test_the_same_token_twice(two: Bench) -> None:
    said = generate(two, "--also", "virtual:t", code=2)
    assert "named twice" in said
    assert not (two.home / "id").exists()


def test_more_pin_files_than_tokens(two: Bench) -> None:
    assert "more --also-pin-file than --also" in generate(two, "--also-pin-file", "x", code=2)


def test_nothing_is_made_where_the_second_cannot(two: Bench) -> None:
    two.run("virtual", "create", "old", "--profile", "u2f")
    said = generate(two, "--also", "virtual:old", "-O", "resident", code=8)
    assert "cannot store resident keys" in said
    assert not (two.home / "id").exists()


def test_ecdsa_where_only_one_has_ed25519(two: Bench) -> None:
    two.run("virtual", "create", "old", "--profile", "u2f")
    generate(two, "--also", "virtual:old")
    for name in ("id", "id_backup"):
        assert str(open_key_file(two.home / name).key.public.key_type) == "ecdsa-sk"


def test_a_file_in_the_way_of_the_backup(two: Bench) -> None:
    (two.home / "id_backup").write_text("precious")
    generate(two, *ALSO, code=9)
    assert not (two.home / "id").exists()
    generate(two, *ALSO, "--force")
    assert open_key_file(two.home / "id_backup").comment == "me (backup)"


def test_both_are_authorized_unless_told_otherwise(two: Bench) -> None:
    generate(two, *ALSO)
    where = ("--path", str(two.home / "authorized"))
    alone = two.json("server", "authorize", "id.pub", "--no-backup", *where)
    assert len(alone["authorized"]["added"]) == 1
    both = two.json("server", "authorize", "id.pub", *where)
    assert len(both["authorized"]["added"]) == 1
    assert len(both["authorized"]["present"]) == 1
    lines = (two.home / "authorized").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["me", "me (backup)"]
    two.json("server", "authorize", "--revoke", "id.pub", *where)
    (left,) = (two.home / "authorized").read_text().splitlines()
    assert left.endswith("me (backup)"), "the backup stays when the first token is lost"
