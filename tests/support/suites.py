"""Which of the two suites a test belongs to: one rule, which every run holds each test to.

A test with a mark of NEEDS belongs to `make test-all` alone; all others are `make test`, which a
newcomer runs with nothing but Debian's git, make and python3. The mark `rest`, which is given here,
stands for any of them: `make test` is `pytest -m "not rest"`.

So that no test needs more than it says, one without a mark of PROGRAMS finds on its PATH what
BASICS names and nothing else, wherever it runs; and one that skips itself fails, because nobody
would see that it no longer tests anything.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

import pytest
from _pytest.runner import runtestprotocol
from tests.support.children import place

NEEDS = {
    "interop": "runs stock programs, of the packages in .ci/debian-packages",
    "kernel": "runs in a virtual machine, on a kernel that has uhid",
    "compiled": "has a C compiler make what it tests",
    "root": "does what only root can do; left out where somebody else runs the tests",
    "packages": "builds packages and installs them on fresh machines, from Debian's mirror",
    "releases": "does on another Debian release what it does on this one too; not in .ci/run",
    "long": "takes its time by nature: kills at random instants, soaks, fuzzing, other suites",
}
Function = TypeVar("Function", bound=Callable[..., object])
FOLDERS = {"kernel": "kernel", "packages": "packages"}
"""Folders of tests that all have a mark."""
PROGRAMS = {"interop", "kernel", "compiled", "packages"}
GROUP = "rest-"
"""How the groups begin that xdist gives to one worker; it writes them behind ids: @rest-..."""
BASICS = """
awk bash basename cat chgrp chmod chown cksum cmp cp cut dash date dd dirname dpkg-query env expand
expr false find flock git grep head hostname id install ln ls make mkdir mkfifo mktemp mount mv nice
od printf ps pwd readlink rm rmdir sed setpriv setsid sh sleep sort stat stty su tail tar tee test
timeout touch tr true tty umount uname uniq unshare wc which xargs
"""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks known."""
    for name, reason in NEEDS.items():
        config.addinivalue_line("markers", f"{name}: {reason}")
    config.addinivalue_line("markers", "rest: has one of those, so that `make test` leaves it out")
    config.pluginmanager.register(Suites(), "fidokit-suites")


def basics(folder: Path) -> str:
    """A PATH with the programs of BASICS that are here, and this interpreter's own."""
    for name in BASICS.split():
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    if sys.prefix != sys.base_prefix:
        return f"{Path(sys.executable).parent}:{folder}"
    for name in ("python", "python3"):
        (folder / name).symlink_to(sys.executable)
    return str(folder)


class Suites:
    """Gives the mark `rest`, and holds tests to the rule."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="basics-", dir=place())
        self.basics = basics(Path(self.folder.name))

    def pytest_unconfigure(self) -> None:
        self.folder.cleanup()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Before `-m` takes tests out."""
        for item in items:
            for name in brought(item) | {FOLDERS.get(item.path.parent.name, "")} - {""}:
                item.add_marker(name)
            if "fuzz" in item.nodeid:  # what `make fuzz` runs
                item.add_marker("long")
            if needs := marks(item):
                item.add_marker("rest")
                # one worker has one machine, one sshd, one agent for all that share it
                name = "kernel" if "kernel" in needs else item.path.stem
                item.add_marker(pytest.mark.xdist_group(f"{GROUP}{name}"))
        if os.geteuid() != 0:
            left_out = [item for item in items if "root" in marks(item)]
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if "root" not in marks(item)]

    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Report what a test did; of its set-up and its end only what went wrong.

        A worker sends each report to the run, which takes as long as a short test. Who asks for
        durations wants all of them.
        """
        if item.config.option.durations is not None:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in runtestprotocol(item, log=False, nextitem=nextitem):
            if report.when == "call" or not report.passed:
                item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True, specname="pytest_runtest_protocol")
    def pytest_hide_programs(self, item: pytest.Item) -> Generator[None, object, object]:
        """Hide what the test does not say that it needs."""
        if marks(item) & PROGRAMS:
            return (yield)
        before = os.environ["PATH"]
        os.environ["PATH"] = self.basics
        try:
            return (yield)
        finally:
            os.environ["PATH"] = before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """A test that skips itself tests nothing."""
        report = yield
        if report.skipped and not hasattr(report, "wasxfail") and not marks(item):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} skipped itself: {report.longrepr}"
        return report


def brings(name: str) -> Callable[[Function], Function]:
    """Below `@pytest.fixture`: whoever takes the fixture has this mark of NEEDS."""

    def note(function: Function) -> Function:
        function.brings = name  # type: ignore[attr-defined]
        return function

    return note


def brought(item: pytest.Item) -> set[str]:
    """The marks that a test has by its fixtures."""
    info = getattr(item, "_fixtureinfo", None)
    found = info.name2fixturedefs.values() if info else ()
    return {made.func.brings for (*_, made) in found if hasattr(made.func, "brings")}


def marks(item: pytest.Item) -> set[str]:
    """What the test says that it needs."""
    return {mark.name for mark in item.iter_markers()} & set(NEEDS)
