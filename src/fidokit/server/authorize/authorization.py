"""Letting keys into accounts: authorized_keys here, or on another machine over ssh."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, SshdNotAsked, UsageError
from fidokit.files.filenames import backups_beside
from fidokit.files.keyfile import public_path, read_bounded
from fidokit.files.scan import read_key
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import PublicLine
from fidokit.openssh.lines.options import Option, check_options
from fidokit.server.accounts import account
from fidokit.server.authorize import key_file, lines, remote
from fidokit.server.authorize import sources as of
from fidokit.server.authorize.lines import Change
from fidokit.server.authorize.sources import Fetch, Fetched
from fidokit.server.key_paths import DEFAULT, path_of, strict_modes_problems
from fidokit.server.sshd.query import LOOPBACK, sshd_here
from fidokit.server.sshd.settings import SshdSettings
from fidokit.system.host import Host
from fidokit.system.openssh_programs import parse_version

SSH: Final = ("ssh",)
_SK_SINCE: Final = (8, 2)
_SK: Final = "sk-"
_OF_TOKENS: Final = frozenset({"verify-required", "no-touch-required"})
_FINGERPRINT: Final = "SHA256:"


@dataclass(frozen=True)
class AuthorizeTarget:
    """Whose keys are changed, and where.

    Attributes:
        user: on this machine; None is whoever runs this.
        destination: [user@]host of another machine, as ssh takes it; then no `user`.
        ssh: the program and its options, such as `("ssh", "-p", "2222")`.
        path: another file than sshd's configuration names; below the home folder, or absolute.
    """

    user: str | None = None
    destination: str | None = None
    ssh: Sequence[str] = SSH
    path: str | None = None


@dataclass(frozen=True)
class Authorized:
    """What was done.

    Attributes:
        where: the file, as a person would name it.
        change: see `fidokit.server.authorize.lines.Change`; comments in it are hostile text.
        sources: what each account or address gave.
        warnings: sentences: why a key may not get in all the same.
    """

    where: str
    change: Change
    sources: tuple[Fetched, ...] = ()
    warnings: tuple[str, ...] = ()


def key_options(given: Sequence[str]) -> list[Option]:
    """Options for authorized_keys, each `name` or `name=value`, judged as sshd would.

    Raises:
        MalformedFile: sshd would not take it.
        UsageError: it cannot be written.
    """
    options = []
    for text in given:
        name, equals, value = text.partition("=")
        options.append(Option(name.lower(), value if equals else None))
    check_options(options)
    for option in options:
        option.encode()
    return options


def authorize_keys(
    sources: Sequence[str],
    place: AuthorizeTarget = AuthorizeTarget(),
    *,
    options: Sequence[Option] = (),
    only_hardware: bool = False,
    backups: bool = True,
    dry_run: bool = False,
    fetch: Fetch | None = None,
) -> Authorized:
    """Let the holders of keys into an account.

    Args:
        sources: public key files (a private one's public half stands beside it), `gh:NAME`,
            `gl:NAME`, `lp:NAME`, or https addresses.
        place: whose account.
        options: for each key, see `key_options`.
        only_hardware: leave out keys that are on no token.
        backups: take the backups of a key on a token along, which lie beside its file.
        dry_run: find out and write nothing.
        fetch: gets an address's text; a test's own.

    Raises:
        MalformedKey: a source without a key; UsageError: nothing is left, or a bad source or user.
        NoPermission, FidokitError: the file or the other machine could not be used.
    """
    if backups:
        sources = _with_backups(sources)
    fetched = [_from(source, only_hardware, fetch or of.fetch) for source in sources]
    keys = [key for found in fetched for key in found.keys]
    if not keys:
        raise UsageError(
            "none of these keys is on a token" if only_hardware else "no key was named",
            hint="leave --only-hardware out to take the others" if only_hardware else "",
        )
    done = _edit(place, lambda text: lines.authorize(text, keys, options), dry_run)
    remote = tuple(f for f in fetched if of.is_remote(f.source))
    warnings = (*done.warnings, *_type_warnings(keys, done), *_idle_options(keys, options))
    return Authorized(done.where, done.change, remote, warnings)


def revoke_keys(
    keys: Sequence[str],
    place: AuthorizeTarget = AuthorizeTarget(),
    *,
    dry_run: bool = False,
) -> Authorized:
    """Take keys out of an account.

    Args:
        keys: fingerprints (`SHA256:...`) or key files.
        place: whose account.
        dry_run: find out and write nothing.

    Raises:
        UsageError: none of the keys is there, or a bad key or user.
        NoPermission, FidokitError: the file or the other machine could not be used.
    """
    prints = [_fingerprint(key) for key in keys]
    done = _edit(place, lambda text: lines.revoke(text, prints), dry_run)
    if not done.change.removed:
        raise UsageError(
            f"none of these keys is in {done.where}",
            hint="`fidokit key show FILE` lists what is in a file",
        )
    return Authorized(done.where, done.change, warnings=done.warnings)


def _from(source: str, only_hardware: bool, fetch: Fetch) -> Fetched:
    if of.is_remote(source):
        text = fetch(of.address_of(source))
        return of.keys_from(source, text, only_hardware=only_hardware)
    return of.keys_from(source, _public_text(Path(source)), only_hardware=only_hardware)


def _with_backups(sources: Sequence[str]) -> list[str]:
    """The sources, each file followed by those of its backups that are not named anyway."""
    named = list(dict.fromkeys(sources))
    for source in sources:
        if not of.is_remote(source):
            beside = [str(file) for file in backups_beside(Path(source).expanduser())]
            named += [file for file in beside if file not in named]
    return named


def _public_text(path: Path) -> bytes:
    """What a public key file holds; of a private one, the file beside it or its own public part."""
    data = read_bounded(path.expanduser(), 1 << 20)
    if not data.lstrip().startswith(b"-----BEGIN"):
        return data
    beside = public_path(path.expanduser())
    if beside.exists():
        return read_bounded(beside, 1 << 20)
    line, _ = read_key(path.expanduser())
    return PublicLine(line.key, line.comment or path.name).encode().encode()


def _fingerprint(key: str) -> str:
    if key.startswith(_FINGERPRINT):
        return key
    line, _ = read_key(Path(key).expanduser())
    return fingerprint.sha256(line.key.blob())


@dataclass(frozen=True)
class _Done:
    where: str
    change: Change
    openssh: str = ""
    algorithms: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def _edit(place: AuthorizeTarget, change: Callable[[bytes], Change], dry_run: bool) -> _Done:
    if place.destination is None:
        return _edit_here(place, change, dry_run)
    if place.user is not None:
        raise UsageError("the user of another machine stands in its destination: user@host")
    return _edit_there(place, place.destination, change, dry_run)


def _edit_there(
    place: AuthorizeTarget, destination: str, change: Callable[[bytes], Change], dry_run: bool
) -> _Done:
    if destination.startswith("-"):
        raise UsageError(f"{destination!r} is no destination", hint="say [user@]host")
    path = place.path or DEFAULT
    made, found = remote.edit([*place.ssh, "--", destination], path, change, dry_run=dry_run)
    where = f"{destination}:{path}"
    return _Done(where, made, found.openssh, found.algorithms)


def _edit_here(place: AuthorizeTarget, change: Callable[[bytes], Change], dry_run: bool) -> _Done:
    user = account(place.user)
    host = Host()
    settings = _settings(user.name)
    if place.path is None and not settings.key_files:
        raise FidokitError(
            "sshd's configuration here has no AuthorizedKeysFile: no file lets anybody in",
            hint="look for AuthorizedKeysCommand and TrustedUserCAKeys in `sshd -T`",
        )
    path = path_of(user, place.path or settings.key_files[0])
    made = key_file.edit(user, path, change, dry_run=dry_run)
    warnings = [f"sshd will not read it: {why}" for why in strict_modes_problems(path, user)]
    openssh = host.run(["ssh", "-V"]) or ""
    algorithms = settings.listed("pubkeyacceptedalgorithms")
    return _Done(str(path), made, openssh, algorithms, tuple(warnings))


def _settings(user: str) -> SshdSettings:
    try:
        return sshd_here().settings(user, LOOPBACK)
    except SshdNotAsked:
        return SshdSettings()


def _type_warnings(keys: Sequence[PublicLine], done: _Done) -> list[str]:
    """Why the server may refuse these types of keys."""
    types = sorted({line.key.type_name for line in keys})
    version = parse_version(done.openssh)
    said = []
    if version and version < _SK_SINCE and any(name.startswith(_SK) for name in types):
        said.append(
            f"the OpenSSH there is {version[0]}.{version[1]}; keys on tokens need 8.2 or newer"
        )
    refused = [name for name in types if done.algorithms and not _taken(name, done.algorithms)]
    said += [f"sshd's PubkeyAcceptedAlgorithms there leaves out {name}" for name in refused]
    return said


def _idle_options(keys: Sequence[PublicLine], options: Sequence[Option]) -> list[str]:
    """Options about the token do nothing for keys that are on none."""
    idle = [option.name for option in options if option.name in _OF_TOKENS]
    if not idle or all(line.key.type_name.startswith(_SK) for line in keys):
        return []
    return [f"{' and '.join(idle)} means nothing for keys that are on no token"]


def _taken(key_type: str, algorithms: Sequence[str]) -> bool:
    signs_as = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}
    return any(name in algorithms for name in signs_as.get(key_type, (key_type,)))
