"""Which key a command is about, if the user names none: the only one in ~/.ssh."""

from __future__ import annotations

from pathlib import Path

from fidokit.cli.render import home_path
from fidokit.errors import UsageError


def chosen_key(named: object) -> Path:
    """The key's file that was named, else the only private one of a token in ~/.ssh.

    Raises:
        UsageError: there is none there, or there are several.
    """
    if isinstance(named, Path):
        return named
    from fidokit.keys.token_keys import token_key_files

    found = [one.path for one in token_key_files()]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(
            "there is no key of a token in ~/.ssh", hint="make one: fidokit key generate"
        )
    names = ", ".join(home_path(path) for path in found)
    raise UsageError(f"there are {len(found)} keys in ~/.ssh", hint=f"name one with -f: {names}")
