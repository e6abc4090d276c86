"""A marked block in a file: in, out, byte for byte; the original kept; whole after a kill."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.rights import ordinary_user

from fidokit.errors import FidokitError, MalformedFile, NoPermission, WouldOverwrite
from fidokit.server.sshd import drop_in
from fidokit.server.sshd.drop_in import Edit

BLOCK = drop_in.block("touch", ["A 1", "B 2"])
OTHER = drop_in.block("verify", ["C 3"])


def put(path: Path, wanted: bytes | None) -> Edit:
    edit = drop_in.plan(path, wanted)
    drop_in.write(edit)
    return edit


def names(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sshd_config"


def test_the_title_of_a_block() -> None:
    text = b"first\n" + drop_in.block("harden touch", ["a b"]) + b"last\n"
    assert drop_in.title(text) == "harden touch"
    assert drop_in.title(b"none here\n") == ""


def test_a_block_says_what_it_is() -> None:
    assert BLOCK.decode().splitlines()[1:] == ["A 1", "B 2", "# END fidokit"]
    assert BLOCK.startswith(b"# BEGIN fidokit: touch; ")


@given(st.binary(max_size=60).filter(lambda text: b"# BEGIN fidokit: " not in text))
def test_any_text_comes_back(text: bytes) -> None:
    assert drop_in.without_block(text, Path("x")) == text
    assert drop_in.without_block(BLOCK + text, Path("x")) == text


def test_a_block_that_was_moved_is_found() -> None:
    assert drop_in.without_block(b"x\n" + BLOCK + b"y\n", Path("x")) == b"x\ny\n"


def test_a_block_without_an_end(path: Path) -> None:
    path.write_bytes(BLOCK.replace(b"# END", b"# end") + b"x\n")
    with pytest.raises(MalformedFile, match="has no end any more"):
        drop_in.plan(path, None)


@pytest.mark.parametrize("text", [b"", b"x", b"x\n", b"\r\n\xff\x00"])
def test_in_and_out(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    path.chmod(0o640)
    edit = put(path, BLOCK)
    assert path.read_bytes() == BLOCK + text
    assert mode(path) == 0o640
    assert edit.original.read_bytes() == text
    assert mode(edit.original) == 0o400
    put(path, OTHER)
    assert path.read_bytes() == OTHER + text
    assert edit.original.read_bytes() == text
    put(path, None)
    assert path.read_bytes() == text
    assert mode(path) == 0o640
    assert names(path.parent) == [path.name]


def test_a_file_of_ours_alone_comes_and_goes(path: Path) -> None:
    put(path, BLOCK)
    assert (path.read_bytes(), mode(path)) == (BLOCK, 0o644)
    put(path, OTHER)
    assert names(path.parent) == [path.name]
    put(path, None)
    assert names(path.parent) == []


def test_the_folder_is_made(tmp_path: Path) -> None:
    put(tmp_path / "sshd_config.d/x", BLOCK)
    assert (tmp_path / "sshd_config.d/x").exists()


def reverse(edit: Edit) -> Edit:
    return Edit(edit.path, edit.after, edit.before)


def test_an_edit_and_its_reverse(path: Path) -> None:
    path.write_bytes(b"x")
    drop_in.write(reverse(put(path, BLOCK)))
    assert path.read_bytes() == b"x"
    assert names(path.parent) == [path.name]
    path.unlink()
    drop_in.write(reverse(put(path, BLOCK)))
    assert not path.exists()


def test_what_was_edited_keeps_its_original(path: Path) -> None:
    path.write_bytes(b"x\n")
    edit = put(path, BLOCK)
    path.write_bytes(BLOCK + b"x\nmore\n")
    put(path, None)
    assert path.read_bytes() == b"x\nmore\n"
    assert edit.original.read_bytes() == b"x\n"


def test_nothing_to_do_is_nothing_done(path: Path) -> None:
    path.write_bytes(b"x")
    before = path.stat()
    edit = put(path, None)
    assert edit.is_empty
    assert path.stat() == before


def test_a_link_stays_one(path: Path, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"x")
    path.symlink_to("real")
    put(path, BLOCK)
    assert path.is_symlink()
    assert (tmp_path / "real").read_bytes() == BLOCK + b"x"


def test_a_folder_is_no_file(path: Path) -> None:
    path.mkdir()
    with pytest.raises(WouldOverwrite):
        drop_in.plan(path, BLOCK)


def test_a_file_that_changed(path: Path) -> None:
    path.write_bytes(b"x")
    edit = drop_in.plan(path, BLOCK)
    drop_in.check_current(edit)
    path.write_bytes(b"y")
    with pytest.raises(FidokitError, match="was changed while"):
        drop_in.check_current(edit)


@pytest.mark.parametrize(
    ("text", "lines"),
    [(b"x\n", range(0)), (BLOCK + b"x\n", range(1, 5)), (b"x\n" + BLOCK, range(2, 6))],
)
def test_where_a_block_stands(text: bytes, lines: range) -> None:
    assert drop_in.block_lines(text) == lines


@pytest.mark.root
def test_the_owner_stays(path: Path) -> None:
    path.write_bytes(b"x")
    os.chown(path, 1, 2)
    put(path, BLOCK)
    assert (path.stat().st_uid, path.stat().st_gid) == (1, 2)


def test_where_this_user_may_not_write(public_folder: Path) -> None:
    path = public_folder / "sshd_config"
    path.write_bytes(b"x")
    edit = drop_in.plan(path, BLOCK)
    with ordinary_user(public_folder):
        public_folder.chmod(0o500)
        with pytest.raises(NoPermission):
            drop_in.write(edit)
        public_folder.chmod(0o700)
    assert path.read_bytes() == b"x"


KILLED = """
import os, signal, sys
from pathlib import Path
from fidokit.server.sshd import drop_in

left = int(sys.argv[2])
CALLS = {"os.rename", "open", "os.chmod", "os.remove", "os.truncate", "os.chown", "os.link"}

def hook(event, _):
    global left
    if event in CALLS:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

path = Path(sys.argv[1])
wanted = sys.stdin.buffer.read() or None
edit = drop_in.plan(path, wanted)
sys.addaudithook(hook)
drop_in.write(edit)
"""


@pytest.mark.parametrize("undo", [False, True])
def test_a_kill_leaves_the_old_file_or_the_new(path: Path, *, undo: bool) -> None:
    """Killed before each operation on a file in turn, until one run gets through."""
    old, new = b"x\n" * 5000, BLOCK + b"x\n" * 5000
    seen = []
    for at in range(60):
        path.write_bytes(new if undo else old)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, path, str(at)],
            input=b"" if undo else BLOCK,
            check=False,
        )
        text = path.read_bytes()
        assert text in {old, new}
        seen.append(text)
        if done.returncode == 0:
            break
    assert done.returncode == 0
    assert len(seen) > 3
    assert seen[-1] == (old if undo else new)
    assert set(seen) == {old, new}
