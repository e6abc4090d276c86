"""Checks that the files of the tree agree on a release: tag, version, changelog, security contact.

Usage: release.py TAG [TOP-FOLDER]
       release.py --version [TOP-FOLDER]
       release.py --notes TOP-FOLDER
       release.py --packages wheel|pyz|deb12|deb13 TOP-FOLDER OUTPUT

The second prints the version, the third what the changelog says of it (of what is unreleased where
there is no such heading), the fourth writes which packages of others an artifact carries or
installs, by version and hash.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

PLACEHOLDER = "CONTACT-TO-BE-NAMED"
"""Stands in SECURITY.md until the maintainers name a contact."""


LISTS = {
    "wheel": "constraints.txt",
    "pyz": ".ci/one-file.txt",
    "deb12": "debian/vendored/bookworm.txt",
    "deb13": "debian/vendored/trixie.txt",
}
"""What each artifact carries; the wheel carries nothing, and this is what it was tested with."""
LEVEL = "run"
"""The level of constraints.txt that users get."""


def version_of(top: Path) -> str:
    """Return the version in pyproject.toml."""
    project = tomllib.loads((top / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def notes(top: Path) -> str:
    """Return what the changelog says of this version, or of the next one."""
    changes = (top / "CHANGELOG.md").read_text(encoding="utf-8")
    for name in (re.escape(version_of(top)), "Unreleased"):
        found = re.search(rf"^## \[{name}\].*\n((?:(?!## ).*\n)*)", changes, re.MULTILINE)
        if found:
            return found[1].strip() + "\n"
    raise SystemExit("release: CHANGELOG.md has no heading for this version")


def packages(artifact: str, top: Path) -> str:
    """Return the list of what an artifact carries, in pip's format."""
    text = (top / LISTS[artifact]).read_text(encoding="utf-8")
    if artifact != "wheel":
        return text
    found = re.findall(r"^# ([a-z -]+)\n((?:(?!#).*\n)+)", text, re.MULTILINE)
    return "".join(lines for levels, lines in found if LEVEL in levels.split())


def unready(tag: str, top: Path) -> Iterator[str]:
    """Yield what stands between a tree and the release of that tag."""
    version = version_of(top)
    if tag != f"v{version}":
        yield f"the tag is {tag}, pyproject.toml has version {version}: the tag must be v{version}"
    package = (top / "src/fidokit/__init__.py").read_text(encoding="utf-8")
    named = re.search(r'^__version__ = "([^"]+)"', package, re.MULTILINE)
    if named and named[1] != version:
        yield f"src/fidokit/__init__.py has version {named[1]}, pyproject.toml {version}"
    collection = (top / "ansible/galaxy.yml").read_text(encoding="utf-8")
    if not re.search(rf"^version: {re.escape(version)}$", collection, re.MULTILINE):
        yield f"ansible/galaxy.yml does not have version {version}"
    debian = (top / "debian/changelog").read_text(encoding="utf-8")
    if not debian.startswith(f"fidokit ({version}) "):
        yield f"debian/changelog does not begin with an entry for {version}"
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


def run(words: list[str]) -> str | None:
    """Do what the command line asks for."""
    match words:
        case ["--version", *top]:
            print(version_of(Path(*top)))
        case ["--notes", top]:
            print(notes(Path(top)), end="")
        case ["--packages", artifact, top, output]:
            Path(output).write_text(packages(artifact, Path(top)), encoding="utf-8")
        case _:
            return main(*words)
    return None


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
