"""What the command line said apart from the verb's own options, and the verbs' common shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click

from fidokit.cli.settings import Settings
from fidokit.prompt.text import note

F = TypeVar("F", bound=Callable[..., Any])

COMMON = "Everywhere"
PIN = "PIN"
PASSPHRASE = "Passphrase"  # noqa: S105  a heading
_SECTIONS = (PIN, PASSPHRASE, COMMON)


pass_settings = click.make_pass_decorator(Settings, ensure=True)


class SectionOption(click.Option):
    """An option that stores into Settings and is listed under a heading of its own."""

    def __init__(self, declarations: Sequence[str], section: str, **attributes: Any) -> None:
        super().__init__(declarations, expose_value=False, callback=_store, **attributes)
        self.section = section


def _store(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep what was given; the same option left out at another place does not undo it."""
    given = ctx.get_parameter_source(param.name or "")
    if given is not None and given is not click.core.ParameterSource.DEFAULT:
        settings = ctx.find_root().ensure_object(Settings)
        setattr(settings, param.name or "", value)
        if param.name == "verbose":
            _trace_to_stderr()


def _trace_to_stderr() -> None:
    """Show what the library logs of its talk with the token (secrets are redacted there)."""
    import logging

    class Escaping(logging.Handler):
        """Token text in a trace is as hostile as anywhere."""

        def emit(self, record: logging.LogRecord) -> None:
            note(f"{record.name}: {record.getMessage()}")

    logger = logging.getLogger("fidokit")
    if not logger.handlers:
        logger.addHandler(Escaping())
        logger.setLevel(logging.DEBUG)


def common_options() -> Iterator[SectionOption]:
    """The options of every group and verb."""
    yield SectionOption(
        ["--token", "token"],
        COMMON,
        metavar="SELECTOR",
        help="The token to use, as shown by `token list`. Also: FIDOKIT_TOKEN.",
    )
    yield SectionOption(["--json"], COMMON, is_flag=True, help="Print JSON, for scripts.")
    yield SectionOption(
        ["--no-progress", "progress"],
        COMMON,
        is_flag=True,
        flag_value=False,
        default=True,
        help="Show no progress lines.",
    )
    yield SectionOption(
        ["--no-wait", "wait"],
        COMMON,
        is_flag=True,
        flag_value=False,
        default=True,
        help="Fail at once if the token is busy or absent.",
    )
    yield SectionOption(
        ["-v", "--verbose"], COMMON, count=True, help="Trace the communication with the token."
    )


def _pin_options() -> Iterator[SectionOption]:
    yield SectionOption(
        ["--pin-file"], PIN, metavar="FILE", help="Read the PIN from FILE (- is standard input)."
    )
    yield SectionOption(
        ["--pin-fd"], PIN, metavar="N", type=int, help="Read the PIN from file descriptor N."
    )
    yield SectionOption(
        ["--spend-last-try"], PIN, is_flag=True, help="Allow the last PIN try to be spent."
    )


def _new_pin_options() -> Iterator[SectionOption]:
    yield SectionOption(
        ["--new-pin-file"],
        PIN,
        metavar="FILE",
        help="Read the new PIN from FILE (- is standard input).",
    )


def format_sections(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    """Write a command's options: its own first, then each shared section under its heading."""
    listed: dict[str, list[tuple[str, str]]] = {"Options": [], **{s: [] for s in _SECTIONS}}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
        if record:
            listed[getattr(param, "section", "Options")].append(record)
    listed["Options"].sort(key=lambda record: "--help" in record[0])
    for heading, records in listed.items():
        if records:
            with formatter.section(heading):
                formatter.write_dl(records)


class Verb(click.Command):
    """A command at the end of the tree: its own options, and the common ones."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, unless options contradict each other."""
        settings = ctx.find_root().ensure_object(Settings)
        if settings.pin_file is not None and settings.pin_fd is not None:
            raise click.UsageError("--pin-file and --pin-fd exclude each other", ctx)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, then the options under the headings of their sections."""
        from fidokit.cli.manual.examples import examples_of

        if found := examples_of(ctx.command_path.partition(" ")[2]):
            with formatter.section("Examples"):
                formatter.write("".join(f"{'':{formatter.current_indent}}{one}\n" for one in found))
        format_sections(self, ctx, formatter)


def verb(*, pin: bool = False, new_pin: bool = False) -> Callable[[F], Verb]:
    """Make a function a verb; it gets Settings first, then its own options.

    Args:
        pin: the verb may need the PIN, so it takes --pin-file and --pin-fd.
        new_pin: the verb asks for a new PIN, so it takes --new-pin-file.
    """

    def wrap(function: F) -> Verb:
        command = click.command(
            cls=Verb,
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        )(pass_settings(function))
        command.params.extend(_pin_options() if pin else ())
        command.params.extend(_new_pin_options() if new_pin else ())
        command.params.extend(common_options())
        return command

    return wrap
