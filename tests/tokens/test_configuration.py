"""The environment first, then the file, and no traceback from either."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fidokit.errors import MalformedFile
from fidokit.tokens.configuration import config_path, configured_selector

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "fidokit/config.toml"
    path.parent.mkdir()
    return path


def test_the_environment_wins(config: Path) -> None:
    config.write_text('token = "usb:1"')
    assert configured_selector({"FIDOKIT_TOKEN": "usb:2"}, config) == "usb:2"
    assert configured_selector({"FIDOKIT_TOKEN": ""}, config) == "usb:1"


def test_the_file_is_found_by_xdg(config: Path, tmp_path: Path) -> None:
    config.write_text('token = "virtual:x"\n[other]\nkey = 1')
    assert configured_selector({"XDG_CONFIG_HOME": str(tmp_path)}) == "virtual:x"
    assert config_path({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}) == Path(
        "/h/.config/fidokit/config.toml"
    )


@pytest.mark.parametrize("text", ["", "other = 1", 'token = ""'])
def test_nothing_chosen(config: Path, text: str) -> None:
    config.write_text(text)
    assert configured_selector({}, config) is None


def test_no_file(config: Path) -> None:
    assert configured_selector({}, config) is None


@pytest.mark.parametrize(
    "content", [b"token =", b"token = 3", b"token = ['a']", b"\xff\xfe", b"\0"]
)
def test_a_broken_file(config: Path, content: bytes) -> None:
    config.write_bytes(content)
    with pytest.raises(MalformedFile) as caught:
        configured_selector({}, config)
    assert str(config) in caught.value.message
    assert caught.value.hint


def test_a_fifo_does_not_hang(config: Path) -> None:
    os.mkfifo(config)
    with pytest.raises(MalformedFile):
        configured_selector({}, config)
