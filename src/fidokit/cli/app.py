"""The tree of commands, as a table; what is in it is imported when it is called or listed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import NamedTuple

import click

from fidokit import __version__
from fidokit.cli.options import common_options, format_sections
from fidokit.cli.settings import PROGRAM
from fidokit.errors import ExitCode


class Section(NamedTuple):
    """A group's line of help, and its verbs: `module:function` under fidokit.cli.commands.

    A verb's line of help is the first sentence of its docstring.
    """

    summary: str
    verbs: Mapping[str, str]


GROUPS: Mapping[str, Section] = {
    "key": Section(
        "SSH keys on a token: create, list, recover, use",
        {
            "generate": "key.generate:generate",
            "list": "key.resident:list_keys",
            "download": "key.resident:download",
            "delete": "key.resident:delete",
            "rename": "key.resident:rename",
            "show": "key.show:show",
            "publish": "key.publish:publish",
            "passphrase": "key.files:passphrase",
            "flags": "key.files:flags",
            "sign": "key.signatures:sign",
            "verify": "key.signatures:verify",
        },
    ),
    "pin": Section(
        "The token's PIN",
        {
            "set": "pin:set_pin",
            "change": "pin:change",
            "verify": "pin:verify",
            "status": "pin:status",
            "force-change": "pin:force_change",
            "min-length": "pin:min_length",
        },
    ),
    "token": Section(
        "Connected tokens: list, show, reset",
        {
            "list": "token:list_tokens",
            "info": "token:info",
            "wink": "token:wink",
            "audit": "fleet.token_audit:audit",
            "forget": "token:forget",
            "reset": "token:reset",
            "record": "virtual.recording:record",
            "explain": "virtual.recording:explain",
        },
    ),
    "config": Section(
        "Settings of the token",
        {
            "show": "config:show_all",
            "always-uv": "config:always_uv",
            "enterprise-attestation": "config:enterprise_attestation",
            "long-touch-reset": "config:long_touch_reset",
        },
    ),
    "bio": Section(
        "Fingers on the token's sensor",
        {
            "list": "bio:list_fingers",
            "enroll": "bio:enroll",
            "rename": "bio:rename",
            "delete": "bio:delete",
        },
    ),
    "blob": Section(
        "Data stored on the token with a resident key",
        {
            "list": "blob:list_blobs",
            "get": "blob:get",
            "set": "blob:set_blob",
            "delete": "blob:delete",
        },
    ),
    "secret": Section(
        "Secrets that a token derives, for age, LUKS and scripts",
        {
            "create": "secret:create",
            "derive": "secret:derive",
            "show": "secret:show_one",
        },
    ),
    "attestation": Section(
        "Proofs that a token made a key",
        {
            "show": "attestation:show_one",
            "verify": "attestation:verify",
        },
    ),
    "agent": Section(
        "SSH agents: serve keys, add them to a running agent, list them",
        {
            "add": "agent:add",
            "list": "agent:list_held",
            "serve": "agent:serve",
            "session": "agent_session:session",
            "units": "agent:units",
        },
    ),
    "provider": Section(
        "A library that lets OpenSSH's programs use fidokit's tokens",
        {
            "path": "provider:path",
            "install": "provider:install",
        },
    ),
    "cert": Section(
        "Certificates of users and hosts",
        {
            "sign": "cert:sign",
            "store": "cert:store",
            "show": "cert:show_all",
        },
    ),
    "git": Section(
        "Signatures of commits",
        {
            "setup": "setup.git:setup",
        },
    ),
    "server": Section(
        "Logins: add keys, check and harden sshd, revoke",
        {
            "authorize": "server.authorize:authorize",
            "check": "server.check:check",
            "harden": "server.harden:harden",
            "revoke-list": "server.revoke_list:revoke_list",
            "trust-ca": "server.trust:trust_ca",
        },
    ),
    "fleet": Section(
        "Many hosts: who gets in where, one policy, and what differs from it",
        {
            "apply": "fleet.apply:apply",
            "check": "fleet.check:check",
            "init": "fleet.init:init",
            "plan": "fleet.plan:plan",
        },
    ),
    "otp": Section(
        "One-time codes, for users without a token",
        {
            "enroll": "server.otp:enroll",
            "verify": "server.otp:verify",
            "recover": "server.otp:recover",
        },
    ),
    "virtual": Section(
        "Virtual tokens, for tests and for trying things out",
        {
            "create": "virtual.tokens:create",
            "list": "virtual.tokens:list_virtual",
            "models": "virtual.tokens:models",
            "quirks": "virtual.tokens:quirks",
            "run": "virtual.program:run",
            "serve": "virtual.tokens:serve",
            "export": "virtual.tokens:export",
            "import": "virtual.tokens:import_virtual",
            "export-credentials": "virtual.credentials:export_credentials",
            "import-credentials": "virtual.credentials:import_credentials",
            "delete": "virtual.tokens:delete",
            "touch": "virtual.control:touch",
            "refuse": "virtual.control:refuse",
            "finger": "virtual.control:finger",
            "unplug": "virtual.control:unplug",
            "insert": "virtual.control:insert",
            "power-cycle": "virtual.control:power_cycle",
            "fault": "virtual.control:fault",
            "set": "virtual.control:set_virtual",
            "state": "virtual.control:state",
            "wait-for-touch": "virtual.control:wait_for_touch",
        },
    ),
    "udev": Section(
        "Rules that let users access tokens",
        {
            "print": "udev:print_rules",
            "install": "udev:install",
        },
    ),
}

TOP: Mapping[str, str] = {
    "setup": "setup.setup:setup",
    "ssh-config": "setup.ssh_config:ssh_config",
    "lost": "fleet.lost:lost",
    "doctor": "guide:doctor",
    "demo": "guide:demo",
    "completion": "guide:completion",
    "help": "manual:show_manual",
}

HELP = """Manage FIDO2 security keys for SSH.

\b
First steps:
  fidokit setup                     from a new token to a working login
  fidokit doctor                    check this machine and its tokens
  fidokit pin set                   set the PIN of the token
  fidokit key generate -O resident  create a key that you can recover

If you have no token, `fidokit demo` shows everything with a virtual one."""


def load(target: str) -> click.Command:
    """Import the module of a verb and return its command.

    Args:
        target: `module:function`, as in the tables.
    """
    module, _, name = target.partition(":")
    command = getattr(importlib.import_module(f"fidokit.cli.commands.{module}"), name)
    assert isinstance(command, click.Command)  # noqa: S101  the table and the modules agree
    first, _, _ = (command.help or "").partition("\n\n")
    command.short_help = " ".join(first.split()).partition(". ")[0].removesuffix(".")
    return command


class LazyGroup(click.Group):
    """A group whose verbs are known by name, and imported when called or listed with their help."""

    def __init__(
        self,
        name: str,
        *,
        summary: str,
        entries: Mapping[str, str],
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
        """Parse the words behind the group; none at all show its help, and are a usage error."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(ExitCode.USAGE)
        given = list(args)  # the parser takes words away
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption:
            self._answer_letters(ctx, given)
            raise

    def _answer_letters(self, ctx: click.Context, args: list[str]) -> None:
        from fidokit.cli.habits import answer_to_letters

        known = frozenset(name for param in self.params for name in param.opts)
        if found := answer_to_letters(args, known):
            raise click.UsageError(f"there is no {found[0]} here: {found[1]}", ctx) from None

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """The names, in the order of the table: the most used first."""
        return [*self.sections, *self.entries]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The group or verb of that name, imported now."""
        if section := self.sections.get(cmd_name):
            return LazyGroup(cmd_name, summary=section.summary, entries=section.verbs)
        target = self.entries.get(cmd_name)
        return load(target) if target else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb that a word names; a wrong one is answered with the nearest name."""
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-"):
            self._check_known(ctx, name)
        return super().resolve_command(ctx, args)

    def _check_known(self, ctx: click.Context, name: str) -> None:
        known = self.list_commands(ctx)
        if name in known:
            return
        import difflib

        from fidokit.cli.habits import answer_to_word

        if said := answer_to_word(self.name or "", name):
            raise click.UsageError(f"there is no command {name!r} here: {said}", ctx)
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"there is no command {name!r} here{meant}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The groups' lines of help, and those of this group's own verbs."""
        rows = [(name, section.summary) for name, section in self.sections.items()]
        rows += [(name, load(target).short_help or "") for name, target in self.entries.items()]
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
