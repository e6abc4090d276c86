"""What rides in a resident credential's displayName: the comment, and that no touch is needed.

`ssh-keygen -K` loses both. Credential management returns displayName without a further PIN or
touch, and a token stores at least 64 bytes of it (CTAP 2.1 section 6.1.1).
"""

from __future__ import annotations

from typing import Final

LONGEST: Final = 64
NO_TOUCH: Final = "no-touch-required"
STOCK: Final = "openssh"
"""What stock OpenSSH writes into name and displayName."""


def encode_display(comment: str, touch_required: bool) -> str:
    """A displayName of at most 64 bytes of UTF-8 that `decode_display` reads back.

    A comment that does not fit is cut at a character's boundary; what cannot be encoded at all
    (lone surrogates) becomes a question mark.
    """
    comment = comment.encode("utf-8", "replace").decode("utf-8").strip()
    if touch_required:
        plain = cut(comment, LONGEST)
        # a comment that reads as the mark itself must not turn into a license to skip the touch
        return plain if decode_display(plain) == (plain, True) or not plain else _quoted(plain)
    return cut(f"{NO_TOUCH} {comment}", LONGEST).strip()


def decode_display(display: str) -> tuple[str, bool]:
    """The comment and whether a touch is required; total on any text.

    Somebody else's displayName is just a comment, and stock OpenSSH's is none.
    """
    if display == STOCK:
        return "", True
    head, _, rest = display.partition(" ")
    if head == NO_TOUCH:
        return rest, False
    return display.removeprefix(" "), True


def _quoted(comment: str) -> str:
    return cut(" " + comment, LONGEST)


def cut(text: str, size: int) -> str:
    """The longest front of `text` that fits into `size` bytes of UTF-8."""
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore").rstrip()
