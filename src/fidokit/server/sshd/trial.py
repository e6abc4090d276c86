"""A throw-away sshd, asked by the stock ssh whom it would let in.

For each connection a pair of sockets of ours: ssh at one end, and at the other `sshd -i`, which
serves the one connection that it inherits. Whatever ports the configuration names are not touched,
no process stays, and what `from=` and `Match Address` see is loopback, or any address that root
asks for.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.errors import FidokitError
from fidokit.openssh.keys.public import PublicLine
from fidokit.server.sshd.connections import Connections
from fidokit.server.sshd.key_questions import KeyAnswer, KeyQuestion, PublicText
from fidokit.server.sshd.query import LOOPBACK, LoginOrigin, Sshd, without_option
from fidokit.server.sshd.settings import ConfigPlace
from fidokit.server.sshd.ssh_client import environment as environment  # noqa: PLC0414
from fidokit.server.sshd.ssh_client import every_algorithm, find_client, user_config
from fidokit.server.sshd.terminal import Terminal

QUERY_S: Final = 60.0
LOGIN_S: Final = 180.0
"""Seconds for a user to find the token, type a PIN and touch."""

KEYS_AT_ONCE: Final = 60
"""Of one connection: ssh takes at most 100 identities."""

_RSA_ALGORITHMS: Final = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")
"""ssh signs with the first one that the server's list of algorithms has; that list may hold what
PubkeyAcceptedAlgorithms leaves out."""

_ACCEPTS: Final = re.compile(r"Server accepts key: .*(SHA256:\S+)")
_OFFERED: Final = re.compile(r"Offering public key: .*(SHA256:\S+)")
_REFUSALS: Final = ("Authentications that can continue", "no mutual signature")
_SKIPPED: Final = re.compile(r"Skipping \S+ key .*/(\d+)\.pub - .* not supported by server")
"""From 10.0 on: the server announced that it takes no signature of this type (RFC 8308)."""

_METHODS: Final = re.compile(r"Authentications that can continue: ?(.*)")
_AUTHENTICATED: Final = re.compile(r'^Authenticated (to .* )?using "publickey"', re.MULTILINE)
"""Also if it is one of several methods that are asked for: "with partial success"."""

_FOUND: Final = re.compile(r"Accepted key \S+ (SHA256:\S+) found at (.*):(\d+)\r?$", re.MULTILINE)
_NAME: Final = "fidokit-trial"
_PROVIDER: Final = "SSH_SK_PROVIDER"

# sshd takes the first value of a setting, so that these count whatever follows.
_OWN: Final = """\
HostKey {folder}/host_key
HostKeyAlgorithms ssh-ed25519
PidFile none
LogLevel VERBOSE
ForceCommand true
MaxAuthTries 1000
LoginGraceTime 120
Include {folder}/always.conf
"""

_ALWAYS: Final = """\
Match all
LogLevel VERBOSE
ForceCommand true
MaxAuthTries 1000
"""
"""What no Match block of the configuration may overrule: of those that hold, the first one counts.
A Match block of an included file ends with it."""


@dataclass(frozen=True)
class Bench:
    """A private folder with what throw-away servers need.

    Attributes:
        folder: the user's alone; gone afterwards.
        connections: makes the sockets.
    """

    folder: Path
    connections: Connections = field(default_factory=Connections)
    _numbers: Iterator[int] = field(default_factory=count, repr=False, compare=False)

    @property
    def host_key(self) -> Path:
        """The private host key."""
        return self.folder / "host_key"

    def stage(self, name: str, text: bytes) -> Path:
        """Put a file into the folder.

        Raises:
            FidokitError: the disk has no room for it.
        """
        path = self.folder / name
        with _room_in(self.folder):
            path.write_bytes(text)
        return path

    def stage_config(self, name: str, text: bytes) -> Path:
        """A configuration, with a host key of ours and no command but `true`."""
        return self.stage(name, _OWN.format(folder=self.folder).encode() + text)

    def stage_original(self, name: str, sshd: Sshd, more: str = "") -> Path:
        """An sshd's own configuration, where it lies, with a host key of ours.

        Args:
            more: lines of sshd_config that overrule it.
        """
        config = sshd.named_config or _own_config(sshd)
        quoted = re.sub(r"([*?\[\]{}\\])", r"\\\1", config)
        return self.stage_config(name, f'{more}Include "{quoted}"\n'.encode())

    def scratch(self) -> Path:
        """A new folder within it, for one connection."""
        path = self.folder / f"c{next(self._numbers)}"
        with _room_in(self.folder):
            path.mkdir()
        return path


def _own_config(sshd: Sshd) -> str:
    reading = sshd.explained().reading
    if reading is None or not reading.files:
        raise FidokitError(
            f"{sshd.program} does not tell which configuration it reads",
            hint="name the file with --config",
        )
    return reading.files[0]


@contextmanager
def bench() -> Iterator[Bench]:
    """A bench for the `with` block.

    Raises:
        FidokitError: ssh or ssh-keygen is not installed, or there is no room for its files.
    """
    with ExitStack() as stack:
        with _room_in(Path(os.environ.get("TMPDIR", "/tmp"))):  # noqa: S108  named, not used
            folder = stack.enter_context(TemporaryDirectory(prefix="fidokit-"))
        made = Bench(Path(folder), stack.enter_context(Connections()))
        made.stage("always.conf", _ALWAYS.encode())
        command = [find_client("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "throw-away"]
        done = subprocess.run(  # noqa: S603  as ssh-keygen is called by hand
            [*command, "-f", str(made.host_key)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise _no_room(Path(folder), said or "ssh-keygen fails")
        yield made


@contextmanager
def _room_in(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _no_room(folder, os.strerror(error.errno or 0)) from None


def _no_room(folder: Path, why: str) -> FidokitError:
    return FidokitError(
        f"{folder} cannot hold the few files of a throw-away sshd: {why}",
        hint="make room there, or name another folder: TMPDIR=/var/tmp",
    )


@dataclass(frozen=True)
class Trial:
    """An sshd with one configuration.

    Attributes:
        sshd: its whole path.
        config: of `Bench.stage_config` or `Bench.stage_original`.
        environ: for ssh; where an agent and a security key provider may be named. See
            `environment`.
        arguments: more of sshd's own, such as `-o NAME=VALUE`.
        name: what sshd is called, which before 9.8 is its PAM service; its own name if empty.
    """

    bench: Bench
    sshd: str
    config: Path
    environ: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    name: str = ""

    # --- many keys ---------------------------------------------------------------------------

    def ask_all(
        self,
        questions: Iterable[KeyQuestion],
        *,
        workers: int | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Iterator[tuple[KeyQuestion, tuple[KeyAnswer, ...]]]:
        """Ask about many keys of many users, several connections at a time.

        The public-key query (RFC 4252, section 7) needs the public halves alone. sshd grants it
        even where a signature without touch or PIN is refused later.

        Args:
            questions: see `KeyQuestion`; answers come in their order, one for each key.
            workers: how many connections at once; by the machine's processors if None.
            progress: called with the number of questions that are answered.
        """
        workers = workers or min(12, (os.cpu_count() or 1) * 2)
        with ThreadPoolExecutor(workers) as pool:
            for done, pair in enumerate(pool.map(self._ask_one, questions), 1):
                progress(done)
                yield pair

    def ask(self, question: KeyQuestion) -> tuple[KeyAnswer, ...]:
        """Ask about the keys of one user; never raises for a server that does not answer."""
        return self._ask_one(question)[1]

    def _ask_one(self, question: KeyQuestion) -> tuple[KeyQuestion, tuple[KeyAnswer, ...]]:
        keys, found = question.keys, []
        for at in range(0, len(keys), KEYS_AT_ONCE):
            found += self._ask_some(question, keys[at : at + KEYS_AT_ONCE])
        return question, tuple(found)

    def _ask_some(self, question: KeyQuestion, keys: Sequence[PublicText]) -> list[KeyAnswer]:
        """One connection, and others for RSA keys that are refused with the first algorithm."""
        first, *others = _RSA_ALGORITHMS
        found = {one.key: one for one in self._ask_with(first, question, keys)}
        for algorithm in others:
            again = [key for key in keys if found[key].accepted is False and key.is_rsa]
            answers = self._ask_with(algorithm, question, again) if again else []
            found |= {one.key: one for one in answers if one.accepted}
        return [found[key] for key in keys]

    def _ask_with(
        self, algorithm: str, question: KeyQuestion, keys: Sequence[PublicText]
    ) -> list[KeyAnswer]:
        try:
            scratch = self.bench.scratch()
        except FidokitError as error:
            return [KeyAnswer(key, None, why=error.message) for key in keys]
        try:
            said, log = self._about(scratch, question, keys, algorithm)
        except FidokitError as error:
            return [KeyAnswer(key, None, why=error.message) for key in keys]
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return _answers(keys, said, log)

    def _about(
        self, scratch: Path, question: KeyQuestion, keys: Sequence[PublicText], algorithm: str
    ) -> tuple[str, str]:
        options = ["-oBatchMode=yes", "-oIdentityAgent=none"]
        options.append(f"-oPubkeyAcceptedKeyTypes={algorithm},{every_algorithm()}")
        for number, key in enumerate(keys):
            public = scratch / f"{number}.pub"
            with _room_in(self.bench.folder):
                public.write_text(f"{key.text}\n")
                public.chmod(0o600)  # ssh looks into it for a private key, too
            options += ["-i", str(public)]
        return self._connect(scratch, question.user, options, QUERY_S, question.origin)

    # --- one key -----------------------------------------------------------------------------

    def accepts(self, key: PublicLine, user: str) -> bool:
        """Whether the server would take a signature by this key: the public-key query (RFC 4252,
        section 7), for which the public half is enough.

        Raises:
            FidokitError: it could not be asked.
        """
        (answer,) = self.ask(KeyQuestion(user, (PublicText.of(key),)))
        if answer.accepted is None:
            raise FidokitError(
                f"the throw-away sshd could not be asked about {user}: {answer.why}",
                hint="run the command again; `sshd -T` and ssh must work here",
            )
        return answer.accepted

    def logs_in(self, identity: Path, user: str, origin: LoginOrigin = LOOPBACK) -> bool:
        """Whether an available key gets in for good: ssh asks for the PIN, and for a touch.

        Args:
            identity: a private key file, or the public half of a key in the agent.
        """
        options = ["-oBatchMode=no", "-i", str(identity)]
        if self.environ.get(_PROVIDER):
            options.append(f"-oSecurityKeyProvider=${_PROVIDER}")  # ssh has its own by default
        scratch = self.bench.scratch()
        try:
            said, _ = self._connect(scratch, user, options, LOGIN_S, origin)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return _AUTHENTICATED.search(said) is not None

    def typed(self, user: str, options: Sequence[str], answer: str) -> tuple[str, str]:
        """What ssh and sshd noted down about a login in which one question is answered.

        Args:
            options: of ssh.
            answer: what is typed where the question comes; a secret.
        """
        scratch = self.bench.scratch()
        try:
            return self._connect(scratch, user, options, QUERY_S, LOOPBACK, answer)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    # --- a connection ------------------------------------------------------------------------

    def _connect(  # noqa: PLR0917  the parts of one connection
        self,
        scratch: Path,
        user: str,
        options: Sequence[str],
        timeout: float,
        origin: LoginOrigin,
        answer: str = "",
    ) -> tuple[str, str]:
        """What ssh and sshd noted down about one connection."""
        log, errors = scratch / "ssh.log", scratch / "sshd.log"
        command = self._client(scratch, user, log, options)
        client, served = self.bench.connections.pair(origin)
        with ExitStack() as stack:
            with client, served:
                called = str(Path(self.sshd).with_name(self.name)) if self.name else self.sshd
                server = self._started(
                    [called, "-i", "-e", "-f", str(self.config), *self.arguments],
                    served.fileno(),
                    errors,
                    None,
                )
                stack.callback(_end, server, QUERY_S)
                terminal = stack.enter_context(Terminal()) if answer else None
                asking = self._started(
                    terminal.command(command) if terminal else command,
                    client.fileno(),
                    None,
                    dict(self.environ),
                    apart=terminal is not None,
                )
                stack.callback(_end, asking, 0)
            if terminal:
                terminal.answer(answer, time.monotonic() + timeout, lambda: asking.poll() is None)
                timeout = 0
            with suppress(subprocess.TimeoutExpired):
                asking.wait(timeout)  # what it noted down until then says how far it came
        return _read(log), _read(errors)

    def _started(
        self,
        command: list[str],
        end: int,
        errors: Path | None,
        env: dict[str, str] | None,
        *,
        apart: bool = False,
    ) -> subprocess.Popen[bytes]:
        """A program with a socket for its input and output; no shell: a name is one word."""
        with ExitStack() as stack, _room_in(self.bench.folder):
            written = stack.enter_context(errors.open("wb")) if errors else None
            return subprocess.Popen(  # noqa: S603  programs that the user or PATH names
                command,
                executable=self.sshd if errors else None,
                stdin=end,
                stdout=end,
                stderr=written,
                env=env,
                start_new_session=apart,
            )

    def _client(self, scratch: Path, user: str, log: Path, options: Sequence[str]) -> list[str]:
        public = self.bench.host_key.with_suffix(".pub").read_text()
        known, config = scratch / "known_hosts", scratch / "config"
        with _room_in(self.bench.folder):
            known.write_text(f"{_NAME} {public}")
            config.write_text(user_config(user), "utf-8", "surrogateescape")
        return [
            *(find_client("ssh"), "-n", "-F", str(config), "-v", "-T", "-E", str(log), *options),
            *("-oIdentitiesOnly=yes", "-oPreferredAuthentications=publickey"),
            *("-oStrictHostKeyChecking=yes", f"-oUserKnownHostsFile={known}"),
            *("-oGlobalKnownHostsFile=/dev/null", "-oHostKeyAlgorithms=ssh-ed25519"),
            *("-oControlPath=none", "-oUpdateHostKeys=no", "-oConnectTimeout=20"),
            *(
                f"-oPubkeyAcceptedKeyTypes={every_algorithm()}",
                f"-oHostKeyAlias={_NAME}",
                "-oProxyCommand=-",
            ),
            *("--", _NAME, "true"),
        ]


def own_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Those of an sshd's arguments that a trial of it takes over: all but files and ports."""
    return without_option(without_option(without_option(arguments, "-f"), "-p"), "-h")


def _answers(keys: Sequence[PublicText], said: str, log: str) -> list[KeyAnswer]:
    taken, refused = set(_ACCEPTS.findall(said)), _refused(said)
    refused |= {keys[int(number)].fingerprint for number in _SKIPPED.findall(said)}
    methods = _METHODS.findall(said)
    if methods and not any("publickey" in names for names in methods):
        return [KeyAnswer(key, False) for key in keys]
    places = {print_: ConfigPlace(path, int(line)) for print_, path, line in _FOUND.findall(log)}
    words = [line for line in [*said.splitlines(), *log.splitlines()] if line.strip()]
    why = "; ".join(words[-2:]) or "nothing was said"
    return [
        KeyAnswer(key, True, places.get(key.fingerprint))
        if key.fingerprint in taken
        else KeyAnswer(key, False)
        if key.fingerprint in refused
        else KeyAnswer(key, None, why=why)
        for key in keys
    ]


def _refused(said: str) -> set[str]:
    """The keys that were offered and answered by a refusal: a connection that ends is none."""
    parts = _OFFERED.split(said)
    offers = zip(parts[1::2], parts[2::2])  # noqa: B905  Python 3.9
    return {name for name, after in offers if any(words in after for words in _REFUSALS)}


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError:
        return ""


def _end(process: subprocess.Popen[bytes], patience: float) -> None:
    """sshd ends by itself once its client has hung up; whatever hangs, does not hang here."""
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
