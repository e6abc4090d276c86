"""A server to be judged and tried: its configuration, its users and their files, as plain data.

Texts are kept as latin-1, so that any byte can stand in them. `<NAME>` is the public key of that
name, as type and base64 (`keys.py`); `<NAME:blob>` is the base64 alone.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

GHOST = "ghost"
"""Who is known by nsswitch.conf's source `hidden` alone (hidden_users.c)."""

SHADOW_REST = ":20000:0:99999:7:::"
NO_PASSWORD = "*"
PASSWORD = "open"
HASH = "$5$rounds=1000$saltsalt$R1POFbiq2hAKcmmkDHu2iNugM5cdQ7FxxuYEQVZfha0"
HASHES = (HASH, "$1$saltsalt$4GjbKnCDSyi2rl7G9MlD10", "ab4Sl7uSZVRdU")
"""Of PASSWORD, none of them slow."""


@dataclass
class File:
    """A file: its text, and its mode and owner, `USER` or `USER:GROUP`."""

    text: str
    mode: int = 0o644
    owner: str = "root"
    link: bool = False  # the text is where it points; empty where nothing is to be there


@dataclass
class Person:
    """A user: the fields of passwd and shadow (after the name), and the home folder's mode."""

    name: str
    uid: int
    shadow: str | None = NO_PASSWORD + SHADOW_REST
    field: str = "x"
    shell: str = "/bin/sh"
    home_mode: int = 0o755
    home_owner: str = ""
    listed: bool = True  # in the machine's own files

    @property
    def home(self) -> str:
        return "/root" if self.uid == 0 else f"/home/{self.name}"

    @property
    def owner(self) -> str:
        """For chown."""
        return self.name if self.listed and self.uid else f"{self.uid}:{self.uid}"


@dataclass
class Site:
    """A server.

    Attributes:
        config: sshd_config; what every site has stands before it (`cell.ALWAYS`).
        files: by path; folders above them are root's, below homes the user's.
        folders: mode and owner of folders that are to differ.
        groups: further members, by group.
        lines: further lines of passwd, shadow, group, each by the file's name.
        switch: lines of nsswitch.conf in place of the stock ones, by database.
        sources: addresses that logins come from.
        targets: addresses and ports that they go to.
        arguments: further ones of sshd.
        others: the arguments of further sshds that run; files name their configurations.
        later: files that are written once the sshds run.
    """

    name: str
    config: str
    people: list[Person] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    folders: dict[str, tuple[int, str]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    switch: dict[str, str] = field(default_factory=dict)
    sources: list[str] = field(default_factory=lambda: ["127.0.0.1"])
    targets: list[tuple[str, int]] = field(default_factory=lambda: [("127.0.0.1", 22)])
    arguments: list[str] = field(default_factory=list)
    others: list[list[str]] = field(default_factory=list)
    later: dict[str, File] = field(default_factory=dict)
    features: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """On one line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Site:
        """What `to_json` wrote."""
        data: dict[str, Any] = json.loads(text)
        data["people"] = [Person(**person) for person in data["people"]]
        for files in ("files", "later"):
            data[files] = {path: File(**file) for path, file in data[files].items()}
        data["folders"] = {path: (mode, who) for path, (mode, who) in data["folders"].items()}
        data["targets"] = [(address, port) for address, port in data["targets"]]
        return cls(**data)

    def person(self, name: str) -> Person:
        """A user by name."""
        return next(person for person in self.people if person.name == name)

    def authorize(self, user: str, *lines: str, name: str = ".ssh/authorized_keys") -> None:
        """Add lines to a file below a user's home."""
        path = f"{self.person(user).home}/{name}"
        file = self.files.setdefault(path, File("", 0o600, self.person(user).owner))
        file.text += "".join(f"{line}\n" for line in lines)
