"""The tree of commands, as a table; each verb's module is imported when the verb is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import NamedTuple

import click

from fidokit import __version__
from fidokit.cli.options import common_options, format_sections
from fidokit.errors import ExitCode

PROGRAM = "fidokit"
COMPLETION_VARIABLE = "_FIDOKIT_COMPLETE"


class Entry(NamedTuple):
    """Where a verb lives (`module:function` under fidokit.cli.commands), and its line of help."""

    target: str
    summary: str


class Section(NamedTuple):
    """A group of verbs and its line of help."""

    summary: str
    verbs: Mapping[str, Entry]


GROUPS: Mapping[str, Section] = {
    "key": Section(
        "SSH keys on a token: create, list, recover, use",
        {
            "generate": Entry("key.generate:generate", "Create a key on the token"),
            "list": Entry("key.keys:list_keys", "List keys on the token and their files"),
            "download": Entry("key.download:download", "Recover key files from the token"),
            "delete": Entry("key.delete:delete", "Delete keys from the token"),
            "rename": Entry("key.rename:rename", "Change the comment stored with a key"),
            "show": Entry("key.show:show", "Show fingerprints or public lines of files"),
            "passphrase": Entry("key.passphrase:passphrase", "Change a key file's passphrase"),
            "flags": Entry("key.flags:flags", "See or set what a key file asks for"),
            "sign": Entry("key.sign:sign", "Sign files"),
            "verify": Entry("key.verify:verify", "Verify a signature"),
        },
    ),
    "pin": Section(
        "The token's PIN",
        {
            "set": Entry("token.pin:set_pin", "Set the first PIN"),
            "change": Entry("token.pin:change", "Change the PIN"),
            "verify": Entry("token.pin:verify", "Check that a PIN is right"),
            "status": Entry("token.pin:status", "Whether a PIN is set, and tries left"),
            "force-change": Entry("token.pin:force_change", "Demand a new PIN before the next use"),
            "min-length": Entry("token.pin:min_length", "Raise the minimum length of the PIN"),
        },
    ),
    "token": Section(
        "Tokens that are plugged in",
        {
            "list": Entry("token.token:list_tokens", "List the tokens at hand"),
            "info": Entry("token.token:info", "What a token is and can do"),
            "wink": Entry("token.token:wink", "Make a token blink"),
            "forget": Entry("token.token:forget", "Forget a token that is remembered"),
            "reset": Entry("token.reset:reset", "Erase a token completely"),
        },
    ),
    "config": Section(
        "Settings of the token",
        {
            "show": Entry("token.config:show_all", "Show all settings"),
            "always-uv": Entry("token.config:always_uv", "Ask for PIN or fingerprint at every use"),
            "enterprise-attestation": Entry(
                "token.config:enterprise_attestation", "Let enterprises tell the token from others"
            ),
            "long-touch-reset": Entry(
                "token.config:long_touch_reset", "Reset only by a long touch"
            ),
        },
    ),
    "bio": Section(
        "Fingers on the token's sensor",
        {
            "list": Entry("token.bio:list_fingers", "List the enrolled fingers"),
            "enroll": Entry("token.bio:enroll", "Enroll a finger"),
            "rename": Entry("token.bio:rename", "Give a finger another name"),
            "delete": Entry("token.bio:delete", "Forget fingers"),
        },
    ),
    "blob": Section(
        "Data that is kept on the token beside a resident key",
        {
            "list": Entry("blob:list_blobs", "List the blobs and the room that is left"),
            "get": Entry("blob:get", "Read a key's blob"),
            "set": Entry("blob:set_blob", "Store a blob for a key"),
            "delete": Entry("blob:delete", "Delete blobs"),
        },
    ),
    "attestation": Section(
        "What a token certified when it made a key",
        {
            "show": Entry("attestation:show_one", "Show what an attestation file says"),
            "verify": Entry("attestation:verify", "Verify that a token made a key, and whose"),
        },
    ),
    "agent": Section(
        "SSH agents: one of our own, and keys into any",
        {
            "add": Entry(
                "agent.service:add", "Put resident keys into the running agent, without files"
            ),
            "serve": Entry("agent.service:serve", "Run an SSH agent for keys on tokens and others"),
            "units": Entry("agent.units:units", "The agent under systemd: show or install it"),
        },
    ),
    "provider": Section(
        "OpenSSH's own programs on the tokens that fidokit reaches",
        {
            "path": Entry("provider:path", "Where the library for ssh-keygen and ssh is"),
            "install": Entry("provider:install", "Copy it to where ssh-agent trusts it"),
        },
    ),
    "cert": Section(
        "Certificates of users and hosts",
        {
            "sign": Entry("cert:sign", "Certify public keys, by an authority's key"),
            "show": Entry("cert:show_all", "Show what certificates say"),
        },
    ),
    "server": Section(
        "From a key to a login",
        {
            "authorize": Entry(
                "server.authorize:authorize", "Let keys into an account, or take them out"
            ),
            "check": Entry("server.check:check", "Report who can log in, and by what"),
            "harden": Entry("server.harden:harden", "Have sshd demand more, proved beforehand"),
        },
    ),
    "otp": Section(
        "One-time codes, for users without a token",
        {
            "enroll": Entry("server.otp:enroll", "Set up an authenticator app"),
            "verify": Entry("server.otp:verify", "Tell whether a code is right, and why not"),
            "recover": Entry("server.otp:recover", "New emergency codes, or use one up"),
        },
    ),
    "virtual": Section(
        "Virtual tokens, for tests and for trying things out",
        {
            "create": Entry("virtual:create", "Create a virtual token"),
            "list": Entry("virtual:list_virtual", "List the virtual tokens"),
            "models": Entry("virtual:models", "List the certified models they can stand in for"),
            "serve": Entry("virtual:serve", "Keep a virtual token plugged in"),
            "export": Entry("virtual:export", "Write a virtual token into a file"),
            "import": Entry("virtual:import_virtual", "Take a virtual token from a file"),
            "delete": Entry("virtual:delete", "Delete a virtual token and its keys"),
        },
    ),
    "udev": Section(
        "Who may use tokens on this machine",
        {
            "print": Entry(
                "token.udev:print_rules", "Print the udev rules that open tokens to people"
            ),
            "install": Entry("token.udev:install", "Put the udev rules where udev reads them"),
        },
    ),
}

TOP: Mapping[str, Entry] = {
    "doctor": Entry("doctor:doctor", "Find out why a token does not work"),
    "demo": Entry("demo:demo", "A guided tour on a virtual token"),
    "completion": Entry("completion:completion", "Print shell completion for your shell"),
}

HELP = """Manage FIDO2 security keys for SSH.

\b
First steps:
  fidokit doctor                    is everything in place?
  fidokit pin set                   give the token a PIN
  fidokit key generate -O resident  create a key that can be recovered

Without a token at hand, `fidokit demo` shows it all on a virtual one."""


def load(entry: Entry) -> click.Command:
    """Import the module of a verb and return its command."""
    module, _, name = entry.target.partition(":")
    command = getattr(importlib.import_module(f"fidokit.cli.commands.{module}"), name)
    assert isinstance(command, click.Command)  # noqa: S101  the table and the modules agree
    command.short_help = entry.summary
    return command


class LazyGroup(click.Group):
    """A group whose verbs are known by name and summary, and imported when called."""

    def __init__(
        self,
        name: str,
        *,
        summary: str,
        entries: Mapping[str, Entry],
        sections: Mapping[str, Section] | None = None,
    ) -> None:
        super().__init__(
            name,
            help=summary,
            short_help=summary.partition("\n")[0],
            params=list(common_options()),
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        )
        self.entries = entries
        self.sections = sections or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; nothing but the group's name shows its help, and is a usage error."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(ExitCode.USAGE)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """The names, in the order of the table: the most used first."""
        return [*self.sections, *self.entries]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The group or verb of that name, imported now."""
        if section := self.sections.get(cmd_name):
            return LazyGroup(cmd_name, summary=section.summary, entries=section.verbs)
        entry = self.entries.get(cmd_name)
        return load(entry) if entry else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest names offered for a wrong one."""
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-"):
            self._check_known(ctx, name)
        return super().resolve_command(ctx, args)

    def _check_known(self, ctx: click.Context, name: str) -> None:
        known = self.list_commands(ctx)
        if name in known:
            return
        import difflib

        near = difflib.get_close_matches(name, known, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"there is no command {name!r} here{meant}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table's summaries, so that help imports no verb."""
        rows = [(name, section.summary) for name, section in self.sections.items()]
        rows += [(name, entry.summary) for name, entry in self.entries.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, then options by section."""
        self.format_commands(ctx, formatter)
        format_sections(self, ctx, formatter)


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"{PROGRAM} {__version__}")
        ctx.exit()


root = LazyGroup(PROGRAM, summary=HELP, entries=TOP, sections=GROUPS)
root.params.append(
    click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_version,
        help="Print the version and exit.",
    )
)

__all__ = ["COMPLETION_VARIABLE", "GROUPS", "PROGRAM", "TOP", "LazyGroup", "load", "root"]
