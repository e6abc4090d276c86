"""Public names of a package, fetched from their modules on first use.

Importing a package must cost nothing: every import of one of its modules imports the package, too.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence


class Facade:
    """The public names of one package (PEP 562); iterating gives them, sorted.

    Args:
        package: the package's name.
        homes: the names, by the full name of the module that each is defined in.

    Attributes:
        homes: the module of each name.
    """

    def __init__(self, package: str, homes: Mapping[str, Sequence[str]]) -> None:
        self._package = package
        self.homes = {name: module for module, names in homes.items() for name in names}

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> list[str]:
        """Return the names, sorted: the package's `__dir__`."""
        return sorted(self.homes)

    def fetch(self, name: str) -> object:
        """Return the value of a public name: the package's `__getattr__`.

        Raises:
            AttributeError: the package has no such name.
        """
        module = self.homes.get(name)
        if module is None:
            raise AttributeError(f"module {self._package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(module), name)
