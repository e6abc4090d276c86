"""What a child of the agent does with a PIN: sign once, or list a token's keys; then it ends.

CPython keeps copies of every string it made, so a PIN is typed, encoded and encrypted in a process
that lives for one piece of work. The agent and its child speak lines of JSON over the child's
standard streams; PINs go through pipes of their own.
"""

from __future__ import annotations

import threading
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fidokit.errors import FidokitError, Malformed

if TYPE_CHECKING:
    from fidokit.client.credentials.resident import ResidentCredential
    from fidokit.client.ports import Interaction
    from fidokit.client.session import Session
    from fidokit.openssh.keys.private import SkPrivate

SIGN: Final = "sign"
LIST: Final = "list"

Json = Mapping[str, object]


def sign_request(token: str, private: SkPrivate, message: bytes) -> dict[str, object]:
    """The order to sign on a token, by its selector."""
    key, data = b64encode(private.encode()).decode(), b64encode(message).decode()
    return {"do": SIGN, "token": token, "key": key, "message": data}


def list_request(token: str, *, remember: bool) -> dict[str, object]:
    """The order to list a token's SSH keys, keeping the right to do so again where wanted."""
    return {"do": LIST, "token": token, "remember": remember or None}


def perform(order: Json, interaction: Interaction, stop: threading.Event) -> dict[str, object]:
    """Do what the agent ordered; the child's part.

    Args:
        order: from `sign_request` or `list_request`.
        interaction: asks for the PIN, and passes on touch notices.
        stop: set when the agent does not want it any more.

    Returns:
        What `signature_of` or `keys_of` reads.

    Raises:
        FidokitError: it did not work.
    """
    from fidokit.tokens.access import open_token

    with open_token(_text(order, "token"), interaction) as session:
        if order.get("do") == SIGN:
            return {"signature": b64encode(_signed(session, order, stop)).decode()}
        return {"keys": _listed(session, order)}


def _signed(session: Session, order: Json, stop: threading.Event) -> bytes:
    from fidokit.client.credentials.signature import sign
    from fidokit.openssh.keys.private import read_private
    from fidokit.openssh.wire import Reader

    private = read_private(Reader(b64decode(_text(order, "key")), "private key"))
    return sign(session, private, b64decode(_text(order, "message")), stop=stop).blob()


def _listed(session: Session, order: Json) -> list[dict[str, str]]:
    from fidokit.client.credentials import resident
    from fidokit.tokens.remembered import attach

    attach(session, True if order.get("remember") else None)
    found = resident.list_credentials(session)
    return [
        {"key": b64encode(private.encode()).decode(), "comment": comment_of(credential)}
        for credential in found
        if (private := private_of(credential)) is not None
    ]


def private_of(credential: ResidentCredential) -> SkPrivate | None:
    """What a key file of a resident key would hold; None for a type that SSH does not know."""
    from fidokit.openssh.keys.private import SkPrivate
    from fidokit.types import KeyHandle

    if credential.public is None:
        return None
    handle = KeyHandle(credential.credential_id)
    return SkPrivate(credential.public, credential.flags, handle)


def comment_of(credential: ResidentCredential) -> str:
    """What tells a resident key from others: its comment, else its application and user."""
    from fidokit.keys.resident_keys import printable

    name = f"{credential.application} {credential.user}".strip()
    comment = credential.comment
    return printable(comment if comment and comment != credential.application else name)


def signature_of(result: Json) -> bytes:
    """The signature blob in a result.

    Raises:
        Malformed: there is none.
    """
    return _decoded(result, "signature")


def keys_of(result: Json) -> list[tuple[SkPrivate, str]]:
    """The keys in a result, with their comments.

    Raises:
        Malformed: it has another form.
    """
    from fidokit.openssh.keys.private import read_private
    from fidokit.openssh.wire import Reader

    listed = result.get("keys")
    if not isinstance(listed, list):
        raise Malformed("the agent's child did not list keys")
    return [
        (read_private(Reader(_decoded(row, "key"), "private key")), _text(row, "comment"))
        for row in listed
    ]


def error_of(error: FidokitError) -> dict[str, object]:
    """An error as a result."""
    return {"error": type(error).__name__, "message": error.message, "hint": error.hint}


def raise_error(result: Json) -> None:
    """Raise the error that a result is, if it is one."""
    from fidokit import errors

    name = result.get("error")
    if not isinstance(name, str):
        return
    kind = getattr(errors, name, FidokitError)
    ours = isinstance(kind, type) and issubclass(kind, FidokitError)
    if name in _WANT_MORE or not ours:
        kind = FidokitError
    raise kind(_text(result, "message"), hint=_text(result, "hint"))


_WANT_MORE: Final = frozenset({"PinWrong", "TokenRefused"})
"""Errors that are made of more than a sentence and a hint, which is all that the agent needs."""


def _decoded(values: Json, name: str) -> bytes:
    try:
        return b64decode(_text(values, name), validate=True)
    except ValueError:
        raise Malformed(f"{name!r} is no base64") from None


def _text(values: Json, name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str):
        raise Malformed(f"{name!r} is missing between the agent and its child")
    return value
