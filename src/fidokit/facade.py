"""Public names of a package, fetched from their modules on first use.

Importing a package must cost nothing: every import of one of its modules imports the package, too.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence


class Facade:
    """The `__getattr__` of a package: finds its public names, and only those (PEP 562).

    Args:
        package: the package's name.
        homes: the module of each group of names, by its full name.
    """

    def __init__(self, package: str, homes: Mapping[str, Sequence[str]]) -> None:
        self._package = package
        self.homes = {name: module for module, names in homes.items() for name in names}

    def __call__(self, name: str) -> object:
        """Return a public name's value.

        Raises:
            AttributeError: the package has no such name.
        """
        module = self.homes.get(name)
        if module is None:
            raise AttributeError(f"module {self._package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(module), name)

    def names(self) -> list[str]:
        """Return the public names, sorted: the package's `__all__`."""
        return sorted(self.homes)
