"""What `server check` found, in a few words: the same ones in its table, its lines and its JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fidokit.server.check.report import CheckVerdict, FileReport, KeyLine, UserReport, Violation

SETTINGS = (
    "AuthenticationMethods",
    "PubkeyAuthentication",
    "PubkeyAuthOptions",
    "PubkeyAcceptedAlgorithms",
    "PasswordAuthentication",
    "KbdInteractiveAuthentication",
    "UsePAM",
    "PermitEmptyPasswords",
    "PermitRootLogin",
    "StrictModes",
    "RequiredRSASize",
    "AuthorizedKeysFile",
    "AuthorizedKeysCommand",
    "AuthorizedPrincipalsFile",
    "TrustedUserCAKeys",
    "RevokedKeys",
    "HostbasedAuthentication",
    "GSSAPIAuthentication",
)
"""The settings that decide who gets in, as sshd_config(5) spells and groups them."""

LOOSE = "not minded, StrictModes being off: "
_IN_FLAGS = ("touch-required", "verify-required")


def demands(verdict: CheckVerdict) -> list[str]:
    """What a login by the key takes."""
    kind = {True: "token", False: "no token", None: "not known"}[verdict.hardware]
    words = ["authority", kind] if verdict.is_authority else [kind]
    if verdict.hardware:
        words.append("touch" if verdict.touch else "no touch")
        words += ["PIN"] if verdict.verify else []
    return words


def options(verdict: CheckVerdict) -> list[str]:
    """What stands before the key besides what `demands` says; hostile text."""
    return [
        option.name if option.value is None else f'{option.name}="{option.value}"'
        for option in verdict.options
        if option.name.removeprefix("no-") not in _IN_FLAGS and option.name != "cert-authority"
    ]


def remarks(key: KeyLine) -> Iterator[str]:
    """What is wrong with a key; hostile text."""
    verdict = key.verdict
    if verdict.strength != "good":
        yield f"{verdict.strength}: {key.type} {key.bits}"
    if key.duplicate:
        yield f"same as {key.duplicate.user} {key.duplicate.path}:{key.duplicate.line}"
    if not verdict.hardware and not verdict.is_authority:
        idle = [o.name for o in verdict.options if o.name in _IN_FLAGS]
        yield from (f"{name} does nothing without a token" for name in idle)
    yield from (f"refused: {why}" for why in verdict.refusals)


def of_file(file: FileReport) -> list[str]:
    """What is wrong with a file as a whole; hostile text."""
    hidden = [file.hidden] if file.hidden else []
    return [*file.refusals, *hidden, *(f"{LOOSE}{why}" for why in file.warnings)]


def count(number: int, thing: str) -> str:
    """A number of things."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def password(user: UserReport) -> str:
    """Whether a password lets in, and why."""
    return f"{'yes' if user.password.possible else 'no'}: {user.password.why}"


def violation(found: Violation) -> str:
    """What breaks a rule, with its place; hostile text."""
    at = f" {found.path}" if found.path else ""
    at += f":{found.line}" if found.line else ""
    return f"{found.user}{at}: {found.why}"
