"""Reading policy.toml: values, or everything that is wrong with it, each with its line."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, MalformedFile
from fidokit.files.disk_errors import explained
from fidokit.fleet.policy.checked import CheckedTable, Placed, PolicyFaults
from fidokit.fleet.policy.host_blocks import BlockReader
from fidokit.fleet.policy.members import MemberReader, in_groups
from fidokit.fleet.policy.values import FleetPolicy

MAX_SIZE: Final = 1 << 26
"""Bytes of a policy; 100,000 keys with their public lines take 20 MB."""

SCHEMA: Final = 1

SECTIONS: Final = ("schema", "people", "groups", "hosts", "token-rules", "audit-log")
_HINT: Final = "docs/fleet.md describes every setting"


def read_policy(path: Path) -> FleetPolicy:
    """The policy in a file.

    Raises:
        MalformedFile: it is not valid TOML, or settings in it are unknown, of a wrong type or
            contradict each other; `FILE:LINE: what` for each, up to 20, the first as the message
            and the others as lines of the hint.
        FidokitError: it cannot be read.
    """
    if not os.path.lexists(path):
        raise FidokitError(
            f"there is no policy {path}",
            hint="make one with `fidokit fleet init`, or name it with --policy FILE",
        )
    with explained(path), path.open("rb") as file:
        data = file.read(MAX_SIZE + 1)
    return parse_policy(data, str(path))


def parse_policy(data: bytes, name: str) -> FleetPolicy:
    """The policy in a text.

    Args:
        name: of the file, for messages.

    Raises:
        MalformedFile: as `read_policy`.
    """
    text = _decoded(data, name)
    faults = PolicyFaults()
    members = _loaded(text, name)
    top = CheckedTable.of(Placed(members, ()), faults, SECTIONS)
    top.number("schema", SCHEMA, SCHEMA)
    reader = MemberReader(faults)
    people = reader.people(top)
    groups = reader.groups(top, people)
    blocks = BlockReader(faults, reader, people, groups)
    policy = FleetPolicy(
        in_groups(people, groups),
        groups,
        blocks.blocks(top),
        blocks.token_rules(top),
        tuple(blocks.signers(top)),
    )
    faults.check(name, text)
    return policy


def _decoded(data: bytes, name: str) -> str:
    if len(data) > MAX_SIZE:
        raise MalformedFile(f"{name} has more than {MAX_SIZE >> 20} MiB", hint=_HINT)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise MalformedFile(f"{name}:{line}: this is not UTF-8", hint=_HINT) from None


def _loaded(text: str, name: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said, _, at = str(error).partition(" (at ")
        found = re.match(r"line (\d+)", at)
        line = int(found[1]) if found else text.rstrip("\n").count("\n") + 1
        raise MalformedFile(
            f"{name}:{line}: this is not valid TOML: {said[:1].lower()}{said[1:]}", hint=_HINT
        ) from None
    except (RecursionError, ValueError):
        raise MalformedFile(f"{name}: this is nested or long beyond reason", hint=_HINT) from None
