"""Showing a man page by man(1), from a file that is gone afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from fidokit.system.foreground import run_command


def view(name: str, page: str) -> bool:
    """Show a page on this terminal; False if there is no man(1), or it cannot.

    Args:
        name: the page's name, without its section.
        page: its text in man(7) macros.
    """
    man = shutil.which("man")
    if man is None:
        return False
    with tempfile.TemporaryDirectory(prefix="fidokit-man-") as folder:
        file = Path(folder, f"{name}.1")
        file.write_text(page, "utf-8")
        try:
            return run_command([man, str(file)], os.environ) == 0
        except OSError:
            return False
