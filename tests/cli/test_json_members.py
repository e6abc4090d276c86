"""docs/json.md names every member that a command prints, and the tests look at each."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.json_members import (
    Shape,
    command_of,
    commands,
    documented,
    documents,
    error_shape,
    examples,
    require_documented,
)

PAGE = """
## things

### `thing list`, `thing show`

```json
{"schema": 1, "things": [{"name": "x", "by_name": {"a": 1, "...": 1}}, {"size": 1}], "none": null}
```

With `--more`:

```json
{"schema": 1, "more": {"deep": [{"a": 1}]}}
```

## others

```json
{"other": 1}
```
"""


def shape() -> Shape:
    found = Shape()
    for _, example in examples(PAGE):
        found.learn(example)
    return found


def test_every_verb_has_an_example() -> None:
    """And none is of a verb that is gone."""
    undocumented = [verb for verb in commands() if verb not in documented()]
    assert not undocumented, (
        f"docs/json.md: no heading ### `{undocumented[0]}` with an example of what it prints"
    )
    assert set(documented()) == set(commands())


def test_a_heading_is_of_all_its_commands_and_examples() -> None:
    found = list(examples(PAGE))
    assert [commands for commands, _ in found] == [("thing list", "thing show")] * 2
    assert shape().members.keys() == {"schema", "things", "none", "more"}


@pytest.mark.parametrize(
    ("printed", "unknown"),
    [
        ({"schema": 1, "things": [{"size": 3, "name": None}]}, []),
        ({"things": []}, []),
        ({"new": 1}, ["new"]),
        ({"things": [{"name": "x"}, {"color": "red"}]}, ["things[].color"]),
        ({"things": [{"by_name": {"a": 1, "b": {"c": 1}}}]}, []),
        ({"none": {"was": "never shown"}}, ["none.was"]),
        ({"more": {"deep": [{"a": {"b": 1}}]}}, ["more.deep[].a.b"]),
        ({"error": {"kind": "PinWrong", "message": "", "retries": 3}}, []),
        ({"things": [{"error": {"kind": "x", "cause": ""}}]}, ["things[].error.cause"]),
        ({"other": 1}, ["other"]),
    ],
)
def test_what_no_example_shows(printed: Any, unknown: list[str]) -> None:
    assert list(shape().unknown(printed)) == unknown


def test_errors_are_those_of_the_other_page() -> None:
    assert error_shape().members.keys() == {"kind", "message", "hint", "exit_code", "retries"}


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("--json token list", "token list"),
        ("--token virtual:t key --json generate -f x", "key generate"),
        ("doctor --json", "doctor"),
        ("token", None),
        ("token nothing", None),
        ("--version", None),
    ],
)
def test_the_command_of_a_line(line: str, command: str | None) -> None:
    assert command_of(line.split()) == command


def test_a_result_and_an_error() -> None:
    assert list(documents('{"a": 1}\n{"error": {}}\nwords')) == [{"a": 1}, {"error": {}}]
    assert list(documents("")) == list(documents("words {}")) == []


def test_a_new_member_fails_by_its_place_and_command() -> None:
    line = ["--json", "token", "list"]
    require_documented(line, '{"schema": 1, "tokens": [{"selector": "usb:1"}]}')
    with pytest.raises(AssertionError, match=r"`fidokit token list` .*: tokens\[\]\.color; add"):
        require_documented(line, '{"schema": 1, "tokens": [{"color": "red"}]}')
    require_documented(["token", "list"], '{"new": 1}')
    with pytest.raises(AssertionError, match=": tokens; add"):
        require_documented(["--json", "--version"], '{"schema": 1, "tokens": []}')
