from __future__ import annotations

from tests.cli.commands.conftest import PIN, Bench


def enrolled(bench: Bench, name: str) -> str:
    document = bench.json(*bench.with_pin("bio", "enroll", "--name", name))
    assert document["fingerprint"]["name"] == name
    return str(document["fingerprint"]["id"])


def test_the_life_of_a_finger(bench: Bench) -> None:
    empty = bench.run(*bench.with_pin("bio", "list"))
    assert (empty.code, empty.out) == (0, "")
    assert "fidokit bio enroll" in empty.err
    done = bench.run(*bench.with_pin("bio", "enroll", "-n", "right thumb"))
    assert done.code == 0
    assert done.out.startswith("Enrolled the finger 'right thumb' on ")
    assert [line for line in done.err.splitlines() if "good" in line] == [
        f"That was good ({left})." for left in ("4 more", "3 more", "2 more", "1 more", "done")
    ]
    (finger,) = bench.json("bio", "list")["fingerprints"]
    assert finger["name"] == "right thumb"
    assert finger["id"] in bench.ok("bio", "list")
    renamed = bench.json("bio", "rename", finger["id"][:6], "thumb")["renamed"]
    assert renamed == {"id": finger["id"], "name": "thumb"}
    assert bench.json("bio", "delete", "thumb", "--yes")["deleted"] == [renamed]
    assert bench.json(*bench.with_pin("bio", "list"))["fingerprints"] == []


def test_several_at_once(bench: Bench) -> None:
    ids = [enrolled(bench, name) for name in ("one", "two", "three")]
    out = bench.ok("bio", "delete", "one", ids[2], "one", "-y")
    assert out.splitlines() == ["Forgot the finger 'one'.", "Forgot the finger 'three'."]
    assert [f["name"] for f in bench.json("bio", "list")["fingerprints"]] == ["two"]


def test_deleting_needs_a_yes(bench: Bench) -> None:
    enrolled(bench, "one")
    done = bench.run("bio", "delete", "one")
    assert done.code == 2
    assert "--yes" in done.err
    assert len(bench.json("bio", "list")["fingerprints"]) == 1


def test_a_finger_that_is_not_there(bench: Bench) -> None:
    for verb in (("rename", "nobody", "x"), ("delete", "nobody", "-y")):
        done = bench.run(*bench.with_pin("bio", *verb))
        assert done.code == 1
        assert "bio list" in done.err


def test_names_are_shown_harmless(bench: Bench) -> None:
    done = bench.run(*bench.with_pin("bio", "enroll", "--name", "\x1b[31mred"))
    assert done.code == 2
    assert "\x1b" not in done.err


def test_a_token_without_a_sensor(bench: Bench) -> None:
    bench.plug("plain", "ctap2.1")
    for args in (("list",), ("enroll",), ("rename", "a", "b"), ("delete", "a", "-y")):
        done = bench.run("--token", "virtual:plain", "bio", *args)
        assert done.code == 8
        assert "sensor" in done.err
        assert "hint: " in done.err


def test_without_a_pin(fresh: Bench) -> None:
    done = fresh.run("bio", "enroll")
    assert done.code == 5
    assert "pin set" in done.err


def test_on_a_terminal(bench: Bench) -> None:
    done = bench.sandbox.talk(
        "--token", "virtual:t", "--no-progress", "bio", "enroll", answers=[("PIN of", PIN + "\n")]
    )
    assert done.code == 0
    assert "That was good (done)." in done.out
    gone = bench.sandbox.talk("--token", "virtual:t", "bio", "delete", "", answers=[])
    assert gone.code == 1
