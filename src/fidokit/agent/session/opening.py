"""Opening a session: a key in a process of its own, its certificate from a token, its end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.agent.hosts import destinations, known_hosts
from fidokit.errors import FidokitError, UsageError
from fidokit.files.scan import find_keys
from fidokit.openssh.agent_constraints import Constraints, Destination
from fidokit.openssh.keys.public import parse_public
from fidokit.signing.certificates import certificate_request, certify
from fidokit.system.foreground import run_command

if TYPE_CHECKING:
    from fidokit.openssh.certificates.certificate import Certificate
    from fidokit.openssh.keys.public import PublicKey
    from fidokit.signing.certificates import CertificateRequest
    from fidokit.signing.signers import Signer

KEEPER: Final = (sys.executable, "-P", "-m", "fidokit.agent.session.keeper")
"""The program that keeps the key; -P: not from the folder that the command was started in."""
MOST_SECONDS: Final = 86_400
"""A day: what lasts longer is not a session, and better a key of its own."""
GRACE_S: Final = 3.0
_SK: Final = "sk-"


@dataclass(frozen=True, slots=True)
class SessionWish:
    """What a session is to be.

    Args:
        seconds: how long it lasts, a day at most.
        principals: whom its certificate names.
        key_id: what sshd logs of it.
        hosts: where its key may be used, as `ssh-add -h` takes it, or patterns; empty: anywhere.
        known_hosts: files with the keys of these hosts; the usual ones when empty.
        options: as `ssh-keygen -O` takes them for certificates.
    """

    seconds: int
    principals: Sequence[str]
    key_id: str
    hosts: Sequence[str] = ()
    known_hosts: Sequence[Path] = ()
    options: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """A wish that makes sense: all that can fail before a touch has not failed."""

    seconds: int
    request: CertificateRequest
    destinations: tuple[Destination, ...]

    @property
    def host_keys(self) -> int:
        """How many different host keys, or authorities for hosts, its key may be used for."""
        return len({spec for one in self.destinations for spec in one.to.keys})


def plan_session(wish: SessionWish) -> SessionPlan:
    """Check a wish, and look up the hosts' keys.

    Raises:
        UsageError: a time, principal, option or host that is not valid, or is not known.
    """
    if not 0 < wish.seconds <= MOST_SECONDS:
        raise UsageError(
            "a session lasts a second at least and a day at most", hint="such as 10m, or 8h"
        )
    request = certificate_request(
        wish.key_id,
        principals=",".join(wish.principals),
        validity=f"+{wish.seconds}s",
        options=wish.options,
    )
    known = known_hosts(wish.known_hosts) if wish.hosts else []
    return SessionPlan(wish.seconds, request, destinations(wish.hosts, known))


def only_authority(folder: Path) -> Path:
    """The private file of the one key on a token that has one in a folder.

    Raises:
        UsageError: there is none, or several.
    """
    files = {
        found.line.key: found.path
        for found in find_keys([folder])
        if found.is_private and found.line.key.type_name.startswith(_SK)
    }
    if len(files) == 1:
        return next(iter(files.values()))
    if files:
        raise UsageError(
            f"several keys on tokens have a file in {folder}",
            hint=f"choose with -s: {', '.join(map(str, files.values()))}",
        )
    raise UsageError(
        f"no key on a token has a file in {folder}",
        hint="name one with -s, or recover a resident one: `fidokit key download`",
    )


def _require_on_token(signer: Signer) -> None:
    """Whoever copied an authority's file could open sessions for ever."""
    if not signer.public.type_name.startswith(_SK):
        raise UsageError(
            f"the key of {signer.name} is not on a token",
            hint="name a key on a token with -s: `fidokit key generate` makes one",
        )


@dataclass(slots=True)
class OpenSession:
    """A session whose agent answers.

    Attributes:
        socket: where clients find the agent: SSH_AUTH_SOCK.
        keeper: the process that keeps the key.
        certificate: what servers are shown.
    """

    socket: Path
    keeper: subprocess.Popen[bytes]
    certificate: Certificate

    @property
    def over(self) -> bool:
        """Whether its agent has ended."""
        return self.keeper.poll() is not None


@contextmanager
def open_session(
    plan: SessionPlan, authority: Callable[[], AbstractContextManager[Signer]]
) -> Iterator[OpenSession]:
    """A session for the `with` block; nothing of it is left behind.

    Args:
        plan: from `plan_session`.
        authority: opens the key on a token that signs, see `signing.signers.open_signer`; it is
            closed before the block begins.

    Raises:
        UsageError: the authority is not on a token.
        FidokitError: the process that is to keep the key cannot; and what the authority raises.
    """
    keeper = subprocess.Popen(  # noqa: S603  our own program
        KEEPER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,  # Ctrl-C is for the command
    )
    folder: Path | None = None
    try:
        public = parse_public(bytes.fromhex(_heard(keeper, "public")))
        with authority() as signer:
            _require_on_token(signer)
            certificate = _certified(signer, plan, public)
        _order(keeper, plan, certificate)
        socket = Path(_heard(keeper, "socket"))
        folder = socket.parent
        yield OpenSession(socket, keeper, certificate)
    finally:
        _end(keeper)
        if folder is not None:  # if it was killed
            shutil.rmtree(folder, ignore_errors=True)


def run_in_session(
    opened: OpenSession, command: Sequence[str], on_child: Callable[[], None]
) -> int:
    """Run a command that finds the session's agent, and no other.

    Args:
        opened: the session.
        command: program and arguments.
        on_child: called now and then while it runs.

    Returns:
        Its exit status; 128 and the number of the signal that ended it.

    Raises:
        OSError: it cannot be started.
    """
    environ = {**os.environ, "SSH_AUTH_SOCK": str(opened.socket)}
    environ.pop("SSH_AGENT_PID", None)
    return run_command(command, environ, on_child)


def _certified(signer: Signer, plan: SessionPlan, key: PublicKey) -> Certificate:
    """The session's certificate; a number by chance lets a revocation list name it."""
    serial = int.from_bytes(os.urandom(8), "big")
    return certify(signer, key, plan.request, serial)


def _heard(keeper: subprocess.Popen[bytes], name: str) -> str:
    assert keeper.stdout  # noqa: S101  a pipe, as asked for
    line = b""
    while not line.endswith(b"\n") and (data := os.read(keeper.stdout.fileno(), 1 << 16)):
        line += data
    said: Mapping[str, str] = json.loads(line) if line else {}
    if "error" in said:
        raise FidokitError(said["error"], hint=said.get("hint", ""))
    if name not in said:
        raise FidokitError("the process that is to keep the session's key ended")
    return said[name]


def _order(keeper: subprocess.Popen[bytes], plan: SessionPlan, certificate: Certificate) -> None:
    assert keeper.stdin  # noqa: S101  a pipe, as asked for
    order = {
        "certificate": certificate.blob().hex(),
        "constraints": Constraints(destinations=plan.destinations).encode().hex(),
        "seconds": plan.seconds,
    }
    with suppress(BrokenPipeError):  # what it says, or does not say, next is why
        left = memoryview(json.dumps(order).encode() + b"\n")
        while left:
            left = left[os.write(keeper.stdin.fileno(), left) :]


def _end(keeper: subprocess.Popen[bytes]) -> None:
    """Have it end by itself; one that does not is killed."""
    assert keeper.stdin  # noqa: S101  pipes, as asked for
    assert keeper.stdout  # noqa: S101
    keeper.stdin.close()
    try:
        keeper.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()
    keeper.stdout.close()
