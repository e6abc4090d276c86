"""`fidokit virtual`: create, list, models, delete."""

from __future__ import annotations

import click

from fidokit.cli import ask, schema
from fidokit.cli.options import Settings, verb
from fidokit.cli.render import Column, Lines, Listing, escape, show

NO_MODELS = "No model is called so. See them all: fidokit virtual models"
EMPTY = "No virtual tokens yet. Create one: fidokit virtual create NAME"


@verb()
@click.argument("name")
@click.option(
    "--presence",
    metavar="POLICY",
    default="auto",
    help="Who touches it: auto (always touched at once), deny (never), delay:MS (touched after so "
    "many milliseconds) or prompt (you are asked on the terminal).  [default: auto]",
)
@click.option(
    "--model",
    metavar="AAGUID|NAME",
    help="Stand in for a certified model; `fidokit virtual models` lists them.",
)
def create(settings: Settings, *, name: str, presence: str, model: str | None) -> None:
    """Create a virtual token called NAME.

    It behaves as a real one in every command. Its keys lie in a file, not in hardware: use it
    for tests and for trying things out.
    """
    from fidokit import api

    made = api.create_virtual(name, model=model, presence=presence)
    lines = [f"Created {made.selector}.", f"Use it: fidokit --token {made.selector} pin set"]
    if made.model:
        lines.insert(1, f"It stands in for: {made.model}")
    if made.withheld:
        lines.insert(2, f"What it lacks of that model: {', '.join(made.withheld)}")
    show(settings, {"virtual": schema.virtual(made)}, Lines(lines))


@verb()
def list_virtual(settings: Settings) -> None:
    """List the virtual tokens of this user."""
    from fidokit import api

    found = api.list_virtual()
    columns = [Column("Selector", "bold"), Column("Profile"), Column("File"), Column("Problem")]
    rows = [(v.selector, v.model or v.profile, str(v.path), v.problem) for v in found]
    data = {"virtual": [schema.virtual(v) for v in found]}
    show(settings, data, Listing(columns, rows, EMPTY))


@verb()
@click.option("--search", metavar="TEXT", default="", help="Only models that hold these words.")
def models(settings: Settings, *, search: str) -> None:
    """List the certified models that a virtual token can stand in for.

    They come from the FIDO Alliance's metadata: pip install 'fidokit[mds]'. With --json, each
    says what it has and a virtual token in its place has not.
    """
    from fidokit import api

    found = api.list_models(search)
    columns = [Column("Model", "bold"), Column("AAGUID"), Column("Versions"), Column("Status")]
    rows = [(m.description, m.aaguid, " ".join(m.versions), m.certification) for m in found.models]
    data = {
        "models": [schema.model(m) for m in found.models],
        "problems": list(found.problems),
        "source": found.source,
    }
    notes = [f"{len(rows)} models of {found.source}", *found.problems]
    footer = "\n".join(map(escape, notes))
    show(settings, data, Listing(columns, rows, NO_MODELS, footer))


@verb()
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(settings: Settings, *, name: str, yes: bool) -> None:
    """Delete the virtual token NAME and every key in it."""
    from fidokit import api

    known = {v.name for v in api.list_virtual()}
    if name in known and not yes:
        ask.require_yes(f"Delete virtual:{name} and every key in it?")
    api.delete_virtual(name)
    show(settings, {"deleted": name}, Lines([f"Deleted virtual:{name}."]))
