"""`key list` without PIN, and forgetting what makes it so."""

from __future__ import annotations

import pytest
from tests.cli.commands.conftest import Bench


@pytest.fixture
def remembered(bench: Bench) -> Bench:
    bench.generate("k", "-O", "resident", "-O", "application=ssh:work")
    bench.ok(*bench.with_pin("key", "list", "--remember"))
    return bench


def test_the_pin_is_asked_for_once(remembered: Bench) -> None:
    for _ in range(2):  # each run plugs the token in anew
        (key,) = remembered.json("key", "list")["keys"]
        assert key["application"] == "ssh:work"
        assert key["on_token"]


def test_nothing_is_kept_unasked(bench: Bench) -> None:
    bench.ok(*bench.with_pin("key", "list"))
    assert not (bench.home / "state" / "fidokit" / "readers").exists()
    assert bench.run("key", "list").code == 5


def test_it_may_be_left_out(remembered: Bench) -> None:
    assert remembered.run("key", "list", "--no-remember").code == 5
    remembered.ok(*remembered.with_pin("key", "list", "--no-remember"))


def test_downloading_needs_no_pin_either(remembered: Bench) -> None:
    out = remembered.ok("key", "download", "--dir", str(remembered.home), "--no-passphrase")
    assert "id_ed25519_sk_rk_work" in out


def test_changing_still_needs_it(remembered: Bench) -> None:
    assert remembered.run("key", "delete", "ssh:work", "--yes").code == 5
    remembered.ok(*remembered.with_pin("key", "delete", "ssh:work", "--yes"))


def test_forgetting(remembered: Bench) -> None:
    assert remembered.json("token", "forget")["forgotten"] == 1
    assert remembered.run("key", "list").code == 5
    again = remembered.run("token", "forget")
    assert "was not remembered" in again.out
    assert remembered.json("token", "forget", "--all") == {"forgotten": 0}


def test_its_name_wherever_it_is(remembered: Bench) -> None:
    name = remembered.json("token", "info")["identifier"]
    assert name.startswith("id:")
    assert name in remembered.ok("token", "info")
    listed = remembered.json("token", "list")["tokens"]
    assert [token["identifier"] for token in listed] == [name]
    assert remembered.json("--token", name, "key", "list")["keys"]
    remembered.ok("token", "forget")
    assert remembered.run("--token", name, "token", "info").code == 3


def test_by_configuration(bench: Bench) -> None:
    config = bench.home / "config" / "fidokit" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("remember = true\n")
    bench.ok(*bench.with_pin("key", "list"))
    bench.ok("key", "list")
    config.write_text('remember = "yes"\n')
    assert bench.run("key", "list").code == 4


def test_tokens_without(bench: Bench) -> None:
    bench.plug("old", "ctap2.1")
    done = bench.run("--token", "virtual:old", "key", "list", "--remember")
    assert done.code == 8
    assert "leave out --remember" in done.err
