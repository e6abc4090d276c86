"""The policy on the page of fleets is one, and its tables name every setting that there is."""

from __future__ import annotations

import re

from tests.docs.pages import TOP

from fidokit.fleet.policy import host_blocks, members, reading
from fidokit.fleet.policy.reading import parse_policy

PAGE = (TOP / "docs" / "fleet.md").read_text()


def test_the_example_is_a_policy() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    policy = parse_policy(text.encode(), "the example")
    rules = policy.rules_for("db1")
    assert rules
    assert set(rules.let_in) == {"root", "postgres"}
    assert [token.name for token in policy.tokens] == ["blue", "drawer"]
    assert policy.members("@everybody") == (policy.people["alice"], policy.people["bob"])


def test_the_tables_name_every_setting() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE)
    named = {
        part for row in rows for word in re.findall(r"`(.*?)`", row) for part in word.split(".")
    }
    known = {*reading.SECTIONS, *members.PERSON, *members.TOKEN, *host_blocks.BLOCK}
    known |= {*host_blocks.TOKEN_RULES, "signers"}
    assert known - named == {"schema", "hosts"}
    in_text = set(re.findall(r"`([a-z-]+)`", PAGE))
    assert set(members.KEY) <= in_text
