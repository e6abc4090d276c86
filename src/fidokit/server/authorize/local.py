"""The sshd of this machine, as far as letting keys in is concerned: its settings for a user, the
files it reads, and its judgment of keys."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.errors import FidokitError, SshdNotAsked
from fidokit.openssh.lines.authorized_keys import AuthorizedKey
from fidokit.openssh.lines.options import Option
from fidokit.server.accounts import Account
from fidokit.server.authorize import key_file, standing
from fidokit.server.authorize.lines import is_of, keys_of
from fidokit.server.authorize.places import KeyPlace, places_for
from fidokit.server.authorize.standing import KeyStanding, ServerAnswer
from fidokit.server.authorize.wishes import SshdFacts, Version, WantedKey
from fidokit.server.key_paths import path_of, strict_modes_problems
from fidokit.server.sshd.instances import SshdInstance, find_instances
from fidokit.server.sshd.key_questions import KeyAnswer, KeyQuestion, PublicText
from fidokit.server.sshd.query import LOOPBACK, LoginOrigin, Sshd, without_option
from fidokit.server.sshd.settings import SshdSettings
from fidokit.server.sshd.trial import Bench, Trial, bench, environment
from fidokit.system.host import run_program
from fidokit.system.openssh_programs import parse_version

_FROM_ROOT: Final = "only root can ask sshd about other users"
_NONE_STARTED: Final = "a temporary sshd could not be started"
_FROM: Final = "from= excludes this machine, so the login cannot be tested here"
_NAME_A_FILE: Final = "or name the file yourself, if you know that sshd reads it: --path FILE"
_Lines = list[tuple[KeyPlace, AuthorizedKey]]


@dataclass(frozen=True)
class LocalSshd:
    """The sshd that is installed here, or why it cannot be asked.

    Attributes:
        sshd: None if there is none.
        why: what is in the way; empty if it can be asked.
        version: of OpenSSH; None if it does not tell.
        clock: seconds since 1970.
        name: what users would call it.
        others: further sshds of this machine, which are started with other arguments.
    """

    sshd: Sshd | None
    why: str = ""
    version: Version | None = None
    clock: Callable[[], float] = time.time
    name: str = "sshd"
    others: tuple[LocalSshd, ...] = ()

    def settings(self, user: Account) -> SshdSettings:
        """The effective settings for a user's logins, with the lines that decide.

        Raises:
            SshdNotAsked: sshd did not tell; never taken for its defaults.
        """
        if self.sshd is None:
            message = f"sshd could not be asked which files it reads: {self.why}"
            raise SshdNotAsked(message, hint=_NAME_A_FILE)
        try:
            return self.sshd.explained(user.name, LOOPBACK)
        except SshdNotAsked as error:
            hint = f"{error.hint}; {_NAME_A_FILE}" if error.hint else _NAME_A_FILE
            message = f"sshd could not be asked which files it reads: {error.message}"
            raise type(error)(message, hint=hint) from None

    def facts(self, settings: SshdSettings | None) -> SshdFacts:
        """What is known of it for judging lines."""
        return facts_of(settings, self.version, self.clock())


def facts_of(
    settings: SshdSettings | None, version: Version | None, now: float | None
) -> SshdFacts:
    """What is known of a server from its settings and version."""
    if settings is None:
        return SshdFacts(version=version, now=now)
    environment_on = settings.first("permituserenvironment", "no").lower() != "no"
    algorithms = settings.listed("pubkeyacceptedalgorithms")
    return SshdFacts(version, algorithms, settings.is_on("usedns"), environment_on, now)


def find_local(
    program: str | None = None,
    config: str | None = None,
    spare_key: Callable[[], str | None] = lambda: None,
) -> LocalSshd:
    """The sshd of this machine, as it runs or would be started, and the others beside it.

    Of several, the first is one that has no configuration file named: it is the usual one.

    Args:
        program: its path; looked for where None.
        config: another configuration file than its own; then only those with this one count.
        spare_key: makes a host key, for users who may not read the machine's own.
    """
    try:
        found = find_instances(program, config, spare_key=spare_key)
    except FidokitError as error:
        return LocalSshd(None, error.message)
    found.sort(key=lambda one: one.sshd.named_config is not None)
    first, *others = map(_as_local, found)
    return replace(first, others=tuple(others))


def _as_local(instance: SshdInstance) -> LocalSshd:
    sshd = instance.sshd
    ran = sshd.run([sshd.program, "-V"])  # older ones say it before they complain about -V
    return LocalSshd(sshd, version=parse_version(ran.out + ran.err), name=instance.name)


@contextmanager
def local_sshd(program: str | None = None, config: str | None = None) -> Iterator[LocalSshd]:
    """The sshd of this machine, for the `with` block, also for users who may not read its keys.

    Args:
        program, config: as for `find_local`.
    """
    with ExitStack() as stack:

        @cache
        def spare_key() -> str | None:
            """A host key of ours: sshd answers nobody who has none."""
            path = f"{stack.enter_context(TemporaryDirectory(prefix='fidokit-'))}/host_key"
            made = run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path])
            return None if made is None else path

        yield find_local(program, config, spare_key)


# --- a user's files --------------------------------------------------------------------------


@dataclass(frozen=True)
class UserFiles:
    """The files that sshd reads for a user, and what is known of sshd.

    Attributes:
        settings: None if a file was named and sshd could not be asked.
        places: in sshd's order.
        named: whether the file was named, rather than by sshd.
        doubt: why nothing is known of whether sshd reads a named file; else empty.
    """

    user: Account
    settings: SshdSettings | None
    places: tuple[KeyPlace, ...]
    named: bool = False
    doubt: str = ""

    def lines(self) -> Iterator[tuple[KeyPlace, AuthorizedKey]]:
        """The readable lines of keys in all of them; what cannot be opened has none."""
        for place in self.places:
            try:
                text = key_file.read(self.user, place.path)
            except FidokitError:
                continue
            for line in keys_of(text or b""):
                yield place, line

    def mode_problems(self, path: Path) -> list[str]:
        """Why sshd may not read a file, a sentence each: the installed one decides."""
        if self.settings and self.settings.first("strictmodes", "yes").lower() == "no":
            return []
        return [f"sshd may not read it: {why}" for why in strict_modes_problems(path, self.user)]


def files_of(server: LocalSshd, user: Account, path: str | None) -> UserFiles:
    """The files that count for a user.

    Args:
        path: a file that the user of this command names; below the home folder, or absolute.

    Raises:
        SshdNotAsked: sshd did not tell, and no file is named.
    """
    if path is None:
        settings = server.settings(user)
        return UserFiles(user, settings, tuple(places_for(user, settings, server.version)))
    chosen = KeyPlace(path_of(user, path))
    try:
        settings = server.settings(user)
    except FidokitError as error:
        return UserFiles(user, None, (chosen,), named=True, doubt=error.message)
    read = places_for(user, settings, server.version)
    for place in read:
        if place.path == chosen.path:
            return UserFiles(user, settings, (place,), named=True)
    names = " and ".join(str(place.path) for place in read) or "no file"
    doubt = f"for {user.name}, sshd reads {names}"
    return UserFiles(user, settings, (chosen,), named=True, doubt=doubt)


# --- its judgment ----------------------------------------------------------------------------


@dataclass
class Prover:
    """A throw-away sshd that is asked about keys; made once for many users.

    Attributes:
        trial: None if it could not be started.
        why: why not.
        others: of the other sshds of this machine.
    """

    server: LocalSshd
    trial: Trial | None
    why: str = ""
    others: tuple[Prover, ...] = ()

    def standings(self, files: UserFiles, keys: Sequence[WantedKey]) -> list[KeyStanding]:
        """What is proved of keys in a user's account now."""
        lines = list(files.lines())
        return [self._one(files, key, lines) for key in keys]

    def _one(self, files: UserFiles, key: WantedKey, lines: _Lines) -> KeyStanding:
        own = [(place, line) for place, line in lines if is_of(line, key)]
        settings = files.settings or SshdSettings()
        return standing.judge(
            key,
            self._ask(files, key, own),
            settings,
            lines=[line.options for _, line in own],
            facts=self.server.facts(files.settings),
            obstacles=standing.obstacles_of(files.user, settings, self.server.clock()),
        )

    def _ask(self, files: UserFiles, key: WantedKey, own: _Lines) -> ServerAnswer:
        source = standing.sample_address([line.options for _, line in own])
        if why := files.doubt or self._in_the_way(files.user, source):
            return ServerAnswer(None, why=why)
        answer = self.ask(files.user, PublicText.of(key.line), source)
        return ServerAnswer(answer.accepted, _options_at(answer, own), answer.why)

    def _in_the_way(self, user: Account, source: str) -> str:
        if self.trial is None:
            return self.why
        if os.geteuid() not in {0, user.uid}:
            return _FROM_ROOT
        return _FROM if source and os.geteuid() != 0 else ""

    def ask_all(
        self, users: Sequence[Account], keys: Sequence[PublicText]
    ) -> Iterator[tuple[KeyAnswer, ...]]:
        """What sshd says of keys, for each of some users in their order; several at a time."""
        if self.trial is None:
            yield from (tuple(KeyAnswer(key, None, why=self.why) for key in keys) for _ in users)
            return
        questions = [KeyQuestion(user.name, tuple(keys)) for user in users]
        for _, answers in self.trial.ask_all(questions):
            yield answers

    def ask(self, user: Account, key: PublicText, source: str = "") -> KeyAnswer:
        """What sshd says of a key, for a login from an address; from loopback by default."""
        if self.trial is None:
            return KeyAnswer(key, None, why=self.why)
        return self.trial.ask(KeyQuestion(user.name, (key,), _origin(source)))[0]

    def logs_in(self, user: Account, identity: str) -> bool:
        """Whether an available key gets in for good: ssh asks for PIN and touch."""
        return self.trial is not None and self.trial.logs_in(Path(identity), user.name)


def _origin(source: str) -> LoginOrigin:
    return LoginOrigin(source, source) if source else LOOPBACK


def _options_at(answer: KeyAnswer, own: _Lines) -> tuple[Option, ...] | None:
    if answer.place is None:
        return None
    for place, line in own:
        if str(place.path) == answer.place.path and line.line_number == answer.place.line:
            return line.options
    return None


@contextmanager
def prover(server: LocalSshd, environ: Mapping[str, str] | None = None) -> Iterator[Prover]:
    """A throw-away sshd with the configuration of this machine's, for the `with` block.

    It never fails: why nothing can be proved becomes the reason of each answer.
    """
    with ExitStack() as stack:
        try:
            made = stack.enter_context(bench())
        except FidokitError as error:
            yield _without(server, error)
            return
        yield _prover(made, server, environ, "sshd_config")


def reader_of(asking: Prover, user: Account, path: str | None) -> Prover:
    """Of the sshds of this machine the one that reads a named file for a user, and the others.

    Args:
        asking: the first one's.
        path: as for `files_of`; None for none.

    Returns:
        `asking` itself where no other reads the file.
    """
    everybody = [asking, *asking.others]
    for one in everybody if path is not None and asking.others else ():
        if not files_of(one.server, user, path).doubt:
            return replace(one, others=tuple(other for other in everybody if other is not one))
    return asking


def _without(server: LocalSshd, error: FidokitError) -> Prover:
    others = tuple(_without(other, error) for other in server.others)
    return Prover(server, None, f"{_NONE_STARTED}: {error.message}", others)


def _prover(made: Bench, server: LocalSshd, environ: Mapping[str, str] | None, name: str) -> Prover:
    others = tuple(
        _prover(made, other, environ, f"{name}.{number}")
        for number, other in enumerate(server.others, 1)
    )
    try:
        return Prover(server, _trial(made, server, environ, name), others=others)
    except FidokitError as error:
        return Prover(server, None, f"{_NONE_STARTED}: {error.message}", others)


def _trial(made: Bench, server: LocalSshd, environ: Mapping[str, str] | None, name: str) -> Trial:
    if server.sshd is None:
        raise FidokitError(server.why)
    config = made.stage_original(name, server.sshd)
    more = without_option(server.sshd.arguments, "-f")
    return Trial(made, server.sshd.program, config, environment(environ), more)
