"""A PIN as CTAP wants it: NFC, at least four code points, at most 63 bytes; never printed."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from fidokit.errors import PinPolicy

MIN_CODE_POINTS = 4
MAX_BYTES = 63


@dataclass(frozen=True, slots=True)
class PinCode:
    """A PIN in Unicode NFC whose value never reaches a log, a trace or a repr.

    Made by `parse`; CTAP 2.1 section 6.5.1 fixes normalization and limits.
    """

    _value: str = field(repr=False)

    @classmethod
    def parse(cls, text: str, *, min_code_points: int = MIN_CODE_POINTS) -> PinCode:
        """The PIN in `text`, normalized and checked before any token sees it.

        Args:
            text: what was typed, without the newline.
            min_code_points: the token's minimum, 4 to 63 code points.

        Raises:
            PinPolicy: it is too short, too long, or holds a NUL or a lone surrogate.
        """
        value = unicodedata.normalize("NFC", text)
        _check_encodable(value)
        pin = cls(value)
        pin.check_length(min_code_points, MAX_BYTES)
        return pin

    def check_length(self, min_code_points: int, max_code_points: int) -> None:
        """Hold the PIN against a token's limits, both in code points; 63 bytes hold always.

        Raises:
            PinPolicy: it is shorter or longer.
        """
        needed = max(min_code_points, MIN_CODE_POINTS)
        if len(self._value) < needed:
            raise PinPolicy(
                f"the PIN is too short: the token wants at least {needed} characters",
                hint=f"choose a PIN of {needed} characters or more; letters are allowed",
            )
        if len(self._value) > max_code_points or len(self.utf8()) > MAX_BYTES:
            raise PinPolicy(
                f"the PIN is too long: at most {min(max_code_points, MAX_BYTES)} characters and "
                f"{MAX_BYTES} bytes of UTF-8 fit",
                hint="choose a shorter PIN; letters outside ASCII take two to four bytes",
            )

    def utf8(self) -> bytes:
        """The PIN's bytes: for the transport that encrypts them, nothing else."""
        return self._value.encode("utf-8")

    def padded(self) -> bytes:
        """The 64 bytes of newPinEnc's plain text (CTAP 2.1 section 6.5.5.5)."""
        return self.utf8().ljust(64, b"\0")

    def __str__(self) -> str:
        return "PinCode(redacted)"


def _check_encodable(value: str) -> None:
    if "\0" in value or any(0xD800 <= ord(char) <= 0xDFFF for char in value):
        raise PinPolicy(
            "the PIN holds a character that no token can store",
            hint="type the PIN again; NUL and bytes that are not UTF-8 cannot be part of it",
        )
