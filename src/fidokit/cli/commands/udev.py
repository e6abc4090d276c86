"""`fidokit udev`: print the rules that open tokens to people, or install them."""

from __future__ import annotations

import click

from fidokit.cli.options import verb
from fidokit.cli.render import Lines, show
from fidokit.cli.settings import Settings, with_sudo
from fidokit.errors import NoPermission
from fidokit.prompt.text import note

_group_option = click.option(
    "--group",
    metavar="NAME",
    help="Whose members may use tokens where nobody sits at the machine.  [default: plugdev]",
)


@verb()
@_group_option
def print_rules(settings: Settings, *, group: str | None) -> None:
    """Print the udev rules that open tokens to users.

    They give tokens to the user who sits at the machine. The lines that give them to a group are
    comments, unless --group names it.
    """
    from fidokit.tokens.udev_rules import RULES_PATH, rules_text

    rules = rules_text() if group is None else rules_text(group, with_group=True)
    data = {"udev": {"path": RULES_PATH, "rules": rules}}
    show(settings, data, Lines(rules.splitlines()))


@verb()
@_group_option
@click.option("--force", is_flag=True, help="Replace a file that is there and differs.")
def install(settings: Settings, *, group: str | None, force: bool) -> None:
    """Put the udev rules where udev reads them.

    Writes them into /etc/udev/rules.d and has udev use them; needs root. Tokens that are plugged in
    count at once. A file that is there and differs stays, unless --force is given. The rules name a
    group only if it exists and udev uses it.
    """
    from fidokit.tokens.udev_rules import RELOAD, install_udev_rules

    try:
        done = install_udev_rules(group, force=force)
    except NoPermission as error:
        named = ["--group", group] if group else []
        command = ["udev", "install", *named, *(["--force"] if force else [])]
        raise NoPermission(error.message, hint=f"run: {with_sudo(*command)}") from None
    data = {
        "path": str(done.path),
        "changed": done.changed,
        "problem": done.problem,
        "group": str(done.group),
    }
    said = f"Wrote {done.path}." if done.changed else f"{done.path} is there already."
    show(settings, {"udev": data}, Lines([said]))
    if done.problem is not None:
        note(f"udev was not told ({done.problem}). Where it runs: {RELOAD}")
    if done.group == "used-for-now":
        note(
            f"{group or 'plugdev'} is a group for users, which udev of systemd 258 and later "
            "ignores. A system group lasts: sudo groupadd --system fido; sudo gpasswd -a USER "
            f"fido; {with_sudo('udev', 'install', '--group', 'fido', '--force')}."
        )
    elif not done.group.counts:
        note(
            "Only the user who sits at the machine gets in: there is no system group plugdev. "
            "For others: sudo groupadd --system fido; sudo gpasswd -a USER fido; "
            f"{with_sudo('udev', 'install', '--group', 'fido', '--force')}; then log in again."
        )
