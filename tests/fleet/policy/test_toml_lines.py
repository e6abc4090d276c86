"""The line of each value is that on which it stands, whatever the text looks like."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from fidokit.fleet.policy.toml_lines import TomlLines, TomlPath

TEXT = '''# a comment with "quotes" and [brackets]
schema = 1

[people.alice]   # another = one
keys = [
  "one", # first
  { key = "two", expires = 2027-01-01 },
  'three',
]

[people."bob \\u0041"]
keys = [["nested", [1, 2]], 5]
text = """
a = "no key"
[neither] """
raw = \'\'\'
'' still \'\'\'

[[hosts]]
match = ["a"]
[hosts.let-in]
root = ["x"]

[[hosts]]
match = ["b"]
let-in.web.deep = ["y",
 "z"]
[[hosts.inner]]
a = 1
[[hosts.inner]]
b = 2
'''

LINES: dict[TomlPath, int] = {
    ("schema",): 2,
    ("people", "alice"): 4,
    ("people", "alice", "keys"): 5,
    ("people", "alice", "keys", 0): 6,
    ("people", "alice", "keys", 1, "expires"): 7,
    ("people", "alice", "keys", 2): 8,
    ("people", "bob A"): 11,
    ("people", "bob A", "keys", 0, 1, 1): 12,
    ("people", "bob A", "text"): 13,
    ("people", "bob A", "raw"): 16,
    ("hosts", 0): 19,
    ("hosts", 0, "match", 0): 20,
    ("hosts", 0, "let-in"): 21,
    ("hosts", 0, "let-in", "root", 0): 22,
    ("hosts", 1): 24,
    ("hosts", 1, "let-in", "web", "deep", 1): 27,
    ("hosts", 1, "inner", 0, "a"): 29,
    ("hosts", 1, "inner", 1, "b"): 31,
}


def paths(value: object, path: TomlPath = ()) -> Iterator[TomlPath]:
    """The path of every value in what `tomllib` gives."""
    if path:
        yield path
    members = value.items() if isinstance(value, dict) else ()
    elements = enumerate(value) if isinstance(value, list) else ()
    for name, one in (*members, *elements):
        yield from paths(one, (*path, name))


def test_each_value_has_its_line() -> None:
    lines = TomlLines(TEXT)
    assert {path: lines.line(path) for path in LINES} == LINES


def test_all_that_tomllib_reads_is_found() -> None:
    lines = TomlLines(TEXT)
    for path in paths(tomllib.loads(TEXT)):
        assert lines.line((*path, "not there")) == lines.line(path)
        assert lines._found.get(path), path


def test_what_is_missing_is_where_it_would_stand() -> None:
    lines = TomlLines(TEXT)
    assert lines.line(("people", "alice", "tokens", "blue")) == 4
    assert lines.line(("nothing",)) == 1


def test_line_ends_of_windows() -> None:
    assert TomlLines("a = 1\r\nb = 2\r\n").line(("b",)) == 2


KEYS = st.text(st.sampled_from("ab.\"'\\é\n #="), max_size=4)
VALUES = st.recursive(
    st.text(st.sampled_from("ab'\"\\\n#[]{},="), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def quoted(text: str) -> str:
    """A basic string of TOML."""
    marks = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}
    return '"' + "".join(marks.get(sign, sign) for sign in text) + '"'


def written(value: object, marker: str = "") -> str:
    """A value as TOML, with line ends in arrays."""
    if isinstance(value, dict):
        pairs = (f"{quoted(key)} = {written(one)}" for key, one in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + "".join(f"\n{written(one)},{marker}" for one in value) + "\n]"
    return quoted(str(value))


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_document(document: dict[str, object]) -> None:
    text, expected = "", {}
    for key, value in document.items():
        text += "# filler ' \"\n"
        expected[key] = text.count("\n") + 1
        text += f"{quoted(key)} = {written(value, ' # x')}\n"
    read = tomllib.loads(text)
    assert read == document
    lines = TomlLines(text)
    assert {key: lines.line((key,)) for key in document} == expected
    assert all(path in lines._found for path in paths(read))
