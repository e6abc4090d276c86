"""A command line that is being typed: its words as the shell will pass them, and the last one."""

from __future__ import annotations

from typing import Final, NamedTuple

_BLANK: Final = " \t\n"
_ESCAPED_IN_DOUBLE: Final = '"\\$`\n'


class Typed(NamedTuple):
    """The line up to the cursor.

    Args:
        words: those that are complete, the program's name among them, without their quotes.
        current: the word at the cursor, without its quotes; empty after a blank.
        quote: the quotation mark that is open at the cursor, or empty.
        kept: how many characters of `current` the shell leaves as they are, because its own words
            begin behind them.
    """

    words: tuple[str, ...]
    current: str
    quote: str = ""
    kept: int = 0


def split(line: str, breaks: str = "") -> Typed:
    """Split a line by the rules of quotes that bash, zsh and fish share; nothing is an error.

    Args:
        line: up to the cursor.
        breaks: characters that begin a new word for bash alone (COMP_WORDBREAKS).
    """
    words: list[str] = []
    word: str | None = None
    quote, kept = "", 0
    characters = iter(line)
    for one in characters:
        if quote:
            if one == quote:
                quote = ""
            elif one == "\\" and quote == '"':
                following = next(characters, "")
                kept_slash = "" if following in _ESCAPED_IN_DOUBLE else "\\"
                word = f"{word}{kept_slash}{following}"
            else:
                word = f"{word}{one}"
        elif one in _BLANK:
            if word is not None:
                words.append(word)
            word, kept = None, 0
        elif one in "'\"":
            quote, word = one, word or ""
            kept = len(word)
        elif one == "\\":
            word = (word or "") + next(characters, "")
        else:
            word = (word or "") + one
            if one in breaks:
                kept = len(word)
    return Typed(tuple(words), word or "", quote, kept if breaks else 0)


def quoted(text: str, quote: str) -> str | None:
    """A word as it is typed into bash; None if it cannot be inside of these quotation marks.

    Args:
        text: the word.
        quote: the quotation mark that is open before it, or empty.
    """
    if quote == "'":
        return None if "'" in text else text
    special = '"\\$`' if quote else " \t\"'\\$`&|;<>()*?[]{}#~!"
    return "".join(f"\\{one}" if one in special else one for one in text)
