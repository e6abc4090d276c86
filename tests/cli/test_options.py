"""Options that every verb takes: before the group, before the verb, after the verb."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import click
import pytest

from fidokit.cli import app
from fidokit.cli.options import _trace_to_stderr, verb
from fidokit.cli.settings import Settings

Run = Callable[..., int]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Every verb only notes what it was told."""
    noted: list[Settings] = []

    @verb(pin=True, new_pin=True)
    @click.argument("rest", nargs=-1)
    def noting(settings: Settings, *, rest: tuple[str, ...]) -> None:
        noted.append(settings)

    monkeypatch.setattr(app, "load", lambda _entry: noting)
    return noted


@pytest.fixture
def quiet_logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("fidokit")
    before = (list(logger.handlers), logger.level)
    logger.handlers.clear()
    yield logger
    logger.handlers[:], logger.level = before


@pytest.mark.parametrize(
    "args",
    [
        ["--token", "virtual:a", "--json", "--no-progress", "pin", "set"],
        ["pin", "--token", "virtual:a", "--json", "--no-progress", "set"],
        ["pin", "set", "--token", "virtual:a", "--json", "--no-progress"],
        ["--json", "pin", "--token=virtual:a", "set", "--no-progress"],
    ],
    ids=" ".join,
)
def test_common_options_are_taken_anywhere(
    in_process: Run, seen: list[Settings], args: list[str]
) -> None:
    assert in_process(*args) == 0
    assert (seen[0].token, seen[0].json, seen[0].progress) == ("virtual:a", True, False)


def test_the_last_token_wins(in_process: Run, seen: list[Settings]) -> None:
    in_process("--token", "virtual:a", "pin", "set", "--token", "virtual:b")
    assert seen[0].token == "virtual:b"


def test_nothing_said_is_nothing_set(in_process: Run, seen: list[Settings]) -> None:
    in_process("pin", "set")
    settings = seen[0]
    assert settings == Settings()
    assert (settings.token, settings.json, settings.progress) == (None, False, True)


def test_two_runs_share_nothing(in_process: Run, seen: list[Settings]) -> None:
    in_process("--json", "pin", "set")
    in_process("pin", "set")
    assert [settings.json for settings in seen] == [True, False]


def test_pin_sources(in_process: Run, seen: list[Settings]) -> None:
    in_process("pin", "set", "--pin-file", "a", "--new-pin-file", "-")
    in_process("pin", "set", "--pin-fd", "3")
    assert [(s.pin_file, s.pin_fd, s.new_pin_file) for s in seen] == [
        ("a", None, "-"),
        (None, 3, None),
    ]


@pytest.mark.parametrize("args", [["--pin", "1234"], ["--new-pin", "1234"], ["--passphrase", "x"]])
def test_secrets_are_no_options(
    in_process: Run, capsys: pytest.CaptureFixture[str], args: list[str]
) -> None:
    assert in_process("pin", "change", *args) == 2
    assert "1234" not in capsys.readouterr().err


def test_verbose_shows_the_library_log_escaped(
    quiet_logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    _trace_to_stderr()
    _trace_to_stderr()
    logging.getLogger("fidokit.trace").debug("the token said \x1b[2J")
    assert capsys.readouterr().err == "fidokit.trace: the token said \\x1b[2J\n"
    assert len(quiet_logger.handlers) == 1
