"""A draft of a policy as TOML, for people to read and change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

from fidokit.fleet.policy.draft import DraftBlock, DraftKey, DraftOwner, PolicyDraft
from fidokit.fleet.policy.reading import SCHEMA
from fidokit.prompt.text import escape

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH: Final = 100


def policy_text(draft: PolicyDraft) -> str:
    """The text of a policy."""
    owners = draft.owners()
    names = {key.fingerprint: name for name, owner in owners.items() for key in owner.keys}
    parts = [_head(draft)]
    parts += ["\n".join(_owner(name, owner)) for name, owner in owners.items()]
    parts += [
        "\n".join(_block(block, sorted(hosts), names)) for block, hosts in draft.blocks.items()
    ]
    return "\n\n".join(parts) + "\n"


def _head(draft: PolicyDraft) -> str:
    hosts = sum(map(len, draft.blocks.values()))
    return (
        f"# Made by `fidokit fleet init` from the audits of {hosts} host{'s' * (hosts != 1)}.\n"
        "# docs/fleet.md describes every setting. Names are guessed from the comments of\n"
        "# keys: correct them, and join the entries of one owner.\n"
        f"schema = {SCHEMA}"
    )


def _owner(name: str, owner: DraftOwner) -> Iterator[str]:
    if owner.loose or not owner.tokens:
        yield f"[people.{_name(name)}]"
        yield from _keys(owner.loose)
    for at, (token, keys) in enumerate(owner.tokens.items()):
        if at or owner.loose:
            yield ""
        yield f"[people.{_name(name)}.tokens.{_name(token)}]"
        kind, _, serial = owner.ids[token].partition(":")
        if kind == "usb" and serial:
            yield f"serial = {_quoted(serial)}"
        if token in owner.backup_of:
            yield f"backup-of = {_quoted(owner.backup_of[token])}"
        yield from _keys(keys)


def _keys(keys: list[DraftKey]) -> Iterator[str]:
    yield "keys = ["
    for key in keys:
        about = f"{escape(key.comment)} ({escape(key.type)})".strip()
        yield f"  {_quoted(key.public_line or key.fingerprint)},  # {about}"
    yield "]"


def _block(block: DraftBlock, hosts: list[str], names: dict[str, str]) -> Iterator[str]:
    yield "[[hosts]]"
    yield from _list("match", hosts)
    if block.require:
        yield from _list("require", block.require)
    if block.break_glass:
        yield from _list("break-glass", block.break_glass)
    if block.exclusive:
        yield "exclusive = true"
    if block.authorities:
        yield from _list("authorities", block.authorities)
    if block.let_in:
        yield ""
        yield "[hosts.let-in]"
    for account, prints in block.let_in:
        yield from _list(_name(account), dict.fromkeys(names[one] for one in prints))


def _list(name: str, words: Iterable[str]) -> Iterator[str]:
    """An array: on one line if it fits, else one element a line."""
    quoted = list(map(_quoted, words))
    line = f"{name} = [{', '.join(quoted)}]"
    if len(line) <= _WIDTH:
        yield line
        return
    yield f"{name} = ["
    yield from (f"  {one}," for one in quoted)
    yield "]"


def _name(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    """A basic string of TOML, whose escapes are those of JSON but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
