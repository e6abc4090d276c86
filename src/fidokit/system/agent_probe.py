"""Whether an SSH agent can be reached (PROTOCOL.agent: request 11, answer 12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fidokit.system.findings import Finding, Status
from fidokit.system.host import Host

REQUEST_IDENTITIES: Final = b"\x0b"
IDENTITIES_ANSWER: Final = 0x0C

_START = 'start one with `eval "$(ssh-agent)"`, or log in to a desktop session that has one'


def probe(host: Host) -> list[Finding]:
    """Whether SSH_AUTH_SOCK leads to an agent that answers, and how many keys it has."""
    path = host.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        return [Finding("agent", Status.WARN, "no SSH agent: SSH_AUTH_SOCK is not set", _START)]
    try:
        answer = host.exchange(path, REQUEST_IDENTITIES)
    except OSError as error:
        return [_bad(_sentence(error).format(path=path))]
    if len(answer) < 5 or answer[0] != IDENTITIES_ANSWER:
        return [_bad(f"what listens at {path} is no SSH agent, or it is locked")]
    count = int.from_bytes(answer[1:5], "big")
    keys = "1 key" if count == 1 else f"{count} keys"
    return [Finding("agent", Status.OK, f"the SSH agent answers and holds {keys}")]


_SENTENCES: Final[Mapping[type[OSError], str]] = {
    FileNotFoundError: "SSH_AUTH_SOCK names {path}, which does not exist",
    PermissionError: "this user may not talk to the SSH agent at {path}",
    ConnectionRefusedError: "the SSH agent behind {path} has ended",
}


def _sentence(error: OSError) -> str:
    return _SENTENCES.get(type(error), "the SSH agent at {path} does not answer")


def _bad(sentence: str) -> Finding:
    return Finding("agent", Status.FAIL, sentence, _START)
