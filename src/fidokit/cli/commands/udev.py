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
    help="The group that may use tokens on machines without a local user.  [default: plugdev]",
)


@verb()
@_group_option
def print_rules(settings: Settings, *, group: str | None) -> None:
    """Print the udev rules that open tokens to users.

    The rules open tokens to the user who sits at the machine. The lines that open them to a group
    are comments unless you give --group.
    """
    from fidokit.tokens.udev_rules import RULES_PATH, rules_text

    rules = rules_text() if group is None else rules_text(group, with_group=True)
    data = {"udev": {"path": RULES_PATH, "rules": rules}}
    show(settings, data, Lines(rules.splitlines()))


@verb()
@_group_option
@click.option("--force", is_flag=True, help="Replace a different file.")
def install(settings: Settings, *, group: str | None, force: bool) -> None:
    """Install the udev rules.

    Writes the rules to /etc/udev/rules.d and tells udev to use them; needs root. They apply at once
    to tokens that are plugged in. A different file that is already there stays, unless you give
    --force. The rules name a group only if it exists and udev uses it.
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
