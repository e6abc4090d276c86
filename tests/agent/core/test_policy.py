"""The owner's rules: read strictly, the first that fits a key counts."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from tests.agent.core.world import FAR, HOST, PLAIN, SK, Behind, World, login
from tests.support.signers import certificate, ed25519_key

from fidokit.agent.core.policy import FREE, KeyRule, Policy, parse_policy
from fidokit.agent.core.ports import Consent
from fidokit.errors import MalformedFile
from fidokit.openssh import agent_messages, wire
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
    made.person.answer = Consent.DECLINED
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
    assert Policy().rule("SHA256:any", "comment") is FREE


# --- keys of the upstream agent ------------------------------------------------------------


class Upstream:
    """An agent that lists one key and signs whatever it is asked to."""

    def __init__(self, comment: str | None = "work key") -> None:
        self.signed: list[bytes] = []
        self.comment = comment

    def answer(self, payload: bytes) -> bytes:
        if payload == agent_messages.REQUEST_IDENTITIES:
            comment = self.comment
            return agent_messages.encode_identities([] if comment is None else [(BLOB, comment)])
        self.signed.append(payload)
        return agent_messages.encode_signature(b"signature")


def in_front(rule: str, *, key: str = "work*", comment: str | None = "work key") -> World:
    upstream = Upstream(comment)
    made = World(policy=policy(f'[[key]]\nkey = "{key}"\n{rule}'), behind=Behind(upstream.answer))
    made.upstream = upstream  # type: ignore[attr-defined]
    return made


RULES: list[tuple[str, bytes, bool]] = [
    ("", b"anything", True),
    ("use = []", b"anything", False),
    ('use = ["login"]', login(KEY), True),
    ('use = ["login"]', git(), False),
    ('use = ["signature"]', git(), True),
    ('use = ["signature"]', login(KEY), False),
    ('users = ["root"]', login(KEY), False),
    ('users = ["me"]', login(KEY), True),
    ('namespaces = ["file"]', git(), False),
    (f'hosts = ["{fingerprint.sha256(HOST.public.blob())}"]', login(KEY), False),
]


@pytest.mark.parametrize("key", ["work*", fingerprint.sha256(BLOB), "*"])
@pytest.mark.parametrize(("rule", "data", "signs"), RULES)
def test_rules_hold_for_keys_of_the_upstream_agent(
    rule: str, data: bytes, signs: bool, key: str
) -> None:
    made = in_front(rule, key=key)
    assert (made.sign(BLOB, data) != FAILURE) is signs
    assert bool(made.upstream.signed) is signs  # type: ignore[attr-defined]


@pytest.mark.parametrize("answer", Consent)
def test_they_are_confirmed(answer: Consent) -> None:
    made = in_front("confirm = true")
    made.person.answer = answer
    assert (made.sign(BLOB) != FAILURE) is (answer is Consent.GIVEN)
    assert "work key" in made.person.questions[0]


@pytest.mark.parametrize("rule", ["hidden = true", "forwarded = false"])
def test_they_are_left_out_of_lists(rule: str) -> None:
    made = in_front(rule)
    made.bind(FAR, forwarding=True)
    assert made.listed() == []
    assert (made.sign(BLOB) == FAILURE) is rule.startswith("forwarded")


def test_a_rule_by_fingerprint_holds_for_the_certificate() -> None:
    cert = certificate(PLAIN.public, ed25519_key(9)).blob()
    made = in_front("use = []", key=fingerprint.sha256(BLOB))
    assert made.sign(cert) == FAILURE


@pytest.mark.parametrize(
    ("key", "signs"), [("work*", False), ("*", True), (fingerprint.sha256(BLOB), True)]
)
def test_a_key_that_is_not_listed_is_under_no_rule_by_comment(key: str, signs: bool) -> None:
    """Nobody can tell whether the rule is about it, so it does not sign."""
    assert (in_front("", key=key, comment=None).sign(BLOB) != FAILURE) is signs


@pytest.mark.parametrize("number", [200, 27])
def test_what_cannot_be_read_does_not_get_around_the_rules(number: int) -> None:
    made = in_front("use = []")
    assert made.ask(bytes([number]) + wire.text("sign@example.org") + BLOB) == FAILURE
    assert made.upstream.signed == []  # type: ignore[attr-defined]
