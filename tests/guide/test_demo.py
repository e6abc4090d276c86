"""The tour runs, checks what it says, and stops at the first difference."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import pytest

from fidokit.errors import FidokitError
from fidokit.files import scan
from fidokit.guide import demo
from fidokit.guide.demo import DemoMismatch, tour

pytestmark = pytest.mark.usefixtures("home")


def program_that(folder: Path, script: str) -> str:
    path = folder / "ssh-keygen"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_whole_tour(tmp_path: Path) -> None:
    steps = list(tour(tmp_path, ssh_keygen=None))
    titles = [step.title for step in steps]
    assert len(titles) == len(set(titles)) == 10
    for step in steps:
        assert step.explanation
        assert step.commands or step is steps[-1]  # which has nobody to ask
        assert step.result
    names = {path.name for path in (tmp_path / "new-computer").iterdir()}
    assert {"id_ed25519_sk_rk_work_demo", "id_ecdsa_sk_rk_home_demo.pub"} <= names
    assert not (tmp_path / "old-computer").exists()


def test_it_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    steps = tour(ssh_keygen=None)
    next(steps)
    assert len(list(tmp_path.glob("fidokit-demo-*"))) == 1
    assert isinstance(steps, Generator)
    steps.close()
    assert list(tmp_path.glob("fidokit-demo-*")) == []


def test_it_does_not_look_into_the_persons_own_keys(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    real = scan.find_keys

    def watched(folders: Iterable[Path]) -> Iterator[scan.FoundKey]:
        folders = list(folders)
        looked.extend(folders)
        return real(folders)

    monkeypatch.setattr("fidokit.keys.resident_keys.find_keys", watched)
    work = tmp_path / "work"
    work.mkdir()
    assert len(list(tour(work, ssh_keygen=None))) == 10
    assert looked
    assert all(work in folder.parents for folder in looked)
    assert list(home.iterdir()) == []


@pytest.mark.interop
def test_stock_ssh_keygen_agrees(tmp_path: Path) -> None:
    if shutil.which("ssh-keygen") is None:
        if os.environ.get("CI"):
            pytest.fail("ssh-keygen is missing: install openssh-client")
        pytest.skip("ssh-keygen is not installed")
    *_, last = tour(tmp_path)
    assert last.title == "Ask OpenSSH"
    assert sum(line.startswith("Good ") for line in last.result) == 2


def test_without_ssh_keygen_it_says_so(tmp_path: Path) -> None:
    *_, last = tour(tmp_path, ssh_keygen="/nonexistent/ssh-keygen")
    assert "not installed" in last.result[0]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo '256 SHA256:wrong comment (ED25519-SK)'", "fingerprint"),
        ("echo broken >&2; exit 1", "broken"),
    ],
)
def test_another_opinion_is_a_mismatch(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, script: str, words: str
) -> None:
    program = program_that(tmp_path_factory.mktemp("bin"), script)
    with pytest.raises(DemoMismatch, match=words) as caught:
        list(tour(tmp_path, ssh_keygen=program))
    assert caught.value.exit_code != 0
    assert caught.value.hint


def test_a_lost_key_is_a_mismatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fidokit.guide.demo.download_keys", lambda *_args, **_how: [])
    with pytest.raises(DemoMismatch, match="how many keys came back"):
        list(tour(tmp_path, ssh_keygen=None))


def test_a_failing_step_fails_the_tour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise FidokitError("the disk is full")

    monkeypatch.setattr("fidokit.files.keyfile.write_pair", refuse)
    with pytest.raises(FidokitError, match="the disk is full"):
        list(tour(tmp_path, ssh_keygen=None))


def test_the_commands_name_the_files_that_are_there(tmp_path: Path) -> None:
    steps = {step.title: step for step in tour(tmp_path, ssh_keygen=None)}
    signing = " ".join(steps["Sign a challenge with each"].commands)
    for path in (tmp_path / "new-computer").glob("*.challenge"):
        assert path.name in signing
    assert demo.PIN not in " ".join(" ".join(step.commands) for step in steps.values())
