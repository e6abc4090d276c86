"""The program behind the library: what it inherits, what it says, and when it gives up."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.support.agent_host import SRC, WAIT_S, Host, make_host, virtual_token
from tests.support.children import popen

from fidokit.openssh.wire import Reader
from fidokit.provider.abi import Operation, Request, SkError

ENROL = Request(10, Operation.ENROLL, 1, alg=1, application="ssh:", data=b"challenge")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Host:
    host = make_host(tmp_path_factory.mktemp("main") / "home")
    virtual_token(host, pin=False)
    virtual_token(host, "slow", presence="delay:600000", pin=False)
    return host


@contextmanager
def service(
    host: Host, *inherited: int, **env: str
) -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    """It runs as the library starts it: one socket for both directions."""
    ours, its = socket.socketpair()
    ours.settimeout(WAIT_S)
    process = popen(  # a socket is a file here
        [sys.executable, "-P", "-m", "fidokit.provider.main"],
        stdin=its,
        stdout=its,
        stderr=subprocess.PIPE,
        env=host.env | {"PYTHONPATH": str(SRC)} | env,
        cwd="/",
        pass_fds=inherited,
    )
    its.close()
    try:
        yield ours, process
    finally:
        ours.close()
        process.communicate(timeout=WAIT_S)


def said(end: socket.socket) -> Reader:
    end.shutdown(socket.SHUT_WR)
    reply = b""
    while piece := end.recv(65536):
        reply += piece
    return Reader(reply, "reply")


def test_one_request_and_its_reply(machine: Host) -> None:
    with service(machine, FIDOKIT_TOKEN="virtual:t") as (end, _):
        end.sendall(ENROL.encode())
        reply = said(end)
        assert [reply.u8(), reply.u8(), len(reply.string())] == [0, 1, 32]


def test_the_token_of_the_configuration_file(machine: Host) -> None:
    """ssh-agent's helper never sees the client's environment."""
    config = machine.home / "config" / "fidokit"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('token = "virtual:nobody"\n')
    try:
        with service(machine) as (end, process):
            end.sendall(ENROL.encode())
            assert said(end).u8() == SkError.DEVICE_NOT_FOUND
            assert process.stderr
            assert b"virtual:nobody" in process.stderr.readline()
    finally:
        (config / "config.toml").unlink()


def test_junk_gets_an_answer_and_one_line(machine: Host) -> None:
    with service(machine) as (end, process):
        end.sendall(b"\x0a\x07junk")
        assert said(end).u8() == SkError.GENERAL
        assert process.stderr
        assert process.stderr.read().startswith(b"fidokit: request: ")
        assert process.wait(WAIT_S) == 0


def test_what_is_told_cannot_drive_a_terminal(machine: Host) -> None:
    with service(machine, FIDOKIT_TOKEN="virtual:\x1b[31m\nx") as (end, process):
        end.sendall(ENROL.encode())
        assert said(end).u8() == SkError.DEVICE_NOT_FOUND
        assert process.stderr
        told = process.stderr.read().decode()
        assert told.count("\n") == 1
        assert "\x1b" not in told


def test_inherited_descriptors_are_closed(machine: Host) -> None:
    """ssh-sk-helper's socket to its client: who keeps it open keeps the client waiting."""
    reader, writer = os.pipe()
    try:
        with service(machine, writer) as (_, process):
            os.close(writer)
            assert os.read(reader, 1) == b"", "all writing ends are closed"
            assert process.poll() is None, "and not because it ended: it waits for a request"
    finally:
        os.close(reader)


def test_a_caller_that_is_gone_cancels_the_touch(machine: Host) -> None:
    """Nobody ever touches this token; the process ends all the same."""
    with service(machine, FIDOKIT_TOKEN="virtual:slow") as (end, process):
        end.sendall(ENROL.encode())
        end.shutdown(socket.SHUT_WR)
        end.close()
        process.wait(WAIT_S)
        assert process.stderr
        assert b"interrupted" in process.stderr.read()
