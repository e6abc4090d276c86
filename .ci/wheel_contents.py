"""Checks that a wheel carries every file of the package, typed marker and data included.

Usage: wheel_contents.py WHEEL SOURCE-FOLDER
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path


def packaged(source: Path) -> set[str]:
    """Return the files of the package that a user needs, relative to the source folder."""
    files = (path for path in (source / "fidokit").rglob("*") if path.is_file())
    return {
        path.relative_to(source).as_posix()
        for path in files
        if "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


def main(wheel: str, source: str) -> str | None:
    """Return what is wrong, or nothing."""
    if not wheel.endswith("-py3-none-any.whl"):
        return f"{Path(wheel).name} is for one platform: nothing in it may be compiled"
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if name.startswith("fidokit/")}
    wanted = packaged(Path(source))
    if "fidokit/py.typed" not in inside:
        return "the wheel lacks py.typed"
    if lacking := wanted - inside:
        return f"the wheel lacks {', '.join(sorted(lacking))}"
    if surplus := inside - wanted:
        return f"the wheel carries {', '.join(sorted(surplus))}"
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
