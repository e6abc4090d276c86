"""An agent with everything wired, in this process: key files, policy, clients, its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import agent_keys
from tests.support.desk import Person

from fidokit.agent.core.ports import Consent
from fidokit.agent.service import AgentOptions, AgentService, is_our_provider
from fidokit.agent_client import AgentClient
from fidokit.errors import (
    FidokitError,
    MalformedFile,
    MalformedKey,
    PassphraseRequired,
    WouldOverwrite,
)
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.keys.holder import read_key_file
from fidokit.lab import named_tokens
from fidokit.openssh import agent_messages
from fidokit.openssh.agent_constraints import Constraints
from fidokit.openssh.keys.private import PrivateFile, SkPrivate, encode_private
from fidokit.openssh.signatures.signature import verify
from fidokit.tokens.access import open_token
from fidokit.types import KeyType

pytestmark = pytest.mark.usefixtures("home")


class Confirming:
    """Says yes, and writes down what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def confirm(self, question: str, stop: threading.Event) -> Consent:
        self.asked.append(question)
        return Consent.GIVEN


@pytest.fixture
def socket(folder: Path) -> Path:
    return folder / "private" / "s"


@contextmanager
def running(options: AgentOptions, person: Confirming | None = None) -> Iterator[AgentService]:
    lines: list[str] = []
    service = AgentService(options, person or Confirming(), lines.append)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        yield service
    finally:
        service.stop()
        thread.join(30)
        service.close()
        assert not thread.is_alive()


@pytest.fixture
def sk_file(folder: Path) -> Path:
    path = folder / "sk"
    path.write_bytes(encode_private(PrivateFile(agent_keys.sk(), "from a file")))
    return path


def test_key_files_are_there_from_the_start(socket: Path, sk_file: Path) -> None:
    with running(AgentOptions(path=socket, key_files=[sk_file])), AgentClient(str(socket)) as agent:
        assert agent.keys() == [(agent_keys.sk().public.blob(), "from a file")]


def test_keys_are_dropped_and_it_lives(socket: Path, sk_file: Path) -> None:
    with running(AgentOptions(path=socket, key_files=[sk_file])) as service:
        service.drop_keys()
        with AgentClient(str(socket)) as agent:
            assert agent.keys() == []


def test_it_signs_for_clients(socket: Path) -> None:
    held = agent_keys.ed25519()
    with running(AgentOptions(path=socket)), AgentClient(str(socket)) as agent:
        assert agent.accepts(agent_messages.encode_add(held.fields, "k"))
        answer = agent.exchange(agent_messages.SignRequest(held.public.blob(), b"data").encode())
        verify(held.public, agent_messages.parse_signature_answer(answer), b"data")


def test_it_signs_with_a_virtual_token_of_this_user(socket: Path, folder: Path) -> None:
    """All wired: the token is found, touched, verified; the session stays open in between."""
    named_tokens.create_virtual("t")
    with open_token("virtual:t", Person()) as session:
        request = GenerateRequest(KeyType.ECDSA_SK, path=folder / "k")
        generate_key(session, request)
    key, _ = read_key_file(folder / "k", None)
    assert isinstance(key, SkPrivate)
    options = AgentOptions(path=socket, key_files=[folder / "k"], notify=False)
    with running(options), AgentClient(str(socket)) as agent:
        for _ in range(3):
            answer = agent.exchange(agent_messages.SignRequest(key.public.blob(), b"data").encode())
            signature = agent_messages.parse_signature_answer(answer)
            verify(key.public, signature, b"data", require_touch=True)


def test_confirmations_go_to_the_person(socket: Path) -> None:
    person, held = Confirming(), agent_keys.ed25519()
    with running(AgentOptions(path=socket), person), AgentClient(str(socket)) as agent:
        agent.exchange(agent_messages.encode_add(held.fields, "k", Constraints(confirm=True)))
        agent.exchange(agent_messages.SignRequest(held.public.blob(), b"data").encode())
    assert len(person.asked) == 1


def test_a_policy_file(socket: Path, folder: Path, sk_file: Path) -> None:
    (folder / "policy.toml").write_text('[[key]]\nkey = "*"\nhidden = true\n')
    options = AgentOptions(path=socket, key_files=[sk_file], policy=folder / "policy.toml")
    with running(options), AgentClient(str(socket)) as agent:
        assert agent.keys() == []


@pytest.mark.parametrize("text", ["[[key", "x = 1", '[[key]]\nkey = "*"\nuse = 1'])
def test_a_policy_that_cannot_be_read_starts_no_agent(
    text: str, socket: Path, folder: Path
) -> None:
    (folder / "policy.toml").write_text(text)
    with pytest.raises(MalformedFile):
        AgentService(AgentOptions(path=socket, policy=folder / "policy.toml"), Confirming(), print)
    assert not socket.exists()


def test_a_key_file_that_cannot_be_read_starts_no_agent(socket: Path, folder: Path) -> None:
    for content, error in ((b"rubbish", MalformedKey), (None, FidokitError)):
        if content is not None:
            (folder / "k").write_bytes(content)
        else:
            (folder / "k").unlink()
        with pytest.raises(error):
            AgentService(AgentOptions(path=socket, key_files=[folder / "k"]), Confirming(), print)
        assert not socket.exists()


def test_a_passphrase_is_asked_for(folder: Path) -> None:
    file = PrivateFile(agent_keys.sk(), "c")
    (folder / "k").write_bytes(encode_private(file, passphrase=b"words", rounds=1))
    key, comment = read_key_file(folder / "k", lambda _path: b"words")
    assert (key, comment) == (file.key, "c")
    with pytest.raises(PassphraseRequired):
        read_key_file(folder / "k", None)


def test_an_agent_behind_that_is_not_there_is_said(socket: Path, folder: Path) -> None:
    lines: list[str] = []
    options = AgentOptions(path=socket, upstream=str(folder / "none"))
    service = AgentService(options, Confirming(), lines.append)
    service.close()
    assert lines == [
        f"no agent answers at {folder / 'none'} yet; its keys are served once one does"
    ]


def test_two_agents_do_not_share_a_socket(socket: Path) -> None:
    with running(AgentOptions(path=socket)), pytest.raises(WouldOverwrite):
        AgentService(AgentOptions(path=socket), Confirming(), print)


def test_nothing_is_left_behind(socket: Path) -> None:
    before = agent_keys.descriptors()
    with running(AgentOptions(path=socket)), AgentClient(str(socket)) as agent:
        agent.keys()
    assert not socket.exists()
    assert agent_keys.descriptors() == before


def test_our_provider_is_known_by_its_real_name(tmp_path: Path) -> None:
    ours = tmp_path / "libsk-fidokit.so"
    ours.write_bytes(b"")
    (tmp_path / "link.so").symlink_to(ours)
    (tmp_path / "fidokit.so").symlink_to("/bin/true")
    assert is_our_provider(str(ours))
    assert is_our_provider(str(tmp_path / "link.so"))
    assert not is_our_provider(str(tmp_path / "fidokit.so"))
