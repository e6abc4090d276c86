"""fidokit.ssh.touch: touches of a virtual token, announced and counted; one for a playbook."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.interop.test_agent_session import ROLE, counter
from tests.support.agent_host import Host, make_host, serving, sk_key, virtual_token
from tests.support.ansible_site import LONG_S, newest, oldest
from tests.support.children import popen
from tests.support.screen import window
from tests.support.ssh_network import Network, network

pytestmark = pytest.mark.interop

NAMES = ("web1.example", "web2.example", "db.example")
PLAYBOOK = """\
- name: Look at every host twice
  hosts: all
  gather_facts: false
  tasks:
    - name: Once
      ansible.builtin.raw: echo in-$((1+1))
    - name: And again
      ansible.builtin.raw: echo in-$((1+1))
"""
DELAY = "delay:1200"


@contextmanager
def plugged_in(host: Host) -> Iterator[None]:
    serve = [sys.executable, "-m", "fidokit", "virtual", "serve", "t"]
    with popen(serve, env=host.env, stdout=subprocess.PIPE) as token:
        assert token.stdout
        assert b"plugged in" in token.stdout.readline()
        host.env["FIDOKIT_TOKEN"] = "virtual:t"
        yield
        token.terminate()


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Three servers, which let in two keys on a token, one of them by certificates alone."""
    host = make_host(tmp_path_factory.mktemp("touch") / "home")
    virtual_token(host, presence=DELAY)
    with plugged_in(host), network(host, *NAMES) as net:
        sk_key(host, ".ssh/id_ca", "-t", "ed25519-sk", "-O", "verify-required")
        sk_key(host, "own", "-t", "ed25519-sk")
        public = (host.home / ".ssh/id_ca.pub").read_text()
        own = (host.home / "own.pub").read_text()
        net.authorize(f'cert-authority,principals="{ROLE}" {public}', own)
        (host.home / "site.yml").write_text(PLAYBOOK)
        (host.home / "inventory").write_text("".join(f"{name}\n" for name in NAMES))
        yield net


def environ(net: Network, collections: Path) -> dict[str, Any]:
    """Each task is a login of its own."""
    home = net.host.home
    return {
        "ANSIBLE_SSH_ARGS": f"-F {net.config} -o ControlMaster=no",
        "ANSIBLE_HOME": str(home / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(home / "ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_CALLBACKS_ENABLED": "fidokit.ssh.touch",
        "ANSIBLE_NOCOLOR": "1",
    }


@pytest.mark.parametrize("program", [oldest, newest], ids=["oldest", "newest"])
def test_one_touch_for_a_playbook(net: Network, collections: Path, program: object) -> None:
    assert callable(program)
    run = f"ssh-add -L; {program()} -i inventory site.yml"
    command = ["agent", "session", "10m", "--principal", ROLE, "-s", ".ssh/id_ca"]
    whole = [*command, "--pin-file", str(net.host.home / "pin"), "--", "sh", "-c"]
    fidokit = (sys.executable, "-m", "fidokit", *whole)
    env = environ(net, collections)
    done = net.host.run(*fidokit, run, wait=LONG_S, **env)
    said = done.stdout.decode()
    assert re.search(r"touch: one touch is enough: a certificate is valid until \d\d:\d\d", said)
    assert "touch: 1 touch (1 before the playbook, 0 during it) for 6 logins" in said
    assert done.stderr.count(b"Touch your security key") == 1
    assert counter(net.host.run(*fidokit, "ssh-add -L")) == counter(done) + 1  # the token agrees


def test_each_touch_is_announced_and_counted(net: Network, collections: Path) -> None:
    with serving(net.host, net.host.home / "own"):
        run = (newest(), "-i", "inventory", "-f", "1", "site.yml")
        done = net.host.run(*run, wait=LONG_S, **environ(net, collections))
    assert done.stderr.count(b"Touch your security key: a signature by own waits") == 6
    said = done.stdout.decode()
    assert "touch: 6 touches (0 before the playbook, 6 during it) for 6 logins" in said
    assert net.host.socket not in {None, ""}


def test_a_terminal_shows_the_notice_while_the_token_waits(net: Network, collections: Path) -> None:
    """Within 80 columns, and by itself: Ansible's own output can go elsewhere."""
    host = net.host
    with serving(host, host.home / "own"):
        env = host.env | environ(net, collections) | {"SSH_AUTH_SOCK": host.socket}
        play = f"{newest()} -i inventory -l {NAMES[0]} site.yml"
        script = f"cd {host.home} && {play} >played 2>&1; tail -1 played"
        with window(["sh", "-c", script], env) as shown:
            shown.wait("^Touch your security key: a signature by own waits$")
            said = shown.end()
    assert said.count("Touch your security key") == 2
    assert "touch: 2 touches (0 before the playbook, 2 during it) for 2 logins" in said
    assert "Touch your" not in (host.home / "played").read_text()


def test_an_agent_that_does_not_answer_stops_nothing(net: Network, collections: Path) -> None:
    env: dict[str, Any] = {
        **environ(net, collections),
        "SSH_AUTH_SOCK": str(net.host.home / "nobody"),
    }
    run = (newest(), "-i", "inventory", "-c", "local", "site.yml")
    done = net.host.run(*run, wait=LONG_S, **env)
    assert b"touch: the agent does not answer" in done.stdout
    assert b"touch: 0 touches" in done.stdout
