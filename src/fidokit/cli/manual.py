"""The man page, from the same help text: `python -m fidokit.cli.manual > docs/fidokit.1`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import click

from fidokit import __version__
from fidokit.cli.app import HELP, root
from fidokit.cli.options import COMMON
from fidokit.cli.settings import PROGRAM
from fidokit.errors import ExitCode

EXIT_STATUS = {
    ExitCode.OK: "Done.",
    ExitCode.OTHER: "Something else went wrong; also: a signature that is not good.",
    ExitCode.USAGE: "The command line makes no sense.",
    ExitCode.NO_TOKEN: "No token, several tokens, or the token that was named is not there.",
    ExitCode.MALFORMED: "A file or an input is malformed.",
    ExitCode.PIN: "The PIN is wrong, missing, or against the rules.",
    ExitCode.PIN_BLOCKED: "The PIN is blocked.",
    ExitCode.TOUCH: "The touch was refused, or did not come in time.",
    ExitCode.UNSUPPORTED: "The token, or this machine, cannot do this.",
    ExitCode.WOULD_OVERWRITE: "Something would have been overwritten; it was left alone.",
    ExitCode.POLICY: "A stated policy does not hold.",
    ExitCode.INTERRUPTED: "Interrupted.",
}

ENVIRONMENT = {
    "FIDOKIT_TOKEN": "The token to use where --token is not given.",
    "SSH_ASKPASS, SSH_ASKPASS_REQUIRE": "A program that asks for PINs and passphrases where "
    "there is no terminal, by the rules of ssh(1).",
    "NO_COLOR": "Where set and not empty: no color.",
    "XDG_CONFIG_HOME, XDG_STATE_HOME": "Where settings and virtual tokens are kept.",
}

FILES = {
    "~/.ssh/id_ed25519_sk, ~/.ssh/id_ecdsa_sk": "Private key files, named as ssh-keygen does.",
    "~/.config/fidokit/config.toml": 'token = "SELECTOR" chooses a token for good.',
    "~/.local/state/fidokit/virtual": "Virtual tokens.",
}


def page() -> str:
    """The whole man page in man(7) macros, the same for the same version."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield f'.TH {PROGRAM.upper()} 1 "" "{PROGRAM} {__version__}" "User Commands"'
    yield ".SH NAME"
    yield f"{PROGRAM} \\- manage FIDO2 security keys for SSH"
    yield ".SH SYNOPSIS"
    yield f".B {PROGRAM}\n[\\fIOPTIONS\\fR] \\fIGROUP\\fR \\fIVERB\\fR [\\fIARGUMENTS\\fR]"
    yield ".SH DESCRIPTION"
    yield from _paragraphs(HELP)
    context = click.Context(root, info_name=PROGRAM)
    for name in root.list_commands(context):
        yield from _command(root, context, name)
    yield ".SH OPTIONS OF EVERY COMMAND"
    yield "Before or after the verb."
    yield from _options(root, context, common=True)
    yield from _table("EXIT STATUS", {str(int(code)): text for code, text in EXIT_STATUS.items()})
    yield from _table("ENVIRONMENT", ENVIRONMENT)
    yield from _table("FILES", FILES)
    yield ".SH SEE ALSO"
    yield ".BR ssh (1),\n.BR ssh\\-keygen (1),\n.BR ssh\\-agent (1)"


def _command(parent: click.Group, above: click.Context, name: str) -> Iterator[str]:
    command = parent.get_command(above, name)
    assert command is not None  # noqa: S101  the name came from the same group
    context = click.Context(command, info_name=name, parent=above)
    is_group = isinstance(command, click.Group)
    if is_group or parent is root:
        yield f".SH {_escape(context.command_path.partition(' ')[2].upper())}"
    if isinstance(command, click.Group):
        yield from _paragraphs(command.help or "")
        for verb in command.list_commands(context):
            yield from _command(command, context, verb)
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_escape(context.command_path)} {_escape(usage)}"
    yield from _paragraphs(command.help or "")
    yield from _options(command, context)


def _paragraphs(text: str) -> Iterator[str]:
    """Help text as paragraphs; those that begin with click's \\b keep their lines."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        yield ".PP"
        if paragraph.startswith("\b\n"):
            yield ".nf\n" + _escape(paragraph.removeprefix("\b\n")) + "\n.fi"
        else:
            yield _escape(paragraph)


def _options(
    command: click.Command, context: click.Context, *, common: bool = False
) -> Iterator[str]:
    for param in command.get_params(context):
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        shared = getattr(param, "section", "") == COMMON
        if record and shared == common and "--help" not in record[0]:
            yield f".TP\n.B {_escape(record[0])}\n{_escape(record[1])}"


def _table(title: str, rows: dict[str, str]) -> Iterator[str]:
    yield f".SH {title}"
    for name, text in rows.items():
        yield f".TP\n.B {_escape(name)}\n{_escape(text)}"


def _escape(text: str) -> str:
    """Text that roff prints as it stands."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in text.split("\n"))


if __name__ == "__main__":
    sys.stdout.write(page())
