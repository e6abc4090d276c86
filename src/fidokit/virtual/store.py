"""Where a virtual token keeps what outlives power: in a file, or in memory for tests."""

from __future__ import annotations

from fidokit.virtual.memory_store import MemoryStore
from fidokit.virtual.sealed_store import SealedStore
from fidokit.virtual.sqlite_store import SqliteStore, delete_token_file, look, read_identity

__all__ = [
    "MemoryStore",
    "SealedStore",
    "SqliteStore",
    "delete_token_file",
    "look",
    "read_identity",
]
