"""Runs small suites as other people's CI would: they find the plug-in as pip installs it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from fido2.ctap2 import Ctap2

from fidokit.testing import Credential, TokenFactory, open_device

TOP = Path(__file__).parents[2]
Run = Callable[..., pytest.RunResult]
QUICK = [
    word
    for name in ("cacheprovider", "hypothesispytest", "xdist", "xdist.looponfail")
    for word in ("-p", f"no:{name}")
]
"""Without the plug-ins of others that are installed for our own tests: they take long to start."""


@pytest.fixture
def site(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, and beside it the folder where pip would have installed fidokit."""
    folder = pytester.mkdir("site-packages")
    installed(folder)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    return folder


@pytest.fixture
def suite(site: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest in a process of its own, with this text as the project's only test module."""
    monkeypatch.setenv("PYTHONPATH", f"{site}:{TOP / 'src'}")

    def run(module: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_project=module)
        return pytester.runpytest_subprocess(*QUICK, *arguments, timeout=120)

    return run


@pytest.fixture
def suite_here(site: Path, pytester: pytest.Pytester) -> Run:
    """Run pytest in this process, which is quicker.

    Pytester has it forget what the project imports; cryptography can be imported only once, so
    that a token and its key come first.
    """
    factory = TokenFactory(1)
    with open_device(factory(credentials=[Credential("example.org", "ada")])) as device:
        Ctap2(device).get_info()
    factory.close()
    pytester.syspathinsert(site)

    def run(module: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_project=module)
        return pytester.runpytest_inprocess(*QUICK, *arguments)

    return run


def installed(site: Path) -> None:
    """Write what pip would say of fidokit's entry points, from pyproject.toml."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    about = site / f"{project['name']}-{project['version']}.dist-info"
    about.mkdir()
    name_version = f"Name: {project['name']}\nVersion: {project['version']}\n"
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\n{name_version}")
    (about / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
            for group, points in project["entry-points"].items()
        )
    )
