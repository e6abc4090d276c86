"""Enums whose members are words."""

from __future__ import annotations

from fidokit.types import Word

__all__ = ["Word"]
