"""`fidokit key publish`: public keys on GitHub and GitLab."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from fidokit.cli.commands.key.generate import NO_TOUCH
from fidokit.cli.commands.setup import setup_json
from fidokit.cli.options import verb
from fidokit.cli.render import Lines, show
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode
from fidokit.prompt.text import note

if TYPE_CHECKING:
    from fidokit.keys.publication import Publication


@verb()
@click.argument("site", metavar="gh:[NAME]|gl:[NAME]")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--signing", is_flag=True, help="For signatures of commits instead of logins.")
@click.option("--title", metavar="TEXT", default="", help="Its name there.  [default: its comment]")
@click.option("--no-backup", is_flag=True, help="Leave the backups of the keys out.")
def publish(
    settings: Settings,
    *,
    site: str,
    files: tuple[str, ...],
    signing: bool,
    title: str,
    no_backup: bool,
) -> None:
    """Put public keys into your account at GitHub or GitLab.

    Their own programs do it, gh and glab, if they are installed and logged in. Else the page and
    the text to paste are printed, and the exit status is 1 unless the account of NAME has the key
    already. Afterwards the account's public list is read.
    """
    from fidokit.keys.bookkeeping import note_published
    from fidokit.keys.publication import Published, publish_keys

    done = publish_keys(site, files, signing=signing, backups=not no_backup, title=title)
    note_published(note, done)
    for one in done:
        if one.key.touch is False:
            note(NO_TOUCH)
    data = {"published": [setup_json.publication(one) for one in done]}
    show(settings, data, Lines([line for one in done for line in told(one)]))
    if any(one.state == Published.BY_HAND for one in done):
        raise click.exceptions.Exit(ExitCode.OTHER)


def told(done: Publication) -> Iterator[str]:
    """What became of a key, and what is left to do."""
    from fidokit.keys.publication import Published

    name = done.key.comment or done.fingerprint
    account = f" ({done.account})" if done.account else ""
    use = " for signatures" if done.signing else ""
    if done.state == Published.BY_HAND:
        yield f"Add the key to {done.site.name} by hand{use} ({done.why}):"
        yield f"  page   {done.page}"
        if not done.site.one_list:
            yield f"  type   {'Signing Key' if done.signing else 'Authentication Key'}"
        yield f"  title  {done.title}"
        yield f"  key    {done.text}"
        return
    where = f"{done.site.name}{account}"
    if done.state == Published.UNSEEN:
        yield f"added  {name} to {where}{use}; its public list does not show it yet"
    else:
        preposition = "at" if done.state == Published.PRESENT else "to"
        yield f"{done.state}  {name} {preposition} {where}{use}"
    if done.why:
        yield f"  not known: {done.why}"
