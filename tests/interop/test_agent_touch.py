"""Several clients and one touch: who waits blocks nobody, who hangs up cancels it on the token."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.agent_host import PIN, WAIT_S, Host, make_host, serving, sk_key, virtual_token
from tests.support.agent_keys import executable
from tests.support.children import popen

pytestmark = pytest.mark.interop

HOOK = """
import json, os
names = ("FIDOKIT_EVENT", "FIDOKIT_TOKEN", "FIDOKIT_KEY", "FIDOKIT_PURPOSE")
with open({path!r}, "a") as log:
    print(json.dumps({{name: os.environ.get(name) for name in names}}), file=log)
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """Two tokens: one that nobody touches, one that is touched at once."""
    host = make_host(tmp_path_factory.mktemp("touch") / "home")
    host.keygen("-t", "ed25519", "-N", "", "-f", "plain", "-C", "plain")
    for name in ("slow", "quick"):
        token = virtual_token(host, name)
        sk_key(host, name, "-t", "ed25519-sk", token=token)
        resident = ("-O", "resident", "-O", "verify-required")
        sk_key(host, f"{name}uv", "-t", "ed25519-sk", *resident, token=token)
    return host


@pytest.fixture
def host(machine: Host) -> Iterator[Host]:
    """The agent, and the token `slow` in the hands of somebody who never touches it."""
    machine.answers(PIN)
    (machine.home / "events").unlink(missing_ok=True)
    hook = executable(machine.home / "hook", HOOK.format(path=str(machine.home / "events")))
    holder = popen(
        ["python3", "-m", "fidokit", "virtual", "serve", "slow", "--presence", "delay 600000"],
        env=machine.env,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout
    assert b"plugged in" in holder.stdout.readline()
    try:
        with serving(machine, "--resident", "--touch-command", str(hook), "--no-notify"):
            machine.add("plain", "slow", "quick")
            yield machine
    finally:
        holder.terminate()
        holder.wait(WAIT_S)
        holder.stdout.close()


def events(host: Host) -> list[dict[str, str]]:
    path = host.home / "events"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def until_event(host: Host, name: str, count: int = 1) -> list[dict[str, str]]:
    """Wait for what the agent tells its hook."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found = [event for event in events(host) if event["FIDOKIT_EVENT"] == name]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, host.said()
        time.sleep(0.02)


def waiting(host: Host, key: str) -> subprocess.Popen[bytes]:
    """ssh-add that asks for a signature by a key, and waits."""
    return popen(
        ["ssh-add", "-T", f"{key}.pub"],
        cwd=host.home,
        env=host.env | {"SSH_AUTH_SOCK": host.socket},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("key", ["slow", "slowuv"])
def test_who_waits_for_a_touch_blocks_nobody_who_needs_another_token(host: Host, key: str) -> None:
    client = waiting(host, key)
    [event] = until_event(host, "touch-wanted")
    assert "virtual:slow" in event["FIDOKIT_TOKEN"]
    assert event["FIDOKIT_KEY"].startswith(f"{key} (SHA256:")
    host.add("-T", "plain.pub")
    host.add("-T", "quick.pub")
    host.add("-T", "quickuv.pub")
    host.add("-l")
    assert client.poll() is None
    client.kill()
    client.wait(WAIT_S)


@pytest.mark.parametrize("key", ["slow", "slowuv"])
def test_hanging_up_cancels_the_touch_on_the_token(host: Host, key: str) -> None:
    """The token takes the next command at once, which it would not while it waits for a touch."""
    client = waiting(host, key)
    until_event(host, "touch-wanted")
    client.kill()
    client.wait(WAIT_S)
    until_event(host, "touch-over")
    began = time.monotonic()
    host.fidokit("--token", "virtual:slow", "pin", "verify", "--pin-file", str(host.home / "pin"))
    assert time.monotonic() - began < 30


def test_clients_of_one_token_take_turns(host: Host) -> None:
    clients = [waiting(host, "quick") for _ in range(6)]
    assert [client.wait(WAIT_S) for client in clients] == [0] * 6


def test_a_hook_is_told_of_each_touch(host: Host) -> None:
    host.add("-T", "quick.pub")
    wanted, *_ = until_event(host, "touch-wanted")
    assert "virtual:quick" in wanted["FIDOKIT_TOKEN"]
    assert wanted["FIDOKIT_PURPOSE"].startswith("signature of something")
    until_event(host, "touch-over")


def test_a_desktop_notification(machine: Host) -> None:
    """By notify-send, where it is installed; here it is one of our own."""
    (machine.home / "bin").mkdir(exist_ok=True)
    seen = machine.home / "notified"
    body = f"import sys, json; open({str(seen)!r}, 'a').write(json.dumps(sys.argv[1:]) + chr(10))"
    executable(machine.home / "bin" / "notify-send", body)
    with serving(machine):
        machine.add("quick")
        machine.add("-T", "quick.pub")
        deadline = time.monotonic() + WAIT_S
        while not seen.exists() or not seen.read_text().endswith("\n"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    title, text = json.loads(seen.read_text().splitlines()[0])[-2:]
    assert title.startswith("Touch your security key")
    assert "key" in text or "quick" in text
    Path(machine.home / "bin" / "notify-send").unlink()
