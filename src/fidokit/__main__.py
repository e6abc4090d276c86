"""`python -m fidokit`: the same as the installed command."""

from __future__ import annotations

from fidokit.cli.main import main

if __name__ == "__main__":
    main()
