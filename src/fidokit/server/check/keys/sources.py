"""Where a user's keys come from: files, commands, authorities. Doubts are asked about."""

from __future__ import annotations

import ctypes
import ctypes.util
import io
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, Union

from fidokit.server.accounts import Account
from fidokit.server.check.key_lines import KeyLine, KeyPosition, UnreadableLine, read_lines
from fidokit.server.check.keys import authorities, commands
from fidokit.server.check.keys.evidence import SshdEvidence, keys_in, origins_of
from fidokit.server.check.policy import CheckRule, Violation
from fidokit.server.check.scope.views import MergedRules, View
from fidokit.server.key_paths import KeySource, opened_keys, path_of
from fidokit.server.sshd.query import LoginOrigin

MAX_FILE: Final = 256 << 20
"""Bytes: what is longer is a doubt, and not read to its end."""

MAX_S: Final = 60.0
"""Seconds that the reading of one file may take."""

_BLOCK: Final = 2000
_MOST_ASKED: Final = 600
_TOO_LARGE: Final = "the file is too large to be read to its end"
_TOO_SLOW: Final = "the file takes too long to be read to its end"
_FIND_OUT: Final = "check it by hand, or remove what is not needed"

AnyLine = Union[KeyLine, UnreadableLine]  # noqa: UP007  Python 3.9 evaluates it


@dataclass(frozen=True)
class FileReport:
    """A user's file, if there is one, or what a command prints; its lines follow.

    Attributes:
        user, path: hostile text.
        refusals: why sshd passes over it; empty if it reads it.
        hidden: why nobody here can read it; else empty.
        warnings: bad modes and owners that sshd does not look at: StrictModes is off.
        violations: of a file that is hidden, or that is not read to its end.
    """

    user: str
    path: str
    refusals: tuple[str, ...] = ()
    hidden: str = ""
    violations: tuple[Violation, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class OtherSources:
    """What is known of keys that stand in no file.

    Attributes:
        notes: sentences.
        violations: rules that they may break.
    """

    notes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()


@dataclass
class KeySources:
    """Reads them, user after user.

    Attributes:
        evidence: asks a throw-away sshd.
        rules: the policies to hold every key to.
    """

    evidence: SshdEvidence
    rules: frozenset[CheckRule]
    _seen: dict[str, int] = field(default_factory=dict, repr=False)  # a place as one number
    _files: list[tuple[str, str, tuple[int, int] | None]] = field(default_factory=list, repr=False)
    _printed: dict[tuple[str, str, str, LoginOrigin | None], commands.Printed] = field(
        default_factory=dict, repr=False
    )

    def has_any(self, account: Account, view: View) -> bool:
        """Whether a user may have keys at all, whatever they are."""
        others = ("authorizedkeyscommand", "trustedusercakeys")
        if any(view.settings.is_set(keyword) for keyword in others):
            return True
        return any(os.path.lexists(path) for path in paths(account, [view]))

    # --- files -----------------------------------------------------------------------------

    def files(
        self, account: Account, views: Sequence[View], rules: MergedRules
    ) -> Iterator[Union[FileReport, AnyLine]]:  # noqa: UP007
        """Every file of a user with its lines, then what a command prints."""
        strict = all(view.settings.is_on("strictmodes") for view in views)
        for path in paths(account, views):
            with opened_keys(account, path, strict=strict) as source:
                if source is not None:
                    yield from self._file(account, views, source, rules)
        for view in views:
            yield from self._command(account, view, rules)

    def _file(
        self, account: Account, views: Sequence[View], source: KeySource, rules: MergedRules
    ) -> Iterator[Union[FileReport, AnyLine]]:  # noqa: UP007
        user, path = account.name, str(source.path)
        doubt = "" if rules.refusals else source.hidden or _doubtful_file(source)
        violations = self._all_broken(user, doubt, path) if doubt else ()
        hidden = source.hidden or doubt
        yield FileReport(user, path, source.refusals, hidden, violations, source.warnings)
        if source.file is None or (doubt and not source.hidden):
            return
        reading = _Bounded(source.file.read)
        ours = rules.refusing(source.refusals)
        lines = read_lines(reading.read, ours)
        yield from self._lines(account, views, (path, source.identity), lines)
        if reading.stopped and not rules.refusals:
            yield FileReport(
                user,
                path,
                hidden=reading.stopped,
                violations=self._all_broken(user, reading.stopped, path),
            )

    def _all_broken(self, user: str, why: str, path: str) -> tuple[Violation, ...]:
        about_keys = sorted(self.rules - {CheckRule.NO_PASSWORD})
        return tuple(
            Violation(rule, user, why, path, doubt=True, find_out=_FIND_OUT) for rule in about_keys
        )

    def _command(
        self, account: Account, view: View, rules: MergedRules
    ) -> Iterator[Union[FileReport, AnyLine]]:  # noqa: UP007
        printed = self._run(account, view)
        if printed is None or (not printed.text and not printed.doubt):
            return
        path = f"AuthorizedKeysCommand {printed.shown}"
        yield FileReport(account.name, path)
        if printed.doubt:
            return  # it breaks every rule already, and may be very long
        lines = read_lines(io.BytesIO(printed.text).read, rules)
        yield from self._lines(account, [view], (path, None), lines)

    def _run(self, account: Account, view: View) -> commands.Printed | None:
        keyword = "AuthorizedKeysCommand"
        line, by = view.settings.first(keyword), view.settings.first(f"{keyword}User")
        place = view.origin if "%C" in line or "%D" in line else None
        asked = (account.name, line, by, place)
        if asked not in self._printed:
            if any(name != account.name for name, *_ in self._printed):
                self._printed.clear()  # the user before is done with
            found = commands.run_command(keyword, account, view.settings, view.origin)
            if found is None:
                return None
            self._printed[asked] = found
        return self._printed[asked]

    # --- what stands in no file --------------------------------------------------------------

    def others(self, account: Account, views: Sequence[View], rules: MergedRules) -> OtherSources:
        """Authorities whose certificates get in, and commands that cannot be run here."""
        notes: dict[str, None] = {}
        violations: dict[Violation, None] = {}
        for view, part in zip(views, rules.parts):  # noqa: B905  Python 3.9
            printed = self._run(account, view)
            if printed is not None and printed.doubt:
                notes[printed.doubt] = None
                broken = part.doubted(printed.doubt)
                violations.update(
                    (Violation(r, account.name, w, doubt=True, find_out=_AS_ROOT), None)
                    for r, w in broken
                )
            found = authorities.of_user(account, view, part)
            notes.update((note, None) for note in found.notes)
            violations.update((one, None) for one in found.violations)
        return OtherSources(tuple(notes), tuple(violations))

    # --- lines -----------------------------------------------------------------------------

    def _lines(
        self,
        account: Account,
        views: Sequence[View],
        source: tuple[str, tuple[int, int] | None],
        lines: Iterable[AnyLine],
    ) -> Iterator[AnyLine]:
        self._files.append((account.name, *source))
        left, all_lines = _MOST_ASKED, iter(lines)
        while block := list(islice(all_lines, _BLOCK)):
            open_ones = [line for line in block if _spared(line)]
            if not open_ones:
                yield from map(self._placed, block)
                continue
            answers = self._asked(account, views, open_ones[:left])
            left -= min(left, len(open_ones))
            for line in block:
                yield self._placed(answers.get(line.line) or _unasked(line))

    def _asked(
        self, account: Account, views: Sequence[View], lines: Sequence[AnyLine]
    ) -> dict[int, AnyLine]:
        """The lines as sshd judges them."""
        found: dict[int, AnyLine] = {}
        alike: dict[tuple[LoginOrigin, ...], list[AnyLine]] = {}
        for line in lines:
            origins, doubt = self._origins(views, line)
            if _is_authority(line) or doubt:
                why = doubt or "only a certificate would show whether sshd takes this authority"
                found[line.line] = _answered(line, None, why)
            else:
                alike.setdefault(tuple(origins), []).append(line)
        for places, some in alike.items():
            found.update(self._asked_from(account, views, some, places))
        return found

    @staticmethod
    def _origins(views: Sequence[View], line: AnyLine) -> tuple[list[LoginOrigin], str]:
        usual = [view.origin for view in views]
        use_dns = any(view.settings.is_on("usedns") for view in views)
        return origins_of(line.raw, usual, use_dns=use_dns)

    def _asked_from(
        self,
        account: Account,
        views: Sequence[View],
        lines: Sequence[AnyLine],
        origins: Sequence[LoginOrigin],
    ) -> dict[int, AnyLine]:
        keys = {key.fingerprint: key for line in lines for key in keys_in(line.raw)}
        said: dict[str, tuple[bool | None, str]] = {}
        sshds = (view.instance.sshd for view in views)
        for sshd in {(one.program, one.arguments): one for one in sshds}.values():
            taken = self.evidence.keys_are_taken(sshd, account.name, list(keys.values()), origins)
            for name, answer in taken.items():
                old = said.get(name)
                if old is None or answer[0] is True or old[0] is False:
                    said[name] = answer
        return {line.line: _answered(line, *_of_line(line, said)) for line in lines}

    def _placed(self, line: AnyLine) -> AnyLine:
        if not isinstance(line, KeyLine):
            return line
        mine = ((len(self._files) - 1) << _LINE_BITS) + line.line
        first = self._seen.setdefault(line.fingerprint, mine)
        place = self._other(first, mine) if first != mine else None
        return line._replace(duplicate=place) if place else line

    def _other(self, first: int, mine: int) -> KeyPosition | None:
        """Where a key stood before; None if that is this very line, read for another user."""
        (user, path, identity), line = self._files[first >> _LINE_BITS], first & _ANY_LINE
        same_file = identity is not None and identity == self._files[mine >> _LINE_BITS][2]
        if same_file and line == mine & _ANY_LINE:
            return None
        return KeyPosition(user, path, line)


_AS_ROOT: Final = "run the command by hand as its user"
_LINE_BITS: Final = 40
_ANY_LINE: Final = (1 << _LINE_BITS) - 1


def _spared(line: AnyLine) -> bool:
    return bool(line.verdict.spared if isinstance(line, KeyLine) else line.spared)


def _is_authority(line: AnyLine) -> bool:
    return isinstance(line, KeyLine) and line.verdict.is_authority


def _answered(line: AnyLine, taken: bool | None, why: str) -> AnyLine:
    if isinstance(line, KeyLine):
        return line._replace(verdict=line.verdict.answered(taken, why), raw=b"")
    return line.answered(taken, why)


def _unasked(line: AnyLine) -> AnyLine:
    why = "there are too many such lines to ask sshd about all of them"
    return _answered(line, None, why) if _spared(line) else line


def _of_line(line: AnyLine, said: dict[str, tuple[bool | None, str]]) -> tuple[bool | None, str]:
    """What sshd says of the worst of a line's keys."""
    answers = [said.get(key.fingerprint, (None, "")) for key in keys_in(line.raw)]
    for wanted in (True, None):
        for answer in answers:
            if answer[0] is wanted:
                return answer
    return (False, "") if answers else (None, "it holds no key that sshd could be asked about")


def _doubtful_file(source: KeySource) -> str:
    """Why nobody can tell what is in a file; empty for one that can be read, or is not a file."""
    if source.special:
        return f"{source.path} is {source.special}, whose content changes from one look to the next"
    if source.size > MAX_FILE:
        return _TOO_LARGE
    return ""


class _Bounded:
    """Reads a file in bounded time and size."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._left = MAX_FILE
        self._until = time.monotonic() + MAX_S
        self.stopped = ""

    def read(self, size: int) -> bytes:
        """The next bytes; none once a bound is reached, and then `stopped` says which."""
        if self._left <= 0:
            self.stopped = _TOO_LARGE
            return b""
        if time.monotonic() > self._until:
            self.stopped = _TOO_SLOW
            return b""
        data = self._read(min(size, self._left))
        self._left -= len(data)
        return data


# --- names of files --------------------------------------------------------------------------

_PATTERN: Final = frozenset("*?[\\")


def paths(account: Account, views: Sequence[View]) -> list[Path]:
    """Every file that AuthorizedKeysFile may name, each once.

    sshd prints names without their quotes, and from version 10 on it expands patterns: whatever
    it may mean is looked at.
    """
    found: dict[Path, None] = {}
    for view in views:
        likely = view.settings.key_files
        for name in view.settings.possible_key_files:
            for path in _matches(path_of(account, name)):
                if name in likely or os.path.lexists(path):
                    found[path] = None
    return list(found)


def _matches(path: Path) -> list[Path]:
    if not _PATTERN.intersection(str(path)):
        return [path]
    return [path, *(Path(name) for name in c_glob(str(path)))]


class _Glob(ctypes.Structure):
    """glob_t, its first members; the rest is room (glob(3))."""

    _fields_ = (
        ("count", ctypes.c_size_t),
        ("paths", ctypes.POINTER(ctypes.c_char_p)),
        ("rest", ctypes.c_char * 256),
    )


def c_glob(pattern: str) -> list[str]:
    """What glob(3) finds for a pattern: the function that sshd calls."""
    libc = ctypes.CDLL(None)
    found = _Glob()
    if libc.glob(os.fsencode(pattern), 0, None, ctypes.byref(found)) != 0:
        return []
    try:
        return [os.fsdecode(found.paths[at] or b"") for at in range(found.count)]
    finally:
        libc.globfree(ctypes.byref(found))
