"""`fidokit pin`, on a virtual token."""

from __future__ import annotations

from tests.cli.commands.conftest import PIN, Bench


def test_status_before_a_pin_says_what_to_do(fresh: Bench) -> None:
    out = fresh.ok("pin", "status")
    assert "not set" in out
    assert "fidokit --token virtual:t pin set" in out


def test_status_as_json(bench: Bench) -> None:
    document = bench.json("pin", "status")
    assert document["token"]["selector"] == "virtual:t"
    assert document["pin"] == {
        "supported": True,
        "set": True,
        "blocked": False,
        "retries": 8,
        "uv_retries": None,
        "min_length": 4,
        "max_length": 63,
        "change_required": False,
        "needs_power_cycle": False,
    }


def test_set_twice_is_refused(bench: Bench) -> None:
    done = bench.run("pin", "set", "--new-pin-file", str(bench.home / "pin"))
    assert done.code == 9


def test_change_reads_both_from_one_descriptor(bench: Bench) -> None:
    both = f"{PIN}\nanother-{PIN}\n".encode()
    args = ("pin", "change", "--pin-file", "-", "--new-pin-file", "-")
    assert bench.run(*args, stdin=both).code == 0
    done = bench.run("pin", "verify", "--pin-fd", "0", stdin=f"another-{PIN}\n".encode())
    assert (done.code, done.out) == (0, "The PIN is right.\n")


def test_wrong_pin_says_how_many_tries_are_left(bench: Bench) -> None:
    (bench.home / "wrong").write_text("wrong-one")
    done = bench.run("pin", "verify", "--pin-file", str(bench.home / "wrong"))
    assert done.code == 5
    assert "7" in done.err
    error = bench.json("pin", "verify", "--pin-file", str(bench.home / "wrong"), code=5)["error"]
    assert (error["kind"], error["retries"]) == ("PinWrong", 6)


def test_nobody_to_ask_is_an_error_with_the_way_out(bench: Bench) -> None:
    done = bench.run("pin", "verify")
    assert done.code == 5
    assert "--pin-file" in done.err


def test_set_on_a_terminal(fresh: Bench) -> None:
    done = fresh.sandbox.talk(
        "--token",
        "virtual:t",
        "pin",
        "set",
        answers=[
            ("New PIN", "abc\n"),
            ("New PIN again: ", "abc\n"),
            ("too short", ""),
            ("New PIN", f"{PIN}\n"),
            ("New PIN again: ", f"{PIN}\n"),
        ],
    )
    assert done.code == 0, done.out
    assert "is set." in done.out
    assert PIN not in done.out


def test_wrong_then_right_on_a_terminal(bench: Bench) -> None:
    done = bench.sandbox.talk(
        "--token",
        "virtual:t",
        "pin",
        "verify",
        answers=[
            ("(8 tries left): ", "nonsense\n"),
            ("(7 tries left): ", f"{PIN}\n"),
        ],
    )
    assert done.code == 0, done.out
    assert "That PIN was wrong." in done.out
    assert "The PIN is right." in done.out


def test_interrupt_at_the_prompt_ends_with_130(bench: Bench) -> None:
    done = bench.sandbox.talk(
        "--token", "virtual:t", "pin", "verify", answers=[("tries left): ", "\x03")]
    )
    assert done.code == 130
    assert "interrupted" in done.out
    assert "Traceback" not in done.out


def test_closing_the_question_interrupts(bench: Bench) -> None:
    done = bench.sandbox.talk(
        "--token", "virtual:t", "pin", "verify", answers=[("tries left): ", "\x04")]
    )
    assert done.code == 130
    assert "not answered" in done.out


def test_force_change_and_min_length(bench: Bench) -> None:
    assert "at least 6" in bench.ok(*bench.with_pin("pin", "min-length", "6"))
    assert bench.json("pin", "status")["pin"]["min_length"] == 6
    assert "fidokit pin change" in bench.ok(*bench.with_pin("pin", "force-change"))
    assert bench.json("pin", "status")["pin"]["change_required"] is True
    assert "fidokit --token virtual:t pin change" in bench.ok("pin", "status")


def test_always_uv(bench: Bench) -> None:
    assert bench.json("config", "always-uv")["always_uv"] is False
    assert bench.json(*bench.with_pin("config", "always-uv", "on"))["always_uv"] is True
    assert "is on" in bench.ok("config", "always-uv")


def test_a_blocked_pin_is_called_so(bench: Bench) -> None:
    wrong = bench.home / "wrong"
    wrong.write_text("nobody's PIN")
    for _ in range(8):
        bench.run("pin", "verify", "--pin-file", str(wrong), "--spend-last-try")
    assert bench.json("pin", "status")["pin"]["blocked"] is True
    said = bench.ok("pin", "status")
    assert "blocked" in said
    assert "fidokit --token virtual:t token reset" in said
