"""`fidokit virtual run`: which tokens, and whose status."""

from __future__ import annotations

import json
import sys

import pytest
from tests.support.sandbox import Sandbox

LIST = (
    sys.executable,
    "-c",
    "import os; print(*sorted(n for n in os.listdir('/dev') if 'hidraw9' in n))",
)


@pytest.mark.compiled
def test_a_throw_away_token_is_there_and_leaves_nothing(sandbox: Sandbox) -> None:
    done = sandbox.run("virtual", "run", "--", *LIST)
    assert (done.code, done.out) == (0, "hidraw90\n")
    assert "No virtual tokens" in sandbox.run("virtual", "list").err


@pytest.mark.compiled
def test_tokens_that_were_created(sandbox: Sandbox) -> None:
    for name in ("one", "two"):
        sandbox.run("virtual", "create", name)
    done = sandbox.run("virtual", "run", "--token", "virtual:one", "--with", "two", *LIST)
    assert (done.code, done.out) == (0, "hidraw90 hidraw91\n")


@pytest.mark.compiled
def test_as_json_first(sandbox: Sandbox) -> None:
    sandbox.run("virtual", "create", "one")
    for words, name in (((), None), (("--token", "virtual:one"), "virtual:one")):
        done = sandbox.run("--json", "virtual", "run", *words, "--", *LIST)
        document, _, rest = done.out.rpartition("}\n")
        assert json.loads(document + "}")["tokens"] == [{"token": name, "path": "/dev/hidraw90"}]
        assert rest == "hidraw90\n"


@pytest.mark.compiled
def test_the_programs_status_and_words_are_its_own(sandbox: Sandbox) -> None:
    done = sandbox.run("virtual", "run", "sh", "-c", "echo $0 $1; exit 7", "--model", "--json")
    assert (done.code, done.out, done.err) == (7, "--model --json\n", "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nowhere-to-be-found",), 2, "there is no program"),
        (("--quirk", "nope", "true"), 2, "there is no quirk 'nope'"),
        (("--token", "virtual:x", "--quirk", "opensk", "true"), 2, "for a temporary token"),
        (("--with", "absent", "true"), 3, "absent"),
        ((), 2, "COMMAND"),
    ],
)
def test_what_cannot_be(sandbox: Sandbox, words: tuple[str, ...], code: int, said: str) -> None:
    done = sandbox.run("virtual", "run", *words)
    assert done.code == code
    assert said in done.err
