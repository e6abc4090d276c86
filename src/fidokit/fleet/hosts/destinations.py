"""Which hosts: words of the command line, a file with one a line, or Ansible's inventory."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fidokit.errors import FidokitError, MalformedFile, UsageError

_MOST_BYTES: Final = 256 << 20
_ANSIBLE_S: Final = 600
_SSH: Final = ("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh")
_LONGEST: Final = 512


@dataclass(frozen=True, slots=True)
class FleetHost:
    """A host, and how ssh reaches it.

    Attributes:
        name: as the user or the inventory calls it.
        address: as ssh takes it: an alias, USER@HOST, or ssh://USER@HOST:PORT.
        options: words for ssh, such as `-p 2222`.
        python: the interpreter there.
        rules: what must hold there, besides what must hold on all hosts.
        problem: why it cannot be reached by ssh at all; else empty.
    """

    name: str
    address: str
    options: tuple[str, ...] = ()
    python: str = "python3"
    rules: tuple[str, ...] = ()
    problem: str = ""


def named(words: Iterable[str]) -> list[FleetHost]:
    """Hosts as ssh takes them; one that is named twice counts once.

    Raises:
        UsageError: a word that does not name a host.
    """
    return [FleetHost(word, word) for word in dict.fromkeys(words) if _checked(word)]


def _checked(word: str) -> str:
    if why := _wrong(word):
        raise UsageError(f"{word[:60]!r} is not a host: {why}")
    return word


def _wrong(word: str) -> str:
    if not word or len(word) > _LONGEST:
        return "it is empty or too long"
    if word.startswith("-"):
        return "it starts with a hyphen"
    if not word.isprintable() or any(sign.isspace() for sign in word):
        return "there is a space or a control character in it"
    return ""


def host_name(word: str) -> str:
    """The name of a host alone, for the patterns of a policy: without scheme, user and port."""
    if word.startswith("ssh://"):
        word = word.removeprefix("ssh://").partition("/")[0]
        word = word.rpartition("@")[2]
        if word.startswith("["):
            return word[1:].partition("]")[0]
        return word.partition(":")[0]
    return word.rpartition("@")[2]


# --- a file ----------------------------------------------------------------------------------


def inventory(path: str) -> list[FleetHost]:
    """Hosts of a file, one a line as ssh takes it; `#` begins a comment, `-` is standard input.

    Raises:
        MalformedFile: a line that does not name a host, with its number.
        FidokitError: the file cannot be read.
    """
    hosts = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        if why := _wrong(word):
            raise MalformedFile(
                f"{path}:{number}: {word[:60]!r} is not a host: {why}",
                hint="write one host a line, as you would name it to ssh",
            )
        hosts.append(word)
    return named(hosts)


def _text(path: str) -> str:
    try:
        file = Path("/dev/stdin" if path == "-" else path)
        with file.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise FidokitError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise MalformedFile(f"{path} is too long for a list of hosts")
    return data.decode("utf-8", "replace")


# --- Ansible's -------------------------------------------------------------------------------


def ansible_inventory(path: str = "") -> list[FleetHost]:
    """The hosts that Ansible knows, asked of the stock `ansible-inventory`.

    Args:
        path: an inventory (`-i`); Ansible's configured one where empty.

    Raises:
        FidokitError: ansible-inventory is not installed, or failed.
        MalformedFile: its output is not an inventory.
    """
    data = _listed(["ansible-inventory", "--list", *(["-i", path] if path else [])])
    try:
        found = json.loads(data)
        variables = found.get("_meta", {}).get("hostvars", {})
        names = [*dict.fromkeys([*variables, *_in_groups(found)])]
        return [_destination(name, variables.get(name, {})) for name in names]
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise MalformedFile("ansible-inventory printed no inventory") from None


def _listed(command: Sequence[str]) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603  no shell, and the path stands behind -i
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSIBLE_S, check=False
        )
    except FileNotFoundError:
        raise FidokitError(
            "ansible-inventory is not installed", hint="install ansible-core, or use --inventory"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FidokitError(f"ansible-inventory cannot be run: {error}") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise FidokitError(f"ansible-inventory failed: {said[-1] if said else 'it says nothing'}")
    return done.stdout


def _in_groups(found: Mapping[str, Any]) -> Iterator[str]:
    """Hosts without variables stand in their groups alone."""
    for name, group in found.items():
        if name != "_meta":
            yield from group.get("hosts", ())


def _destination(name: str, variables: Mapping[str, Any]) -> FleetHost:
    def text(*keys: str) -> str:
        return next((str(variables[key]) for key in keys if variables.get(key)), "")

    address = text("ansible_host", "ansible_ssh_host") or name
    connection = text("ansible_connection") or "ssh"
    options: list[str] = []
    for letter, keys in _LETTERS.items():
        if value := text(*keys):
            options += [letter, value]
    try:
        for key in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
            options += shlex.split(text(key))
    except ValueError:
        return FleetHost(name, address, problem="its ssh arguments cannot be split into words")
    python = text("ansible_python_interpreter")
    python = python if python.startswith("/") else "python3"
    if connection not in _SSH:
        problem = f"its ansible_connection is {connection[:40]}, not ssh"
    elif any("{{" in word for word in (address, *options)):
        problem = "its address is a template, which only a playbook fills in"
    else:
        problem = _wrong(address)
    return FleetHost(name, address, tuple(options), python, problem=problem)


_LETTERS: Final = {
    "-p": ("ansible_port", "ansible_ssh_port"),
    "-l": ("ansible_user", "ansible_ssh_user"),
    "-i": ("ansible_private_key_file", "ansible_ssh_private_key_file"),
}
