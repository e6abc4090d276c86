"""Where a virtual token keeps what outlives power: in a file, or in memory for tests."""

from __future__ import annotations

from fidokit.virtual.store.memory import MemoryStore
from fidokit.virtual.store.sealed import SealedStore
from fidokit.virtual.store.sqlite import SqliteStore, delete_token_file, look, read_identity

__all__ = [
    "MemoryStore",
    "SealedStore",
    "SqliteStore",
    "delete_token_file",
    "look",
    "read_identity",
]
