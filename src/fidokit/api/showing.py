"""Fingerprints of the keys in any file that holds keys, without a token; light and streaming."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HashName = Literal["sha256", "md5", "bubblebabble"]


@dataclass(frozen=True, slots=True)
class ShownKey:
    """One key of a file, as `ssh-keygen -l` shows it.

    Attributes:
        bits: as ssh-keygen counts (256 for both sk types).
        type_label: ssh-keygen's label, such as "ED25519-SK" or "ED25519-SK-CERT".
        line_number: from 1 in a file of many lines, else 0.
        error: a sentence when the line could not be read; then the other fields are empty.
    """

    fingerprint: str
    comment: str
    type_label: str
    bits: int
    line_number: int = 0
    error: str = ""
    randomart: str = ""


def show(
    path: Path, *, hash_name: HashName = "sha256", randomart: bool = False
) -> Iterator[ShownKey]:
    """The keys in a public file, authorized_keys, private file or certificate, in order.

    Streams: a file of any length takes bounded memory. `-` is standard input.

    Raises:
        MalformedKey when nothing in the file is a key; NoPermission; FidokitError (no such file).
    """
    raise NotImplementedError


def fingerprint_lines(path: Path, *, hash_name: HashName = "sha256") -> Iterator[str]:
    """`show` as ready text lines, `256 SHA256:... comment (ED25519-SK)`: the fast path."""
    raise NotImplementedError
