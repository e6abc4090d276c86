"""Write the man pages: `python -m fidokit.cli.manual docs`."""

from __future__ import annotations

import sys
from pathlib import Path

from fidokit.cli.app import root
from fidokit.cli.manual.pages import pages
from fidokit.cli.manual.ssh_keygen_page import page
from fidokit.cli.ssh_keygen import PROGRAM


def written() -> dict[str, str]:
    """Every page that is installed, by the name of its file."""
    return {**pages(root), f"{PROGRAM}.1": page()}


if __name__ == "__main__":
    for name, text in written().items():
        Path(sys.argv[1], name).write_text(text, "utf-8")
