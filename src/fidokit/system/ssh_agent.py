"""The SSH agent behind SSH_AUTH_SOCK: whether it answers, and can hold keys of tokens."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, NamedTuple

from fidokit.system.host import Host
from fidokit.system.probes import Finding, Status

REQUEST_IDENTITIES: Final = b"\x0b"
IDENTITIES_ANSWER: Final = 0x0C
"""PROTOCOL.agent: the one request that changes nothing in any agent."""

_START: Final = 'start one with `eval "$(ssh-agent)"`, or log in to a desktop session that has one'
OURS_HOLDS_THEM: Final = '`eval "$(fidokit agent serve --background)"` starts one that holds them'
_OF_TOKENS: Final = (b"sk-ssh-ed25519@openssh.com", b"sk-ecdsa-sha2-nistp256@openssh.com")


class AgentKind(NamedTuple):
    """An agent that is not OpenSSH's.

    Attributes:
        name: what people call it.
        places: parts of its socket's path, in small letters.
        programs: how its process begins, as the kernel names it (15 bytes at most).
        refuses: whether it is known to refuse keys of tokens; it may take them otherwise.
    """

    name: str
    places: tuple[str, ...]
    programs: tuple[str, ...]
    refuses: bool


_KINDS: Final = (
    AgentKind("gpg-agent", ("s.gpg-agent.ssh",), ("gpg-agent",), refuses=True),
    AgentKind("1Password's agent", ("1password",), ("1password",), refuses=True),
    AgentKind("Bitwarden's agent", ("bitwarden",), ("bitwarden",), refuses=True),
    AgentKind("yubikey-agent", ("yubikey-agent",), ("yubikey-agent",), refuses=True),
    AgentKind("ssh-tpm-agent", ("ssh-tpm-agent",), ("ssh-tpm-agent",), refuses=True),
    AgentKind(
        "GNOME Keyring", ("/keyring/ssh", "/keyring/.ssh"), ("gnome-keyring-d",), refuses=False
    ),
    AgentKind(
        "GNOME's gcr-ssh-agent", ("/gcr/ssh", "/gcr/.ssh"), ("gcr-ssh-agent",), refuses=False
    ),
)
"""1Password and Bitwarden serve ed25519 and RSA keys of their vaults; the Go agents report `not
implemented` for sk keys; GNOME's pass keys on to an ssh-agent of their own, which has to find a way
to ask for a touch and a PIN."""


def probe(host: Host) -> list[Finding]:
    """Whether SSH_AUTH_SOCK leads to an agent that answers, and what it can hold. Adds no key."""
    path = host.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        return [Finding("agent", Status.WARN, "no SSH agent: SSH_AUTH_SOCK is not set", _START)]
    try:
        answer = host.exchange(path, REQUEST_IDENTITIES)
    except OSError as error:
        return [_bad(_sentence(error).format(path=path))]
    if len(answer) < 5 or answer[0] != IDENTITIES_ANSWER:
        return [_bad(f"what listens at {path} is not an SSH agent, or it is locked")]
    count = int.from_bytes(answer[1:5], "big")
    keys = "1 key" if count == 1 else f"{count} keys"
    kind = None if any(name in answer for name in _OF_TOKENS) else kind_of_agent(path, host)
    if kind is None:
        return [Finding("agent", Status.OK, f"the SSH agent answers and holds {keys}")]
    return [_limited(kind, keys)]


def kind_of_agent(path: str, host: Host | None = None) -> AgentKind | None:
    """Which agent it is, by its socket's path, links followed, and by who listens there.

    Args:
        path: its socket.
        host: this machine when None.

    Returns:
        None for one that is not known to differ from OpenSSH's.
    """
    host = host or Host()
    places = f"{path}\n{os.path.realpath(path)}".lower()
    listener = host.listener(path).lower()
    for kind in _KINDS:
        if any(part in places for part in kind.places):
            return kind
        if listener and listener.startswith(kind.programs):
            return kind
    return None


def _limited(kind: AgentKind, keys: str) -> Finding:
    if kind.refuses:
        sentence = f"{kind.name} answers and holds {keys}, but cannot hold keys of tokens"
        return Finding("agent", Status.WARN, sentence, OURS_HOLDS_THEM)
    return Finding(
        "agent",
        Status.WARN,
        f"{kind.name} answers and holds {keys}; not every version takes keys of tokens",
        f"`ssh-add ~/.ssh/id_ed25519_sk` shows it; {OURS_HOLDS_THEM}",
    )


_SENTENCES: Final[Mapping[type[OSError], str]] = {
    FileNotFoundError: "SSH_AUTH_SOCK names {path}, which does not exist",
    PermissionError: "this user may not talk to the SSH agent at {path}",
    ConnectionRefusedError: "the SSH agent behind {path} has ended",
}


def _sentence(error: OSError) -> str:
    return _SENTENCES.get(type(error), "the SSH agent at {path} does not answer")


def _bad(sentence: str) -> Finding:
    return Finding("agent", Status.FAIL, sentence, _START)
