from __future__ import annotations

import pytest
from tests.cli.commands.conftest import Bench


@pytest.fixture
def enterprise(bench: Bench) -> Bench:
    """A second token, `e`, with every setting there is."""
    bench.plug("e", "ctap2.3-enterprise", pin=True)
    return bench


def test_show(enterprise: Bench) -> None:
    out = enterprise.ok("config", "show")
    assert "always-uv               off" in out
    assert "enterprise-attestation  the token has no such setting" in out
    document = enterprise.json("--token", "virtual:e", "config", "show")["config"]
    assert document == {
        "always_uv": False,
        "enterprise_attestation": False,
        "long_touch_reset": False,
        "min_length": 4,
        "pin_complexity": False,
        "changeable": [1, 2, 3, 4],
    }


def test_what_cannot_be_changed_says_so(bench: Bench) -> None:
    bench.plug("old", "ctap2.0")
    out = bench.ok("--token", "virtual:old", "config", "show")
    assert "PIN minimum length      4 characters (fixed)" in out


def test_a_token_that_knows_no_pin_has_no_length_of_it(bench: Bench) -> None:
    bench.plug("stick", "u2f")
    show = ("--token", "virtual:stick", "config", "show")
    assert "PIN minimum length      the token has no such setting" in bench.ok(*show)
    assert bench.json(*show)["config"]["min_length"] is None


@pytest.mark.parametrize("name", ["enterprise-attestation", "long-touch-reset"])
def test_settings_that_only_go_on(enterprise: Bench, name: str) -> None:
    e, member = ("--token", "virtual:e"), name.replace("-", "_")
    assert enterprise.json(*e, "config", name)[member] is False
    refused = enterprise.run(*e, *enterprise.with_pin("config", name, "on"))
    assert refused.code == 2
    assert "--yes" in refused.err
    assert enterprise.json(*e, "config", name)[member] is False
    args = (*e, *enterprise.with_pin("config", name, "on"))
    assert enterprise.ok(*args, "--yes").endswith(": on.\n")
    assert enterprise.json(*args)[member] is True  # nothing to change, so no question
    assert enterprise.run(*e, "config", name, "off").code == 2


@pytest.mark.parametrize("name", ["enterprise-attestation", "long-touch-reset"])
def test_tokens_without(bench: Bench, name: str) -> None:
    bench.plug("old", "ctap2.1")
    old = ("--token", "virtual:old", "config", name)
    assert "the token has no such setting" in bench.ok(*old)
    assert bench.json(*old)[name.replace("-", "_")] is None
    done = bench.run(*old, "on")
    assert done.code == 8
    assert "hint: " in done.err


def test_always_uv(bench: Bench) -> None:
    assert bench.json("config", "always-uv")["always_uv"] is False
    assert bench.json(*bench.with_pin("config", "always-uv", "on"))["always_uv"] is True
    assert bench.ok("config", "always-uv").startswith("always-uv is on")


def test_complexity(bench: Bench) -> None:
    bench.ok(*bench.with_pin("pin", "min-length", "4", "--complexity"))
    assert bench.json("config", "show")["config"]["pin_complexity"] is True
    (bench.home / "weak").write_text("111111\n")
    weak = ("--new-pin-file", str(bench.home / "weak"))
    assert bench.run(*bench.with_pin("pin", "change"), *weak).code == 5
    bench.plug("old", "ctap2.1", pin=True)
    args = bench.with_pin("pin", "min-length", "4", "--complexity")
    assert bench.run("--token", "virtual:old", *args).code == 8
