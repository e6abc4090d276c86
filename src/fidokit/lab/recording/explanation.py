"""A recorded session in words: each message with its meaning and clause, and its departures.

Clauses are those of CTAP 2.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from fidokit.client.answer import Answer
from fidokit.client.info import decode_info
from fidokit.client.links.lenient_cbor import read_prefix
from fidokit.client.links.trace import shown, status_name
from fidokit.client.tolerance import (
    DEPARTURES,
    EMPTY_LIST,
    GET_INFO_REFUSED,
    TOUCH_NOTICE,
    Notes,
)
from fidokit.errors import FidokitError, MalformedCbor
from fidokit.lab.recording.words import (
    COMMANDS,
    KEEPALIVE_CLAUSE,
    KEEPALIVES,
    STATUS_CLAUSE,
    STATUS_WORDS,
    U2F,
    CommandWords,
)
from fidokit.types import CtapCommand, CtapStatus
from fidokit.virtual.recorded import RecordedExchange, Recording

_SUCCESS: Final = 0
_OPTIONS: Final = 5
_UP_NEEDED: Final = 2
_BEGINS: Final = (2, 4)
_UNKNOWN: Final = CommandWords("a command that CTAP 2.3 does not know", "8.1")


class ExplainedDeparture(NamedTuple):
    """Something in an answer that is not as the text has it.

    Args:
        name: of `docs/tolerance.md`; "malformed" for what is never read tolerantly, "unknown" for
            what the text does not name.
        sentence: what the token does.
        clause: of CTAP 2.3, that says otherwise.
    """

    name: str
    sentence: str
    clause: str


class ExplainedExchange(NamedTuple):
    """One message in words; text in it has only printable ASCII.

    Args:
        number: from 1.
        at_ms, took_ms, channel: as recorded.
        name: of the command, and of its subcommand.
        clause: of CTAP 2.3, that describes it.
        request, answer: the members by their names, in diagnostic notation.
        status: in words.
        waits: what the token said meanwhile.
        departures: what is not as the text has it.
        blanked: whether secrets are left out.
    """

    number: int
    at_ms: int
    took_ms: int
    channel: int
    name: str
    clause: str
    request: Mapping[str, str]
    status: str
    answer: Mapping[str, str]
    waits: tuple[str, ...]
    departures: tuple[ExplainedDeparture, ...]
    blanked: bool


def explained_session(recording: Recording) -> list[ExplainedExchange]:
    """Every message of a session."""
    return [
        _ctap2(number, exchange) if exchange.kind == "cbor" else _other(number, exchange)
        for number, exchange in enumerate(recording.exchanges, 1)
    ]


def _other(number: int, exchange: RecordedExchange) -> ExplainedExchange:
    request: Mapping[str, str] = {}
    answer: Mapping[str, str] = {}
    if exchange.kind == "wink":
        name, clause, status = "CTAPHID_WINK", "11.2.9.2.1", exchange.error or "done"
    else:
        code = exchange.request[1] if len(exchange.request) > 1 else -1
        name = U2F.get(code, f"a U2F message that the text does not know (0x{code:02x})")
        clause = "U2F Raw Message Formats"
        word = int.from_bytes(exchange.answer[-2:])
        status = exchange.error or f"0x{word:04x} {STATUS_WORDS.get(word, 'unknown')}"
        request = {"message": shown(exchange.request)}
        answer = {"data": shown(exchange.answer[:-2])} if len(exchange.answer) > 2 else {}
    return ExplainedExchange(
        number,
        exchange.at_ms,
        exchange.took_ms,
        exchange.channel,
        name,
        clause,
        request,
        status,
        answer,
        (),
        (),
        exchange.blanked,
    )


def _ctap2(number: int, exchange: RecordedExchange) -> ExplainedExchange:
    command = exchange.request[0] if exchange.request else -1
    words = COMMANDS.get(command, _UNKNOWN)
    members, _ = _read(exchange.request[1:])
    name, clause = _called(command, words, members)
    code = exchange.answer[0] if exchange.answer else None
    notes = Notes()
    found, problem = _read(exchange.answer[1:], notes)
    departures = [
        *_malformed(problem),
        *_noted(command, code, found, notes),
        *_by_behavior(command, code, members, found, exchange),
        *_unknown(code, found, words),
    ]
    return ExplainedExchange(
        number,
        exchange.at_ms,
        exchange.took_ms,
        exchange.channel,
        name,
        clause,
        _named(members, words.request),
        exchange.error or status_name(code),
        _named(found, words.answer),
        tuple(f"{_keepalive(status)} after {at} ms" for at, status in exchange.keepalives),
        tuple(departures),
        exchange.blanked,
    )


def _read(data: bytes, notes: Notes | None = None) -> tuple[object, str]:
    """The value, and why there is none; both empty if there is nothing to read."""
    if not data:
        return None, ""
    try:
        value, end = read_prefix(data, notes or Notes())
    except MalformedCbor as error:
        return None, error.message
    return value, f"{len(data) - end} bytes follow the answer" if end != len(data) else ""


def _called(command: int, words: CommandWords, members: object) -> tuple[str, str]:
    if words is _UNKNOWN:
        return f"{words.name} (0x{command & 0xFF:02x})", words.clause
    number = members.get(words.subcommand) if isinstance(members, Mapping) else None
    if not words.subcommand or number is None:
        return words.name, words.clause
    if not isinstance(number, int) or number not in words.subcommands:
        return f"{words.name}, an unknown subcommand ({shown(number)})", words.clause
    name, clause = words.subcommands[number]
    return f"{words.name}, {name}", clause


def _named(members: object, names: Mapping[int, str]) -> Mapping[str, str]:
    if not isinstance(members, Mapping):
        return {} if members is None else {"value": shown(members)}
    return {
        names[name] if name in names else f"member {shown(name)}": shown(value)
        for name, value in members.items()
    }


def _keepalive(status: int) -> str:
    return KEEPALIVES.get(status, f"says 0x{status:02x}, which {KEEPALIVE_CLAUSE} does not know")


# --- what departs from the text -------------------------------------------------------------------


def _malformed(problem: str) -> Iterator[ExplainedDeparture]:
    if problem:
        yield ExplainedDeparture("malformed", f"sends what cannot be read: {problem}", "8")


def _noted(
    command: int, code: int | None, found: object, notes: Notes
) -> Iterator[ExplainedDeparture]:
    """What a client notes when it reads the same answer."""
    if command == CtapCommand.GET_INFO and code == _SUCCESS and isinstance(found, dict):
        try:
            decode_info(Answer(found, "getInfo answer"), notes)
        except FidokitError as error:
            yield ExplainedDeparture(
                "malformed", f"describes itself wrongly: {error.message}", "6.4"
            )
    for name in notes.names:
        yield ExplainedDeparture(name, DEPARTURES[name].sentence, DEPARTURES[name].clause)


def _by_behavior(
    command: int, code: int | None, members: object, found: object, exchange: RecordedExchange
) -> Iterator[ExplainedDeparture]:
    names = []
    asked = members if isinstance(members, Mapping) else {}
    if command == CtapCommand.GET_INFO and code not in {_SUCCESS, None}:
        names.append(GET_INFO_REFUSED)
    lists = command in {
        CtapCommand.CREDENTIAL_MANAGEMENT,
        CtapCommand.CREDENTIAL_MANAGEMENT_PREVIEW,
    }
    if lists and asked.get(1) in _BEGINS and code == _SUCCESS and not found:
        names.append(EMPTY_LIST)
    options = asked.get(_OPTIONS)
    silent = isinstance(options, Mapping) and options.get("up") is False
    touched = _UP_NEEDED in {status for _, status in exchange.keepalives}
    if command == CtapCommand.GET_ASSERTION and silent and touched:
        names.append(TOUCH_NOTICE)
    for name in names:
        yield ExplainedDeparture(name, DEPARTURES[name].sentence, DEPARTURES[name].clause)


def _unknown(code: int | None, found: object, words: CommandWords) -> Iterator[ExplainedDeparture]:
    if code is not None and code not in CtapStatus._value2member_map_:
        sentence = f"answers with a status that the text does not name (0x{code:02x})"
        yield ExplainedDeparture("unknown", sentence, STATUS_CLAUSE)
    if words is _UNKNOWN or not isinstance(found, Mapping):
        return
    for name in found:
        if name not in words.answer:
            sentence = f"sends a member that the text does not name ({shown(name)})"
            yield ExplainedDeparture("unknown", sentence, words.clause)
