"""Takes out of a recorded message what proves its owner, and what is worth stealing.

Zeros stand in their place, as many as there were bytes: everything else stays as it was sent, so
that a message still shows how a token departs from the text. What cannot be read is taken out
whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fidokit.cbor import CborValue
from fidokit.client.links.lenient_cbor import read_prefix
from fidokit.client.links.trace import AUTH_DATA_HEAD, FORMS, CommandForm
from fidokit.client.tolerance import Notes
from fidokit.errors import MalformedCbor

_ATTESTED: Final = 0x40
_EXTENDED: Final = 0x80
_FLAGS_AT: Final = 32
_ID_SIZE_AT: Final = AUTH_DATA_HEAD + 16
_ID_AT: Final = _ID_SIZE_AT + 2


def blanked_request(request: bytes) -> bytes:
    """A CTAP2 request without its secrets."""
    if len(request) < 2:
        return request
    form = FORMS.get(request[0])
    found = _value(request[1:])
    if form is None or not isinstance(found, Mapping):
        return request[:1] + bytes(len(request) - 1)
    secrets: list[object] = [value for name, value in found.items() if name in form.secret]
    if form.extensions is not None:
        secrets.append(found.get(form.extensions))
    return request[:1] + _without(request[1:], secrets)


def blanked_answer(command: int, answer: bytes) -> bytes:
    """The answer to a CTAP2 command, without its secrets."""
    if len(answer) < 2:
        return answer
    form = FORMS.get(command)
    found = _value(answer[1:])
    if form is None or not isinstance(found, Mapping):
        return answer[:1] + bytes(len(answer) - 1)
    secrets: list[object] = [value for name, value in found.items() if name in form.secret_reply]
    secrets.append(_outputs(form, found))
    return answer[:1] + _without(answer[1:], secrets)


def _outputs(form: CommandForm, found: Mapping[Any, CborValue]) -> object:
    """The extensions' outputs at the end of authData; all of it where they cannot be told apart."""
    data = found.get(form.auth_data) if form.auth_data else None
    if not isinstance(data, bytes) or len(data) <= _FLAGS_AT or not data[_FLAGS_AT] & _EXTENDED:
        return None
    at = AUTH_DATA_HEAD
    if data[_FLAGS_AT] & _ATTESTED:
        at = _ID_AT + int.from_bytes(data[_ID_SIZE_AT:_ID_AT])
        try:
            at += read_prefix(data[at:], Notes())[1]
        except MalformedCbor:
            return data
    outputs = _value(data[at:])
    return data if outputs is None else outputs


def _value(data: bytes) -> CborValue:
    """The one value that `data` is, however untidy; None if it is none."""
    try:
        value, end = read_prefix(data, Notes())
    except MalformedCbor:
        return None
    return value if end == len(data) else None


def _without(data: bytes, secrets: list[object]) -> bytes:
    """Zeros in the place of each secret byte string, wherever it stands."""
    made = data
    for secret in {found for value in secrets for found in _byte_strings(value)}:
        made = made.replace(secret, bytes(len(secret)))
    readable = made == data or _value(made) is not None
    return made if readable else bytes(len(data))  # a short secret stood for other things, too


def _byte_strings(value: object) -> Iterator[bytes]:
    """Every byte string and text in a value that is not empty; keys of maps are not secrets."""
    match value:
        case bytes() if value:
            yield value
        case str() if value:
            yield value.encode()
        case Mapping():
            for inner in value.values():
                yield from _byte_strings(inner)
        case list() | tuple():
            for inner in value:
                yield from _byte_strings(inner)
