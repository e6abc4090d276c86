"""Writes the substvar fidokit:Depends: which of Debian's packages the program uses.

Usage: dependencies.py LIST: the requirements of pyproject.toml that the list of vendored packages
has not, and the releases of Python that the environment is made for.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

_LOWER = re.compile(r"([\w-]+)\s*>=\s*([\w.]+)")


def depends(requirements: list[str], vendored: str) -> list[str]:
    """What the binary package depends on besides what is in it.

    Args:
        requirements: of pyproject.toml, each with its lower bound.
        vendored: a list in pip's format.
    """
    inside = set(re.findall(r"^([\w-]+)==", vendored, re.MULTILINE))
    bounds = [found.groups() for text in requirements if (found := _LOWER.match(text))]
    assert len(bounds) == len(requirements), "a requirement without a lower bound"
    return [f"python3-{name} (>= {least})" for name, least in bounds if name not in inside]


def main(vendored: str) -> None:
    """Print the line."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = depends(project["dependencies"], Path(vendored).read_text(encoding="utf-8"))
    major, minor = sys.version_info[:2]
    named += [f"python3 (>= {major}.{minor}~)", f"python3 (<< {major}.{minor + 1}~)"]
    print(f"fidokit:Depends={', '.join(named)}")


if __name__ == "__main__":
    main(sys.argv[1])
