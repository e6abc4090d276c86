"""Authorities whose certificates sshd takes: TrustedUserCAKeys and principals files.

Source: sshd_config(5), TrustedUserCAKeys and AuthorizedPrincipalsFile. What is there stays: keys
are added to the file that sshd reads already, and a user's principals to the one that counts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, MalformedFile, UsageError
from fidokit.files.keyfile import read_bounded
from fidokit.openssh.keys.public import PublicLine
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, OtherLine, parse_line
from fidokit.server.accounts import Account, account
from fidokit.server.harden.levels import Directive
from fidokit.server.harden.plan import HardeningPlan, HardeningTarget
from fidokit.server.key_paths import path_of
from fidokit.server.sshd import config as sshd_config
from fidokit.server.sshd import drop_in
from fidokit.server.sshd.drop_in import Edit
from fidokit.server.sshd.query import LOOPBACK, Sshd

NAME: Final = "0-fidokit-ca.conf"
KEYS: Final = "fidokit_user_ca_keys"
PRINCIPALS: Final = "fidokit_principals"
TITLE: Final = "trust-ca"
UNDO: Final = "fidokit server trust-ca --undo"

_MAX_FILE: Final = 1 << 20
_MOST_FILES: Final = 10_000
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.$\\@-]+\Z")
_PRINCIPAL: Final = re.compile(r"[!-~]+\Z")


@dataclass(frozen=True)
class TrustRequest:
    """Whom to trust, and for whom.

    Attributes:
        keys: files with authorities' public keys.
        principals: by a user's name, names in certificates that let them in; users without any get
            in by certificates with their own name.
    """

    keys: Sequence[Path]
    principals: Mapping[str, Sequence[str]]


def plan_trust(request: TrustRequest, target: HardeningTarget, sshd: Sshd) -> HardeningPlan:
    """What has to change for sshd to take certificates of authorities.

    Args:
        target: with a path of the configuration without symbolic links.
        sshd: the program.

    Raises:
        MalformedFile: a file has no public keys. UsageError: an impossible user or principal.
        SshdNotAsked: sshd does not take its configuration as it is.
        NoPermission, FidokitError: a file cannot be read, or sshd includes no folder.
    """
    return _Trust(target, sshd.with_config(target.config)).plan(request)


def plan_distrust(target: HardeningTarget, sshd: Sshd) -> HardeningPlan:
    """What takes all of it back; raises what `plan_trust` raises of files."""
    return _Trust(target, sshd.with_config(target.config)).undo()


@dataclass(frozen=True)
class _Trust:
    target: HardeningTarget
    sshd: Sshd

    @property
    def own_keys(self) -> Path:
        return self.target.config.parent / KEYS

    @property
    def own_principals(self) -> Path:
        return self.target.config.parent / PRINCIPALS

    def plan(self, request: TrustRequest) -> HardeningPlan:
        keys = [line for path in request.keys for line in _public_keys(path)]
        if not keys:
            raise UsageError("no authority is named", hint="name the file of its public key")
        place = self.keys_file()
        edits = []
        lines = [f"TrustedUserCAKeys {place}"] if place == self.own_keys else []
        for name, principals in sorted(request.principals.items()):
            edit, match = self._principals(account(name), principals)
            edits.append(edit)
            lines += match
        edits += [self._drop_in(lines), _added(place, keys)]  # narrower first
        kept = tuple(edit for edit in edits if not edit.is_empty)
        wanted = (Directive("TrustedUserCAKeys", str(place)),)
        return HardeningPlan(self.target, TITLE, kept, directives=wanted)

    def undo(self) -> HardeningPlan:
        folder = self._folder()
        paths = [*self._files(), *([folder / NAME] if folder else [])]
        plans = [drop_in.plan(path, None) for path in dict.fromkeys(paths) if _is_ours(path)]
        return HardeningPlan(self.target, None, tuple(x for x in plans if not x.is_empty))

    def keys_file(self) -> Path:
        """The file of authorities that sshd reads; ours if it reads none."""
        said = self.sshd.settings().first("trustedusercakeys", "none")
        return self.own_keys if said == "none" else Path(said)

    def _principals(self, user: Account, names: Sequence[str]) -> tuple[Edit, list[str]]:
        """The edit of a user's principals, and the lines that make sshd read them."""
        if not _PLAIN.match(user.name):
            raise UsageError(f"sshd's Match cannot name the user {user.name!r}")
        bad = next((name for name in names if not _PRINCIPAL.match(name)), None)
        if bad is not None or not names:
            raise UsageError(f"{bad!r} cannot be a principal", hint="letters without blanks")
        said = self.sshd.settings(user.name, LOOPBACK).first("authorizedprincipalsfile", "none")
        own = self.own_principals / user.name
        path = own if said == "none" else path_of(user, said)
        if path.is_relative_to(user.home):
            raise UsageError(
                f"{user.name} alone decides whose certificates let them in: {path} is at home",
                hint="add the principals there, or have AuthorizedPrincipalsFile name a folder of "
                "root's",
            )
        match = [f"Match User {user.name}", f"AuthorizedPrincipalsFile {self.own_principals}/%u"]
        return _added(path, names), match if path == own else []

    def _drop_in(self, lines: Sequence[str]) -> Edit:
        folder = self._folder()
        if folder is None:
            raise FidokitError(
                f"{self.target.config} includes no folder before its first Match block",
                hint=f"begin it with: Include {self.target.config.parent}/sshd_config.d/*.conf",
            )
        path = folder / NAME
        old = _block_of(path)
        heads = [line for line in (*old, *lines) if line.startswith("Trusted")]
        matches = dict(_pairs([*old, *lines]))
        text = [*dict.fromkeys(heads), *(x for pair in matches.items() for x in pair)]
        return drop_in.plan(path, drop_in.block(TITLE, text, UNDO) if text else None)

    def _folder(self) -> Path | None:
        config = self.target.config
        text = read_bounded(config, sshd_config.MAX_FILE)
        kept = NAME + drop_in.ORIGINAL_SUFFIX
        include = sshd_config.folder_of_drop_ins(config, text, NAME, not_taken=kept)
        return include.folder if include else None

    def _files(self) -> Iterator[Path]:
        """Files that may have a block of ours; the keys first, so that nothing widens meanwhile."""
        yield self.own_keys
        with suppress(FidokitError):
            yield self.keys_file()
            pattern = Path(self.sshd.settings().first("authorizedprincipalsfile", "none"))
            if pattern.is_absolute() and "%" not in str(pattern.parent):
                yield from _inside(pattern.parent)
        yield from _inside(self.own_principals)


def _public_keys(path: Path) -> Iterator[str]:
    """The public keys of a file, a line each.

    Raises:
        MalformedFile: it has something else.
    """
    for number, raw in enumerate(read_bounded(path, _MAX_FILE).splitlines(), 1):
        line = parse_line(raw, number)
        if isinstance(line, OtherLine):
            continue
        if not isinstance(line, AuthorizedKey) or line.options:
            raise MalformedFile(
                f"{path}:{number} is not a public key", hint="name the authority's .pub file"
            )
        yield PublicLine(line.key, line.comment).encode()


def _added(path: Path, lines: Sequence[str]) -> Edit:
    """The edit that adds lines to a block of ours, or makes one."""
    merged = dict.fromkeys([*_block_of(path), *lines])
    return drop_in.plan(path, drop_in.block(TITLE, merged, UNDO))


def _block_of(path: Path) -> list[str]:
    """The lines of our block in a file; empty if there is none."""
    if not os.path.lexists(path):
        return []
    text = read_bounded(path, _MAX_FILE)
    numbers = drop_in.block_lines(text)
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    return lines[numbers.start : numbers.stop - 2] if len(numbers) > 1 else []


def _is_ours(path: Path) -> bool:
    try:
        return path.is_file() and drop_in.title(read_bounded(path, _MAX_FILE)) == TITLE
    except OSError:
        return False


def _inside(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(islice(folder.iterdir(), _MOST_FILES))
    return []


def _pairs(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Match lines, each with the line behind it."""
    for number, line in enumerate(lines[:-1]):
        if line.startswith("Match "):
            yield line, lines[number + 1]
