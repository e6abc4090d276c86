"""Libraries that are compiled where they are needed."""

from __future__ import annotations

import ctypes
import stat
import subprocess
from pathlib import Path

import pytest

from fidokit.errors import FidokitError, Unsupported
from fidokit.files.c_library import FLAGS, compiled

SOURCE = '__attribute__((visibility("default"))) int answer(void) { return ANSWER; }\n'


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "answer.c"
    path.write_text(SOURCE)
    return path


def answer(library: Path) -> int:
    return int(ctypes.CDLL(str(library)).answer())


def compiler(folder: Path, text: str) -> str:
    """A search path with one compiler, a script."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "cc"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return str(program.parent)


@pytest.mark.compiled
def test_made_once(source: Path, tmp_path: Path) -> None:
    made = tmp_path / "deep" / "lib" / "answer.so"
    assert compiled(source, made, "-DANSWER=42") == made
    assert answer(made) == 42
    assert stat.S_IMODE(made.stat().st_mode) == 0o755
    before = made.stat().st_ino
    compiled(source, made, "-DANSWER=42")
    assert made.stat().st_ino == before


@pytest.mark.compiled
@pytest.mark.parametrize("change", ["definition", "source", "cut off"])
def test_made_anew(source: Path, tmp_path: Path, change: str) -> None:
    made = compiled(source, tmp_path / "answer.so", "-DANSWER=42")
    before = made.stat().st_ino
    if change == "source":
        source.write_text(f"/* newer */\n{SOURCE}")
    elif change == "cut off":
        made.write_bytes(made.read_bytes()[:-1])
    compiled(source, made, "-DANSWER=43" if change == "definition" else "-DANSWER=42")
    assert made.stat().st_ino != before
    assert answer(made) == (43 if change == "definition" else 42)


def test_no_compiler(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match=r"answer\.c has to be compiled once") as caught:
        compiled(source, tmp_path / "answer.so")
    assert "apt install gcc libc6-dev" in caught.value.hint


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("echo 'x.c:1: note'; echo 'stdio.h: fatal error' >&2; exit 1", "stdio.h: fatal error"),
        ("exit 1", "it says nothing"),
        ("exit 0", "it says nothing"),
        ("kill -9 $$", "it says nothing"),
    ],
)
def test_a_compiler_that_refuses(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, said: str
) -> None:
    monkeypatch.setenv("PATH", compiler(tmp_path, does))
    with pytest.raises(Unsupported, match=said):
        compiled(source, tmp_path / "answer.so")
    assert not (tmp_path / "answer.so").exists()


def test_a_compiler_that_cannot_run(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", compiler(tmp_path, ""))
    (tmp_path / "bin" / "cc").write_text("#!/no/such/interpreter\n")
    with pytest.raises(Unsupported, match="did not compile"):
        compiled(source, tmp_path / "answer.so")


@pytest.mark.compiled
def test_a_folder_that_is_a_file(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FidokitError, match="file"):
        compiled(source, tmp_path / "file" / "answer.so", "-DANSWER=1")


@pytest.mark.compiled
def test_hardened(source: Path, tmp_path: Path) -> None:
    """Nothing of its tables can be written once it is loaded."""
    made = compiled(source, tmp_path / "answer.so", "-DANSWER=1")
    said = subprocess.check_output(["readelf", "-dlW", str(made)], text=True)
    assert "GNU_RELRO" in said
    assert "BIND_NOW" in said
    assert "-D_FORTIFY_SOURCE=2" in FLAGS
    stack = next(line for line in said.splitlines() if "GNU_STACK" in line)
    assert " RWE " not in stack
