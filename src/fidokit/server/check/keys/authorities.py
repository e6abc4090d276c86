"""Certificates: which authorities sshd trusts for a user, and for which principals.

Source: sshd_config(5), TrustedUserCAKeys, AuthorizedPrincipalsFile, AuthorizedPrincipalsCommand,
RevokedKeys; sshd(8). Certificates themselves are not on the server: who holds an authority's key
can make more of them at any time, for any kind of key.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError
from fidokit.files.keyfile import read_bounded
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, OtherLine, parse_line
from fidokit.server.accounts import Account
from fidokit.server.check.key_verdicts import KeyRules
from fidokit.server.check.keys import commands
from fidokit.server.check.policy import Violation
from fidokit.server.check.scope.views import View
from fidokit.server.key_paths import opened_keys, path_of

_MAX_FILE: Final = 1 << 20
_SHOWN: Final = 3
_FIND_OUT: Final = "ask the owner of the authority which keys it certifies"


@dataclass(frozen=True)
class AuthorityReport:
    """What certificates may do as a user.

    Attributes:
        notes: sentences.
        violations: rules that a certificate may break.
    """

    notes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True)
class Principals:
    """Whose certificates count for a user.

    Attributes:
        names: some of them, to be shown; hostile text.
        doubt: why that may not be all; else empty.
    """

    names: tuple[str, ...]
    doubt: str = ""


def of_user(account: Account, view: View, rules: KeyRules) -> AuthorityReport:
    """What the authorities of TrustedUserCAKeys may let in as a user."""
    name = view.settings.first("trustedusercakeys", "none")
    if not view.settings.is_set("trustedusercakeys") or rules.refusals:
        return AuthorityReport()
    who = principals(account, view)
    if not who.names and not who.doubt:
        return AuthorityReport((f"TrustedUserCAKeys {name}: no principal counts for this user",))
    notes, violations = [], []
    for line, type_name, print_ in _authorities(Path(name)):
        if print_ and _is_revoked(name, line, view):
            notes.append(f"TrustedUserCAKeys {name}:{line} {print_} is revoked")
            continue
        said = _sentence(name, line, print_, who)
        verdict = rules.authority(type_name)
        if verdict.refusals:
            notes.append(f"{said}; {verdict.refusals[0]}")
            continue
        notes.append(said)
        # an authority that sshd trusts may certify any key: that is known, and no doubt
        doubt = bool(verdict.spared or who.doubt or not print_)
        how = _FIND_OUT if doubt else ""
        violations += [
            Violation(rule, account.name, f"{said}: {why}", name, line or None, doubt, how)
            for rule, why in verdict.spared or verdict.violates
        ]
    return AuthorityReport(tuple(notes), tuple(violations))


def _sentence(name: str, line: int, print_: str, who: Principals) -> str:
    shown = ", ".join(who.names[:_SHOWN]) + (", ..." if len(who.names) > _SHOWN else "")
    for_whom = f" for {shown}" if shown else ""
    doubt = f" ({who.doubt})" if who.doubt else ""
    place = f"{name}:{line}" if line else name
    return f"TrustedUserCAKeys lets in certificates by {print_ or place}{for_whom}{doubt}"


def _authorities(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, type and fingerprint of each authority; a line that is not understood has neither."""
    try:
        data = read_bounded(path, _MAX_FILE)
    except FidokitError:
        if not _is_missing(path):
            yield 0, "", ""  # sshd may read what we may not
        return
    for number, raw in enumerate(data.split(b"\n"), 1):
        line = parse_line(raw, number)
        if isinstance(line, AuthorizedKey):
            yield number, line.key.type_name, sha256(line.key.blob())
        elif not isinstance(line, OtherLine):
            yield number, "", ""


def _is_missing(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # a folder on the way is closed to us
    return False


def _is_revoked(name: str, line: int, view: View) -> bool:
    """Whether RevokedKeys holds an authority, as ssh-keygen says."""
    raw = Path(name).read_bytes().split(b"\n")[line - 1]
    for revoked in view.settings.first("revokedkeys", "none").split():
        if revoked.lower() == "none":
            continue
        if _is_listed(Path(revoked), raw):
            return True
        done = subprocess.run(  # noqa: S603  the key comes through a pipe
            ["ssh-keygen", "-Q", "-f", revoked, "/dev/stdin"],  # noqa: S607
            input=raw + b"\n",
            capture_output=True,
            check=False,
        )
        if done.returncode != 0 and b"REVOKED" in done.stdout + done.stderr:
            return True
    return False


def _is_listed(revoked: Path, raw: bytes) -> bool:
    """Whether a list of public keys, which is the other form of RevokedKeys, holds a key."""
    try:
        listed = read_bounded(revoked, _MAX_FILE)
    except FidokitError:
        return False
    wanted = parse_line(raw)
    lines = (parse_line(line) for line in listed.split(b"\n"))
    keys = [line.key for line in lines if isinstance(line, AuthorizedKey) and not line.options]
    return isinstance(wanted, AuthorizedKey) and wanted.key in keys


def principals(account: Account, view: View) -> Principals:
    """Whose certificates count for a user: their own name, or what file and command say."""
    settings = view.settings
    named = settings.first("authorizedprincipalsfile", "none")
    printed = commands.run_command("AuthorizedPrincipalsCommand", account, settings, view.origin)
    if named.lower() == "none" and printed is None:
        return Principals((account.name,))
    names: list[str] = []
    doubt = printed.doubt if printed else ""
    if printed:
        names += _names(printed.text)
    if named.lower() != "none":
        strict = settings.is_on("strictmodes")
        with opened_keys(account, path_of(account, named), strict=strict) as source:
            if source is not None and source.file is not None:
                names += _names(source.file.read(_MAX_FILE))
            if source is not None and (source.hidden or source.refusals):
                doubt = source.hidden or source.refusals[0]
    return Principals(tuple(names), doubt)


def _names(text: bytes) -> list[str]:
    lines = (line.partition(b"#")[0].strip(b" \t\r") for line in text.split(b"\n"))
    return [os.fsdecode(line.split()[-1]) for line in lines if line]
