"""Whether a running sshd still follows the files: what was changed after it read them."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.server.settings import settings

from fidokit.server.check.scope.running import differences
from fidokit.server.sshd.instances import SshdInstance
from fidokit.server.sshd.query import Sshd
from fidokit.server.sshd.settings import ConfigReading


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    path = tmp_path / "sshd_config"
    path.write_text("")
    return path


def changed(config: Path, *, before: float) -> list[str]:
    """What differs from an sshd that read its files so many seconds before this moment."""
    drop_ins = sorted(map(str, (config.parent / "d").iterdir()))
    reading = ConfigReading({}, (str(config), *drop_ins), patterns=(f"{config.parent}/d/*.conf",))
    found = SshdInstance(Sshd("/usr/sbin/sshd"), pid=os.getpid(), started=time.time() - before)
    said = differences(found, replace(settings(), reading=reading))
    return [line.partition(" was changed")[0] for line in said]


def test_what_was_there_before_is_no_difference(config: Path) -> None:
    assert changed(config, before=-60) == []


def test_a_file_as_new_as_the_process_counts_as_changed(config: Path) -> None:
    """Clocks are too coarse to tell which came first; sshd may have read the old text."""
    moment = config.stat().st_mtime
    for after, told in ((-1.0, True), (0.0, True), (0.015, True), (0.05, False)):
        reading = ConfigReading({}, (str(config),))
        found = SshdInstance(Sshd("/usr/sbin/sshd"), pid=os.getpid(), started=moment + after)
        said = [*differences(found, replace(settings(), reading=reading))]
        assert bool(said) is told, after


def test_files_and_folders_that_are_newer_are_named(config: Path) -> None:
    drop_in = config.parent / "d" / "a.conf"
    drop_in.write_text("")
    assert changed(config, before=60) == [str(config), str(drop_in), str(drop_in.parent)]


def test_a_folder_may_be_cleared_for_a_moment_and_a_file_may_not(config: Path) -> None:
    assert changed(config, before=1) == [str(config)]
    drop_in = config.parent / "d" / "a.conf"
    drop_in.write_text("")
    assert changed(config, before=1) == [str(config), str(drop_in)]
