"""`server check --long`: every setting, user, file and key; tables, or lines for a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, TextIO

from fidokit.prompt.text import count, escape, is_fancy
from fidokit.server.check.audit import FileReport, ServerReport, UserReport
from fidokit.server.check.findings.derivation import ReportEvent
from fidokit.server.check.key_lines import KeyLine, UnreadableLine
from fidokit.server.check.key_verdicts import CheckVerdict
from fidokit.server.check.policy import CheckRule
from fidokit.server.check.report import DECISIVE_SETTINGS

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_AT_ONCE = 500
"""Rows that are laid out together: a file of 100,000 keys must not be in memory as a table."""

_WIDEST = 110
_WRITTEN = 4096
_PIECE = 1 << 20
_COLUMNS = ("WHAT", "USER", "FILE", "LINE", "TYPE", "FINGERPRINT", "SAYS", "COMMENT")


@dataclass(frozen=True)
class Details:
    """Text that waits in a file, so that it takes no memory."""

    file: TextIO

    def copy_to(self, stream: TextIO) -> None:
        """Write all of it."""
        self.file.seek(0)
        while piece := self.file.read(_PIECE):
            stream.write(piece)


@contextmanager
def details(report: Iterable[ReportEvent], *, wanted: bool) -> Iterator[Details]:
    """Let a report go by to its end, and keep its details where they are wanted."""
    with TemporaryFile("w+", encoding="utf-8") as file:
        if not wanted:
            for _ in report:
                pass
        elif is_fancy(sys.stdout):
            file.write("\n")
            _Sections(file).write(report)
        else:
            lines = _Lines().lines(report)
            while batch := list(islice(lines, _WRITTEN)):
                file.write("\n".join(batch) + "\n")
        yield Details(file)


# --- one line a finding --------------------------------------------------------------------


class _Lines:
    """Rows of `_COLUMNS`, with tabs between; escape() leaves none inside."""

    def __init__(self) -> None:
        self._user = self._path = ""

    def lines(self, report: Iterable[ReportEvent]) -> Iterator[str]:
        """Each in turn."""
        known, head, says = None, "", ""
        for key in report:
            if not isinstance(key, KeyLine):
                known = None
                yield from self._other(key)
                continue
            if key.verdict is not known or key.duplicate:  # else it says what the one before said
                known = None if key.duplicate else key.verdict
                head, says = f"key\t{self._user}\t{self._path}", _says(key)
            comment = key.comment if key.comment.isprintable() else escape(key.comment)
            yield f"{head}\t{key.line}\t{key.type}\t{key.fingerprint}\t{says}\t{comment or '-'}"

    def _other(self, event: ReportEvent) -> Iterator[str]:
        if isinstance(event, ServerReport):
            yield "\t".join(_COLUMNS)
            for name, value in _settings(event):
                yield _row("setting", says=f"{name} {value}")
            yield from (_row("note", says=note) for note in event.notes)
        elif isinstance(event, UserReport):
            self._user = escape(event.account.name)
            yield _row("password", self._user, says=password(event))
            yield from (_row("refused", self._user, says=why) for why in event.refusals)
        elif isinstance(event, FileReport):
            self._path = escape(event.path)
            for why in of_file(event):
                yield _row("file", self._user, self._path, says=why)
        elif isinstance(event, UnreadableLine):
            against = [f"against {rule}" for rule, _ in event.violates]
            says = "; ".join((event.reason, *against))
            yield _row("unreadable", self._user, self._path, str(event.line), says)


def _row(what: str, user: str = "-", path: str = "-", line: str = "-", says: str = "") -> str:
    return "\t".join((what, user, path, line, "-", "-", escape(says), "-"))


def _says(key: KeyLine) -> str:
    found = [*demands(key.verdict), *options(key.verdict), *remarks(key)]
    found += [f"against {rule}: {why}" for rule, why in key.verdict.violates]
    return escape("; ".join(found))


def _settings(report: ServerReport) -> Iterator[tuple[str, str]]:
    for name in DECISIVE_SETTINGS:
        values = report.settings.values.get(name.lower(), ())
        yield name, " ".join(values) or "-"


# --- sections on a terminal ----------------------------------------------------------------


class _Sections:
    """The server's settings, then each user who has a way in, with a table a file."""

    def __init__(self, file: TextIO) -> None:
        from rich.console import Console

        like = Console()
        self._console = Console(
            file=file,
            width=like.width,
            force_terminal=True,  # the file's text goes there; NO_COLOR still counts
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._rows: list[KeyLine | UnreadableLine] = []
        self._headed = False
        self._general: ServerReport | None = None
        self._waiting: UserReport | None = None
        self._quiet = 0

    def write(self, report: Iterable[ReportEvent]) -> None:
        """Print each part as soon as it is whole."""
        for event in report:
            if isinstance(event, (KeyLine, UnreadableLine)):
                self._rows.append(event)
                if len(self._rows) >= _AT_ONCE:
                    self._flush()
                continue
            self._flush()
            if isinstance(event, ServerReport):
                self._server(event)
            elif isinstance(event, UserReport):
                self._forget_waiting()
                self._waiting = event
                if event.password.possible or event.violations:
                    self._user()
            elif isinstance(event, FileReport):
                self._user()
                self._file(event)
        self._flush()
        self._forget_waiting()
        if self._quiet:
            have = f"{count(self._quiet, 'user')} {'has' if self._quiet == 1 else 'have'}"
            self._console.print(f"\n{have} neither a key nor a password that gets in.")

    def _forget_waiting(self) -> None:
        """The user before had nothing to show."""
        self._quiet += self._waiting is not None
        self._waiting = None

    def _server(self, report: ServerReport) -> None:
        self._general = report
        self._console.print("sshd's settings", style="bold")
        for name, value in _settings(report):
            self._say(f"{name:<30} {_short(value)}", "", 2)
        for note in report.notes:
            self._say(note, "yellow", 2)

    def _user(self) -> None:
        """Head a section, once it is known that there is something in it."""
        from rich.text import Text

        report, self._waiting = self._waiting, None
        if report is None:
            return
        said = Text(escape(password(report)), _ALARM if report.password.possible else "dim")
        name = Text(escape(report.account.name), "bold")
        self._console.print(Text.assemble("\n", name, "  password ", said))
        for why in (*report.refusals, *([report.unknown] if report.unknown else [])):
            self._say(f"refused: {why}", "red", 2)
        for violation in report.violations:
            self._say(f"against {violation.rule}: {violation.why}", "bold red", 2)
        self._differences(report)

    def _differences(self, report: UserReport) -> None:
        """What a Match block changes for this user."""
        if self._general is None or report.unknown:
            return
        for name in DECISIVE_SETTINGS:
            mine = report.settings.values.get(name.lower(), ())
            if mine != self._general.settings.values.get(name.lower(), ()):
                self._say(f"{name} {_short(' '.join(mine) or '-')}", "cyan", 2)

    def _file(self, report: FileReport) -> None:
        self._console.print(f"  {escape(report.path)}", soft_wrap=True)
        for why in of_file(report):
            self._say(why, _ALARM if why.startswith(LOOSE) else "red", 4)
        self._headed = False

    def _say(self, text: str, style: str, indent: int) -> None:
        from rich.padding import Padding
        from rich.text import Text

        self._console.print(Padding(Text(escape(text), style), (0, 0, 0, indent)))

    def _flush(self) -> None:
        if self._rows:
            table = _table(min(self._console.width, _WIDEST), headed=not self._headed)
            for row in self._rows:
                table.add_row(*_cells(row))
            self._console.print(table)
            self._rows, self._headed = [], True


_ALARM = "yellow"
_LINE = 6
_DEMANDS = 17
_LONGEST = 200


def _table(width: int, *, headed: bool) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), header_style="bold", width=width, show_header=headed
    )
    table.add_column("Line", justify="right", width=_LINE, no_wrap=True)
    table.add_column("Key", ratio=1, overflow="fold")
    table.add_column("A login takes", width=_DEMANDS, overflow="fold")
    return table


def _cells(row: KeyLine | UnreadableLine) -> tuple[str, Text, Text]:
    if isinstance(row, UnreadableLine):
        return str(row.line), _lines((row.reason, "yellow"), *_against(row.violates)), _lines(_JUNK)
    kind = f"{row.type} {row.bits}" if row.type == "RSA" else row.type
    found = [(f"{kind} {_cut(row.comment)}", "bold"), (row.fingerprint, "")]
    found += [(_cut(option), "cyan") for option in options(row.verdict)]
    found += [(remark, "red") for remark in remarks(row)]
    found += _against(row.verdict.violates)
    color = "green" if row.verdict.hardware else "yellow"
    return str(row.line), _lines(*found), _lines((", ".join(demands(row.verdict)), color))


def _cut(text: str) -> str:
    """What is longer than a user reads; the whole is in the JSON."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_JUNK = ("unreadable", "yellow")


def _against(violates: Sequence[tuple[CheckRule, str]]) -> list[tuple[str, str]]:
    return [(f"against {', '.join(rule for rule, _ in violates)}", "bold red")] if violates else []


def _lines(*parts: tuple[str, str]) -> Text:
    from rich.text import Text

    pieces = [(escape(text), style) for text, style in parts]
    return Text("\n").join(Text(text, style) for text, style in pieces)


def _short(value: str) -> str:
    """A long list of algorithms by its ends; the whole is in the JSON."""
    names = value.split(",")
    return value if len(names) < 4 else f"{names[0]}, ... {names[-1]} ({len(names)})"


# --- in a few words ------------------------------------------------------------------------

LOOSE = "not minded, StrictModes being off: "
_IN_FLAGS = ("touch-required", "verify-required")


def demands(verdict: CheckVerdict) -> list[str]:
    """What a login by the key takes."""
    kind = {True: "token", False: "no token", None: "not known"}[verdict.hardware]
    words = ["authority", kind] if verdict.is_authority else [kind]
    if verdict.hardware:
        words.append("touch" if verdict.touch else "no touch")
        words += ["PIN"] if verdict.verify else []
    return words


def options(verdict: CheckVerdict) -> list[str]:
    """What stands before the key besides what `demands` says; hostile text."""
    return [
        option.name if option.value is None else f'{option.name}="{option.value}"'
        for option in verdict.options
        if option.name.removeprefix("no-") not in _IN_FLAGS and option.name != "cert-authority"
    ]


def remarks(key: KeyLine) -> Iterator[str]:
    """What is wrong with a key; hostile text."""
    verdict = key.verdict
    if verdict.strength != "good":
        yield f"{verdict.strength}: {key.type} {key.bits}"
    if key.duplicate:
        yield f"same as {key.duplicate.user} {key.duplicate.path}:{key.duplicate.line}"
    if not verdict.hardware and not verdict.is_authority:
        idle = [o.name for o in verdict.options if o.name in _IN_FLAGS]
        yield from (f"{name} does nothing without a token" for name in idle)
    yield from (f"refused: {why}" for why in verdict.refusals)


def of_file(file: FileReport) -> list[str]:
    """What is wrong with a file as a whole; hostile text."""
    hidden = [file.hidden] if file.hidden else []
    return [*file.refusals, *hidden, *(f"{LOOSE}{why}" for why in file.warnings)]


def password(user: UserReport) -> str:
    """Whether a password lets in, and why."""
    return f"{'yes' if user.password.possible else 'no'}: {user.password.why}"
