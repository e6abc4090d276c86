"""Whatever the authenticator and the command offer has a test, a page, and where CTAP has it an id.

A new extension, member of getInfo, verb or policy fails here until it has them; the message says
what is missing, and where to put it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from tests.conformance import CHECKS, read_checks
from tests.support.json_members import commands, documented

from fidokit.server.check.policy import BREAK_GLASS, CheckRule
from fidokit.virtual.core.commands import get_info
from fidokit.virtual.core.extensions import table as extensions

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
INSIDE = "docs/inside-the-token.md"
SERVER = "docs/server.md"
GENERATED = {"json.md", "conformance.md", "errors.md", "exit-codes.md"}
"""Pages that name everything, so that a name there explains nothing."""

DRAFTS = {"previewSign": "test_preview_sign.py"}
"""Extensions that are drafts, for which nobody has written checks, and the tests of each."""

VARIABLE = "?"
_ID = re.compile(r"[A-Z0-9]{2,3}-\d\d")


# --- what is there ---------------------------------------------------------------------------


@cache
def sources(below: str = "") -> Mapping[Path, str]:
    """The text of each file of tests."""
    own = Path(__file__)
    files = sorted((TESTS / below).rglob("*.py"))
    return {path: path.read_text() for path in files if path != own}


def checked_by(check: str) -> list[Path]:
    """The test files that name a check."""
    return [path for path, text in sources().items() if f'"{check}"' in text]


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """The table under a heading: further cells by the first."""
    text = (TESTS.parent / page).read_text()
    _, _, section = text.partition(f"{heading}\n")
    section = re.split(r"^#", section, flags=re.MULTILINE)[0]
    lines = re.findall(r"^\| (.*) \|$", section, re.MULTILINE)[1:]
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    return {first.strip("`"): others for first, *others in cells}


@cache
def numbers_in(path: Path) -> frozenset[int]:
    """The numbers that a test file writes out."""
    nodes = ast.walk(ast.parse(sources()[path]))
    values = (node.value for node in nodes if isinstance(node, ast.Constant))
    return frozenset(value for value in values if type(value) is int)


@cache
def called() -> frozenset[str]:
    """Words, and pairs of words in order, that tests put into one argument list.

    A word that a variable gives may be any that the same file writes out.
    """
    found: set[str] = set()
    for text in (*sources("cli").values(), *sources("interop").values()):
        here: set[str] = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call | ast.Tuple | ast.List):
                words = _words(node.args if isinstance(node, ast.Call) else node.elts)
                here |= {*words, *map(" ".join, pairwise(words))}
        open_ended = {pair.removesuffix(VARIABLE) for pair in here if pair.endswith(f" {VARIABLE}")}
        found |= here | {group + word for group in open_ended for word in here}
    return frozenset(found)


def _words(nodes: Iterable[ast.expr]) -> list[str]:
    texts = [node.value if isinstance(node, ast.Constant) else VARIABLE for node in nodes]
    lines = [text.split() for text in texts if isinstance(text, str)]
    return [word for line in lines for word in line if not word.startswith("-")]


@cache
def explained() -> str:
    """The pages that a person reads, in one text."""
    pages = [path for path in sorted(DOCS.rglob("*.md")) if path.name not in GENERATED]
    return "\n".join(path.read_text() for path in [TESTS.parent / "README.md", *pages])


# --- what is missing -------------------------------------------------------------------------


def about_ids(what: str, cell: str) -> Iterator[str]:
    """What is wrong with a cell that names the checks of something."""
    known = read_checks(CHECKS.read_text())
    ids = _ID.findall(cell)
    if not ids:
        yield f"{what}: no id of {CHECKS.name} in its row of {INSIDE}"
    for check in ids:
        if check not in known:
            yield f"{what}: {check} is not an id of tests/vectors/{CHECKS.name}"
        elif not checked_by(check):
            yield f'{what}: no test is marked @pytest.mark.check("{check}")'


def about_extensions(names: Iterable[str]) -> Iterator[str]:
    """What is missing of extensions."""
    table = rows(INSIDE, "### Extensions")
    for name in names:
        what = f"extension {name}"
        if name not in table:
            yield f"{what}: no row with its checks under Extensions in {INSIDE}"
        elif name in DRAFTS:
            if not [path for path in sources() if path.name == DRAFTS[name]]:
                yield f"{what}: its tests, {DRAFTS[name]}, are not there"
        else:
            yield from about_ids(what, table[name][0])


def about_members(numbers: Iterable[int]) -> Iterator[str]:
    """What is missing of getInfo's members."""
    table = rows(INSIDE, "### Members of getInfo")
    for number in numbers:
        what, row = f"getInfo member {number:02X}", table.get(f"{number:02X}")
        if row is None:
            yield f"{what}: no row with its name and checks under Members of getInfo in {INSIDE}"
            continue
        yield from about_ids(what, row[1])
        looks = {path for check in _ID.findall(row[1]) for path in checked_by(check)}
        if not any(number in numbers_in(path) for path in looks):
            yield f"{what}: no test that names {row[1]} looks at member 0x{number:02X}"


def about_verbs(verbs: Iterable[str]) -> Iterator[str]:
    """What is missing of the command's verbs."""
    for verb in verbs:
        what = f"verb `fidokit {verb}`"
        if verb not in called():
            yield f"{what}: no test below tests/cli or tests/interop calls it"
        if not re.search(rf"(?:fidokit(?: --?\S+(?: \S+)?)* |`){verb}\b", explained()):
            yield f"{what}: no page below docs/, nor README.md, tells what it is for"
        if verb not in documented():
            yield f"{what}: no heading ### `{verb}` with an example in docs/json.md"


def about_rules(rules: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What is missing of policies, given by name and word."""
    table = rows(SERVER, "### Policies")
    for name, word in rules:
        what = f"policy {word}"
        named = name if name == "BreakGlass" else f"CheckRule.{name}"
        if not any(named in text for text in sources("server").values()):
            yield f"{what}: no test below tests/server names {named}"
        if word not in table:
            yield f"{what}: no row `{word}` in the table of --require in {SERVER}"


def say(missing: Iterable[str]) -> None:
    found = list(missing)
    assert not found, "\n".join(found)


def test_every_extension() -> None:
    say(about_extensions(extensions.EXTENSIONS))


def test_every_member_of_getinfo() -> None:
    say(about_members(get_info.MEMBERS))


def test_every_verb() -> None:
    say(about_verbs(commands()))


def test_every_policy() -> None:
    rules = [(rule.name, rule.value) for rule in CheckRule]
    say(about_rules([*rules, ("BreakGlass", f"{BREAK_GLASS}=[USER:]SHA256:...")]))


def test_the_tables_have_nothing_that_is_gone() -> None:
    assert rows(INSIDE, "### Extensions").keys() == extensions.EXTENSIONS.keys()
    members = {int(number, 16) for number in rows(INSIDE, "### Members of getInfo")}
    assert members == get_info.MEMBERS.keys()
    assert DRAFTS.keys() <= extensions.EXTENSIONS.keys()


# --- that it finds what is missing -------------------------------------------------------------


@pytest.mark.parametrize(
    ("judge", "given", "says"),
    [
        (about_extensions, "newThing", ["no row with its checks under Extensions"]),
        (about_members, 0x7E, ["no row with its name and checks under Members of getInfo"]),
        (about_verbs, "token polish", ["no test", "no page", "no heading ### `token polish`"]),
        (about_rules, ("QUANTUM", "quantum"), ["no test", "no row `quantum`"]),
    ],
)
def test_what_is_new_is_missed(
    judge: Callable[[list[object]], Iterator[str]], given: object, says: list[str]
) -> None:
    found = list(judge([given]))
    assert len(found) == len(says)
    assert all(part in sentence for part, sentence in zip(says, found, strict=True))


@pytest.mark.parametrize(
    ("cell", "says"),
    [("GI-02, PIN-01", []), ("", ["no id"]), ("GI-02, GI-99", ["GI-99 is not an id"])],
)
def test_ids_of_a_row(cell: str, says: list[str]) -> None:
    found = list(about_ids("x", cell))
    assert len(found) == len(says)
    assert all(part in sentence for part, sentence in zip(says, found, strict=True))
