"""`fidokit ssh-config`: what ssh has to know of a host and its key."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli.commands.setup import setup_json
from fidokit.cli.commands.setup.key_choice import chosen_key
from fidokit.cli.options import verb
from fidokit.cli.render import Lines, home_path, show, write_raw
from fidokit.cli.settings import Settings
from fidokit.prompt.text import note

if TYPE_CHECKING:
    from fidokit.keys.ssh_config import ConfigChange, HostBlock, InstalledBlock

AUTO = "auto"
NONE = "none"


@verb()
@click.argument("hosts", nargs=-1, metavar="[[USER@]HOST...]")
@click.option("-f", "key", metavar="FILE", type=click.Path(path_type=Path), help="The key's file.")
@click.option("--port", metavar="N", type=click.IntRange(1, 65535), help="The port of the hosts.")
@click.option(
    "--provider",
    metavar="LIBRARY",
    default=AUTO,
    help="SecurityKeyProvider, or none.  [default: ours, for a token that is not on USB]",
)
@click.option(
    "--agent",
    metavar="SOCKET",
    default=AUTO,
    help="IdentityAgent, or none.  [default: fidokit's, if systemd opens its socket]",
)
@click.option("--install", is_flag=True, help="Put the blocks where ssh reads them.")
@click.option("--remove", is_flag=True, help="Take out what --install put there.")
@click.option(
    "-e", "--ssh", metavar="COMMAND", default="ssh", help="How to call ssh.  [default: ssh]"
)
def ssh_config(
    settings: Settings,
    *,
    hosts: tuple[str, ...],
    install: bool,
    remove: bool,
    ssh: str,
    **given: object,
) -> None:
    """Have ssh use a key for hosts.

    Prints the block of ssh_config(5) for each HOST, after the installed ssh was asked whether it
    reads it so. HOST may be a pattern, such as '*.example.org'. With --install the blocks go into
    ~/.ssh/fidokit.conf, which the first line of ~/.ssh/config includes; the rest of that file stays
    as it is. --remove takes out the blocks of the hosts, or all of them and the line. Without HOST
    the blocks that are installed are printed.
    """
    from fidokit.keys.ssh_config import (
        install_blocks,
        installed_blocks,
        remove_blocks,
        require_valid,
    )

    if remove:
        if install or any(value not in (None, AUTO) for value in given.values()):
            raise click.UsageError("--remove goes with hosts alone")
        _show(settings, remove_blocks(hosts), [])
        return
    if not hosts:
        there = [] if install else installed_blocks()
        if not there:
            raise click.UsageError("name a host: fidokit ssh-config --install server.example")
        _print(settings, there)
        return
    blocks = list(_blocks(hosts, given))
    words = tuple(shlex.split(ssh))
    for block in blocks:
        require_valid(block, words[:1])
    if install:
        _show(settings, install_blocks(blocks, ssh=words), _printed(blocks))
    else:
        _print(settings, _printed(blocks))


def _printed(blocks: list[HostBlock]) -> list[InstalledBlock]:
    """The blocks as they are shown."""
    from fidokit.keys.ssh_config import InstalledBlock

    return [InstalledBlock(block.host, block.text()) for block in blocks]


def _print(settings: Settings, blocks: list[InstalledBlock]) -> None:
    if settings.json:
        show(settings, {"ssh_config": setup_json.ssh_config(None, blocks)}, Lines([]))
    else:
        write_raw("\n".join(block.text for block in blocks).encode("utf-8", "surrogateescape"))


def _blocks(hosts: tuple[str, ...], given: dict[str, object]) -> Iterator[HostBlock]:
    from fidokit.guide.ssh_login import host_block

    key, port = chosen_key(given["key"]), given["port"]
    assert port is None or isinstance(port, int)  # noqa: S101  click's IntRange
    provider, agent = _word(given["provider"]), _word(given["agent"])
    for host in hosts:
        yield host_block(host, key, port=port, provider=provider, agent=agent)


def _word(value: object) -> str | None:
    """The value of an option; None if it is left to us."""
    return None if value == AUTO else str(value)


def _show(settings: Settings, done: ConfigChange, blocks: list[InstalledBlock]) -> None:
    for problem in done.problems:
        note(f"warning: {problem}")
    data = {"ssh_config": setup_json.ssh_config(done, blocks)}
    show(settings, data, Lines(list(_told(done))))


def _told(done: ConfigChange) -> Iterator[str]:
    named = (("added", done.added), ("was there", done.present), ("removed", done.removed))
    for word, hosts in named:
        yield from (f"{word}  {host}" for host in hosts)
    if not (done.added or done.present or done.removed):
        yield f"No block is in {home_path(done.file)}."
    elif done.includes and done.removed:
        yield f"{home_path(done.includes)} is as it was before."
    else:
        yield f"File: {home_path(done.file)}"
        if done.includes:
            yield f"Its Include line is the first of {home_path(done.includes)}."
