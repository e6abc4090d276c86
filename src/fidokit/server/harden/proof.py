"""A throw-away sshd on loopback, asked by the stock ssh whom it would let in.

For each question one connection: a socket of ours on 127.0.0.1, ssh at one end, and at the other
`sshd -i`, which serves the one connection that it inherits. Whatever ports the configuration names
are not touched, no process stays, and what `from=` and `Match Address` see is loopback.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.errors import FidokitError
from fidokit.openssh.keys.public import PublicLine

QUERY_S: Final = 30.0
LOGIN_S: Final = 180.0
"""Seconds for a person to find the token, type a PIN and touch."""

_ACCEPTS: Final = "Server accepts key: "
_AUTHENTICATED: Final = re.compile(r'^Authenticated (to .* )?using "publickey"', re.MULTILINE)
"""Also where it is one of several methods that are asked for: "with partial success"."""

_ASKED: Final = "Offering public key: "
_HOST: Final = "127.0.0.1"
_PROVIDER: Final = "SSH_SK_PROVIDER"
_PATIENCE_S: Final = 0.1

# sshd takes the first value of a setting, so that these count whatever follows.
_OWN: Final = """\
HostKey {folder}/host_key
HostKeyAlgorithms ssh-ed25519
PidFile none
LogLevel VERBOSE
ForceCommand true
"""


@dataclass(frozen=True)
class Bench:
    """A private folder with what throw-away servers need.

    Attributes:
        folder: the user's alone; gone afterwards.
    """

    folder: Path

    @property
    def host_key(self) -> Path:
        """The private host key."""
        return self.folder / "host_key"

    def stage(self, name: str, text: bytes) -> Path:
        """Put a file into the folder."""
        path = self.folder / name
        path.write_bytes(text)
        return path

    def stage_config(self, name: str, text: bytes) -> Path:
        """A configuration, with a host key of ours and no command but `true`."""
        return self.stage(name, _OWN.format(folder=self.folder).encode() + text)


@contextmanager
def bench() -> Iterator[Bench]:
    """A bench for the `with` block.

    Raises:
        FidokitError: ssh or ssh-keygen is not installed.
    """
    with TemporaryDirectory(prefix="fidokit-") as folder:
        made = Bench(Path(folder))
        command = [_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "throw-away"]
        subprocess.run(  # noqa: S603  as ssh-keygen is called by hand
            [*command, "-f", str(made.host_key)], check=True, stdin=subprocess.DEVNULL
        )
        yield made


@dataclass(frozen=True)
class Trial:
    """An sshd with one configuration.

    Attributes:
        sshd: its whole path.
        config: of `Bench.stage_config`.
        environ: for ssh; where an agent and a security key provider may be named.
    """

    bench: Bench
    sshd: str
    config: Path
    environ: Mapping[str, str]

    def accepts(self, key: PublicLine, user: str) -> bool:
        """Whether the server would take a signature by this key: the public-key query (RFC 4252,
        section 7), for which the public half is enough.

        Raises:
            FidokitError: it could not be asked.
        """
        line = PublicLine(key.key, "").encode().encode() + b"\n"
        public = self.bench.stage("asked.pub", line)
        public.chmod(0o600)  # ssh looks into it for a private key, too, and has rules for those
        options = ["-oBatchMode=yes", "-oIdentityAgent=none", "-i", str(public)]
        said = self._connect(user, options, QUERY_S)
        if _ACCEPTS in said:
            return True
        if _ASKED not in said:
            raise FidokitError(
                f"the throw-away sshd could not be asked about {user}: {self._last_words(said)}",
                hint="run the command again; `sshd -T` and ssh must work here",
            )
        return False

    def logs_in(self, identity: Path, user: str) -> bool:
        """Whether a key at hand gets in for good: ssh asks for the PIN, and for a touch.

        Args:
            identity: a private key file, or the public half of a key in the agent.
        """
        options = ["-oBatchMode=no", "-i", str(identity)]
        if self.environ.get(_PROVIDER):
            options.append(f"-oSecurityKeyProvider=${_PROVIDER}")  # ssh has its own by default
        return _AUTHENTICATED.search(self._connect(user, options, LOGIN_S)) is not None

    def _connect(self, user: str, options: Sequence[str], timeout: float) -> str:
        """What ssh noted down about one connection."""
        log = self.bench.stage("ssh.log", b"")
        with socket.socket() as listener:
            listener.bind((_HOST, 0))
            listener.listen(1)
            client = self._ssh(user, listener.getsockname()[1], log, options)
            server = None
            try:
                connection = _accepted(listener, client)
                server = self._serve(connection) if connection else None
                client.wait(timeout)
            except subprocess.TimeoutExpired:
                pass  # what it noted down until then says how far it came
            finally:
                _end(client, 0)
                if server:
                    _end(server, QUERY_S)
        return log.read_text("utf-8", "replace")

    def _ssh(
        self, user: str, port: int, log: Path, options: Sequence[str]
    ) -> subprocess.Popen[bytes]:
        public = self.bench.host_key.with_suffix(".pub").read_text()
        known = self.bench.stage("known_hosts", f"[{_HOST}]:{port} {public}".encode())
        command = [
            *(_program("ssh"), "-F", "none", "-v", "-T", "-E", str(log), *options),
            *("-oIdentitiesOnly=yes", "-oPreferredAuthentications=publickey"),
            *("-oStrictHostKeyChecking=yes", f"-oUserKnownHostsFile={known}"),
            *("-oGlobalKnownHostsFile=/dev/null", "-oHostKeyAlgorithms=ssh-ed25519"),
            *("-oControlPath=none", "-oUpdateHostKeys=no", "-oConnectTimeout=20"),
            *("-p", str(port), "-l", user, "--", _HOST, "true"),
        ]
        return subprocess.Popen(  # noqa: S603  no shell: a user's name is one word
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=dict(self.environ),
        )

    def _serve(self, connection: socket.socket) -> subprocess.Popen[bytes]:
        """Have sshd serve a connection; our end of it is closed."""
        with connection, (self.bench.folder / "sshd.log").open("wb") as errors:
            return subprocess.Popen(  # noqa: S603  the program that the person or PATH names
                [self.sshd, "-i", "-e", "-f", str(self.config)],
                stdin=connection.fileno(),
                stdout=connection.fileno(),
                stderr=errors,
            )

    def _last_words(self, said: str) -> str:
        log = self.bench.folder / "sshd.log"
        server = log.read_text("utf-8", "replace") if log.exists() else ""
        lines = [line for line in [*said.splitlines(), *server.splitlines()] if line.strip()]
        return "; ".join(lines[-2:]) or "nothing was said"


def _accepted(listener: socket.socket, client: subprocess.Popen[bytes]) -> socket.socket | None:
    """The first connection; None where ssh gave up before: its log says why."""
    listener.settimeout(_PATIENCE_S)
    while True:
        try:
            return listener.accept()[0]
        except TimeoutError:
            if client.poll() is not None:
                return None


def _end(process: subprocess.Popen[bytes], patience: float) -> None:
    """sshd ends by itself once its client has hung up; whatever hangs, does not hang here."""
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What ssh needs of the environment: the agent, the provider, how to ask, and the path."""
    given = os.environ if environ is None else environ
    return {"LC_ALL": "C.UTF-8", **{name: value for name, value in given.items() if _kept(name)}}


def _kept(name: str) -> bool:
    return not name.startswith("LC_") and name not in {"LANG", "LANGUAGE"}


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise FidokitError(
            f"{name} is not installed here", hint="it comes with openssh-client, as ssh does"
        )
    return found
