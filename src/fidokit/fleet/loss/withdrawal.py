"""Public keys taken out of GitHub and GitLab: by their own programs, proved by the public list."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from fidokit.errors import FidokitError, MalformedKey
from fidokit.keys.publication import (
    KeySite,
    ProgramAnswer,
    Run,
    SiteDesk,
    last_words,
    listed_keys,
    parse_site,
    program_runner,
)
from fidokit.openssh.keys.public import PublicKey, parse_public_line
from fidokit.server.authorize import download, sources
from fidokit.types import Word


class Withdrawn(Word):
    """What became of a key that was to go."""

    REMOVED = "removed"
    ABSENT = "was not there"
    LISTED = "still there"
    UNKNOWN = "cannot be known"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What became of one key at one account.

    Attributes:
        state: see `Withdrawn`.
        site: where.
        account: whose.
        page: where it is taken out by hand.
        why: what is in the way; hostile text.
        command: what lets the program do it; empty if nothing is known to.
    """

    state: Withdrawn
    site: KeySite
    account: str
    page: str
    why: str = ""
    command: str = ""


def withdraw_key(
    where: str,
    key: PublicKey,
    *,
    signing: bool = False,
    environ: Mapping[str, str] = os.environ,
    run: Run | None = None,
    fetch: sources.Fetch | None = None,
) -> Withdrawal:
    """Take a public key out of an account of GitHub or GitLab; one that is not there is success.

    Args:
        where: `gh:NAME` or `gl:NAME`.
        key: which.
        signing: of the keys for signatures; else of those for logins. GitLab has one list.
        environ: names the site's host, if it is another than the usual one.
        run: calls a program; a test's own.
        fetch: gets an address's text; a test's own.

    Raises:
        UsageError: a bad site or account.
    """
    site, account = parse_site(where)
    desk = SiteDesk(
        site, environ, run or program_runner(site, environ), fetch or download.fetch, signing
    )
    page = f"{site.page.format(site.base(environ)).removesuffix('/ssh/new')}"
    made = Withdrawal(Withdrawn.ABSENT, site, account, page if site.one_list else f"{page}/keys")
    listed = _is_listed(desk, account, key)
    if listed is False:
        return made
    who, why = desk.who()
    if not why and who.lower() != account.lower():
        why = f"{site.program} is logged in as {who}, not as {account}"
    command = f"{site.program} auth login" if why else ""
    if not why:
        why, command = _delete(desk, key)
    listed = _is_listed(desk, account, key)
    if listed is False:
        return replace(made, state=Withdrawn.REMOVED)
    state = Withdrawn.LISTED if listed else Withdrawn.UNKNOWN
    unseen = "its public list cannot be read" if listed is None else "its public list has it still"
    return replace(made, state=state, why=why or unseen, command=command)


def _is_listed(desk: SiteDesk, account: str, key: PublicKey) -> bool | None:
    """Whether the account's public list shows a key; None if it cannot be read."""
    got: list[bytes] = []

    def fetch(address: str) -> bytes:
        got.append(desk.fetch(address))
        return got[-1]

    try:
        found = listed_keys(
            desk.site, account, signing=desk.signing, environ=desk.environ, fetch=fetch
        )
    except MalformedKey:
        return False if got and got[-1].strip() in {b"", b"[]"} else None
    except FidokitError:
        return None
    return any(one.key == key for one in found)


def _delete(desk: SiteDesk, key: PublicKey) -> tuple[str, str]:
    """Have the program delete a key: why it did not, and what lets it."""
    site = desk.site
    path = "user/ssh_signing_keys" if desk.signing and not site.one_list else "user/keys"
    said = desk.run((site.program, "api", f"{path}?per_page=100"))
    numbers = _numbers(said.out, key) if said.status == 0 else []
    for number in numbers:
        said = desk.run((site.program, "api", "--method", "DELETE", f"{path}/{number}"))
        if said.status != 0:
            break
    if said.status == 0:
        return ("" if numbers else f"{site.program} does not list it"), ""
    return last_words(said.said), _scope_command(desk, said)


def _scope_command(desk: SiteDesk, said: ProgramAnswer) -> str:
    scope = desk.site.scopes[desk.signing]
    if not scope or "scope" not in said.said:
        return ""
    host = desk.site.base(desk.environ).partition("://")[2]
    return f"gh auth refresh -h {host} -s {scope}"


def _numbers(answer: bytes, key: PublicKey) -> list[int]:
    """The numbers of a key in an account's own list."""
    found = []
    try:
        for entry in json.loads(answer):
            line = str(entry["key"]).replace("\n", " ").encode("utf-8", "replace")
            if parse_public_line(line).key == key:
                found.append(int(entry["id"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, FidokitError):
        pass
    return found
