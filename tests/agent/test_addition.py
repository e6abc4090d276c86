"""Resident keys into an agent, and why agents refuse them; the agent is our own core, limited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.agent.core.world import HOST, World
from tests.support import agent_keys
from tests.support.desk import Desk
from tests.support.signers import certificate, ed25519_key

from fidokit.agent.addition import Added, AddOptions, add_to_agent, why_refused
from fidokit.errors import CredentialNotFound, FidokitError, UsageError
from fidokit.keys import generation
from fidokit.keys.blobs import set_blob
from fidokit.keys.generation import GenerateRequest
from fidokit.keys.stored_certificates import certificate_line
from fidokit.openssh import agent_messages
from fidokit.openssh.agent_constraints import Constraints, Destination, Hop, KeySpec
from fidokit.openssh.agent_messages import AddKey
from fidokit.openssh.certificates.certificate import FOREVER
from fidokit.openssh.keys.private import SkPrivate, peek_public
from fidokit.types import Application, KeyType

pytestmark = pytest.mark.usefixtures("home")

Dislikes = Callable[[AddKey], bool]


@dataclass
class Agent:
    """An agent that does not like some keys; it writes down what it was given."""

    dislikes: Dislikes = lambda _request: False
    path: str = "/nowhere"
    world: World = field(default_factory=World)
    added: list[AddKey] = field(default_factory=list)

    def exchange(self, payload: bytes) -> bytes:
        request = agent_messages.parse_request(payload)
        if isinstance(request, AddKey):
            self.added.append(request)
            if self.dislikes(request):
                return agent_messages.FAILURE
        return self.world.ask(payload)

    def keys(self) -> list[tuple[bytes, str]]:
        return self.world.listed()

    def accepts(self, payload: bytes) -> bool:
        return self.exchange(payload) == agent_messages.SUCCESS

    @property
    def comments(self) -> list[str]:
        return [comment for _, comment in self.world.listed()]


@pytest.fixture
def filled(desk: Desk, folder: Path) -> Desk:
    """A token with three resident keys, two of the same comment."""
    with desk.open() as session:
        for name, comment, verify in (("a", "me", False), ("b", "me", True), ("c", "you", False)):
            request = GenerateRequest(
                KeyType.ED25519_SK,
                path=folder / name,
                comment=comment,
                application=Application(f"ssh:{name}"),
                resident=True,
                verify_required=verify,
            )
            generation.generate_key(session, request)
    return desk


def run(desk: Desk, agent: Agent, **options: object) -> list[Added]:
    with desk.open() as session:
        chosen = AddOptions(**options)  # type: ignore[arg-type]
        return list(add_to_agent(session, agent, chosen))  # type: ignore[arg-type]


def test_all_keys_with_comments_that_tell_them_apart(filled: Desk) -> None:
    agent = Agent()
    results = run(filled, agent)
    assert [result.error for result in results] == [None] * 3
    assert sorted(agent.comments) == sorted(result.comment for result in results)
    assert len(set(agent.comments)) == 3
    assert "you" in agent.comments
    assert sum(comment.startswith("me SHA256:") for comment in agent.comments) == 2


def test_verify_required_is_kept(filled: Desk) -> None:
    agent = Agent()
    run(filled, agent)
    flags = [request.key.flags for request in agent.added if isinstance(request.key, SkPrivate)]
    assert sorted(map(int, flags)) == [0x21, 0x21, 0x25]


def test_chosen_keys(filled: Desk) -> None:
    agent = Agent()
    run(filled, agent, selectors=["ssh:c", "you"])
    assert agent.comments == ["you"]
    with pytest.raises(CredentialNotFound):
        run(filled, agent, selectors=["ssh:none"])


def test_certificates_of_the_token_go_along(desk: Desk, folder: Path) -> None:
    request = GenerateRequest(
        KeyType.ED25519_SK, path=folder / "a", comment="me", resident=True, large_blob=True
    )
    with desk.open() as session:
        generation.generate_key(session, request)
    public = peek_public((folder / "a").read_bytes())
    valid, ended = (
        certificate(public, ed25519_key(9), valid_before=end) for end in (FOREVER, 1_600_000_000)
    )
    lines = b"".join(certificate_line(one, "") for one in (ended, valid))
    with desk.open() as session:
        set_blob(session, "ssh:", lines)
    agent = Agent()
    [result] = run(desk, agent)
    assert result.error is None
    assert [request.key.certificate for request in agent.added] == [None, valid]
    assert agent.world.listed() == [(public.blob(), "me"), (valid.blob(), "me")]


def test_constraints_go_along(filled: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Agent()
    run(filled, agent, lifetime=60, confirm=True)
    assert agent.added[0].constraints == Constraints(60, confirm=True, provider="internal")
    monkeypatch.setenv("SSH_SK_PROVIDER", "/lib/other.so")
    run(filled, agent)
    assert agent.added[3].constraints.provider == "/lib/other.so"
    run(filled, agent, provider="internal")
    assert agent.added[-1].constraints.provider == "internal"


def test_an_unknown_host_is_refused_before_the_token_is_asked(filled: Desk) -> None:
    filled.person.asked.clear()
    with pytest.raises(UsageError, match="not known"):
        run(filled, Agent(), hosts=["nowhere.example"])
    assert filled.person.asked == []


def test_no_file_is_written(filled: Desk, home: Path) -> None:
    before = sorted(home.rglob("*"))
    run(filled, Agent())
    assert sorted(home.rglob("*")) == before


LIMITS = Constraints(60, confirm=True, provider="internal")
RESTRICTED = Constraints(
    destinations=(Destination(Hop(), Hop("", "h", (KeySpec(HOST.public, is_ca=False),))),)
)


@pytest.mark.parametrize(
    ("path", "limits", "said"),
    [
        ("/run/user/1/gnupg/S.gpg-agent.ssh", LIMITS, "gpg-agent cannot hold keys of tokens"),
        ("/h/.1password/agent.sock", LIMITS, "1Password's agent cannot hold keys of tokens"),
        ("/run/user/1/keyring/ssh", LIMITS, "not every version takes keys of tokens"),
        ("/run/user/1/gcr/ssh", LIMITS, "not every version takes keys of tokens"),
        ("/s", LIMITS, "without a reason"),
    ],
)
def test_why_an_agent_refuses(path: str, limits: Constraints, said: str) -> None:
    agent = Agent(lambda _request: True, path=path)
    error = why_refused(agent, limits)  # type: ignore[arg-type]
    assert isinstance(error, FidokitError)
    assert said in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("limits", "reasons"),
    [
        (
            Constraints(provider="internal"),
            ["locked", "no keys of tokens", "no provider of its own"],
        ),
        (
            Constraints(provider="/lib/x.so"),
            ["locked", "no keys of tokens", "'/lib/x.so' on its allow list"],
        ),
        (LIMITS, ["locked", "no keys of tokens", "no provider of its own", "no way to ask"]),
        (RESTRICTED, ["locked", "no keys of tokens", "not know destinations"]),
    ],
)
def test_what_cannot_be_told_is_named(limits: Constraints, reasons: list[str]) -> None:
    error = why_refused(Agent(lambda _: True), limits)  # type: ignore[arg-type]
    assert error.hint is not None
    assert error.hint.count("; or ") == len(reasons) - 1
    assert all(reason in error.hint for reason in reasons)


def test_an_agent_that_shows_keys_is_not_locked() -> None:
    agent = Agent(lambda _: True)
    agent.world.add(agent_keys.ed25519().fields)
    error = why_refused(agent, LIMITS)  # type: ignore[arg-type]
    assert "locked" not in (error.hint or "")


def test_no_other_key_is_ever_tried(filled: Desk) -> None:
    """gpg-agent keeps on disk what it is given, and asks its user for a passphrase twice."""
    agent = Agent(lambda _request: True)
    results = run(filled, agent, confirm=True)
    assert all(result.error for result in results)
    assert len(agent.added) == len(results) == 3
    assert all(isinstance(request.key, SkPrivate) for request in agent.added)


def test_a_refusal_is_a_result_and_others_go_on(filled: Desk) -> None:
    agent = Agent(lambda request: request.comment == "you")
    results = run(filled, agent)
    assert [result.error is None for result in results].count(False) == 1
    assert len(agent.comments) == 2


def test_the_real_key_is_never_tried_with_fewer_constraints(filled: Desk) -> None:
    agent = Agent(lambda request: request.constraints.confirm)
    run(filled, agent, confirm=True)
    assert all(request.constraints.confirm for request in agent.added)
