"""`fidokit bio`: fingers on the token's sensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.interaction import open_token
from fidokit.cli.options import verb
from fidokit.cli.render import Column, Lines, Listing, show
from fidokit.cli.settings import Settings
from fidokit.prompt import questions
from fidokit.prompt.text import count, note

if TYPE_CHECKING:
    from fidokit.tokens.owner import Finger, Sample

COLUMNS = (Column("Name", "1"), Column("Id"))
EMPTY = "No finger is enrolled. Enroll one: fidokit bio enroll"


@verb(pin=True)
def list_fingers(settings: Settings) -> None:
    """List the enrolled fingers."""
    from fidokit.tokens.owner import list_fingers

    with open_token(settings) as session:
        found = list_fingers(session)
        rows = [(finger.name, finger.template_id.hex()) for finger in found]
        data = {"fingerprints": [schema.fingerprint(finger) for finger in found]}
        show(settings, {**schema.on_token(session), **data}, Listing(COLUMNS, rows, EMPTY))


@verb(pin=True)
@click.option("-n", "--name", default="", metavar="TEXT", help="The name of the finger.")
def enroll(settings: Settings, *, name: str) -> None:
    """Enroll a finger.

    Touch the sensor repeatedly until the token has seen enough. After that, the finger replaces the
    PIN. Ctrl-C cancels, and the token forgets what it has seen.
    """
    from fidokit.tokens.owner import enroll_finger

    with open_token(settings) as session:
        made = enroll_finger(session, name, _say)
        done = f"Enrolled {_called(made)} on {session.name}."
        data = {**schema.on_token(session), "fingerprint": schema.fingerprint(made)}
        show(settings, data, Lines([done]))


def _say(sample: Sample) -> None:
    said = sample.sentence[:1].upper() + sample.sentence[1:]
    left = {0: "done", 1: "1 more"}.get(sample.remaining, f"{sample.remaining} more")
    note(f"{said} ({left}).")


@verb(pin=True)
@click.argument("fingerprint")
@click.argument("name")
def rename(settings: Settings, *, fingerprint: str, name: str) -> None:
    """Give a finger another name.

    FINGERPRINT is the finger's current name, or the beginning of its ID.
    """
    from fidokit.tokens.owner import list_fingers, rename_finger, resolve_finger

    with open_token(settings) as session:
        known = resolve_finger(fingerprint, list_fingers(session))
        renamed = rename_finger(session, known, name)
        data = {**schema.on_token(session), "renamed": schema.fingerprint(renamed)}
        show(settings, data, Lines([f"Renamed {_called(known)} to {name!r}."]))


@verb(pin=True)
@click.argument("fingerprints", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(settings: Settings, *, fingerprints: tuple[str, ...], yes: bool) -> None:
    """Forget fingers.

    FINGERPRINTS are names, or beginnings of IDs.
    """
    from fidokit.tokens.owner import delete_finger, list_fingers, resolve_finger

    with open_token(settings) as session:
        known = list_fingers(session)
        named = [resolve_finger(text, known) for text in fingerprints]
        chosen = list({finger.template_id: finger for finger in named}.values())
        if not yes:
            note("\n".join(f"  {_called(finger)}" for finger in chosen))
            questions.require_yes(f"Make {session.name} forget {count(len(chosen), 'finger')}?")
        for finger in chosen:
            delete_finger(session, finger)
        data = {"deleted": [schema.fingerprint(finger) for finger in chosen]}
        lines = [f"Forgot {_called(finger)}." for finger in chosen]
        show(settings, {**schema.on_token(session), **data}, Lines(lines))


def _called(finger: Finger) -> str:
    return f"the finger {finger.name or finger.template_id.hex()!r}"
