"""The owner's rules: read strictly, the first that fits a key counts."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from tests.agent.core.world import FAR, HOST, PLAIN, SK, World, login
from tests.support import agent_keys

from fidokit.agent.core.held_keys import HeldKey
from fidokit.agent.core.policy import FREE, KeyRule, Policy, parse_policy
from fidokit.errors import MalformedFile
from fidokit.openssh.agent_messages import FAILURE
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.signatures.sshsig import digest, to_be_signed

BLOB = PLAIN.public.blob()
KEY = PLAIN.read()


def policy(text: str) -> Policy:
    return parse_policy(tomllib.loads(text))


def world(rule: str, *, key: str = "work*") -> World:
    made = World(policy=policy(f'[[key]]\nkey = "{key}"\n{rule}'))
    made.add(PLAIN.fields, comment="work key")
    return made


def git(namespace: str = "git") -> bytes:
    return to_be_signed(namespace, "sha512", digest("sha512", [b"x"]))


def test_a_key_without_rule_is_free() -> None:
    made = world("use = []", key="other")
    assert made.sign(BLOB, b"anything") != FAILURE
    assert len(made.listed()) == 1


def test_rules_by_fingerprint() -> None:
    made = world("use = []", key=fingerprint.sha256(BLOB))
    assert made.sign(BLOB, b"anything") == FAILURE
    assert "does not allow" in made.log[-1]


def test_the_first_rule_counts() -> None:
    rules = policy('[[key]]\nkey = "work*"\nconfirm = true\n[[key]]\nkey = "*"\nuse = []')
    made = World(policy=rules)
    made.add(PLAIN.fields, comment="work key")
    assert made.sign(BLOB, b"anything") != FAILURE
    assert made.person.questions


@pytest.mark.parametrize(
    ("rule", "data", "signs"),
    [
        ('use = ["login"]', login(KEY), True),
        ('use = ["login"]', git(), False),
        ('use = ["signature"]', git(), True),
        ('use = ["signature"]', login(KEY), False),
        ('use = ["other"]', b"anything", True),
        ('use = ["login", "signature"]', b"anything", False),
        ('users = ["m?", "root"]', login(KEY), True),
        ('users = ["root"]', login(KEY), False),
        ('users = ["root"]', git(), True),
        ('namespaces = ["git"]', git(), True),
        ('namespaces = ["git"]', git("file"), False),
    ],
)
def test_uses(rule: str, data: bytes, signs: bool) -> None:
    assert (world(rule).sign(BLOB, data) != FAILURE) is signs


def test_hosts_have_to_be_bound() -> None:
    made = world(f'hosts = ["{fingerprint.sha256(HOST.public.blob())}"]')
    assert made.sign(BLOB, login(KEY)) == FAILURE
    made.bind(HOST)
    assert made.sign(BLOB, login(KEY)) != FAILURE
    assert made.sign(BLOB, login(KEY, session=b"other")) == FAILURE


def test_other_hosts_are_refused() -> None:
    made = world(f'hosts = ["{fingerprint.sha256(HOST.public.blob())}"]')
    made.bind(FAR)
    assert made.sign(BLOB, login(KEY, host=FAR)) == FAILURE


def test_a_key_that_stays_here() -> None:
    made = world("forwarded = false")
    assert len(made.listed()) == 1
    made.bind(HOST, forwarding=True)
    assert made.listed() == []
    made.bind(FAR, b"next")
    assert made.sign(BLOB, login(KEY, session=b"next", host=FAR)) == FAILURE


def test_a_hidden_key_signs_for_who_knows_it() -> None:
    made = world("hidden = true")
    assert made.listed() == []
    assert made.sign(BLOB) != FAILURE


def test_confirmation_by_rule() -> None:
    made = world("confirm = true")
    made.person.answer = False
    assert made.sign(BLOB) == FAILURE


def test_the_pin_of_a_key_that_is_not_kept() -> None:
    made = World(policy=policy('[[key]]\nkey = "*"\npin-cache = false'))
    made.add(SK.encode())
    made.sign(SK.public.blob(), login(SK))
    assert made.tokens.purposes[0].pin_may_stay is False


@pytest.mark.parametrize(
    "text",
    [
        "other = 1",
        'key = "x"',
        "[[key]]\nuse = []",
        "[[key]]\nkey = 1",
        '[[key]]\nkey = "*"\nuse = "login"',
        '[[key]]\nkey = "*"\nuse = ["sing"]',
        '[[key]]\nkey = "*"\nusers = [1]',
        '[[key]]\nkey = "*"\nconfirm = 1',
        '[[key]]\nkey = "*"\nconfrim = true',
    ],
)
def test_what_a_policy_may_not_say(text: str) -> None:
    """A rule that is misspelled must not be a rule that is not there."""
    with pytest.raises(MalformedFile):
        policy(text)


def test_the_example_of_the_page_is_a_policy() -> None:
    page = (Path(__file__).parents[3] / "docs" / "agent.md").read_text()
    example = page.partition("```toml\n")[2].partition("```")[0]
    assert policy(example)
    for field in fields(KeyRule):
        assert f"\n{field.name.replace('_', '-')} = " in f"\n{example}"


def test_no_policy_is_none() -> None:
    assert not Policy()
    assert Policy().rule(next(iter(_keys()))) is FREE


def _keys() -> list[HeldKey]:
    made = World()
    made.add(agent_keys.ecdsa().fields)
    return list(made.agent.keys)
