"""Where public keys come from: files, and accounts of GitHub, GitLab and Launchpad, as URLs.

What comes over the network is somebody else's text: bounded, and every line judged.
"""

from __future__ import annotations

import io
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fidokit.errors import FidokitError, MalformedKey, UsageError
from fidokit.openssh.keys.public import PublicLine, SkEcdsaPublic, SkEd25519Public
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, BadLine, parse_file

MAX_ANSWER: Final = 1 << 20
"""Bytes of an account's keys; GitHub's busiest have under 100 KB."""

TIMEOUT_S: Final = 20.0

_ACCOUNTS: Final[Mapping[str, str]] = {
    "gh": "https://github.com/{}.keys",
    "gl": "https://gitlab.com/{}.keys",
    "lp": "https://launchpad.net/~{}/+sshkeys",
}
"""Addresses that answer with an account's public keys, one a line (ssh-import-id's, too)."""

_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_HARDWARE: Final = (SkEd25519Public, SkEcdsaPublic)

Fetch = Callable[[str], bytes]
"""Gets what an address answers with, at most `MAX_ANSWER` bytes."""


@dataclass(frozen=True)
class Fetched:
    """Keys of one source.

    Attributes:
        source: as it was named.
        keys: with the comment that they came with, or the source where they had none.
        unreadable: lines that are no keys.
        left_out: keys that are on no token, where those alone were wanted.
    """

    source: str
    keys: tuple[PublicLine, ...]
    unreadable: tuple[BadLine, ...] = ()
    left_out: int = 0


def is_remote(source: str) -> bool:
    """Whether a source is an account or an address, and not a file."""
    return source.partition(":")[0] in {*_ACCOUNTS, "https", "http"}


def address_of(source: str) -> str:
    """The URL of a source.

    Raises:
        UsageError: no account's name stands in it, or the address is not a safe one.
    """
    kind, _, name = source.partition(":")
    if kind in _ACCOUNTS:
        if not name or not all(c.isalnum() or c in "-_." for c in name) or not name.isascii():
            raise UsageError(f"{source!r} names no account", hint=f"say {kind}:NAME")
        return _ACCOUNTS[kind].format(urllib.parse.quote(name, safe=""))
    parts = urllib.parse.urlsplit(source)
    if parts.scheme == "https" and parts.hostname:
        return source
    if parts.scheme == "http" and parts.hostname in _LOCAL:
        return source
    raise UsageError(
        f"{source!r} is not fetched: who is on the way could put a key of theirs in",
        hint="use an https address",
    )


def keys_from(source: str, text: bytes, *, only_hardware: bool = False) -> Fetched:
    """The keys in what a source gave.

    Options before keys are somebody else's wishes and are not taken over.

    Raises:
        MalformedKey: there is no key in it at all.
    """
    lines = list(parse_file(io.BytesIO(text)))
    found = [line for line in lines if isinstance(line, AuthorizedKey)]
    if not found:
        raise MalformedKey(f"there is no public key in {source}", hint="check the name")
    wanted = [line for line in found if not only_hardware or isinstance(line.key, _HARDWARE)]
    return Fetched(
        source,
        tuple(PublicLine(line.key, _comment(line, source)) for line in wanted),
        tuple(line for line in lines if isinstance(line, BadLine)),
        len(found) - len(wanted),
    )


def _comment(line: AuthorizedKey, source: str) -> str:
    said = "".join(c for c in line.comment if c.isprintable())
    return said or source


def fetch(url: str) -> bytes:
    """What an address answers with.

    Raises:
        FidokitError: nobody answers, refuses, or sends more than any account has; or it leads
            elsewhere without encryption.
    """
    opener = urllib.request.build_opener(_OnlySafe)
    request = urllib.request.Request(url, headers={"User-Agent": "fidokit"})  # noqa: S310  checked
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            data = answer.read(MAX_ANSWER + 1)
    except urllib.error.HTTPError as error:
        unknown = error.code == 404
        raise FidokitError(
            f"{url} does not exist" if unknown else f"{url} answers with status {error.code}",
            hint="check the account's name" if unknown else "try again later",
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise FidokitError(
            f"{url} cannot be reached: {reason}", hint="check the network, or save it to a file"
        ) from None
    if len(data) > MAX_ANSWER:
        raise FidokitError(f"{url} sends more than {MAX_ANSWER} bytes", hint="check the address")
    return bytes(data)


class _OnlySafe(urllib.request.HTTPRedirectHandler):
    """Follows a redirection only to where one could have gone at once."""

    def redirect_request(self, *args: Any) -> urllib.request.Request | None:
        """As the standard one, for safe addresses; the last argument is the new one."""
        address_of(args[-1])
        return super().redirect_request(*args)
