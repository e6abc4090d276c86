"""The agent's answer, and each way of not giving one."""

from __future__ import annotations

import pytest
from tests.system.machine import Machine

from fidokit.system import agent_probe
from fidokit.system.findings import Finding, Status


def probe(machine: Machine, answer: bytes | OSError) -> Finding:
    machine.environ["SSH_AUTH_SOCK"] = "/run/agent"
    machine.agents = {"/run/agent": answer}
    (found,) = agent_probe.probe(machine.host())
    return found


def test_an_agent_that_answers(machine: Machine) -> None:
    assert probe(machine, b"\x0c\0\0\0\x02...").sentence.endswith("holds 2 keys")
    assert probe(machine, b"\x0c\0\0\0\x01...").sentence.endswith("holds 1 key")
    assert probe(machine, b"\x0c\0\0\0\0").status is Status.OK
    assert set(machine.requests) == {b"\x0b"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (FileNotFoundError(), "does not exist"),
        (PermissionError(), "may not talk"),
        (ConnectionRefusedError(), "has ended"),
        (TimeoutError(), "does not answer"),
        (ConnectionAbortedError(), "does not answer"),
        (b"", "no SSH agent"),
        (b"\x05", "no SSH agent"),
        (b"\x0c\0\0", "no SSH agent"),
        (b"HTTP/1.1", "no SSH agent"),
    ],
)
def test_what_goes_wrong_is_named(machine: Machine, answer: bytes | OSError, words: str) -> None:
    found = probe(machine, answer)
    assert found.status is Status.FAIL
    assert words in found.sentence
    assert found.hint


def test_no_agent(machine: Machine) -> None:
    (found,) = agent_probe.probe(machine.host())
    assert found.status is Status.WARN
    assert "SSH_AUTH_SOCK" in found.sentence
