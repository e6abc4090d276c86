"""Signature counters that the agent sees: noted, an alarm for a clone, and no trouble for it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from tests.support.desk import Person
from tests.support.signers import ed25519_key, ed25519_token

from fidokit.agent import counter_watch
from fidokit.agent.core.ports import Consent
from fidokit.agent.counter_watch import CounterWatch
from fidokit.agent.service import AgentOptions, AgentService
from fidokit.agent_client import AgentClient
from fidokit.inventory.store import kept_counters
from fidokit.keys import bookkeeping
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.keys.holder import read_key_file
from fidokit.lab import named_tokens
from fidokit.openssh import agent_messages
from fidokit.openssh.keys.private import SkPrivate
from fidokit.tokens.access import open_token
from fidokit.types import KeyType

pytestmark = pytest.mark.usefixtures("home")
TOKEN = ed25519_token(1)


def test_each_signature_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    shown: list[str] = []
    monkeypatch.setattr(counter_watch, "notify", lambda title, text: shown.append(title + text))
    watch = CounterWatch(said.append, desktop=True)
    for counter in (5, 6, 6):
        watch.seen(TOKEN.public, TOKEN.sign(b"x", counter=counter).blob(), time.time())
        watch.close()
    (kept,) = kept_counters().read().keys.values()
    assert kept.value == 6
    assert len(said) == len(shown) == 1
    assert "clone suspected: the signature counter of SHA256:" in said[0]
    assert "went back from 6 to 6 (seen by the agent" in said[0]


def test_what_has_no_counter_is_passed_over() -> None:
    said: list[str] = []
    watch = CounterWatch(said.append)
    for blob in (b"", b"\xff" * 99, ed25519_key().sign(b"x").blob()):
        watch.seen(TOKEN.public, blob, time.time())
    watch.close()
    assert (kept_counters().read().keys, said) == ({}, [])


def test_a_defect_of_one_signature_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    watch = CounterWatch(said.append)
    with monkeypatch.context() as patch:
        patch.setattr(counter_watch, "parse_signature", lambda _: 1 / 0)
        watch.seen(TOKEN.public, b"", time.time())
        watch.close()
    watch.seen(TOKEN.public, TOKEN.sign(b"x").blob(), time.time())
    watch.close()
    assert said == ["a signature counter was not noted: ZeroDivisionError"]
    assert len(kept_counters().read().keys) == 1


def test_no_place_to_note_it_is_said_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bookkeeping, "_warned", [])
    (home / ".local").write_bytes(b"")
    said: list[str] = []
    watch = CounterWatch(said.append)
    for counter in (1, 2):
        watch.seen(TOKEN.public, TOKEN.sign(b"x", counter=counter).blob(), time.time())
    watch.close()
    assert len(said) == 1
    assert said[0].startswith("warning: not noted in the inventory: ")


def test_an_agent_sees_a_token_that_was_restored(folder: Path) -> None:
    named_tokens.create_virtual("t")
    with open_token("virtual:t", Person()) as session:
        generate_key(session, GenerateRequest(KeyType.ED25519_SK, path=folder / "k"))
    named_tokens.export_virtual("t", folder / "state")
    said = signed_by_agent(folder, 3)
    assert "suspected" not in said
    named_tokens.delete_virtual("t")
    named_tokens.import_virtual(folder / "state", "t")
    said = signed_by_agent(folder, 1)
    assert "WARNING: clone suspected: the signature counter of SHA256:" in said
    assert len(kept_counters().read().alarms) == 1


class Nobody:
    """Is not there to be asked."""

    def confirm(self, question: str, stop: threading.Event) -> Consent:
        raise AssertionError(question, stop)


def signed_by_agent(folder: Path, count: int) -> str:
    """The log of an agent that made so many signatures."""
    key, _ = read_key_file(folder / "k", None)
    assert isinstance(key, SkPrivate)
    said: list[str] = []
    options = AgentOptions(path=folder / "private/s", key_files=[folder / "k"], notify=False)
    service = AgentService(options, Nobody(), said.append)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        with AgentClient(str(folder / "private/s")) as agent:
            for _ in range(count):
                request = agent_messages.SignRequest(key.public.blob(), b"data")
                agent_messages.parse_signature_answer(agent.exchange(request.encode()))
    finally:
        service.stop()
        thread.join(30)
        service.close()
    return "\n".join(said)
