"""Which keys are lost with a token, and which keys take their place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fidokit.errors import CredentialNotFound, FidokitError, UsageError
from fidokit.files.scan import read_key
from fidokit.inventory.kept import Inventory, KnownKey, KnownToken
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.keys.public import PublicLine

_LISTED = 8
_LEAST = 4


@dataclass(frozen=True, slots=True)
class LostKey:
    """A key that is lost.

    Attributes:
        key: what is known of it.
        standby: the key that takes its place, which is on another token; None if there is none.
    """

    key: KnownKey
    standby: KnownKey | None

    @property
    def name(self) -> str:
        """What the key is called; hostile text."""
        return self.key.comment or self.key.fingerprint


@dataclass(frozen=True, slots=True)
class LossSubject:
    """What is lost.

    Attributes:
        tokens: that are lost.
        keys: that are lost.
        doubtful: keys in files of which it is not known on which token they are.
    """

    tokens: tuple[KnownToken, ...]
    keys: tuple[LostKey, ...]
    doubtful: tuple[KnownKey, ...] = ()


def find_subject(inventory: Inventory, words: Sequence[str]) -> LossSubject:
    """What is lost, by the words that a user named it with.

    Args:
        inventory: what is known.
        words: tokens by selector or name; keys by fingerprint, its beginning, file, comment or
            application.

    Raises:
        CredentialNotFound: a word fits nothing. UsageError: it fits several keys.
    """
    tokens: dict[str, KnownToken] = {}
    keys: dict[str, KnownKey] = {}
    for word in words:
        token = next((one for one in inventory.tokens if word and word in (one.id, one.name)), None)
        if token is not None:
            tokens[token.id] = token
            keys.update((one.fingerprint, one) for one in inventory.keys if one.token == token.id)
        else:
            key = _key(inventory, word)
            keys[key.fingerprint] = key
    if not keys:
        raise CredentialNotFound(
            f"no key is known to be on {', '.join(tokens)}",
            hint="name the keys: `fidokit lost KEY...`; a file or a fingerprint will do",
        )
    lost = frozenset(keys) | {loss.key for loss in inventory.losses}
    return LossSubject(
        tuple(tokens.values()),
        tuple(LostKey(key, _standby(inventory, key, lost, frozenset(tokens)))
              for key in keys.values()),
        tuple(_doubtful(inventory, lost)) if tokens else (),
    )  # fmt: skip


def _key(inventory: Inventory, word: str) -> KnownKey:
    for fits in _WAYS:
        found = [key for key in inventory.keys if fits(word, key)]
        if len(found) > 1:
            listed = "; ".join(f"{one.comment} {one.fingerprint[:19]}" for one in found[:_LISTED])
            raise UsageError(
                f"{word!r} fits {len(found)} keys: {listed}", hint="name one by its fingerprint"
            )
        if found:
            return found[0]
    in_file = _in_file(word)
    if in_file is not None:
        return inventory.key(in_file.fingerprint) or in_file
    known = ", ".join(token.id for token in inventory.tokens[:_LISTED])
    raise CredentialNotFound(
        f"no token and no key in the inventory fits {word!r}",
        hint=f"tokens in it: {known or 'none'}; name a key by its file or its fingerprint",
    )


def _bare(text: str) -> str:
    return text.removeprefix("SHA256:").rstrip("=")


def _is_fingerprint(word: str, key: KnownKey) -> bool:
    return _bare(word) == _bare(key.fingerprint)


def _is_file(word: str, key: KnownKey) -> bool:
    path = os.path.abspath(os.path.expanduser(word))  # noqa: PTH100, PTH111  hostile text
    return bool(key.file) and key.file in (path, path.removesuffix(".pub"))


def _is_name(word: str, key: KnownKey) -> bool:
    return bool(word) and word in (key.comment, key.application)


def _begins(word: str, key: KnownKey) -> bool:
    return len(_bare(word)) >= _LEAST and _bare(key.fingerprint).startswith(_bare(word))


_WAYS: Sequence[Callable[[str, KnownKey], bool]] = (_is_fingerprint, _is_file, _is_name, _begins)


def _in_file(word: str) -> KnownKey | None:
    """A key that the inventory does not know, by its file or its whole fingerprint."""
    from fidokit.keys.bookkeeping import fingerprint_form

    if fingerprint_form(word):
        return KnownKey(word)
    if not word or "\0" in word:
        return None
    path = Path(os.path.abspath(os.path.expanduser(word)))  # noqa: PTH100, PTH111
    try:
        line, _ = read_key(path)
    except FidokitError:
        return None
    print_ = sha256(line.key.blob())
    text = PublicLine(line.key, line.comment).encode()
    file = path.with_suffix("") if path.suffix == ".pub" else path
    application = getattr(line.key, "application", "")
    return KnownKey(print_, text, application, file=str(file if file.exists() else path))


def _standby(
    inventory: Inventory, lost: KnownKey, gone: frozenset[str], tokens: frozenset[str]
) -> KnownKey | None:
    """The key that takes the place of a lost one: its first key, or a backup of the same key."""
    first = lost.backup_of or lost.fingerprint
    family = [key for key in inventory.keys if first in (key.fingerprint, key.backup_of)]
    family.sort(key=lambda key: key.backup_of != "")  # the first key before its backups
    return next(
        (
            key
            for key in family
            if key.line and key.fingerprint not in gone and key.token not in tokens
        ),
        None,
    )


def _doubtful(inventory: Inventory, lost: frozenset[str]) -> Iterator[KnownKey]:
    """Keys on some token, by files of this user, that no list ever found on one."""
    for key in inventory.keys:
        if key.application and key.file and not key.token and key.fingerprint not in lost:
            yield key
