"""Looking for tokens as seldom as may be, and the clock."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fidokit.api import agent_watching, virtual
from fidokit.api.agent_watching import MOST_SKIPPED, Looks, seconds, seen


def test_tokens_are_looked_for_when_a_folder_changed_and_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed = [1]
    monkeypatch.setattr(agent_watching, "_modified", lambda _folder: changed[0])
    looks = Looks()
    assert looks.due()
    assert not looks.due()
    changed[0] = 2
    assert looks.due()
    due = [looks.due() for _ in range(2 * MOST_SKIPPED)]
    assert due.count(True) == 2


def test_a_new_virtual_token_is_such_a_change(home: Path) -> None:
    virtual.create_virtual("one")
    looks = Looks()
    looks.due()
    virtual.create_virtual("two")
    assert looks.due()


def test_the_clock_goes_on_while_the_machine_sleeps() -> None:
    assert abs(seconds() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1


def test_which_tokens_are_seen(home: Path) -> None:
    virtual.create_virtual("one")
    virtual.create_virtual("two")
    assert {c.selector for c in seen(None, watched=True)} == {"virtual:one", "virtual:two"}
    assert [c.selector for c in seen("virtual:two", watched=False)] == ["virtual:two"]
    assert list(seen("virtual:none", watched=True)) == []
    assert list(seen("usb:1", watched=True)) == []
