"""A policy of what is there now: made from audits, so that holding them against it finds nothing.

Names are guessed from the comments of keys. Keys are one owner's only if they stand at the same
places, since a policy lets people in, and not keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from fidokit.fleet.hosts.audit import HostAudit, HostState
from fidokit.fleet.hosts.destinations import host_name
from fidokit.fleet.planning.audited import audited_accounts, unseen_keys
from fidokit.fleet.policy.host_blocks import ACCOUNT
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import PublicLine
from fidokit.server.check.policy import BREAK_GLASS, CheckRule

if TYPE_CHECKING:
    from fidokit.inventory.kept import Inventory

_LONGEST_NAME: Final = 60
_NAME: Final = re.compile(r"\w[\w.+-]{0,63}")


@dataclass(frozen=True, slots=True)
class DraftKey:
    """A key that gets in somewhere.

    Attributes:
        fingerprint: `SHA256:...`.
        type, comment: as the first audit shows them, or a key file here; hostile text.
        public_line: empty if no key file here, and no kept inventory, has it.
        token: the id of the token that holds it, by the kept inventory; empty if not known.
        backup_of: the fingerprint of the key that it is the backup of; empty for none.
    """

    fingerprint: str
    type: str
    comment: str
    public_line: str = ""
    token: str = ""
    backup_of: str = ""


@dataclass(frozen=True, slots=True)
class DraftOwner:
    """Somebody who gets in.

    Attributes:
        loose: keys in no token that is known.
        tokens: keys by the name of their token.
        ids: the id of each token.
        backup_of: the token that a token is the backup of.
    """

    loose: list[DraftKey] = field(default_factory=list)
    tokens: dict[str, list[DraftKey]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    backup_of: dict[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> Iterator[DraftKey]:
        """Every key, in whichever token."""
        yield from self.loose
        for keys in self.tokens.values():
            yield from keys


@dataclass(frozen=True, slots=True)
class DraftBlock:
    """What holds on some hosts now.

    Attributes:
        let_in: fingerprints by account, sorted.
        require, break_glass: rules that the audits prove.
        exclusive: the audits show every key, so that nobody else gets in.
        authorities: keys with cert-authority.
    """

    let_in: tuple[tuple[str, tuple[str, ...]], ...]
    require: tuple[str, ...]
    break_glass: tuple[str, ...]
    exclusive: bool
    authorities: tuple[str, ...]


@dataclass
class PolicyDraft:
    """Collects what audits show.

    Attributes:
        keys: by fingerprint.
        blocks: the hosts, by what holds there.
        left_out: hosts that were not audited, and why.
    """

    keys: dict[str, DraftKey] = field(default_factory=dict)
    blocks: dict[DraftBlock, list[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    _places: dict[str, set[tuple[int, str]]] = field(default_factory=dict)
    _numbers: dict[DraftBlock, int] = field(default_factory=dict)

    def add_own(self, lines: Iterable[PublicLine]) -> None:
        """Take public lines from key files here, for keys that audits show by fingerprint alone."""
        for line in sorted(lines, key=lambda one: not one.comment):  # private files have none
            found = fingerprint.sha256(line.key.blob())
            known = self.keys.get(found)
            if known is None or known.public_line:
                continue
            text = line.encode()
            if _is_text(text):
                comment = line.comment or known.comment
                self.keys[found] = replace(known, comment=comment, public_line=text)

    def add_inventory(self, inventory: Inventory) -> None:
        """Take what is kept about keys that audits show: public lines, tokens and backups."""
        for key in inventory.keys:
            known = self.keys.get(key.fingerprint)
            if known is not None:
                line = known.public_line or (key.line if _is_text(key.line) else "")
                self.keys[key.fingerprint] = replace(
                    known, public_line=line, token=key.token, backup_of=key.backup_of
                )

    def add(self, audit: HostAudit) -> None:
        """Take the audit of one host."""
        if audit.state is not HostState.CHECKED or audit.document is None:
            self.left_out[audit.host] = audit.problem or audit.state.meaning
            return
        block = self._block(audit.document)
        number = self._numbers.setdefault(block, len(self._numbers))
        self.blocks.setdefault(block, []).append(host_name(audit.host).lower())
        for account, prints in block.let_in:
            for one in prints:
                self._places.setdefault(one, set()).add((number, account))

    def _block(self, document: Mapping[str, Any]) -> DraftBlock:
        let_in, authorities, all_seen = {}, set(), not unseen_keys(document)
        for account in audited_accounts(document).values():
            plain = {key.fingerprint for key in account.keys if not key.authority}
            taken = {one for one in plain if account.gets_in_by(one)}
            authorities |= {key.fingerprint for key in account.keys if key.authority}
            named = ACCOUNT.fullmatch(account.name) and account.name.isprintable()
            if account.hidden or not named:
                all_seen = False
            elif taken:
                let_in[account.name] = tuple(sorted(taken))
                all_seen = all_seen and not any(
                    key.refused for key in account.keys if not key.authority
                )
            else:
                all_seen = all_seen and not plain
        self._note_keys(document)
        return DraftBlock(
            tuple(sorted(let_in.items())),
            tuple(_proved(document)),
            tuple(_glass(document)),
            all_seen and bool(let_in),
            tuple(sorted(authorities)),
        )

    def _note_keys(self, document: Mapping[str, Any]) -> None:
        for user in document["users"]:
            for line in (line for file in user["files"] for line in file["lines"]):
                if "unreadable" not in line:
                    found = DraftKey(line["fingerprint"], line["type"], line["comment"])
                    self.keys.setdefault(found.fingerprint, found)

    def owners(self) -> dict[str, DraftOwner]:
        """Owners by a name, with their tokens."""
        taken: set[str] = set()
        return {name: _with_tokens(keys, taken) for name, keys in sorted(self._people().items())}

    def _people(self) -> dict[str, list[DraftKey]]:
        """Owners by a name; keys with the same comment and the same places are one owner's."""
        owners: dict[tuple[str, frozenset[tuple[int, str]]], list[DraftKey]] = {}
        for one, places in self._places.items():
            key = self.keys[one]
            owners.setdefault((_guessed(key), frozenset(places)), []).append(key)
        found: dict[str, list[DraftKey]] = {}
        taken: set[str] = set()
        for (name, _), keys in owners.items():
            found[_unused(name, taken)] = keys
        return found


def _proved(document: Mapping[str, Any]) -> list[str]:
    """The rules that were asked, and that hold."""
    asked = document["policy"]["require"]
    broken = {rule for finding in document["findings"] for rule in finding["rules"]}
    held = [str(rule) for rule in CheckRule if rule in asked and rule not in broken]
    if CheckRule.HARDWARE in held and CheckRule.HARDWARE_OR_CERTIFIED in held:
        held.remove(CheckRule.HARDWARE_OR_CERTIFIED)
    return held


def _glass(document: Mapping[str, Any]) -> list[str]:
    asked = document["policy"]["require"]
    broken = {rule for finding in document["findings"] for rule in finding["rules"]}
    prefix = f"{BREAK_GLASS}="
    held = [rule for rule in asked if rule.startswith(prefix) and rule not in broken]
    return [rule.removeprefix(prefix) for rule in held]


def _guessed(key: DraftKey) -> str:
    """A name from a comment such as `alice@laptop`; else one from the fingerprint."""
    word = key.comment.partition("@")[0].strip().replace(" ", "-")
    if _NAME.fullmatch(word):
        return word
    letters = "".join(sign for sign in key.fingerprint[7:] if sign.isalnum())
    return f"key-{letters[:8]}"


def _with_tokens(keys: Iterable[DraftKey], taken: set[str]) -> DraftOwner:
    """An owner, with keys by their tokens.

    Args:
        taken: the names of other owners' tokens; a name is one token's in a policy.
    """
    found, names = DraftOwner(), dict[str, str]()
    for key in keys:
        if not key.token or not key.token.isprintable():
            found.loose.append(key)
            continue
        if key.token not in names:
            names[key.token] = _unused(_token_name(key.token), taken)
            found.ids[names[key.token]] = key.token
        found.tokens.setdefault(names[key.token], []).append(key)
    token_of = {key.fingerprint: name for name, held in found.tokens.items() for key in held}
    for name, held in found.tokens.items():
        first = next((token_of[k.backup_of] for k in held if k.backup_of in token_of), name)
        if first != name and first not in found.backup_of and name not in found.backup_of.values():
            found.backup_of[name] = first
    return found


def _token_name(selector: str) -> str:
    """A name from an id such as `usb:123`."""
    word = re.sub(r"[^A-Za-z0-9_-]+", "-", selector).strip("-")[:_LONGEST_NAME]
    return word if _NAME.fullmatch(word) else "token"


def _unused(name: str, taken: set[str]) -> str:
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}-{number}", number + 1
    taken.add(unique)
    return unique


def _is_text(line: str) -> bool:
    """Whether a public line can stand in TOML: comments may have bytes that are not UTF-8."""
    try:
        line.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
