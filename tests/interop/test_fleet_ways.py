"""What `fleet check` asks of others: login shells of any kind, and Ansible for its inventory."""

from __future__ import annotations

import json
import os
import subprocess
import zlib
from pathlib import Path

import pytest
from tests.support.agent_host import stock

from fidokit.fleet.hosts.destinations import FleetHost, ansible_inventory
from fidokit.fleet.hosts.program import TravelingProgram, far_command

pytestmark = pytest.mark.interop
ECHO = {"echo": "def main(request): print('it ran', request)"}
INVENTORY = """
[web]
web[1:3]
web4 ansible_host=192.0.2.4 ansible_port=2222 ansible_user=ana
[db]
db1 ansible_ssh_common_args='-J gate'
[db:vars]
ansible_private_key_file=/keys/db
[windows]
win1 ansible_connection=winrm
"""


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish"])
def test_any_login_shell_starts_the_program(shell: str) -> None:
    """As sshd does: SHELL -c COMMAND."""
    program = TravelingProgram("echo", zlib.compress(json.dumps(ECHO).encode()))
    done = subprocess.run(
        [stock(shell), "-c", far_command()],
        input=program.input("abc", "a request"),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == b"it ran a request\n\n", done.stderr


def test_ansible_s_own_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "hosts.ini"
    file.write_text(INVENTORY)
    monkeypatch.setenv("PATH", str(Path(stock("ansible-inventory")).parent), prepend=os.pathsep)
    found = {at.name: at for at in ansible_inventory(str(file))}
    assert {"web1", "web2", "web3", "web4", "db1", "win1"} == found.keys()
    assert found["web1"] == FleetHost("web1", "web1")
    assert found["web4"] == FleetHost("web4", "192.0.2.4", ("-p", "2222", "-l", "ana"))
    assert found["db1"].options == ("-i", "/keys/db", "-J", "gate")
    assert "winrm" in found["win1"].problem
    config = tmp_path / "ansible.cfg"
    config.write_text(f"[defaults]\ninventory = {file}\n")
    monkeypatch.setenv("ANSIBLE_CONFIG", str(config))
    assert {at.name: at for at in ansible_inventory()} == found
