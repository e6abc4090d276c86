"""Hosts from the command line, from files, and from Ansible."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fidokit.errors import FidokitError, MalformedFile, UsageError
from fidokit.fleet.hosts.destinations import (
    FleetHost,
    ansible_inventory,
    host_name,
    inventory,
    named,
)


def test_words_as_ssh_takes_them() -> None:
    found = named(["web1", "ana@web2", "ssh://ana@web3:2222", "web1"])
    assert [at.address for at in found] == ["web1", "ana@web2", "ssh://ana@web3:2222"]


@pytest.mark.parametrize("word", ["", "-oProxyCommand=evil", "a b", "a\nb", "a\x1b[2J", "x" * 600])
def test_words_that_are_no_hosts(word: str) -> None:
    with pytest.raises(UsageError):
        named([word])


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("# ours\nweb1\n\n  ana@web2  # the second\nweb1\n")
    assert [at.name for at in inventory(str(file))] == ["web1", "ana@web2"]
    file.write_text("web1\nweb 2\n")
    with pytest.raises(MalformedFile, match=r":2: 'web 2'"):
        inventory(str(file))
    with pytest.raises(FidokitError, match="cannot read"):
        inventory(str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("web1", "web1"),
        ("ana@web1", "web1"),
        ("ssh://ana@web1:2222", "web1"),
        ("ssh://web1", "web1"),
        ("ssh://ana@[2001:db8::1]:22", "2001:db8::1"),
        ("DOMAIN\\ana@web1", "web1"),
    ],
)
def test_the_name_alone(word: str, name: str) -> None:
    assert host_name(word) == name


def ansible(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, status: int = 0) -> None:
    """A program in the place of ansible-inventory."""
    program = folder / "ansible-inventory"
    (folder / "printed").write_text(text)
    program.write_text(
        f"#!/bin/sh\nprintf '%s ' \"$@\" >{folder}/words\ncat {folder}/printed\nexit {status}\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_ansible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "web1": {"ansible_host": "192.0.2.1", "ansible_port": 2222, "ansible_user": "ana"},
        "web2": {"ansible_ssh_common_args": "-J 'ana@gate'", "ansible_private_key_file": "~/k"},
        "web3": {"ansible_python_interpreter": "/usr/bin/python3.11"},
        "win1": {"ansible_connection": "winrm"},
        "late": {"ansible_host": "{{ other }}"},
        "evil": {"ansible_host": "-oProxyCommand=evil"},
    }
    listed = {
        "_meta": {"hostvars": variables},
        "all": {"children": ["web"]},
        "web": {"hosts": ["db1"]},
    }
    ansible(tmp_path, monkeypatch, json.dumps(listed))
    found = {at.name: at for at in ansible_inventory("hosts.ini")}
    assert (tmp_path / "words").read_text() == "--list -i hosts.ini "
    assert found["web1"] == FleetHost("web1", "192.0.2.1", ("-p", "2222", "-l", "ana"))
    assert found["web2"].options == ("-i", "~/k", "-J", "ana@gate")
    assert found["web3"].python == "/usr/bin/python3.11"
    assert found["db1"] == FleetHost("db1", "db1")
    assert {name for name, at in found.items() if at.problem} == {"win1", "late", "evil"}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"_meta": 7}', '{"a": {"hosts": 7}}'])
def test_ansible_that_prints_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    ansible(tmp_path, monkeypatch, text)
    with pytest.raises(MalformedFile):
        ansible_inventory()


def test_ansible_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ansible(tmp_path, monkeypatch, "", 4)
    with pytest.raises(FidokitError, match="ansible-inventory failed"):
        ansible_inventory()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FidokitError, match="not installed"):
        ansible_inventory()
