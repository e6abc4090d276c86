"""Letters and words of ssh-keygen, ykman and fido2-token, and what to type here instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

LETTERS: Final[Mapping[str, str]] = {
    "-B": "for the pronounceable digest of a key use `fidokit key show --bubblebabble FILE`",
    "-C": "to change the PIN use `fidokit pin change`; -C TEXT is an option of "
    "`fidokit key generate`",
    "-D": "to delete a key from the token use `fidokit key delete KEY`",
    "-I": "to see what a token is use `fidokit token info`; for a certificate use "
    "`fidokit cert sign`",
    "-K": "to recover keys from a token use `fidokit key download`",
    "-L": "to list tokens use `fidokit token list`; for what a certificate says use "
    "`fidokit cert show FILE`",
    "-P": "every user of this machine can read a passphrase on the command line: use "
    "--passphrase-file FILE, or wait for the question; `fidokit key passphrase FILE` changes it",
    "-R": "to reset a token use `fidokit token reset`",
    "-S": "to set a PIN use `fidokit pin set`",
    "-Y": "to sign and verify use `fidokit key sign` and `fidokit key verify`; "
    "fidokit-ssh-keygen has -Y as ssh-keygen has it",
    "-e": "public keys are written in OpenSSH's form: `fidokit key show --public FILE`",
    "-l": "for the fingerprint of a key use `fidokit key show FILE`",
    "-p": "to change a passphrase use `fidokit key passphrase FILE`",
    "-t": "to make a key use `fidokit key generate -t ed25519-sk`",
    "-y": "for the public line of a key use `fidokit key show --public FILE`",
}
"""Answers to letters that are options of another program's one command."""

_GENERATE: Final = "`fidokit key generate` makes a key"
_KEYS: Final = "`fidokit key list` lists the keys on a token and their files"
_TOKENS: Final = "`fidokit token list` lists tokens"
_INFO: Final = "`fidokit token info` shows what a token is"

WORDS: Final[Mapping[str, str]] = {
    "access": "`fidokit pin change` changes the PIN",
    "change-pin": "`fidokit pin change` changes the PIN",
    "create": f"{_GENERATE}, `fidokit virtual create NAME` a virtual token",
    "credentials": _KEYS,
    "delete": "`fidokit key delete KEY` deletes a key from the token",
    "fido": f"{_KEYS}, and {_INFO}",
    "fingerprints": "`fidokit bio list` lists the fingers of a token",
    "generate": _GENERATE,
    "info": _INFO,
    "list": f"{_TOKENS}, `fidokit key list` keys",
    "list-all": _TOKENS,
    "reset": "`fidokit token reset` resets a token",
    "set-pin": "`fidokit pin set` sets the first PIN",
    "sign": "`fidokit key sign` signs files",
    "verify": "`fidokit key verify` verifies signatures, `fidokit pin verify` a PIN",
}
"""Answers to words at the top."""

WORDS_IN: Final[Mapping[str, Mapping[str, str]]] = {
    "fidokit": WORDS,
    "key": {
        "add": "`fidokit agent add` puts keys into an agent",
        "create": _GENERATE,
        "export": "`fidokit key show --public FILE` prints a public line",
        "import": "`fidokit key download` recovers keys from the token",
        "info": "`fidokit key show FILE` shows a key file, `fidokit key list` all keys",
        "new": _GENERATE,
        "remove": "`fidokit key delete KEY` deletes a key from the token",
    },
    "token": {
        "pin": "`fidokit pin set` and `fidokit pin change` set it",
        "show": _INFO,
    },
    "pin": {
        "info": "`fidokit pin status` shows the state of the PIN",
        "show": "`fidokit pin status` shows the state of the PIN",
        "unblock": "a blocked PIN has no other remedy than `fidokit token reset`",
    },
}
"""Answers to words in a group, by its name."""


def answer_to_word(group: str, word: str) -> str:
    """What to type instead of a word that is not a command here; "" if nothing is known."""
    return WORDS_IN.get(group, {}).get(word, "")


def answer_to_letters(args: Sequence[str], known: frozenset[str]) -> tuple[str, str] | None:
    """The first of the words that is another program's letter, and what to type instead.

    Args:
        args: behind the group's name.
        known: options that are the group's own.
    """
    for word in args:
        if not word.startswith("-"):
            return None  # a command: what follows is its business
        letter = word[:2]
        if letter in LETTERS and letter not in known and not word.startswith("--"):
            return letter, LETTERS[letter]
    return None
