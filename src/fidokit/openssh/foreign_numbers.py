"""Numbers that somebody else chose, given to `cryptography`: what it raises is an error of ours.

Its constructors check some numbers and not others. What they do not check ends in a division by
zero, an overflow or an error of OpenSSL's, and which of them may change with each release.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fidokit.errors import MalformedKey


@contextmanager
def checked(error: Callable[[], MalformedKey]) -> Iterator[None]:
    """Raise an error of ours in place of what the block raises at impossible numbers.

    Args:
        error: makes it. A signature that does not verify passes through as it is.
    """
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm

    try:
        yield
    except (ArithmeticError, TypeError, ValueError, InternalError, UnsupportedAlgorithm):
        raise error() from None
