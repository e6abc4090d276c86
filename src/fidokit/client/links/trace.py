"""The trace of what is said to a token, for `-v`: names, sizes, times, and bytes without secrets.

It goes to the logger `fidokit.trace` at DEBUG. Members are shown in CBOR's diagnostic notation
(RFC 8949 section 8). What proves the owner, and what is worth stealing from an answer, is never
shown, not even under its encryption: a trace is made to be sent to somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fidokit.types import CtapCommand, CtapStatus

if TYPE_CHECKING:
    from logging import Logger

MOST_BYTES: Final = 64
"""Bytes of one byte string that are shown; longer ones are certificates and large blobs."""
AUTH_DATA_HEAD: Final = 37
"""Bytes of authData before its key and its extensions, which may carry a credBlob."""


@dataclass(frozen=True, slots=True)
class CommandForm:
    """How one command is shown.

    Args:
        name: as the specification calls it.
        secret: members of the request that are never shown: pinUvAuthParam, newPinEnc and
            pinHashEnc.
        extensions: the member of the request that holds extension inputs, of which numbers and
            switches are shown: credProtect is worth reading, a credBlob or a salt is not ours.
        secret_reply: members of the answer that are never shown: pinUvAuthToken, largeBlobKey,
            extension outputs.
        auth_data: the member of the answer that holds authData, of which only the head is shown.
    """

    name: str
    secret: frozenset[int] = frozenset()
    secret_reply: frozenset[int] = frozenset()
    extensions: int | None = None
    auth_data: int | None = None


FORMS: Final[Mapping[int, CommandForm]] = {
    CtapCommand.MAKE_CREDENTIAL: CommandForm(
        "makeCredential", frozenset({8}), frozenset({5, 6}), extensions=6, auth_data=2
    ),
    CtapCommand.GET_ASSERTION: CommandForm(
        "getAssertion", frozenset({6}), frozenset({7, 8}), extensions=4, auth_data=2
    ),
    CtapCommand.GET_NEXT_ASSERTION: CommandForm(
        "getNextAssertion", frozenset(), frozenset({7, 8}), auth_data=2
    ),
    CtapCommand.GET_INFO: CommandForm("getInfo"),
    CtapCommand.CLIENT_PIN: CommandForm("clientPIN", frozenset({4, 5, 6}), frozenset({2})),
    CtapCommand.RESET: CommandForm("reset"),
    CtapCommand.SELECTION: CommandForm("selection"),
    CtapCommand.CONFIG: CommandForm("config", frozenset({4})),
    CtapCommand.BIO_ENROLLMENT: CommandForm("bioEnrollment", frozenset({5})),
    CtapCommand.BIO_ENROLLMENT_PREVIEW: CommandForm("bioEnrollmentPreview", frozenset({5})),
    CtapCommand.LARGE_BLOBS: CommandForm("largeBlobs", frozenset({5})),
    CtapCommand.CREDENTIAL_MANAGEMENT: CommandForm(
        "credentialManagement", frozenset({4}), frozenset({0x0B})
    ),
    CtapCommand.CREDENTIAL_MANAGEMENT_PREVIEW: CommandForm(
        "credentialManagementPreview", frozenset({4}), frozenset({0x0B})
    ),
}
"""Every command whose members were judged; of others, only the sizes are told."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One message to a token and what came back.

    Args:
        sent, received: the sizes of both, in bytes.
        seconds: how long it took.
    """

    sent: int
    received: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.sent} bytes out, {self.received} in, {self.seconds * 1000:.1f} ms"


def ctap2(
    logger: Logger,
    command: int,
    params: Mapping[int, object] | None,
    reply: tuple[int | None, object],
    exchange: Exchange,
) -> None:
    """Tell of a CTAP2 command.

    Args:
        command: the command byte.
        params: the request's map.
        reply: the status byte (None if there was none), and the answer's value where it is
            canonical.
        exchange: sizes and time.
    """
    form = FORMS.get(command)
    status, value = reply
    name = form.name if form else "command"
    lines = [f"{name} 0x{command:02x}: {exchange}, {status_name(status)}"]
    if form is not None and params:
        lines.append(f"  > {shown(_plain(_without(params, form.secret), form.extensions))}")
    if form is not None and isinstance(value, Mapping) and value:
        lines.append(f"  < {shown(_head(_without(value, form.secret_reply), form.auth_data))}")
    logger.debug("%s", "\n".join(lines))


def ctap1(logger: Logger, apdu: bytes, reply: bytes, exchange: Exchange) -> None:
    """Tell of a U2F command: its instruction and its status word, which is all that says much."""
    logger.debug("U2F 0x%s: %s, status word 0x%s", apdu[1:2].hex(), exchange, reply[-2:].hex())


def status_name(status: int | None) -> str:
    """A status byte with its name in the specification."""
    if status is None:
        return "no status"
    known = status in CtapStatus._value2member_map_
    return f"status 0x{status:02x}" + (f" {CtapStatus(status).name}" if known else "")


class _Redacted:
    """Stands for a value that is not shown."""

    def __init__(self, value: object) -> None:
        self._size = len(value) if isinstance(value, bytes) else None

    def __str__(self) -> str:
        return "<secret>" if self._size is None else f"<secret, {self._size} bytes>"


def _without(members: Mapping[int, object], secret: frozenset[int]) -> dict[object, object]:
    return {key: _Redacted(v) if key in secret else v for key, v in members.items()}


def _plain(members: dict[object, object], extensions: int | None) -> dict[object, object]:
    inputs = members.get(extensions)
    if isinstance(inputs, Mapping):
        members[extensions] = {
            name: value if isinstance(value, int) else _Redacted(value)
            for name, value in inputs.items()
        }
    return members


def _head(members: dict[object, object], auth_data: int | None) -> dict[object, object]:
    value = members.get(auth_data)
    if isinstance(value, bytes):
        members[auth_data] = _Cut(value, AUTH_DATA_HEAD)
    return members


@dataclass(frozen=True, slots=True)
class _Cut:
    """The front of a byte string."""

    value: bytes
    most: int

    def __str__(self) -> str:
        more = len(self.value) - self.most
        front = f"h'{self.value[: self.most].hex()}'"
        return front if more <= 0 else f"{front} and {more} bytes more"


def shown(value: object) -> str:
    """A value in diagnostic notation; text in it has only printable ASCII."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{shown(k)}: {shown(v)}" for k, v in value.items()) + "}"
        case bytes():
            return str(_Cut(value, MOST_BYTES))
        case str():
            return '"' + ascii(value)[1:-1].replace('"', '\\"') + '"'
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[value]
        case list() | tuple():
            return "[" + ", ".join(_each(value)) + "]"
        case _:
            return str(int(value)) if isinstance(value, int) else str(value)


def _each(values: list[object] | tuple[object, ...]) -> Iterator[str]:
    return (shown(value) for value in values)
