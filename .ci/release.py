"""Checks that the files of the tree agree on a release: tag, version, changelog, security contact.

Usage: release.py TAG [TOP-FOLDER]
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

PLACEHOLDER = "CONTACT-TO-BE-NAMED"
"""Stands in SECURITY.md until the maintainers name a contact."""


def unready(tag: str, top: Path) -> Iterator[str]:
    """Yield what stands between a tree and the release of that tag."""
    project = tomllib.loads((top / "pyproject.toml").read_text(encoding="utf-8"))
    version = project["project"]["version"]
    if tag != f"v{version}":
        yield f"the tag is {tag}, pyproject.toml has version {version}: the tag must be v{version}"
    package = (top / "src/fidokit/__init__.py").read_text(encoding="utf-8")
    named = re.search(r'^__version__ = "([^"]+)"', package, re.MULTILINE)
    if named and named[1] != version:
        yield f"src/fidokit/__init__.py has version {named[1]}, pyproject.toml {version}"
    changes = (top / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changes, re.MULTILINE):
        yield f'CHANGELOG.md has no heading "## [{version}] - YYYY-MM-DD"'
    if waiting := re.search(r"^## \[Unreleased\]\n+(?!## )(\S.*)", changes, re.MULTILINE):
        yield f'CHANGELOG.md still has entries under "Unreleased": {waiting[1]}'
    if PLACEHOLDER in (top / "SECURITY.md").read_text(encoding="utf-8"):
        yield f"SECURITY.md names no contact yet: replace {PLACEHOLDER}"


def main(tag: str, top: str = ".") -> str | None:
    """Return what is wrong, one line each, or nothing."""
    return "\n".join(f"release: {problem}" for problem in unready(tag, Path(top))) or None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
