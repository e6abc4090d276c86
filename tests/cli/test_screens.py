"""What users see, as captures: each screen at its width, compared with the one that is committed.

`FIDOKIT_WRITE_SCREENS=1` before pytest writes them anew; read the difference before a commit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.sandbox import Sandbox, environment
from tests.support.warm import Warm

from fidokit.prompt.text import PALETTE

PIN = "123456"
FOLDER = Path(__file__).parents[1] / "vectors" / "screens"
CHANGING = {r"SHA256:[A-Za-z0-9+/]{43}": "SHA256:" + "x" * 43, r"FK[0-9A-F]{10}": "FK0000000000"}
"""What differs from run to run, and what stands for it, as long as itself."""

ALICE = ("-C", "alice@example.org")
KEYS = (
    ("id_work", "-O", "resident", "-O", "application=ssh:work", "-C", "work laptop"),
    ("id_home", "-O", "resident", "-O", "application=ssh:home", "-O", "verify-required", *ALICE),
    ("id_backup", "-O", "resident", "-O", "application=ssh:backup", *ALICE),
    ("id_git", "-O", "no-touch-required", "-C", "signing of commits, without a touch at each"),
)


class Scene(NamedTuple):
    """A command, what is typed at its questions, and what else is in its environment."""

    args: tuple[str, ...]
    answers: tuple[tuple[str, str], ...] = ()
    env: Mapping[str, str] = {}
    sizes: tuple[int, ...] = (80, 60)
    code: int = 0


TRIES = r"tries left\): ?$"
KEY = r"Which key\? \[1\]: ?$"
CHOICE = r"touch the one you mean\] ?$"
ASKED = ((TRIES, f"{PIN}\n"),)
SCENES: Mapping[str, Scene] = {
    "key-list": Scene(("key", "list"), ASKED, sizes=(120, 80, 60, 40)),
    "key-list-long": Scene(("key", "list", "--long", "--sort", "name"), ASKED, sizes=(80,)),
    "key-list-no-token": Scene(("key", "list", "--no-token", "--sort", "file")),
    "key-list-absent": Scene(("key", "list"), env={"FIDOKIT_TOKEN": "usb:123"}),
    "token-list": Scene(("token", "list")),
    "token-list-long": Scene(("token", "list", "--long"), sizes=(80,)),
    "token-info": Scene(("token", "info")),
    "token-choice": Scene(
        ("pin", "status"), ((CHOICE, "9\n"), (CHOICE, "2\n")), {"FIDOKIT_TOKEN": ""}
    ),
    "pin-status": Scene(("pin", "status")),
    "pin-wrong": Scene(("pin", "verify"), ((TRIES, "000000\n"), (TRIES, f"{PIN}\n"))),
    "pin-change": Scene(
        ("pin", "change"),
        (
            ("Current PIN", "1\n"), ("Current PIN", f"{PIN}\n"),
            ("New PIN", "1\n"), ("again", "1\n"),
            ("New PIN", "2\n"), ("again", "1\n"),
            ("New PIN", f"{PIN}\n"), ("again", f"{PIN}\n"),
        ),
    ),
    "key-generate-quiet": Scene(
        ("key", "generate", "-q", "-f", "new", "--no-passphrase"), sizes=(80,)
    ),
    "key-generate-no-touch": Scene(
        ("key", "generate", "-q", "-f", "new", "-O", "no-touch-required", "--no-passphrase"),
        sizes=(80,),
    ),
    "absent": Scene(("--token", "usb:123", "token", "info", "--no-wait"), code=3),
    "setup": Scene(("setup",), ((KEY, "9\n"), (KEY, "6\n"))),
    "git-setup": Scene(
        ("git", "setup", "-f", ".ssh/id_work", "--principal", "me@example.org", "--dry-run",
         "--program", "fidokit-ssh-keygen"),
        sizes=(80,),
    ),
    "help-key": Scene(("key", "--help")),
    "wrong-letter": Scene(("key", "-P", "words"), code=2),
    "wrong-word": Scene(("key", "create"), code=2),
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, warm: Warm | None) -> Sandbox:
    """A home with a token, four keys of it, and one more token; scenes leave it as it is."""
    folder = tmp_path_factory.mktemp("screens")
    sandbox = Sandbox(folder, environment(folder), warm)
    for name in ("everyday", "spare"):
        assert sandbox.run("virtual", "create", name).code == 0
    (sandbox.home / "pin").write_text(f"{PIN}\n")
    (sandbox.home / ".ssh").mkdir(mode=0o700)
    token = ("--token", "virtual:everyday")
    assert sandbox.run(*token, "pin", "set", "--new-pin-file", "pin").code == 0
    for name, *options in KEYS:
        made = sandbox.run(
            *token, "key", "generate", "-f", f".ssh/{name}", "--no-passphrase", *options,
            "--pin-file", "pin",
        )  # fmt: skip
        assert made.code == 0, made.err
    return sandbox


def capture(home: Sandbox, scene: Scene, columns: int, **more: str) -> tuple[str, bytes]:
    """The screen of a scene, and the bytes that made it."""
    env = {"FIDOKIT_TOKEN": "virtual:everyday", **scene.env, **more}
    with home.window(*scene.args, columns=columns, rows=60, **env) as shown:
        before = 0
        for asked, typed in scene.answers:
            text = shown.wait(lambda text: bool(re.search(asked, text[before:])))  # noqa: B023
            before = len(text)
            shown.type(typed)
        assert shown.status == scene.code, shown.text()
        text = shown.text()
    for changing, stands in CHANGING.items():
        text = re.sub(changing, stands, text)
    return re.sub(r"\d{4}-\d\d-\d\d", "2026-11-30", text) + "\n", shown.raw


@pytest.mark.parametrize("name", SCENES)
def test_screens_are_those_that_are_committed(home: Sandbox, name: str) -> None:
    scene = SCENES[name]
    parts = []
    for columns in scene.sizes:
        text, _ = capture(home, scene, columns)
        clear(home)
        assert all(len(line) <= columns for line in text.splitlines())
        parts.append(f"--- {columns} columns ---\n{text}")
        assert PIN not in text
    committed = FOLDER / f"{name}.txt"
    if os.environ.get("FIDOKIT_WRITE_SCREENS"):
        committed.write_text("".join(parts))
    assert "".join(parts) == committed.read_text()


@pytest.mark.parametrize("name", ["key-list", "pin-wrong", "absent", "token-choice"])
def test_without_color_the_same_is_shown(home: Sandbox, name: str) -> None:
    text, _ = capture(home, SCENES[name], 80)
    plain, unstyled = capture(home, SCENES[name], 80, NO_COLOR="1")
    assert plain == text
    assert not re.search(rb"\x1b\[[0-9;]*m", unstyled)


def clear(home: Sandbox) -> None:
    """Take away what a scene made."""
    for name in ("new", "new.pub"):
        (home.home / name).unlink(missing_ok=True)


def test_every_capture_has_its_scene() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(SCENES)


@pytest.mark.parametrize("name", ["key-list", "pin-status", "absent", "setup", "wrong-word"])
def test_colors_read_on_white_and_on_black(home: Sandbox, name: str) -> None:
    """What is not bold alone has a contrast of 4.5 with either ground, on any terminal."""
    _, raw = capture(home, SCENES[name], 80)
    used = set(re.findall(rb"\x1b\[([0-9;]*)m", raw))
    assert used, "something is bold or colored"
    for found in used - {b"", b"0", b"1"}:
        color = re.fullmatch(rb"38;5;(\d+)", found)
        assert color, f"{found!r} looks different on each terminal"
        assert contrasts(int(color[1])) >= READABLE, found


@pytest.mark.parametrize("sgr", PALETTE)
def test_every_color_reads_on_white_and_on_black(sgr: str) -> None:
    assert contrasts(int(sgr.removeprefix("38;5;"))) >= READABLE


def test_the_sixteen_colors_do_not() -> None:
    """Why they are not used: xterm's green, for one, on white."""
    assert contrast((0, 205, 0), (255, 255, 255)) < READABLE
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)


@pytest.mark.parametrize("name", ["absent", "key-list"])
def test_a_terminal_of_few_colors_gets_bold_alone(home: Sandbox, name: str) -> None:
    text, _ = capture(home, SCENES[name], 80)
    plain, raw = capture(home, SCENES[name], 80, TERM="xterm", COLORTERM="")
    assert plain == text
    assert set(re.findall(rb"\x1b\[([0-9;]*)m", raw)) <= {b"", b"0", b"1"}


Rgb = tuple[int, int, int]
READABLE = 4.5
"""The least contrast of text with its ground (WCAG 2.1, success criterion 1.4.3)."""
LEVELS = (0, 95, 135, 175, 215, 255)


def rgb_of(number: int) -> Rgb:
    """One of the 240 colors of xterm's table that no terminal's settings change."""
    assert 16 <= number <= 255
    if number >= 232:
        gray = 8 + 10 * (number - 232)
        return gray, gray, gray
    place = number - 16
    return LEVELS[place // 36], LEVELS[place // 6 % 6], LEVELS[place % 6]


def luminance(color: Rgb) -> float:
    parts = (value / 255 for value in color)
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Rgb, other: Rgb) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def contrasts(number: int) -> float:
    """The lesser of those with white and with black."""
    return min(contrast(rgb_of(number), ground) for ground in ((0, 0, 0), (255, 255, 255)))
