"""Public keys on GitHub and GitLab: put there by their own programs, which hold the login.

fidokit never sees a token of theirs. `gh` and `glab` are called with lists of words and answer with
an exit status; whether a key is there, the account's public list shows.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.errors import FidokitError, UsageError
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import PublicLine, as_bytes, parse_public_line
from fidokit.server.authorize import download, sources
from fidokit.server.authorize.wishes import WantedKey
from fidokit.types import Word

PROGRAM_S: Final = 120.0
"""Seconds that one call of gh or glab may take."""

MAX_SAID: Final = 400
"""Characters of what such a program says that a message repeats."""


class Published(Word):
    """What became of a key."""

    ADDED = "added"
    PRESENT = "was there"
    UNSEEN = "added, not seen"
    BY_HAND = "to be added by hand"


@dataclass(frozen=True, slots=True)
class KeySite:
    """Where accounts publish keys.

    Attributes:
        prefix: how sources name it, such as `gh`.
        name: how people call it.
        program: its own command.
        host: its usual host.
        variables: those of the environment by which the program is given another host.
        page: where a key is added by hand, for a host.
        scopes: what the program's login must allow, for logins and for signatures; empty if
            any login does.
        one_list: whether a key there serves for logins and signatures alike.
    """

    prefix: str
    name: str
    program: str
    host: str
    variables: tuple[str, ...]
    page: str
    scopes: tuple[str, str]
    one_list: bool

    def base(self, environ: Mapping[str, str]) -> str:
        """The address of the site: its usual one, or the one of the program's environment."""
        named = next((environ[name] for name in self.variables if environ.get(name)), self.host)
        return named.rstrip("/") if "://" in named else f"https://{named}"

    def login(self, environ: Mapping[str, str]) -> str:
        """The account that everybody logs in as there, by ssh."""
        host = urllib.parse.urlsplit(self.base(environ)).hostname
        return f"git@{host or self.host}"


SITES: Final[Mapping[str, KeySite]] = {
    "gh": KeySite(
        "gh", "GitHub", "gh", "github.com", ("GH_HOST",), "{}/settings/ssh/new",
        ("admin:public_key", "admin:ssh_signing_key"), one_list=False,
    ),
    "gl": KeySite(
        "gl", "GitLab", "glab", "gitlab.com", ("GITLAB_HOST", "GL_HOST"),
        "{}/-/user_settings/ssh_keys", ("", ""), one_list=True,
    ),
}  # fmt: skip
"""By the prefix of their sources."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What became of one key.

    Attributes:
        key: which.
        state: see `Published`.
        site: where.
        account: whose; empty if it is not known.
        signing: whether it was to be a key for signatures.
        page: where it is added by hand; empty if that is not needed.
        title, text: what to paste there.
        why: why the program was not used; hostile text.
    """

    key: WantedKey
    state: Published
    site: KeySite
    account: str
    signing: bool
    page: str = ""
    title: str = ""
    text: str = field(default="", repr=False)
    why: str = ""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the key."""
        return fingerprint.sha256(self.key.key.blob())


Run = Callable[[Sequence[str]], "ProgramAnswer"]


@dataclass(frozen=True, slots=True)
class ProgramAnswer:
    """What a program said; `status` is None if it is not installed."""

    status: int | None
    out: bytes = b""
    said: str = ""


def parse_site(text: str) -> tuple[KeySite, str]:
    """The site and the account of `gh:`, `gh:NAME`, `gl:` or `gl:NAME`; the account may be empty.

    Raises:
        UsageError: it names another site, or no possible account.
    """
    prefix, _, account = text.partition(":")
    if prefix not in SITES:
        raise UsageError(f"{text!r} is neither GitHub nor GitLab", hint="say gh: or gl:")
    if account:
        sources.address_of(f"{prefix}:{account}")  # refuses what is not a name
    return SITES[prefix], account


def publish_keys(
    where: str,
    files: Sequence[str],
    *,
    signing: bool = False,
    backups: bool = True,
    title: str = "",
    environ: Mapping[str, str] = os.environ,
    run: Run | None = None,
    fetch: sources.Fetch | None = None,
) -> list[Publication]:
    """Put public keys into an account of GitHub or GitLab; a key that is there is success.

    Args:
        where: `gh:` or `gl:`, perhaps with the account's name behind it.
        files: public key files, or private ones.
        signing: for signatures; else for logins. GitLab does not tell them apart.
        backups: take the backups of a key along, which are beside its file.
        title: what the site calls them; the comment of each if empty.
        environ: names the site's host, if it is another than the usual one.
        run: calls a program; a test's own.
        fetch: gets an address's text; a test's own.

    Returns:
        one for each key: BY_HAND if the site's program is not installed or not logged in.

    Raises:
        UsageError: a bad site, or the program is logged in as another account.
        MalformedKey: a file without a key.
        FidokitError: the site refused a key; says in whose words.
    """
    site, account = parse_site(where)
    named = sources.with_backups(files) if backups else list(files)
    if any(map(sources.is_remote, named)):
        raise UsageError("a key is published from a file", hint="name a public key file")
    keys = [key for one in named for key in sources.read_source(one, _nothing).keys]
    desk = SiteDesk(
        site, environ, run or program_runner(site, environ), fetch or download.fetch, signing
    )
    who, why = desk.who()
    if account and who and who.lower() != account.lower():
        raise UsageError(
            f"{site.program} is logged in as {who}, not as {account}",
            hint=f"switch it with `{site.program} auth login`, or say {site.prefix}:{who}",
        )
    return [desk.publish(key, who or account, title or _title(key), why) for key in keys]


def _nothing(_address: str) -> bytes:
    raise AssertionError  # files alone are read


def _title(key: WantedKey) -> str:
    """The comment of a key, without what a terminal or a site would take for more."""
    said = "".join(sign for sign in key.comment if sign.isprintable()).strip()
    return said[:100] or Path(key.source).name


# --- one site ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SiteDesk:
    """Asks a site's program, and looks at its public lists."""

    site: KeySite
    environ: Mapping[str, str]
    run: Run
    fetch: sources.Fetch
    signing: bool

    def who(self) -> tuple[str, str]:
        """The account that the program is logged in as, or "" and why it cannot be used."""
        said = self.run((self.site.program, "api", "user"))
        if said.status is None:
            return "", f"{self.site.program} is not installed"
        try:
            answer = json.loads(said.out) if said.status == 0 else {}
            name = answer.get("login") or answer.get("username") or ""
            sources.address_of(f"{self.site.prefix}:{name}")
        except (ValueError, AttributeError, UsageError):
            return "", f"{self.site.program} is not logged in: {last_words(said.said)}"
        return str(name), ""

    def publish(self, key: WantedKey, account: str, title: str, why: str) -> Publication:
        """Put one key there, unless the public list has it."""
        made = Publication(key, Published.PRESENT, self.site, account, self.signing)
        if account and self._is_listed(account, key):
            return replace(made, why=self._usage_doubt(key, why))
        if why:
            return self._by_hand(made, title, why)
        said = self._add(key, title)
        if self._is_listed(account, key):
            return replace(made, state=Published.ADDED) if said.status == 0 else made
        if said.status == 0:
            return replace(made, state=Published.UNSEEN)
        raise self._refused(said, key)

    def _usage_doubt(self, key: WantedKey, why: str) -> str:
        """What is not known of a key on a list that does not tell logins from signatures.

        Raises:
            FidokitError: it is there for the other use alone.
        """
        if not self.site.one_list:
            return ""
        use, other = ("signing", "auth") if self.signing else ("auth", "signing")
        said = self.run((self.site.program, "api", "user/keys?per_page=100")) if not why else None
        if said is None or said.status != 0:
            return f"whether it is there for {_USES[use]}, its public list does not show"
        if _usage_of(said.out, key) == other:
            raise FidokitError(
                f"{self.site.name} has the key {_title(key)} for {_USES[other]} alone",
                hint=f"take it out at {self.site.page.format(self.site.base(self.environ))}, "
                "then repeat this",
            )
        return ""

    def _by_hand(self, made: Publication, title: str, why: str) -> Publication:
        text = PublicLine(made.key.key, title).encode()
        page = self.site.page.format(self.site.base(self.environ))
        return replace(made, state=Published.BY_HAND, page=page, title=title, text=text, why=why)

    def _add(self, key: WantedKey, title: str) -> ProgramAnswer:
        """Have the program add a key, from a file that holds nothing else."""
        with TemporaryDirectory(prefix="fidokit-") as folder:
            file = Path(folder) / "key.pub"
            file.write_bytes(as_bytes(PublicLine(key.key, title).encode()) + b"\n")
            words = [self.site.program, "ssh-key", "add", str(file), f"--title={title}"]
            if not self.site.one_list:
                words.append(f"--type={'signing' if self.signing else 'authentication'}")
            return self.run(words)

    def _refused(self, said: ProgramAnswer, key: WantedKey) -> FidokitError:
        program, scope = self.site.program, self.site.scopes[self.signing]
        hint = f"if it is another account's, take it out there; else see `{program} auth status`"
        if scope and "scope" in said.said:
            host = self.site.base(self.environ).partition("://")[2]
            hint = f"let {program} do it: `gh auth refresh -h {host} -s {scope}`"
        return FidokitError(
            f"{self.site.name} does not take the key {_title(key)}: {last_words(said.said)}",
            hint=hint,
        )

    def _is_listed(self, account: str, key: WantedKey) -> bool:
        """Whether the account's public list shows the key."""
        try:
            found = listed_keys(
                self.site, account, signing=self.signing, environ=self.environ, fetch=self.fetch
            )
        except FidokitError:
            return False  # if it cannot be read, nobody says that the key is there
        return any(one.key == key.key for one in found)


def listed_keys(
    site: KeySite,
    account: str,
    *,
    signing: bool,
    environ: Mapping[str, str] = os.environ,
    fetch: sources.Fetch | None = None,
) -> tuple[WantedKey, ...]:
    """The keys that an account publishes.

    Args:
        site: where.
        account: its name.
        signing: those for signatures; else those for logins. GitLab has one list.
        environ: names the site's host.
        fetch: gets an address's text; a test's own.

    Raises:
        FidokitError: the list cannot be had; also MalformedKey, if it is empty.
    """
    get = fetch or download.fetch
    base = site.base(environ)
    if not signing or site.one_list:
        return sources.keys_from(f"{site.prefix}:{account}", get(f"{base}/{account}.keys")).keys
    usual = base == f"https://{site.host}"
    api = f"https://api.{site.host}" if usual else f"{base}/api/v3"
    lines = _lines_of(get(f"{api}/users/{account}/ssh_signing_keys?per_page=100"))
    return sources.keys_from(f"{site.prefix}:{account}", "\n".join(lines).encode()).keys


def _lines_of(text: bytes) -> list[str]:
    """The keys in an answer of GitHub's API, as lines."""
    try:
        found = [entry["key"] for entry in json.loads(text)]
        return [line.replace("\n", " ") for line in found]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise FidokitError("the list of signing keys is not what GitHub documents") from None


_USES: Final = {"auth": "logins", "signing": "signatures"}


def _usage_of(answer: bytes, key: WantedKey) -> str:
    """What a key is for, of GitLab's own list; empty if the list does not have it."""
    try:
        for entry in json.loads(answer):
            line = str(entry["key"]).replace("\n", " ").encode("utf-8", "replace")
            if parse_public_line(line).key == key.key:
                return str(entry.get("usage_type", ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, FidokitError):
        pass
    return ""


# --- their programs ------------------------------------------------------------------------------


_QUIETLY: Final = {
    "GH_PROMPT_DISABLED": "1",
    "GH_NO_UPDATE_NOTIFIER": "1",
    "NO_PROMPT": "1",
    "GLAB_CHECK_UPDATE": "false",
    "NO_COLOR": "1",
}


def program_runner(site: KeySite, environ: Mapping[str, str]) -> Run:
    """Calls the program without a terminal to ask on, for the host that we look at."""
    is_named = any(environ.get(name) for name in site.variables)
    usual = {} if is_named else {site.variables[0]: site.host}
    full = {**environ, **usual, **_QUIETLY}

    def run(words: Sequence[str]) -> ProgramAnswer:
        program = shutil.which(words[0], path=environ.get("PATH"))
        if program is None:
            return ProgramAnswer(None)
        try:
            done = subprocess.run(  # noqa: S603  the user's own program, without a shell
                [program, *words[1:]],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PROGRAM_S,
                env=full,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return ProgramAnswer(1, said=f"{words[0]} failed: {error}")
        return ProgramAnswer(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))

    return run


def last_words(said: str) -> str:
    """The last line of what a program said, if it said anything."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:MAX_SAID] if lines else "it does not say why"
