"""What the word at the cursor belongs to."""

from __future__ import annotations

import click
import pytest

from fidokit.cli.app import root
from fidokit.cli.completion.cursor import Cursor, locate
from fidokit.cli.completion.line import split


def at(line: str) -> Cursor:
    typed = split(line)
    found = locate(root, typed.words, typed.current)
    assert found is not None
    return found


def named(cursor: Cursor) -> str | None:
    param = cursor.param
    if param is None:
        return None
    return param.opts[-1] if isinstance(param, click.Option) else param.name


@pytest.mark.parametrize(
    ("line", "path", "param", "prefix", "incomplete"),
    [
        ("fidokit k", "", None, "", "k"),
        ("fidokit --token virtual:x k", "", None, "", "k"),
        ("fidokit --token vir", "", "--token", "", "vir"),
        ("fidokit --token=vir", "", "--token", "--token=", "vir"),
        ("fidokit key generate -", "key generate", None, "", "-"),
        ("fidokit key generate -O re", "key generate", "-O", "", "re"),
        ("fidokit key generate -Ore", "key generate", "-O", "-O", "re"),
        ("fidokit key generate -O a -O re", "key generate", "-O", "", "re"),
        ("fidokit key generate -O application=ss", "key generate", "-O", "", "application=ss"),
        ("fidokit key generate -q -C", "key generate", None, "", "-C"),
        ("fidokit key rename one tw", "key rename", "comment", "", "tw"),
        ("fidokit key rename one --any-rp tw", "key rename", "comment", "", "tw"),
        ("fidokit key delete -- -o", "key delete", "keys", "", "-o"),
        ("fidokit virtual serve t --usbip --so", "virtual serve", None, "", "--so"),
        ("fidokit virtual run ls -", "virtual run", "command", "", "-"),
        ("sudo fidokit server check --us", "server check", None, "", "--us"),
        ("A=b /usr/bin/fidokit key --so", "key", None, "", "--so"),
    ],
)
def test_places(line: str, path: str, param: str | None, prefix: str, incomplete: str) -> None:
    cursor = at(line)
    assert (" ".join(cursor.path), named(cursor)) == (path, param)
    assert (cursor.prefix, cursor.incomplete) == (prefix, incomplete)


def test_behind_a_word_that_is_no_command_is_nothing() -> None:
    assert locate(root, ["fidokit", "nonsense", "x"], "") is None


def test_behind_the_last_argument_is_nothing() -> None:
    assert at("fidokit key rename one two thr").param is None
