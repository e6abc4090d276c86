"""Man pages in man(7) macros: of each command, each group, and of one verb alone."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

import click

from fidokit import __version__
from fidokit.cli.manual.examples import examples_of
from fidokit.cli.options import COMMON
from fidokit.cli.settings import PROGRAM
from fidokit.errors import ExitCode

EXIT_STATUS = {
    ExitCode.OK: "Done.",
    ExitCode.OTHER: "Another error, or a signature that is not valid.",
    ExitCode.USAGE: "The command line is wrong.",
    ExitCode.NO_TOKEN: "No token, several tokens, or not the one that was named.",
    ExitCode.MALFORMED: "A file or another input is malformed.",
    ExitCode.PIN: "The PIN is wrong, missing, or breaks the rules.",
    ExitCode.PIN_BLOCKED: "The PIN is blocked.",
    ExitCode.TOUCH: "The touch was refused or timed out.",
    ExitCode.UNSUPPORTED: "The token or this machine does not support this.",
    ExitCode.WOULD_OVERWRITE: "Something would have been overwritten; nothing was changed there.",
    ExitCode.POLICY: "A required policy does not hold, or cannot be known to.",
    ExitCode.INTERRUPTED: "Interrupted.",
}

ENVIRONMENT = {
    "FIDOKIT_TOKEN": "The token to use if --token is not given.",
    "FIDOKIT_AGENT_OPTIONS": "Options of the agent's systemd unit.",
    "FIDOKIT_CONTROL": "The control socket of the token that virtual touch and others act on if no "
    "name is given; virtual run sets it.",
    "SSH_ASKPASS, SSH_ASKPASS_REQUIRE": "The program that asks for PINs and passphrases if there "
    "is no terminal, by the rules of ssh(1).",
    "SSH_AUTH_SOCK": "The agent to talk to.",
    "DISPLAY, WAYLAND_DISPLAY": "If set, SSH_ASKPASS can show a window.",
    "DBUS_SESSION_BUS_ADDRESS": "The session to which touch notifications go if there is no "
    "terminal.",
    "GPG_TTY": "The terminal on which pinentry asks.",
    "SSH_SK_PROVIDER": "The provider library that agent add names.",
    "GH_HOST, GITLAB_HOST, GL_HOST": "Another host than github.com or gitlab.com, for key publish.",
    "NO_COLOR": "No color, if set and not empty.",
    "TERM, COLORTERM": "If TERM is dumb: no lines that change. Colors are used if TERM names 256 "
    "colors or COLORTERM is set.",
    "XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_DATA_HOME, XDG_RUNTIME_DIR": "The folders of settings, "
    "virtual tokens, compiled libraries and sockets.",
    "SHELL, ZDOTDIR": "The shell whose completion is installed, and the folder of .zshrc.",
    "TMPDIR": "The folder of a throw-away sshd.",
}

FILES = {
    "~/.ssh/id_ed25519_sk, ~/.ssh/id_ecdsa_sk": "Private key files, named as ssh-keygen does.",
    "~/.config/fidokit/config.toml": 'token = "SELECTOR" chooses a token for good.',
    "~/.ssh/config, ~/.ssh/fidokit.conf": "Host blocks (ssh-config --install).",
    "~/.ssh/allowed_signers": "Keys whose signatures git accepts (git setup).",
    "~/.config/fidokit/agent.env": "Options of the agent's systemd unit.",
    "~/.local/state/fidokit/virtual": "Virtual tokens.",
    "~/.local/state/fidokit/revoked_keys": "Keys that were lost, as a revocation list (lost).",
    "~/.local/state/fidokit/readers": "Rights to list keys without a PIN (key list --remember).",
    "~/.local/state/fidokit/inventory": "What is known of your keys: public facts (lost).",
    "~/.local/state/fidokit/fleet/apply.jsonl": "What fleet apply changed, for --undo.",
    "~/.local/state/fidokit/fleet/hosts.json": "How each host was when it was checked last.",
    "~/.local/state/fidokit/departures.json": "Where tokens departed from CTAP.",
    "~/.local/share/fidokit": "Libraries that are compiled on this machine.",
    "/etc/udev/rules.d/70-fidokit.rules": "The udev rules (udev install).",
    "/usr/local/lib/fidokit": "The provider library (provider install).",
    "/etc/ssh/sshd_config.d, /etc/pam.d": "What server harden changes.",
    "~/.google_authenticator": "Secrets of one-time codes (otp enroll).",
    "/etc/ssh/revoked_keys": "Revoked keys (server revoke-list).",
}


def pages(root: click.Group) -> dict[str, str]:
    """The pages of the command and of its groups, by the names of their files.

    Args:
        root: the command that all others are in.
    """
    context = click.Context(root)
    groups = [name for name in root.list_commands(context) if _is_group(root, name)]
    found = {f"{PROGRAM}.1": page_of(root, [])}
    return found | {f"{PROGRAM}-{name}.1": page_of(root, [name]) for name in groups}


def _is_group(root: click.Group, name: str) -> bool:
    return isinstance(root.get_command(click.Context(root), name), click.Group)


def page_of(root: click.Group, words: Sequence[str]) -> str:
    """The page of the command, of a group or of a verb, the same for the same version.

    Args:
        root: the command that all others are in.
        words: the names behind the program's, all of which are there.
    """
    context = click.Context(root, info_name=PROGRAM)
    command: click.Command = root
    for word in words:
        assert isinstance(command, click.Group)  # noqa: S101  the caller found it
        below = command.get_command(context, word)
        assert below is not None  # noqa: S101  likewise
        command, context = below, click.Context(below, info_name=word, parent=context)
    lines = [*_title(words, command), *_contents(command, context, words)]
    return "\n".join(lines) + "\n"


def _title(words: Sequence[str], command: click.Command) -> Iterator[str]:
    name = "-".join([PROGRAM, *words])
    summary = _first_line(command) if words else "manage FIDO2 security keys for SSH"
    yield f'.TH {escape(name).upper()} 1 "" "{PROGRAM} {__version__}" "User Commands"'
    yield ".SH NAME"
    yield f"{escape(name)} \\- {escape(summary)}"


def _first_line(command: click.Command) -> str:
    text = command.get_short_help_str(limit=200).removesuffix(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _contents(
    command: click.Command, context: click.Context, words: Sequence[str]
) -> Iterator[str]:
    root = context.find_root().command
    assert isinstance(root, click.Group)  # noqa: S101  it was given as one
    yield ".SH SYNOPSIS"
    if command is root:
        yield f".B {PROGRAM}\n[\\fIOPTIONS\\fR] \\fIGROUP\\fR \\fIVERB\\fR [\\fIARGUMENTS\\fR]"
    elif isinstance(command, click.Group):
        yield f".B {escape(context.command_path)}\n\\fIVERB\\fR [\\fIARGUMENTS\\fR]"
    else:
        yield from _usage(command, context)
    yield ".SH DESCRIPTION"
    yield from _paragraphs(command.help or "")
    if not isinstance(command, click.Group):
        yield ".SH OPTIONS"
        yield from _options(command, context)
        yield from _examples(words)
    elif command is root:
        yield from _groups(root, context)
    else:
        yield ".SH VERBS"
        for name in command.list_commands(context):
            yield from _verb(command, context, name)
    yield ".SH OPTIONS OF EVERY COMMAND"
    yield "Before or after the verb."
    yield from _options(root, context.find_root(), common=True)
    if command is root:
        yield from _table("EXIT STATUS", {str(int(c)): text for c, text in EXIT_STATUS.items()})
        yield from _table("ENVIRONMENT", ENVIRONMENT)
        yield from _table("FILES", FILES)
    yield from _see_also(words)


def _usage(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".B {escape(context.command_path)}\n{escape(usage)}"


def _groups(root: click.Group, context: click.Context) -> Iterator[str]:
    """The groups with their pages, then the verbs at the top, whole."""
    names = root.list_commands(context)
    yield ".SH GROUPS"
    for name in names:
        command = root.get_command(context, name)
        if not isinstance(command, click.Group):
            continue
        yield f".TP\n.BR {escape(f'{PROGRAM}-{name}')} (1)\n{escape(command.help or '')}"
    yield ".SH OTHER COMMANDS"
    for name in names:
        if not _is_group(root, name):
            yield from _verb(root, context, name)


def _verb(parent: click.Group, above: click.Context, name: str) -> Iterator[str]:
    command = parent.get_command(above, name)
    assert command is not None  # noqa: S101  the name came from the same group
    context = click.Context(command, info_name=name, parent=above)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {escape(context.command_path)} {escape(usage)}"
    yield from _paragraphs(command.help or "")
    yield from _options(command, context)
    yield from _examples(context.command_path.split()[1:], heading=".PP\nExamples:")


def _examples(words: Sequence[str], heading: str = ".SH EXAMPLES") -> Iterator[str]:
    if found := examples_of(" ".join(words)):
        yield heading
        yield ".RS 4\n.nf\n" + "\n".join(map(escape, found)) + "\n.fi\n.RE"


def _see_also(words: Sequence[str]) -> Iterator[str]:
    ours = {0: ["fidokit-ssh-keygen"], 1: [PROGRAM]}.get(len(words))
    ours = ours or [PROGRAM, f"{PROGRAM}-{words[0]}"]
    yield ".SH SEE ALSO"
    every = (*ours, "ssh", "ssh-keygen", "ssh-agent")
    yield ",\n".join(f".BR {escape(name)} (1)" for name in every)


def _paragraphs(text: str) -> Iterator[str]:
    """Help text as paragraphs; those that begin with click's \\b keep their lines."""
    for number, paragraph in enumerate(inspect.cleandoc(text).split("\n\n")):
        if number:
            yield ".PP"
        if paragraph.startswith("\b\n"):
            yield ".nf\n" + escape(paragraph.removeprefix("\b\n")) + "\n.fi"
        else:
            yield escape(paragraph)


def _options(
    command: click.Command, context: click.Context, *, common: bool = False
) -> Iterator[str]:
    for param in command.get_params(context):
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        shared = getattr(param, "section", "") == COMMON
        if record and shared == common and "--help" not in record[0]:
            yield f".TP\n.B {escape(record[0])}\n{escape(record[1])}"


def _table(title: str, rows: dict[str, str]) -> Iterator[str]:
    yield f".SH {title}"
    for name, text in rows.items():
        yield f".TP\n.B {escape(name)}\n{escape(text)}"


def escape(text: str) -> str:
    """Text that roff prints as it stands."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in text.split("\n"))
