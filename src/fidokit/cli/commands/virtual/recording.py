"""`fidokit token record` and `token explain`: a session of any token, kept and told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli.interaction import TerminalInteraction
from fidokit.cli.options import verb
from fidokit.cli.render import Lines, home_path, show
from fidokit.cli.settings import Settings
from fidokit.prompt.text import note

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fidokit.lab.recording.explanation import ExplainedExchange

NOTHING = "Nothing was said to the token."


@verb()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def record(settings: Settings, *, file: Path, command: tuple[str, ...]) -> int:
    """Record what a program says to a token, without PINs and secrets.

    FILE is written anew. COMMAND is a program and its words, best behind --. It and what it starts
    see the token at /dev/hidraw90, and as the token of fidokit. Ends with its exit status.

    PINs, PIN tokens, and what is encrypted for them are never in FILE, nor are secrets that a token
    derives. Names of websites and users, and ids of keys, are.
    """
    words = command[1:] if command[0] == "--" else command  # behind FILE click leaves it
    from fidokit.lab.recording.recorder import record_program
    from fidokit.tokens.access import open_link

    with open_link(settings.token, TerminalInteraction(settings)) as (candidate, link):
        code, count = record_program(words, candidate, link, file)
    messages = "1 message" if count == 1 else f"{count} messages"
    note(f"Recorded {messages}: fidokit token explain {home_path(file)}")
    return code


record.context_settings["allow_interspersed_args"] = False  # what follows is the program's


@verb()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--pcapng",
    "capture",
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="Write it for Wireshark to OUT as well.",
)
@click.option("--departures", is_flag=True, help="Show only messages that depart from the text.")
def explain(settings: Settings, *, file: Path, capture: Path | None, departures: bool) -> None:
    """Explain a recorded session, message by message.

    FILE is what `token record` wrote. Each message is shown with its meaning and the clause of CTAP
    2.3 that describes it; lines with ! say what departs from the text.
    """
    from fidokit.lab.recording.explanation import explained_session
    from fidokit.lab.recording.recorder import read_recording

    recording = read_recording(file)
    told = [one for one in explained_session(recording) if one.departures or not departures]
    if capture is not None:
        from fidokit.lab.recording.capture import write_pcapng

        write_pcapng(capture, recording)
    lines = [line for one in told for line in _lines(one)]
    data = {
        "transport": recording.transport,
        "product": recording.product,
        "messages": [_json(one) for one in told],
    }
    show(settings, data, Lines(lines or [NOTHING]))


def _lines(told: ExplainedExchange) -> Iterator[str]:
    left_out = ", secrets left out" if told.blanked else ""
    yield f"#{told.number}  {told.at_ms / 1000:.3f} s  {told.name} ({told.clause})"
    yield from _members(">", told.request)
    for wait in told.waits:
        yield f"    . {wait}"
    yield f"    = {told.status} after {told.took_ms} ms{left_out}"
    yield from _members("<", told.answer)
    for one in told.departures:
        yield f"    ! {one.name}: {one.sentence} ({one.clause})"


def _members(mark: str, members: Mapping[str, str]) -> Iterator[str]:
    for name, value in members.items():
        yield f"    {mark} {name}: {value}"


def _json(told: ExplainedExchange) -> dict[str, object]:
    return {
        "number": told.number,
        "at_ms": told.at_ms,
        "took_ms": told.took_ms,
        "channel": told.channel,
        "name": told.name,
        "clause": told.clause,
        "request": [{"name": name, "value": value} for name, value in told.request.items()],
        "status": told.status,
        "answer": [{"name": name, "value": value} for name, value in told.answer.items()],
        "waits": list(told.waits),
        "departures": [one._asdict() for one in told.departures],
        "secrets_left_out": told.blanked,
    }
