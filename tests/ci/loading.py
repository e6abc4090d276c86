"""Loads the scripts of .ci, a folder whose name cannot be imported, as modules."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / ".ci"


def load(name: str) -> Any:
    """Return the module of `.ci/NAME.py`."""
    return load_file(FOLDER / f"{name}.py")


def load_file(path: Path) -> Any:
    """Return the module of a script in a folder that is no package."""
    spec = importlib.util.spec_from_file_location(f"ci_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))  # as for a script that is run there: it imports its neighbors
    spec.loader.exec_module(module)
    return module
