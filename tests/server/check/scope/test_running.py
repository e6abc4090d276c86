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


@pytest.mark.parametrize(
    ("after", "noted", "told"),
    [
        # seconds from the file's change to the start, as /proc has it, and to the PidFile's
        (-1.0, None, True),
        (-0.018, None, True),  # keys were turned off when sshd had just begun
        (-0.011, None, True),
        (-0.005, None, True),  # /proc is too coarse to tell: a doubt
        (0.0, None, True),
        (0.009, None, True),  # the clock of files may be a tick behind
        (0.011, None, False),
        (0.05, None, False),
        (-0.005, 0.0, True),  # changed in the tick in which sshd had read everything
        (-0.005, -0.001, True),
        (-0.005, 0.004, False),
        (-1.0, 0.004, False),  # reloaded since
        (-1.0, -0.004, True),
        (0.05, 0.1, False),
    ],
)
def test_a_change_counts_once_sshd_has_read_the_file(
    config: Path, after: float, noted: float | None, told: bool
) -> None:
    moment = config.stat().st_ctime
    pid_file = config.parent / "pid"
    if noted is not None:
        pid_file.write_text(f"{os.getpid()}\n")
        os.utime(pid_file, (moment + noted, moment + noted))
    reading = ConfigReading({}, (str(config),))
    found = SshdInstance(Sshd("/usr/sbin/sshd"), pid=os.getpid(), started=moment + after)
    said = [*differences(found, replace(settings(pidfile=str(pid_file)), reading=reading))]
    assert bool(said) is told


def test_files_and_folders_that_are_newer_are_named(config: Path) -> None:
    drop_in = config.parent / "d" / "a.conf"
    drop_in.write_text("")
    assert changed(config, before=60) == [str(config), str(drop_in), str(drop_in.parent)]


def test_a_folder_may_be_cleared_for_a_moment_and_a_file_may_not(config: Path) -> None:
    assert changed(config, before=1) == [str(config)]
    drop_in = config.parent / "d" / "a.conf"
    drop_in.write_text("")
    assert changed(config, before=1) == [str(config), str(drop_in)]
