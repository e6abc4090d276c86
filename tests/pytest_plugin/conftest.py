"""Runs small suites as other people's CI would: processes of their own that find the plug-in."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
Run = Callable[..., pytest.RunResult]
QUICK = [
    word
    for name in ("cacheprovider", "hypothesispytest", "xdist", "xdist.looponfail")
    for word in ("-p", f"no:{name}")
]
"""Without the plug-ins of others that are installed for our own tests: they take long to start."""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest in an empty project with this text as its only test module.

    fidokit is found as pip would have it: on the path, its entry points beside it.
    """
    site = pytester.mkdir("site-packages")
    installed(site)
    monkeypatch.setenv("PYTHONPATH", f"{site}:{TOP / 'src'}")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini("[pytest]\nfilterwarnings = error\n")

    def run(module: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_project=module)
        return pytester.runpytest_subprocess(*QUICK, *arguments, timeout=120)

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
