"""The recordings show what their commands print today, in pictures that load nothing."""

from __future__ import annotations

import re

import pytest
from tests.docs.pages import comparable
from tests.docs.recordings import FOLDER, RECORDINGS, draw, on_screen, record, text_of

BROKEN = re.compile(r"(AAAA[A-Za-z0-9+/]+|SHA256:[A-Za-z0-9+/]{,42})\n")
"""A key or a fingerprint that the terminal broke in two."""


def masked(shown: str) -> list[str]:
    return comparable(BROKEN.sub(r"\1", shown)).splitlines()


def committed(name: str) -> str:
    return (FOLDER / f"{name}.svg").read_text()


ON_TWO_MACHINES = [
    pytest.param(name, marks=[pytest.mark.root] if recording.has_server else [])
    for name, recording in RECORDINGS.items()
]


@pytest.mark.interop
@pytest.mark.parametrize("name", ON_TWO_MACHINES)
def test_recording_is_what_its_commands_print(name: str) -> None:
    recording = RECORDINGS[name]
    now = text_of(draw(name, recording.title, record(recording)))
    assert masked(now) == masked(text_of(committed(name))), "run `make docs`, look at the picture"


def test_every_picture_has_its_commands() -> None:
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(RECORDINGS)


@pytest.mark.parametrize("name", RECORDINGS)
def test_picture_loads_nothing_and_is_small(name: str) -> None:
    picture = committed(name)
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", picture))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert "@font-face" not in picture
    assert len(picture) < 40_000


def test_screen_is_what_a_reader_sees_at_the_end() -> None:
    lines = on_screen(b"working...\r\x1b[2Kdone\r\n\x1b[1;31mred\x1b[0m and plain\r\n\r\n")
    assert [line.plain for line in lines] == ["done", "red and plain"]
    assert str(lines[1].spans[0].style) == "bold not reverse red"


def test_text_comes_back_from_the_picture() -> None:
    lines = on_screen(b"a  \x1b[32mgreen\x1b[0m  word\r\n\r\n  <indented> & so on\r\n")
    drawn = draw("sample", "Sample", [("echo 'a b'", lines)])
    assert text_of(drawn) == "$ echo 'a b'\na  green  word\n\n  <indented> & so on"
    assert set(re.findall(r"-delay: ([\d.]+)s", drawn)) == {"0.4", "1.6", "1.8", "1.9"}
