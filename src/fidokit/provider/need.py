"""Whether ssh reaches a key's token by itself, or needs our provider library for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.client.ports import QUIET
from fidokit.errors import FidokitError
from fidokit.keys.holder import open_key_file, read_named
from fidokit.provider.library import provider_path
from fidokit.tokens.access import list_tokens, token_holding

if TYPE_CHECKING:
    from fidokit.client.ports import Backend

_USB: Final = "usb:"


def provider_for_key(key: Path, *, backends: Sequence[Backend] | None = None) -> str:
    """The SecurityKeyProvider that ssh needs for a key; empty if it needs none.

    It needs one for a token that is not on USB. Where the key's token is not known (a file under a
    passphrase, a token that is not plugged in), the connected tokens decide.

    Args:
        key: its private file; of a public one nothing is known.
        backends: where tokens are; all of this machine's when None.

    Raises:
        Unsupported, NoPermission: it needs the library, which cannot be compiled here.
    """
    return str(provider_path()) if _is_off_usb(key, backends) else ""


def _is_off_usb(key: Path, backends: Sequence[Backend] | None) -> bool:
    try:
        held = open_key_file(key).key
    except FidokitError:
        return _none_on_usb(backends) if _is_on_a_token(key) else False
    try:
        with token_holding(
            held.key_handle, held.public.application, QUIET, backends=backends
        ) as session:
            return not session.selector.startswith(_USB)
    except FidokitError:
        return _none_on_usb(backends)


def _is_on_a_token(key: Path) -> bool:
    try:
        return read_named(key).key.type_name.startswith("sk-")
    except FidokitError:
        return False


def _none_on_usb(backends: Sequence[Backend] | None) -> bool:
    """Whether there are tokens, and none of them on USB."""
    found = list_tokens(with_info=False, backends=backends)
    return bool(found) and not any(one.selector.startswith(_USB) for one in found)
