"""Whatever is typed: an exit status that is documented, and never a traceback or a bug."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fidokit.cli.app import GROUPS, TOP
from fidokit.errors import ExitCode

WORDS = [
    *GROUPS,
    *(name for section in GROUPS.values() for name in section.verbs if name != "serve"),
    *(name for name in TOP if name != "demo"),
    "--token", "virtual:none", "usb:0", "--json", "-v", "--help", "--version", "-O", "resident",
    "-t", "ed25519-sk", "-f", "-C", "-N", "-", "--", "", "=", "--pin-fd", "99", "-1", "--yes",
    "--new-pin-file", "/dev/null", "/", "\x1b[2J", "\udcff", "x" * 300, "--no-passphrase",
]  # fmt: skip


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_any_words_end_in_a_documented_status_fuzz(
    in_process: Callable[..., int], capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    status = in_process(*words)
    said = capsys.readouterr()
    assert status in set(ExitCode)
    assert "this is a bug" not in said.err
    assert "Traceback" not in said.err
    assert "\x1b" not in said.err
