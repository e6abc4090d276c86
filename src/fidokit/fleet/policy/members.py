"""The people, tokens, keys and groups of a policy, from its tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Final

from fidokit.errors import Malformed
from fidokit.fleet.policy.checked import CheckedTable, Placed, PolicyFaults, near, shown
from fidokit.fleet.policy.toml_lines import TomlPath
from fidokit.fleet.policy.values import (
    GROUP_SIGN,
    AttestedKeys,
    FleetPerson,
    PolicyKey,
    PolicyToken,
)
from fidokit.metadata.model import is_aaguid, parse_aaguid
from fidokit.metadata.model_names import models_called, names_of_models
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import parse_public_line

FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")

_NAME: Final = re.compile(r"\w[\w.+@-]{0,255}")
PERSON: Final = ("keys", "tokens", "attested")
TOKEN: Final = ("serial", "models", "backup-of", "keys")
KEY: Final = ("key", "expires", "attestation", "challenge")
_MAX_NESTING: Final = 32


@dataclass
class MemberReader:
    """Reads the tables `people` and `groups`.

    Attributes:
        faults: takes what is wrong.
    """

    faults: PolicyFaults
    _owners: dict[str, str] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)

    # --- people ----------------------------------------------------------------------------

    def people(self, top: CheckedTable) -> dict[str, FleetPerson]:
        """Everybody, by name; in which groups they are is added by `groups`."""
        return {name: self._person(name, placed) for name, placed in top.tables("people")}

    def _person(self, name: str, placed: Placed) -> FleetPerson:
        self._check_name(name, placed.path)
        table = CheckedTable.of(placed, self.faults, PERSON)
        tokens = tuple(self._token(name, each, one) for each, one in table.tables("tokens"))
        self._check_backups(tokens, (*placed.path, "tokens"))
        loose = [self.key(one, name) for one in table.list("keys")]
        on_tokens = [key for token in tokens for key in token.keys]
        keys = (*on_tokens, *(key for key in loose if key))
        return FleetPerson(name, keys, tokens, attested=self._attested(table))

    def _attested(self, table: CheckedTable) -> AttestedKeys | None:
        if "attested" not in table.members:
            return None
        own = CheckedTable.of(table.placed("attested"), self.faults, ("folder", "models"))
        models = self.models(own)
        if not models:
            own.fault("models", "attested names no models, of which a key has to be proved")
        return AttestedKeys(self._path(own, "folder", needed=True), models or frozenset())

    def _token(self, owner: str, name: str, placed: Placed) -> PolicyToken:
        self._check_name(name, placed.path)
        if (other := self._tokens.setdefault(name, owner)) != owner:
            self.faults.add(placed.path, f"token {name} is {other}'s as well")
        table = CheckedTable.of(placed, self.faults, TOKEN)
        backup_of = table.text("backup-of")
        models = self.models(table) or frozenset()
        keys = [self.key(one, owner, name, backup=bool(backup_of)) for one in table.list("keys")]
        return PolicyToken(
            name,
            owner,
            table.text("serial"),
            models,
            backup_of,
            tuple(replace(key, models=models) for key in keys if key),
        )

    def _check_backups(self, tokens: tuple[PolicyToken, ...], path: TomlPath) -> None:
        known = {token.name: token for token in tokens}
        for token in tokens:
            place = (*path, token.name, "backup-of")
            if not token.backup_of:
                continue
            if token.backup_of not in known:
                said = f"{token.owner} has no token {shown(token.backup_of)}"
                self.faults.add(place, said + near(token.backup_of, known))
            elif token.backup_of == token.name:
                self.faults.add(place, f"token {token.name} cannot be its own backup")
            elif known[token.backup_of].backup_of:
                self.faults.add(place, f"token {token.backup_of} is a backup itself")

    # --- keys ------------------------------------------------------------------------------

    def key(
        self, placed: Placed, owner: str = "", token: str = "", *, backup: bool = False
    ) -> PolicyKey | None:
        """A key: a fingerprint, a public line, or a table with one of them and more.

        Args:
            owner: whose it is; a key has one owner. Empty for one that is nobody's.
        """
        found = self._key(placed)
        if found is None:
            return None
        if owner:
            other = self._owners.get(found.fingerprint)
            if other is not None:
                whose = "listed twice" if other == owner else f"{other}'s as well"
                self.faults.add(placed.path, f"the key {found.fingerprint} is {whose}")
                return None
            self._owners[found.fingerprint] = owner
        return replace(found, token=token, backup=backup) if token else found

    def _key(self, placed: Placed) -> PolicyKey | None:
        if isinstance(placed.value, str):
            return self._named_key(placed.value, placed.path)
        table = CheckedTable.of(placed, self.faults, KEY)
        text = table.text("key")
        if not text:
            if isinstance(placed.value, dict) and "key" not in table.members:
                self.faults.add(placed.path, "there is no `key`: a fingerprint or a public line")
            return None
        found = self._named_key(text, (*placed.path, "key"))
        proof, challenge = self._path(table, "attestation"), self._path(table, "challenge")
        if bool(proof) != bool(challenge):
            self.faults.add(placed.path, "attestation and challenge stand together or not at all")
        expires = table.day("expires")
        return found and replace(found, expires=expires, attestation=proof, challenge=challenge)

    def _named_key(self, text: str, path: TomlPath) -> PolicyKey | None:
        if FINGERPRINT.fullmatch(text):
            return PolicyKey(text.rstrip("="))
        if text.startswith(("SHA256:", "MD5:")):
            self.faults.add(path, f"{shown(text)} is not a SHA256 fingerprint of 43 signs")
            return None
        try:
            line = parse_public_line(text)
            return PolicyKey(fingerprint.sha256(line.key.blob()), line.encode())
        except Malformed as error:
            self.faults.add(path, f"{shown(text)} is not a key: {error.message}")
            return None

    def _path(self, table: CheckedTable, name: str, *, needed: bool = False) -> str:
        """A path below the policy's folder."""
        text = table.text(name)
        path = PurePosixPath(text)
        if "\0" in text or path.is_absolute() or ".." in path.parts:
            table.fault(name, f"{name} is {shown(text)}, not a path below the policy's folder")
        elif needed and not text:
            table.fault(name, f"there is no {name}")
        return text

    # --- groups ----------------------------------------------------------------------------

    def groups(
        self, top: CheckedTable, people: Mapping[str, FleetPerson]
    ) -> dict[str, tuple[str, ...]]:
        """The names of all members of each group, those of groups in it included."""
        named = CheckedTable.of(Placed(top.members.get("groups", {}), ("groups",)), self.faults)
        direct: dict[str, list[str]] = {}
        for name in named.members:
            self._check_name(name, ("groups", name))
            direct[name] = [
                word
                for word, path in named.texts(name)
                if self.is_known(word, people, named.members, path)
            ]
        found: dict[str, frozenset[str]] = {}
        for name in direct:
            self._resolve(name, direct, found, ())
        return {name: tuple(sorted(found[name])) for name in direct}

    def _resolve(
        self,
        name: str,
        direct: Mapping[str, list[str]],
        found: dict[str, frozenset[str]],
        above: tuple[str, ...],
    ) -> frozenset[str]:
        if name in found:
            return found[name]
        if name in above or len(above) > _MAX_NESTING:
            why = "contains itself" if name in above else f"is nested over {_MAX_NESTING} deep"
            self.faults.add(("groups", above[-1]), f"group {name} {why}")
            return frozenset()
        members: set[str] = set()
        for word in direct[name]:
            if word[:1] == GROUP_SIGN:
                members |= self._resolve(word[1:], direct, found, (*above, name))
            else:
                members.add(word)
        found[name] = frozenset(members)
        return found[name]

    def is_known(
        self,
        word: str,
        people: Mapping[str, object],
        groups: Mapping[str, object],
        path: TomlPath,
    ) -> bool:
        """Whether a word names somebody, or a group with `@`; a fault if it does not."""
        if word[:1] == GROUP_SIGN:
            known, name, what = groups, word[1:], "group"
        else:
            known, name, what = people, word, "person"
        if name in known:
            return True
        hint = f"; {GROUP_SIGN}{name} is a group" if name in groups else near(name, known)
        self.faults.add(path, f"there is no {what} {shown(name)}{hint}")
        return False

    # --- shared ----------------------------------------------------------------------------

    def models(self, table: CheckedTable) -> frozenset[str] | None:
        """AAGUIDs of models, which are named by AAGUID or description; None if not stated."""
        if "models" not in table.members:
            return None
        return frozenset(
            aaguid for word, path in table.texts("models") for aaguid in self._model(word, path)
        )

    def _model(self, word: str, path: TomlPath) -> Iterator[str]:
        from uuid import UUID

        if is_aaguid(word):
            yield str(UUID(bytes=bytes(parse_aaguid(word))))
            return
        found = models_called(word)
        if not found:
            hint = near(word.casefold(), names_of_models())
            self.faults.add(path, f"there is no model {shown(word)} in the FIDO metadata{hint}")
        yield from found

    def _check_name(self, name: str, path: TomlPath) -> None:
        if not _NAME.fullmatch(name):
            self.faults.add(
                path, f"{shown(name)} cannot be a name: use letters, digits and . + @ - _"
            )


def in_groups(
    people: Mapping[str, FleetPerson], groups: Mapping[str, tuple[str, ...]]
) -> dict[str, FleetPerson]:
    """The people, each with the groups that they are in."""
    found: dict[str, list[str]] = {}
    for group in sorted(groups):
        for member in groups[group]:
            found.setdefault(member, []).append(group)
    return {
        name: replace(person, groups=tuple(found[name])) if name in found else person
        for name, person in people.items()
    }
