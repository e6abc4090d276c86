"""What the PIN complexity policy calls too simple (PIN-14).

CTAP 2.3 section 6.5.1 leaves the rule to the maker. Ours: one character over and over, a run along
the alphabet or the digits, and the PINs that people are known to choose.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

_CHOSEN_OFTEN: Final = (
    "0852 1004 1010 1122 1212 1313 1342 1980 1984 1990 1998 2000 2001 2002 2020 2580 3252 5683 "
    "6969 7410 112233 121212 123123 123321 131313 147258 159753 159951 212121 232323 456123 "
    "654123 789456 852456 987123 11223344 12121212 12341234 12344321 14725836 1q2w3e4r admin "
    "asdf asdfgh azerty iloveyou letmein love monkey password passwort pass qazwsx qwer qwert "
    "qwerty qwertyui qwertyuiop qwertz secret welcome yubikey zxcvbn"
)
_LISTED: Final = frozenset(_CHOSEN_OFTEN.split())
_DIGITS_OF_A_KEYBOARD: Final = ("1234567890", "0987654321")


def too_simple(pin: str) -> bool:
    """Whether the policy refuses a PIN.

    Args:
        pin: as the platform sent it, at least one code point.
    """
    folded = pin.casefold()
    steps = {ord(after) - ord(before) for before, after in pairwise(folded)}
    run = steps in ({0}, {1}, {-1}) or any(folded in row for row in _DIGITS_OF_A_KEYBOARD)
    return run or folded in _LISTED
