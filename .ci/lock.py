"""Writes constraints.txt: newest versions of all that CI installs, names and versions only.

Resolved on the oldest supported Python, so that the versions exist for the newer ones as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

OLDEST = (3, 11)
HEADER = """\
# What CI installs, exactly. Made by `make lock`; the ranges that users get stand in pyproject.toml.
"""


def requirements(project: dict[str, object]) -> list[str]:
    """Return what to resolve: the build tool and the project with the extras that CI uses."""
    build = project["build-system"]
    assert isinstance(build, dict)
    return [*build["requires"], ".[test-all,check,fuzz]"]


def resolve(wanted: list[str]) -> list[tuple[str, str]]:
    """Ask pip which versions it would install, without installing them."""
    command = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run"]
    command += ["--ignore-installed", "--report", "-", *wanted]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    found = ((item["metadata"]["name"], item["metadata"]["version"]) for item in report["install"])
    return sorted((name.lower().replace("_", "-"), version) for name, version in found)


def main() -> str | None:
    """Return what is wrong, or nothing."""
    if sys.version_info[:2] != OLDEST:
        return (
            f"lock: run this on Python {OLDEST[0]}.{OLDEST[1]}: FIDOKIT_PYTHON=python3.11 make lock"
        )
    project = tomllib.loads(Path("pyproject.toml").read_text())
    lines = [
        f"{name}=={version}\n"
        for name, version in resolve(requirements(project))
        if name != project["project"]["name"]
    ]
    Path("constraints.txt").write_text(HEADER + "".join(lines))
    return None


if __name__ == "__main__":
    sys.exit(main())
