"""A key's name in a sentence: what it says, and what it cannot do to a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.key_rows import credential, key

from fidokit.cli.commands.key.names import key_name, yes_no
from fidokit.inventory import join
from fidokit.types import CredentialId

(ROW,) = join([credential(key(1, "ssh:work"), CredentialId(b"\1\2"), "alice")], [], lambda _: None)


def test_application_user_and_fingerprint() -> None:
    assert key_name(ROW) == f"ssh:work / alice ({ROW.fingerprint})"
    assert key_name(replace(ROW, user="")) == f"ssh:work ({ROW.fingerprint})"


@pytest.mark.parametrize("hostile", ["a\nDeleted ssh:b.", "\x1b[2J", "\u202e", "a\rb", "\x9b31m"])
def test_it_stays_on_its_line(hostile: str) -> None:
    """A line break would let a token write lines of its own among ours."""
    for row in (replace(ROW, user=hostile), replace(ROW, application=f"ssh:{hostile}")):
        assert key_name(row).isprintable()


def test_flags_that_may_be_unknown() -> None:
    assert [yes_no(value) for value in (True, False, None)] == ["yes", "no", "?"]
