"""A plan carried out with a scripted sshd: what goes wrong at each step leaves the old files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.server.sshd.test_services import Manager
from tests.support.agent_keys import executable

from fidokit.errors import FidokitError
from fidokit.server.harden.application import Applying
from fidokit.server.harden.levels import Directive
from fidokit.server.harden.running import Running, RunningMember, find_running
from fidokit.server.sshd import drop_in
from fidokit.server.sshd.query import Sshd

BLOCK = drop_in.block("touch", ["A 1"])
SSHD = """
import pathlib, sys
config = pathlib.Path(sys.argv[sys.argv.index("-f") + 1])
text = "".join(p.read_text() for p in sorted(config.parent.glob("*.conf")))
if "refuse" in text:
    sys.exit("line 1: refused")
print("pubkeyauthentication yes")
print("listenaddress 127.0.0.1:1")
print("a", 2 if "overrule" in text else 1)
"""


class Files:
    """Two files to edit, and an sshd that prints what they come to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "sshd_config"
        self.config.write_bytes(b"x\n")
        self.other = folder / "z.conf"
        self.sshd = Sshd(str(executable(folder / "sshd", SSHD)))

    def apply(self, running: Running | None = None) -> None:
        edits = [drop_in.plan(self.folder / "0.conf", BLOCK), drop_in.plan(self.config, BLOCK)]
        Applying(self.sshd, self.config, edits, [Directive("A", "1")]).run(running)

    def content(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def of_others(self) -> dict[str, bytes]:
        """Without the copies that are ours for the time being."""
        ours = (".tmp", drop_in.ORIGINAL_SUFFIX)
        return {name: text for name, text in self.content().items() if not name.endswith(ours)}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_all_goes_well(files: Files) -> None:
    files.apply()
    assert files.content()["0.conf"] == BLOCK
    assert files.config.read_bytes() == BLOCK + b"x\n"


@pytest.mark.parametrize(
    ("trouble", "message"), [("refuse", "sshd does not take"), ("overrule", "A 1 has no effect")]
)
def test_sshd_judges_otherwise_than_the_trial(files: Files, trouble: str, message: str) -> None:
    files.other.write_text(trouble)
    before = files.content()
    with pytest.raises(FidokitError, match=message):
        files.apply()
    assert files.content() == before


def test_the_second_file_cannot_be_written(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files.content()
    carry_out = drop_in.PreparedEdit.carry_out

    def refuse(prepared: drop_in.PreparedEdit) -> None:
        carry_out(prepared)
        if prepared.edit.path == files.config:
            raise KeyboardInterrupt

    monkeypatch.setattr(drop_in.PreparedEdit, "carry_out", refuse)
    with pytest.raises(KeyboardInterrupt):
        files.apply()
    assert files.content() == before


class Refusing(Manager):
    """Cannot tell sshd anything."""

    def reload(self) -> None:
        raise FidokitError("no")


def test_an_sshd_that_cannot_be_told_runs_on(files: Files) -> None:
    before = files.content()
    manager = Refusing()
    with pytest.raises(FidokitError, match="no"):
        files.apply(Running([RunningMember(manager, [])]))
    assert files.content() == before
    assert manager.done == []


def test_an_sshd_that_does_not_answer_is_started_with_the_old_files(files: Files) -> None:
    before = files.content()
    manager = Manager(generations=[1, 1], gone=True)
    seen = []
    manager.restart = lambda: seen.append(files.of_others())  # type: ignore[method-assign]
    with pytest.raises(FidokitError, match="does not answer after the reload"):
        files.apply(Running([RunningMember(manager, [])]))
    assert seen == [before]
    assert files.content() == before


def test_an_sshd_that_is_lost(files: Files) -> None:
    before = files.content()
    manager = Manager(generations=[1, 1], gone=True)
    with pytest.raises(FidokitError, match="though its files are as they were"):
        files.apply(Running([RunningMember(manager, [("127.0.0.1", 1)])], patience=0.0))
    assert files.content() == before


def test_no_sshd_runs(files: Files) -> None:
    with pytest.raises(FidokitError, match="no sshd answers here"):
        find_running(files.sshd, files.config, Manager(), None)


def test_an_sshd_runs(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fidokit.server.sshd.services.answering", list)
    manager = Manager()
    running = find_running(files.sshd, files.config, manager, None)
    assert running == Running([RunningMember(manager, [("127.0.0.1", 1)])])


KILLED = """
import os, signal, sys
from pathlib import Path
from fidokit.server.sshd import drop_in
from fidokit.server.harden.application import Applying
from fidokit.server.harden.levels import Directive
from fidokit.server.sshd.query import Sshd

folder, left, block = Path(sys.argv[1]), int(sys.argv[2]), sys.stdin.buffer.read() or None
CALLS = {"os.rename", "open", "os.chmod", "os.remove", "subprocess.Popen"}

def hook(event, _):
    global left
    if event in CALLS:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

edits = [drop_in.plan(folder / name, block) for name in ("0.conf", "pam", "sshd_config")]
applying = Applying(Sshd(str(folder / "sshd")), folder / "sshd_config", edits, [])
sys.addaudithook(hook)
applying.run(None)
"""


def killed(folder: Path, at: int, block: bytes) -> bool:
    """Whether a run that is killed before its operation of that number is killed at all."""
    command = [sys.executable, "-c", KILLED, str(folder), str(at)]
    return subprocess.run(command, input=block, check=False).returncode != 0


@pytest.mark.long
def test_a_kill_anywhere_leaves_whole_files_and_both_ways_out(files: Files) -> None:
    """Of several files, some may be old and some new; another run, or --undo, gets through."""
    pam = files.folder / "pam"
    pam.write_bytes(b"p\n")
    before = files.content()
    new = {"0.conf": BLOCK, "pam": BLOCK + b"p\n", "sshd_config": BLOCK + b"x\n"}
    for at in range(0, 200, 2):
        went_through = not killed(files.folder, at, BLOCK)
        for name, text in new.items():
            path = files.folder / name
            assert (path.read_bytes() if path.exists() else None) in {before.get(name), text}
        if at % 4:
            assert not killed(files.folder, 10_000, BLOCK)
        assert not killed(files.folder, 10_000, b"")
        left = {n: t for n, t in files.content().items() if not n.endswith(".tmp")}
        copies = {n: left.pop(n) for n in list(left) if n.endswith(drop_in.ORIGINAL_SUFFIX)}
        assert left == before
        for name, text in copies.items():  # no harm: what they are copies of is the same
            assert text == before[name.removesuffix(drop_in.ORIGINAL_SUFFIX)]
        if went_through:
            break
    assert went_through
