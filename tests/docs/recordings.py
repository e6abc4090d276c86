"""Recordings for the pages: real commands on a real terminal, drawn as SVG. `make docs` draws them.

A recording has no file of its own beside the picture: the picture's text is what the test compares.
It shows each command and then what it printed, at a reader's pace, and needs no script for that.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from io import StringIO
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text
from tests.docs.machines import two_machines
from tests.docs.pages import TOP
from tests.docs.terminal import READER_HOME, Shell, sandbox

FOLDER = TOP / "docs" / "assets" / "recordings"
COLUMNS = 80
CHARACTER = 12.2
"""The width of one in rich's pictures."""
TYPING_S, READING_S = 1.2, 0.15
"""How long a command stands alone, and how long each line of its output is given."""


class Recording(NamedTuple):
    """What is run before, unseen, and what is shown."""

    title: str
    before: tuple[str, ...]
    shown: tuple[str, ...]
    has_server: bool = False
    """Whether it runs on two machines, yours and server.example; these need root."""


CHECK = "ssh root@server.example fidokit server check --user root"
TOKEN = ("fidokit virtual create demo", "export FIDOKIT_TOKEN=virtual:demo")
RECORDINGS: Mapping[str, Recording] = {
    "first-key": Recording(
        "A key on a token, lost with the laptop, and back",
        (*TOKEN, "fidokit pin set"),
        (
            "fidokit key generate -O resident -C me@laptop -f id_work --no-passphrase",
            "rm id_work*",
            "fidokit key list",
            "fidokit key download --no-passphrase",
        ),
    ),
    "virtual-run": Recording(
        "ssh-keygen on a security key, without one",
        (),
        (
            "fidokit virtual run -- fido2-token -L",
            "fidokit virtual run -- ssh-keygen -t ed25519-sk -N '' -C ci -f id_ci",
            "ssh-keygen -lf id_ci.pub",
        ),
    ),
    "server": Recording(
        "A server lets in keys on tokens, and nothing else",
        (
            *TOKEN,
            "export SSH_SK_PROVIDER=$(fidokit provider path)",
            "fidokit key generate -q -C me@token -f ~/.ssh/id_ed25519_sk --no-passphrase",
        ),
        (
            "fidokit server authorize ~/.ssh/id_ed25519_sk.pub --host root@server.example",
            f"{CHECK} --require hardware",
            "fidokit server authorize --revoke ~/.ssh/id_ed25519.pub --host root@server.example",
            f"{CHECK} --require hardware",
        ),
        has_server=True,
    ),
}

STYLE = """\
    .{unique_id}-matrix {{ font: {char_height}px monospace; white-space: pre; }}
    .{unique_id}-title {{ font: bold 18px sans-serif; }}
    @keyframes show {{ from {{ opacity: 0.3; }} to {{ opacity: 1; }} }}
    text[style] {{ animation: show 0.2s both; }}
    @media (prefers-reduced-motion: reduce) {{ text[style] {{ animation: none; }} }}
    {styles}"""
FORMAT = f"""\
<svg viewBox="0 0 {{width}} {{height}}" xmlns="http://www.w3.org/2000/svg" role="img">
    <style>
{STYLE}
    </style>
    <defs>
    <clipPath id="{{unique_id}}-clip-terminal">
      <rect x="0" y="0" width="{{terminal_width}}" height="{{terminal_height}}" />
    </clipPath>
    {{lines}}
    </defs>
    {{chrome}}
    <g transform="translate({{terminal_x}}, {{terminal_y}})"
       clip-path="url(#{{unique_id}}-clip-terminal)">
    {{backgrounds}}
    <g class="{{unique_id}}-matrix">
    {{matrix}}
    </g>
    </g>
</svg>
"""


def record(recording: Recording) -> list[tuple[str, list[Text]]]:
    """Run the commands in an empty home; raises AssertionError where one does not end well."""
    with two_machines() if recording.has_server else sandbox() as shell:
        shell.columns = COLUMNS
        del shell.environment["NO_COLOR"]
        for command in recording.before:
            said = shell.run(command)
            assert said.status == 0, said.text
        return [(command, on_screen(shown(shell, command))) for command in recording.shown]


def shown(shell: Shell, command: str) -> bytes:
    """Return what a terminal gets; a policy that does not hold (10) may be what is shown."""
    raw, status = shell.watch(command)
    assert status in (0, 10), (command, raw)
    for path, name in {str(shell.home): READER_HOME, **shell.hidden}.items():
        raw = raw.replace(path.encode(), name.encode())
    return raw


def on_screen(raw: bytes) -> list[Text]:
    """Return the lines that a terminal shows after it got these bytes, with their colors."""
    screen = pyte.Screen(COLUMNS, 400)
    pyte.ByteStream(screen).feed(raw)
    lines = [_line(screen.buffer[row]) for row in range(screen.cursor.y + 1)]
    while lines and not lines[-1].plain:
        lines.pop()
    return lines


def _line(row: Mapping[int, pyte.screens.Char]) -> Text:
    cells = [row[column] for column in range(COLUMNS)]
    text = Text()
    for style, run in groupby(cells, key=_style):
        text.append("".join(char.data for char in run), style)
    text.rstrip()
    return text


def _style(char: pyte.screens.Char) -> Style:
    return Style(color=_color(char.fg), bold=char.bold, reverse=char.reverse)


def _color(name: str) -> str | None:
    if name == "default":
        return None
    if re.fullmatch(r"[0-9a-f]{6}", name):
        return f"#{name}"
    return {"brown": "yellow"}.get(name, name.replace("bright", "bright_"))


def draw(name: str, title: str, seen: list[tuple[str, list[Text]]]) -> str:
    """Return the picture, whose lines appear one after the other."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    delays: list[float] = []
    now = 0.4
    for command, output in seen:
        typed = Text.assemble(("$ ", "green"), (command, "bold"))
        for line in typed.wrap(console, COLUMNS):
            console.print(line, no_wrap=True)
            delays.append(now)
        now += TYPING_S
        for line in output:
            console.print(line, no_wrap=True, overflow="crop")
            delays.append(now)
            now += READING_S
        now += TYPING_S
    drawn = console.export_svg(title=title, theme=MONOKAI, code_format=FORMAT, unique_id=name)

    def appear(match: re.Match[str]) -> str:
        return f'{match[0]} style="animation-delay: {delays[int(match[1])]:.1f}s"'

    return re.sub(rf'clip-path="url\(#{name}-line-(\d+)\)"', appear, drawn)


def text_of(picture: str) -> str:
    """Return what a picture shows, line by line."""
    lines: dict[float, list[tuple[float, str]]] = {}
    for element in ElementTree.fromstring(picture).iter():
        if element.tag.endswith("}text") and "clip-path" in element.attrib:
            place = float(element.attrib["y"])
            lines.setdefault(place, []).append((float(element.attrib["x"]), element.text or ""))
    return "\n".join(_joined(parts) for _, parts in sorted(lines.items()))


def _joined(parts: list[tuple[float, str]]) -> str:
    """Put the pieces of a line where they stand; blank ones are not drawn."""
    line = ""
    for place, text in sorted(parts):
        line = line.ljust(round(place / CHARACTER)) + text.replace("\xa0", " ")
    return line.rstrip()


def main(names: list[str]) -> None:
    """Draw the named recordings, or all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or RECORDINGS:
        recording = RECORDINGS[name]
        picture = draw(name, recording.title, record(recording))
        Path(FOLDER / f"{name}.svg").write_text(picture)


if __name__ == "__main__":
    main(sys.argv[1:])
