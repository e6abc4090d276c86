"""The sshds of this machine: those that run, and those that the service manager would start.

Sources: sshd(8) for its arguments, proc(5), systemctl(1); what sshd writes over its own command
line once it listens ("NAME: PATH ARGUMENTS [listener] 0 of 10-100 startups"), NAME being the one
that it is called by.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fidokit.server.sshd.query import Ran, Run, Sshd, find_sshd, run_sshd, without_option

UNITS: Final = ("ssh.service", "sshd.service", "ssh@.service", "sshd@.service")
"""What distributions call sshd's unit; the ones with @ serve connections that a socket accepts."""

_DEFAULT_FILES: Final = ("/etc/default/ssh", "/etc/sysconfig/sshd", "/etc/conf.d/sshd")
_OPTIONS_VARIABLES: Final = ("SSHD_OPTS", "OPTIONS", "SSHD_OPTIONS")
_WITH_VALUE: Final = "CEbcfghkopu"
_DECISIVE: Final = frozenset("fopch46")
_TITLE: Final = re.compile(
    r"\A(?P<name>[^/: ]+): (?P<words>/\S*?(?P=name)(?: .*?)?)"
    r"(?: \[(?:listener|accepted|net|priv)\].*)?\Z",
    re.DOTALL,
)


@dataclass(frozen=True)
class SshdInstance:
    """One sshd of this machine, and how it is started.

    Attributes:
        sshd: the program with its arguments, to be asked.
        pid: of the process that listens; None for a service that does not run.
        started: when the process started, in seconds since 1970; None with `pid`.
        unit: the service's name; empty for a process alone.
        replaced: its program was replaced on disk since it started.
    """

    sshd: Sshd
    pid: int | None = None
    started: float | None = None
    unit: str = ""
    replaced: bool = False

    @property
    def name(self) -> str:
        """What users would call it."""
        words = " ".join((self.sshd.program, *self.sshd.arguments))
        return f"process {self.pid} ({words})" if self.pid is not None else self.unit or words


def decisive(words: Sequence[str]) -> tuple[str, ...]:
    """Of the words behind sshd's name those that decide its settings, each with its own value.

    A word that is not an option belongs to the value before it: sshd takes no other arguments, and
    the title of a process shows `-o "Name value"` without quotes.
    """
    found: list[str] = []
    kept = False
    for option, value in _options(words):
        if option:
            kept = option[1] in _DECISIVE
            found += [option, value] if kept and value is not None else [option] * kept
        elif kept and found and value is not None:
            found[-1] += f" {value}"
    return tuple(found)


def _options(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Options with their values; a word that is not an option comes with an empty name."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            yield "", word
            continue
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _WITH_VALUE:
                yield f"-{letter}", letters or (rest.pop(0) if rest else "")
                break
            yield f"-{letter}", None


# --- what runs -------------------------------------------------------------------------------


def running(proc: Path = Path("/proc"), spare: Sshd | None = None) -> list[SshdInstance]:
    """Every sshd that listens on this machine, containers and other users' sshds left out.

    Args:
        proc: where processes are shown.
        spare: an sshd whose `run` and `spare_key` the found ones take over.
    """
    found: list[SshdInstance] = []
    for entry in proc.iterdir():
        if entry.name.isdecimal():
            with suppress(OSError, ValueError):  # it may end while we look
                found += _instance(proc, entry, spare)
    return sorted(found, key=lambda one: one.pid or 0)


def _instance(proc: Path, entry: Path, spare: Sshd | None) -> Iterator[SshdInstance]:
    words = _command((entry / "cmdline").read_bytes())
    if not words or not _is_ours(proc, entry):
        return
    exe = _program(entry, words[0])
    program = exe.removesuffix(_DELETED)
    if "sshd" not in {Path(words[0]).name, Path(program).name}:
        return  # another program with such a title
    # A link stays: before OpenSSH 9.8 its name is the PAM service. And a process in mounts of its
    # own has its program elsewhere, as it is seen from here.
    is_same = os.path.realpath(words[0]) == program or not Path(exe).exists()
    if Path(words[0]).is_absolute() and is_same and Path(words[0]).exists():
        program = words[0]
    template = spare or Sshd(program)
    sshd = replace(template, program=program, arguments=decisive(words[1:]))
    yield SshdInstance(sshd, int(entry.name), _started(entry), replaced=exe.endswith(_DELETED))


_DELETED: Final = " (deleted)"


def _command(raw: bytes) -> list[str]:
    """The words of a listening sshd's command line; none for other processes and for children."""
    text = raw.rstrip(b"\0").decode("utf-8", "surrogateescape")
    match = _TITLE.match(text.replace("\0", " "))
    if match:
        return match["words"].split() if "[listener]" in text else []
    words = text.split("\0")
    once = any(option in {"-i", "-t", "-T", "-G", "-R", "-V"} for option, _ in _options(words[1:]))
    is_sshd = Path(words[0]).name == "sshd"
    return words if is_sshd and not once else []


def _program(entry: Path, named: str) -> str:
    try:
        return os.readlink(entry / "exe")  # noqa: PTH115  " (deleted)" is not a path
    except OSError:  # another user's: the name that it was called by has to do
        return named


def _is_ours(proc: Path, entry: Path) -> bool:
    """Whether a process is root's or ours, is its own leader, and sees this machine's users."""
    if entry.stat().st_uid not in {0, os.geteuid()}:
        return False
    try:
        theirs, ours = ((one / "root/etc/passwd").stat() for one in (entry, proc / "self"))
    except OSError:
        return os.geteuid() != 0  # we may not look, so it counts
    return (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)


def _started(entry: Path) -> float:
    """When a process started, or a hundredth of a second later (proc(5), field 22 of stat)."""
    fields = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot


# --- what would be started -------------------------------------------------------------------


def of_services(run: Run = run_sshd, spare: Sshd | None = None) -> list[SshdInstance]:
    """The sshds that systemd's units start, running or not; none where systemd does not run.

    Args:
        run: runs systemctl.
        spare: an sshd whose `run` and `spare_key` the found ones take over.
    """
    found: list[SshdInstance] = []
    for unit in UNITS:
        ran = run(
            ["systemctl", "show", unit, "-p", "LoadState,ExecStart,EnvironmentFiles,Environment"]
        )
        found += _of_unit(unit, ran, spare)
    return found


def _of_unit(unit: str, ran: Ran, spare: Sshd | None) -> Iterator[SshdInstance]:
    shown = dict(line.partition("=")[::2] for line in ran.out.splitlines() if "=" in line)
    match = re.search(r"argv\[\]=(.*?) ; ", shown.get("ExecStart", ""))
    if ran.status != 0 or shown.get("LoadState") != "loaded" or match is None:
        return
    variables = _variables(shown)
    words = [part for word in match[1].split() for part in _expanded(word, variables)]
    if words and Path(words[0]).name == "sshd":
        template = spare or Sshd(words[0])
        sshd = replace(template, program=words[0], arguments=decisive(words[1:]))
        yield SshdInstance(sshd, unit=unit)


def _variables(shown: dict[str, str]) -> dict[str, str]:
    """The environment of a unit, by its own lines and its files."""
    variables = dict(word.partition("=")[::2] for word in _words(shown.get("Environment", "")))
    for path in re.findall(r"(\S+) \(ignore_errors=\w+\)", shown.get("EnvironmentFiles", "")):
        variables.update(_environment_file(Path(path)))
    return variables


def _environment_file(path: Path) -> Iterator[tuple[str, str]]:
    with suppress(OSError):
        with path.open("r", encoding="utf-8", errors="surrogateescape") as file:
            text = file.read(1 << 20)
        for line in text.splitlines():
            name, equals, value = line.strip().partition("=")
            if equals and name.isidentifier():
                words = _words(value)
                yield name, words[0] if len(words) == 1 else value


def _expanded(word: str, variables: dict[str, str]) -> list[str]:
    """A word as systemd expands it: `$NAME` to words, `${NAME}` within one."""
    if re.fullmatch(r"\$\w+", word):
        return _words(variables.get(word[1:], ""))
    return [re.sub(r"\$\{(\w+)\}", lambda m: variables.get(m[1], ""), word)]


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def of_default_files(
    spare: Sshd, read: Callable[[Path], Iterator[tuple[str, str]]] = _environment_file
) -> Sshd:
    """An sshd with the arguments that start-up scripts take from /etc/default/ssh and the like."""
    for path in map(Path, _DEFAULT_FILES):
        variables = dict(read(path))
        for name in _OPTIONS_VARIABLES:
            if variables.get(name):
                return replace(spare, arguments=decisive(_words(variables[name])))
    return spare


# --- all of them -----------------------------------------------------------------------------


def find_instances(
    named: str | None = None,
    config: Path | str | None = None,
    *,
    spare_key: Callable[[], str | None] = lambda: None,
    run: Run = run_sshd,
    proc: Path = Path("/proc"),
) -> list[SshdInstance]:
    """The sshds of this machine that a question about its logins is about, each kind once.

    Those that run come first; then those that would be started with other arguments; where neither
    is to be found, the installed program with the arguments of /etc/default/ssh.

    Args:
        named: only this program.
        config: only those with this configuration file; then the program with it, at least.
        spare_key: makes a host key, for users who may not read the machine's own.
        run: runs sshd and systemctl.
        proc: where processes are shown.

    Raises:
        SshdMissing: there is no sshd.
    """
    spare = Sshd(find_sshd(named), (), spare_key, run)
    found = [*running(proc, spare), *of_services(run, spare)]
    if config is not None:
        found = [one for one in found if _same_file(one.sshd.named_config, config)]
    if named is not None:
        found = [
            one
            for one in found
            if os.path.realpath(one.sshd.program) == os.path.realpath(spare.program)
        ]
    if found:
        return _each_once(found)
    default = spare.with_config(config) if config is not None else of_default_files(spare)
    return [SshdInstance(default)]


def _same_file(named: str | None, config: Path | str) -> bool:
    return named is not None and os.path.realpath(named) == os.path.realpath(config)


def _each_once(found: list[SshdInstance]) -> list[SshdInstance]:
    """Without services whose process is there already."""
    known = set()
    kept = []
    for one in found:
        ports = without_option(one.sshd.arguments, "-p")
        if one.pid is None and (os.path.realpath(one.sshd.program), ports) in known:
            continue
        known.add((os.path.realpath(one.sshd.program), ports))
        kept.append(one)
    return kept
