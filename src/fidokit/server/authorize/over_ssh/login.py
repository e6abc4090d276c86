"""Asking a server over the network whether it takes a key, by the stock ssh.

The public-key query needs the public half alone and asks for no touch. ssh gets a configuration of
ours with what the user's own says about reaching the host, so that none of the user's keys is tried
instead.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.server.authorize.standing import Admittance, KeyStanding, ServerAnswer
from fidokit.server.authorize.wishes import WantedKey
from fidokit.server.sshd.key_questions import PublicText
from fidokit.system.openssh_programs import client_settings

_QUERY_S: Final = 60.0
_LOGIN_S: Final = 180.0
_AT_ONCE: Final = 5
"""Keys of one connection: a server ends it after six that it refuses (MaxAuthTries)."""

_REACHING: Final = frozenset(
    """
    addressfamily bindaddress bindinterface checkhostip ciphers connecttimeout globalknownhostsfile
    hostkeyalgorithms hostkeyalias hostname kexalgorithms knownhostscommand macs port proxycommand
    pubkeyacceptedalgorithms pubkeyacceptedkeytypes requiredrsasize securitykeyprovider
    stricthostkeychecking user userknownhostsfile verifyhostkeydns
    """.split()  # noqa: SIM905  one word a line would be a page
)
_ACCEPTS: Final = re.compile(r"Server accepts key: .*(SHA256:\S+)")
_OFFERED: Final = re.compile(r"Offering public key: .*(SHA256:\S+)")
_IN: Final = re.compile(r'^Authenticated (to .* )?using "publickey"', re.MULTILINE)
_OWN: Final = (
    "IdentitiesOnly yes",
    "PreferredAuthentications publickey",
    "ControlMaster no",
    "ControlPath none",
    "UpdateHostKeys no",
    "ForwardAgent no",
)


def ask(
    ssh: Sequence[str], destination: str, keys: Sequence[WantedKey]
) -> Mapping[str, ServerAnswer]:
    """What the server says of keys, by fingerprint."""
    return ask_texts(ssh, destination, [PublicText.of(key.line) for key in keys])


def ask_texts(
    ssh: Sequence[str], destination: str, keys: Sequence[PublicText], *, jump: bool = False
) -> Mapping[str, ServerAnswer]:
    """What the server says of public keys, by fingerprint.

    Args:
        ssh: the program and its options.
        destination: `[user@]host`.
        keys: the public halves; also certificates, one at a time.
        jump: go by jump hosts, too, whose logins may ask for PIN and touch.
    """
    found: dict[str, ServerAnswer] = {}
    with TemporaryDirectory(prefix="fidokit-") as folder:
        config = _config(Path(folder), ssh, destination, jump=jump)
        if isinstance(config, str):
            return {key.fingerprint: ServerAnswer(None, why=config) for key in keys}
        for at in range(0, len(keys), _AT_ONCE):
            some = keys[at : at + _AT_ONCE]
            said = _query(config, ssh, destination, some)
            found.update({key.fingerprint: _answer(said, key) for key in some})
    return found


def verbose_login(command: Sequence[str], destination: str, log: Path, seconds: float) -> str:
    """What ssh notes down of a login that runs `true`, however it ends.

    Args:
        command: ssh, with its options.
        destination: `[user@]host`.
        log: a file for it, which is emptied first.
        seconds: after which it is ended.
    """
    log.write_bytes(b"")
    # Whatever ends it, what it noted down until then says how far it came.
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(  # noqa: S603  the user's own ssh
            [*command, "-v", "-T", "-E", str(log), "--", destination, "true"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    return log.read_text("utf-8", "replace")


def is_let_in(said: str) -> bool:
    """Whether a verbose login ended in one by a key."""
    return bool(_IN.search(said))


def accepted_keys(said: str) -> list[str]:
    """Fingerprints of the keys that the server accepted in a verbose login, in order."""
    return _ACCEPTS.findall(said)


def last_words(said: str) -> str:
    """The last line of a verbose login that is not a trace; empty if there is none."""
    words = [line for line in said.splitlines() if line.strip() and not line.startswith("debug")]
    return words[-1].strip() if words else ""


def _answer(said: str, key: PublicText) -> ServerAnswer:
    if key.fingerprint in accepted_keys(said):
        return ServerAnswer(True)
    if key.fingerprint in _OFFERED.findall(said):
        return ServerAnswer(False)
    return ServerAnswer(None, why=f"ssh could not ask: {last_words(said) or 'it says nothing'}")


def _query(config: Path, ssh: Sequence[str], destination: str, keys: Sequence[PublicText]) -> str:
    named = []
    for number, key in enumerate(keys):
        public = config.with_name(f"{number}.pub")
        public.write_text(f"{key.text}\n")
        public.chmod(0o600)  # ssh looks into it for a private key, too
        named += ["-i", str(public)]
    # nothing is signed, and ssh offers no key on a token if its provider is not to be found
    options = ["-oBatchMode=yes", "-oIdentityAgent=none", "-oSecurityKeyProvider=internal", *named]
    return _connect(config, ssh, destination, options, _QUERY_S)


def tried(
    ssh: Sequence[str], destination: str, standing: KeyStanding, *, jump: bool = False
) -> KeyStanding:
    """What is proved of a key after a login with it: ssh asks for PIN and touch.

    Args:
        ssh: the program and its options.
        destination: `[user@]host`.
        standing: the key, and what was proved of it before.
        jump: go by jump hosts, too.
    """
    with TemporaryDirectory(prefix="fidokit-") as folder:
        config = _config(Path(folder), ssh, destination, jump=jump)
        if isinstance(config, str):
            return standing
        options = ["-oBatchMode=no", "-i", standing.key.identity]
        said = _connect(config, ssh, destination, options, _LOGIN_S)
    if is_let_in(said):
        return KeyStanding(standing.key, Admittance.LETS_IN)
    return replace(standing, standing=Admittance.UNPROVED, why="the login with it did not work")


def _connect(
    config: Path, ssh: Sequence[str], destination: str, options: Sequence[str], seconds: float
) -> str:
    command = [ssh[0], "-F", str(config), *options]
    return verbose_login(command, destination, config.with_name("log"), seconds)


def _by_jump_hosts(ssh: Sequence[str], hosts: str) -> str:
    """The ProxyCommand that stands for a ProxyJump, which keeps the same options."""
    *before, last = hosts.split(",")
    words = [ssh[0]]
    if "-F" in ssh[:-1]:
        words += ["-F", ssh[list(ssh).index("-F") + 1]]
    words += ["-J", ",".join(before)] if before else []
    command = shlex.join([*words, "-W", "TARGET", "--", f"ssh://{last.removeprefix('ssh://')}"])
    return command.replace("%", "%%").replace("TARGET", "[%h]:%p", 1)


def _config(
    folder: Path, ssh: Sequence[str], destination: str, *, jump: bool = False
) -> Path | str:
    """How the user's ssh reaches a host, as a configuration; a sentence where that is not known."""
    said = client_settings(destination, ssh)
    if isinstance(said, str):
        return said
    hosts = next(iter(said.get("proxyjump", ())), "none")
    if hosts != "none" and not jump:
        return "the host is reached by a jump host, which might need another touch"
    kept = [f"{name} {value}" for name in said if name in _REACHING for value in said[name]]
    if hosts != "none":
        kept.append(f"proxycommand {_by_jump_hosts(ssh, hosts)}")
    config = folder / "config"
    config.write_text("\n".join([*kept, *_OWN]) + "\n", "utf-8", "surrogateescape")
    return config
