"""Host blocks of ssh_config(5) for keys: made, put where ssh reads them, and proved by `ssh -G`.

ssh takes the first value that it finds. So the blocks are in a file of our own, which the first
line of the user's configuration includes; nothing else of that configuration is changed.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from fidokit.errors import FidokitError, UsageError
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.files.keyfile import ensure_ssh_folder, read_bounded, ssh_folder
from fidokit.system.openssh_programs import client_settings

OWN_NAME: Final = "fidokit.conf"
"""Of the file with our blocks, in ~/.ssh."""

MAX_CONFIG: Final = 1 << 20
"""Bytes of a configuration file that is read."""

_NOTE: Final = "# By `fidokit ssh-config --install`; `fidokit ssh-config --remove` takes it out.\n"
_FIRST: Final = "# Written by `fidokit ssh-config --install`; run it again to change a block.\n"
_HOST: Final = re.compile(r"[^\s\"'#\\!,%]+")
_UNFIT: Final = re.compile(r"[\"\x00-\x1f\x7f]|\$\{")
_BLOCK: Final = re.compile(r"^Host (.*)\n((?:(?!Host ).*\n)*)", re.MULTILINE)

Ssh = Sequence[str]
"""The program and its options, such as `("ssh", "-F", "config")`."""


@dataclass(frozen=True, slots=True)
class HostBlock:
    """What ssh is to do for a host.

    Attributes:
        host: a name, or a pattern such as `*.example.org`.
        identity: the private file of the key, or its public one where an agent has the key.
        user: the account there; empty for ssh's own choice.
        port: None for ssh's own choice.
        provider: the SecurityKeyProvider that reaches the token; empty for ssh's own.
        agent: the IdentityAgent, a socket or `none`; empty for the one of the environment.
    """

    host: str
    identity: Path
    user: str = ""
    port: int | None = None
    provider: str = ""
    agent: str = ""

    def __post_init__(self) -> None:
        """Refuse what ssh would read as something else.

        Raises:
            UsageError: the host or a value cannot be written so that ssh reads it as it is.
        """
        if not _HOST.fullmatch(self.host) or self.host.startswith("-"):
            raise UsageError(f"{self.host!r} is not a host", hint="name it as ssh does: host")
        for value in (str(self.identity), self.user, self.provider, self.agent):
            if _UNFIT.search(value) or (value == self.user and "%" in value):
                raise UsageError(
                    f"ssh_config cannot hold {value!r}", hint="rename it, without quotes and ${"
                )

    @property
    def settings(self) -> Sequence[tuple[str, str]]:
        """Keywords and their values, as they are written."""
        found = [("User", _quoted(self.user))] if self.user else []
        found += [("Port", str(self.port))] if self.port else []
        found += [("IdentityFile", _identity(self.identity))]
        found += [("IdentitiesOnly", "yes")]
        if self.provider:
            found.append(("SecurityKeyProvider", _quoted(self.provider)))
        if self.agent:
            found.append(("IdentityAgent", _quoted(_literal(self.agent))))
        return found

    def text(self) -> str:
        """The block, each line with its end."""
        lines = [f"Host {self.host}", *(f"    {name} {value}" for name, value in self.settings)]
        return "".join(f"{line}\n" for line in lines)


def parse_destination(text: str) -> tuple[str, str]:
    """User and host of `[user@]host`; the user is empty if none is named."""
    user, _, host = text.rpartition("@")
    return user, host


def _identity(path: Path) -> str:
    return _quoted(_literal(home_form(path)))


def _literal(value: str) -> str:
    """A value in which ssh finds no tokens to replace."""
    return value.replace("%", "%%")


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value


def home_form(path: Path) -> str:
    """A path as it is written into a configuration: from ~ on, if ssh has the same home folder."""
    absolute = path.absolute()
    if _ssh_has_our_home() and absolute.is_relative_to(Path.home()):
        return f"~/{absolute.relative_to(Path.home())}"
    return str(absolute)


def _ssh_has_our_home() -> bool:
    """Whether HOME is the home folder of the user database, the only one that ssh asks."""
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir) == Path.home()
    except KeyError:
        return False


# --- in the user's configuration -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """What was done, or would be, to the configuration of ssh.

    Attributes:
        file: with our blocks.
        added, removed: hosts.
        present: hosts whose block was there as it is wished.
        includes: the configuration that got the Include line, or lost it; None for neither.
        problems: sentences: what `ssh -G` shows that is not as it was written.
    """

    file: Path
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    includes: Path | None = None
    problems: tuple[str, ...] = ()


def install_blocks(blocks: Sequence[HostBlock], *, ssh: Ssh = ("ssh",)) -> ConfigChange:
    """Put blocks where ssh reads them; a block of the same host is replaced.

    Args:
        blocks: one for each host.
        ssh: the program that is asked whether it reads them so.

    Raises:
        NoPermission, FidokitError: a file cannot be read or written.
    """
    own, config = own_file(), ssh_folder() / "config"
    ensure_ssh_folder(own)
    before = _read(own)
    held = dict(_BLOCK.findall(before))
    wanted = {block.host: block.text().partition("\n")[2] for block in blocks}
    present = tuple(host for host, body in wanted.items() if held.get(host) == body)
    _write(own, before, _file_text({**held, **wanted}))
    text = _read(config)
    included = _include_line() in text.splitlines(keepends=True)
    if not included:
        _write(config, text, f"{_head()}{text}")
    return ConfigChange(
        own,
        added=tuple(host for host in wanted if host not in present),
        present=present,
        includes=None if included else config,
        problems=tuple(dict.fromkeys(p for block in blocks for p in disagreements(block, ssh))),
    )


def own_file() -> Path:
    """The file with our blocks."""
    return ssh_folder() / OWN_NAME


class InstalledBlock(NamedTuple):
    """A block in our file: its host, and its text."""

    host: str
    text: str


def installed_blocks() -> list[InstalledBlock]:
    """The blocks that were installed, in their order."""
    found = _BLOCK.findall(_read(own_file()))
    return [InstalledBlock(host, f"Host {host}\n{body}") for host, body in found]


def installed_hosts(identity: Path) -> list[str]:
    """The hosts whose blocks of ours name this key, as destinations; patterns are left out."""
    found = []
    for host, body in _BLOCK.findall(_read(own_file())):
        values = dict(line.strip().partition(" ")[::2] for line in body.splitlines())
        if values.get("IdentityFile") == _identity(identity) and not {"*", "?"} & set(host):
            found.append(f"{values['User']}@{host}" if "User" in values else host)
    return found


def blocks_with(identity: Path) -> list[HostBlock]:
    """The installed blocks that name this key.

    Args:
        identity: the private file of the key, or its public one.
    """
    found = []
    for host, body in _BLOCK.findall(_read(own_file())):
        pairs = [line.strip().partition(" ") for line in body.splitlines()]
        values = {name: value.strip('"').replace("%%", "%") for name, _, value in pairs}
        raw = {name: value for name, _, value in pairs}
        if raw.get("IdentityFile") == _identity(identity):
            port = values.get("Port", "")
            made = HostBlock(
                host,
                identity,
                raw.get("User", "").strip('"'),
                int(port) if port.isascii() and port.isdigit() else None,
                raw.get("SecurityKeyProvider", "").strip('"'),
                values.get("IdentityAgent", ""),
            )
            found.append(made)
    return found


def remove_blocks(hosts: Sequence[str] = ()) -> ConfigChange:
    """Take our blocks out, and with the last one the Include line and our file.

    Args:
        hosts: whose; all if none is named. One without a block is passed over.

    Raises:
        NoPermission, FidokitError: a file cannot be read or written.
    """
    own, config = own_file(), ssh_folder() / "config"
    before = _read(own)
    held = dict(_BLOCK.findall(before))
    gone = tuple(host for host in held if not hosts or host in hosts)
    kept = {host: body for host, body in held.items() if host not in gone}
    if kept:
        _write(own, before, _file_text(kept))
        return ConfigChange(own, removed=gone)
    text = _read(config)
    rest = _without_include(text)
    _write(config, text, rest)
    with explained(own):
        own.unlink(missing_ok=True)
    return ConfigChange(own, removed=gone, includes=config if rest != text else None)


def _file_text(bodies: dict[str, str]) -> str:
    return _FIRST + "".join(f"Host {host}\n{body}" for host, body in bodies.items())


def _include_line() -> str:
    own = own_file()
    return f"Include {OWN_NAME if _ssh_has_our_home() else _quoted(str(own))}\n"


def _head() -> str:
    return f"{_NOTE}{_include_line()}\n"


def _without_include(text: str) -> str:
    """A configuration as it was before; the lines may have been moved since."""
    if text.startswith(_head()):
        return text.removeprefix(_head())
    ours = {_NOTE, _include_line()}
    return "".join(line for line in text.splitlines(keepends=True) if line not in ours)


def _read(path: Path) -> str:
    """What a file holds, any bytes; empty if it is not there."""
    if not path.exists():
        return ""
    return read_bounded(path, MAX_CONFIG).decode("utf-8", "surrogateescape")


def _write(path: Path, before: str, text: str) -> None:
    """Replace a file in one step, or where a symbolic link leads to; an empty one goes."""
    if text == before:
        return
    real = Path(os.path.realpath(path))
    mode = real.stat().st_mode & 0o777 if real.exists() else atomic.PRIVATE_MODE
    if text or path.is_symlink():
        atomic.replace(real, text.encode("utf-8", "surrogateescape"), mode)
    else:
        with explained(real):
            real.unlink()


# --- what ssh makes of it ------------------------------------------------------------------------


def disagreements(block: HostBlock, ssh: Ssh = ("ssh",)) -> list[str]:
    """Where ssh would do something else for the host than its block says, a sentence each.

    Args:
        block: one that is installed.
        ssh: the program. The one that reads the user's own configuration is given the file under
            HOME, if it would look for another.
    """
    words = [*ssh]
    if len(words) == 1 and not _ssh_has_our_home():
        words += ["-F", str(ssh_folder() / "config")]
    found = _compared(block, words)
    if words != [*ssh]:
        config = shlex.quote(str(ssh_folder() / "config"))
        found.append(
            f"HOME is not your home folder in the user database, so ssh reads this by -F {config}"
        )
    return found


def require_valid(block: HostBlock, ssh: Ssh = ("ssh",)) -> None:
    """Return for a block that the installed ssh reads as it is meant.

    Raises:
        FidokitError: it does not; the sentence has its words.
    """
    with TemporaryDirectory(prefix="fidokit-") as folder:
        file = Path(folder) / "config"
        file.write_text(block.text(), "utf-8")
        found = _compared(block, [*ssh, "-F", str(file)])
    if found:
        raise FidokitError(
            f"the installed ssh does not read this block as it is meant: {found[0]}",
            hint="look at ssh_config(5) of the installed OpenSSH",
        )


def _compared(block: HostBlock, ssh: Ssh) -> list[str]:
    sample = block.host.replace("*", "x").replace("?", "x")
    shown = client_settings(sample, ssh)
    if isinstance(shown, str):
        return [shown]
    wrong = []
    for name, value in block.settings:
        wanted = _expanded(value)
        got = [_expanded(one) for one in shown.get(name.lower(), [])]
        if got[:1] != [wanted]:
            wrong.append(f"for {sample}, ssh uses {name} {got[0] if got else 'of its own'}")
    return wrong


def _expanded(value: str) -> str:
    """A value without its quotes and tokens, for a comparison with what `ssh -G` prints."""
    return os.path.expanduser(value.strip('"').replace("%%", "%"))  # noqa: PTH111  hostile text
