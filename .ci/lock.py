"""Writes what is installed, by version and hash: constraints.txt, and the lists in debian/vendored.

Resolved by uv for all platforms and from the oldest supported Python on, so that one list serves
all. Each package of constraints.txt stands under the levels of .ci/setup that install it.

Usage: lock.py [TOP-FOLDER]
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

OLDEST = "3.11"
HEADER = """\
# What the set-up and CI install: versions and hashes, each package under the levels of .ci/setup
# that install it. Made by `make lock`; the ranges that users get stand in pyproject.toml.
"""
LEVELS: Mapping[str, Sequence[str]] = {
    "build": (),
    "run": (".",),
    "check": (".[check]",),
    "test": (".[test]",),
    "site": (".[site]",),
    "test-all": (".[test-all]",),
    "fuzz": (".[test-all,fuzz]",),
    "release": (".[release]",),
    "lock": (".[lock]",),
}
"""What each level of .ci/setup installs besides the build tool."""
DEBIAN: Mapping[str, tuple[str, Sequence[str]]] = {
    "bookworm": ("3.11", ("pygments",)),
    "trixie": ("3.13", ("bcrypt", "click", "markdown-it-py", "mdurl", "pygments", "rich")),
}
"""The Python of a release, and which packages it has new enough itself."""
NEVER_RUN = "pycparser"
"""Only who compiles against cffi needs it."""
_NAMES = re.compile(r"^([a-z0-9][a-z0-9-]*)==", re.MULTILINE)


def resolve(top: Path, wanted: Sequence[str], *options: str) -> str:
    """What uv would install, in the format of pip's requirements."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert uv, "uv is not installed"
    command = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", *options, "-"]
    return subprocess.run(
        command,
        cwd=top,
        env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"},
        input="".join(f"{line}\n" for line in wanted),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout


def paragraphs(text: str) -> Iterator[tuple[str, str]]:
    """Each package of a list, with its hashes."""
    for found in re.finditer(r"^\S.*\n(?:    .*\n)*", text, re.MULTILINE):
        if named := _NAMES.match(found[0]):
            yield named[1], found[0]


def everywhere(top: Path, project: Mapping[str, object]) -> str:
    """The text of constraints.txt."""
    build = project["build-system"]
    assert isinstance(build, dict)
    everything = [*build["requires"], *(word for words in LEVELS.values() for word in words)]
    universal = ("--universal", f"--python-version={OLDEST}")
    whole = resolve(top, everything, "--generate-hashes", *universal)
    pins = top / ".venv/pins.txt"
    pins.write_text("".join(lines for _, lines in paragraphs(whole)), encoding="utf-8")
    names = {
        level: set(
            _NAMES.findall(
                resolve(top, [*build["requires"], *words], f"--constraint={pins}", *universal)
            )
        )
        for level, words in LEVELS.items()
    }
    text = HEADER
    for name, lines in paragraphs(whole):
        levels = " ".join(level for level in LEVELS if name in names[level])
        text += f"# {levels}\n{lines}"
    pins.unlink()
    return text


def vendored(release: str, project: Mapping[str, object], top: Path) -> str:
    """What the Debian package of a release carries."""
    python, theirs = DEBIAN[release]
    wanted = project["project"]
    assert isinstance(wanted, dict)
    leave_out = [f"--no-emit-package={name}" for name in (NEVER_RUN, *theirs)]
    options = ("--generate-hashes", "--only-binary=:all:", f"--python-version={python}")
    pins = f"--constraint={top / 'constraints.txt'}"
    linux = "--python-platform=x86_64-manylinux_2_28"
    return resolve(top, wanted["dependencies"], *options, linux, pins, *leave_out)


def main(folder: str = ".") -> None:
    """Write the lists."""
    top = Path(folder).resolve()
    project = tomllib.loads((top / "pyproject.toml").read_text(encoding="utf-8"))
    text = everywhere(top, project)
    (top / "constraints.txt").write_text(text, encoding="utf-8")
    for release in DEBIAN:
        lines = vendored(release, project, top)
        (top / f"debian/vendored/{release}.txt").write_text(lines, encoding="utf-8")
    build = dict(paragraphs(text))["setuptools"]
    (top / "debian/vendored/build.txt").write_text(build, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
