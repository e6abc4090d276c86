"""`fidokit virtual touch`, `unplug`, `fault` and their like: the hands at a token that is served.

Each is one request at its control socket (docs/control-socket.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from fidokit.cli.options import verb
from fidokit.cli.render import Facts, Lines, show
from fidokit.cli.settings import Settings
from fidokit.errors import TouchTimedOut, UsageError

if TYPE_CHECKING:
    from fidokit.lab.control_client import Hands

_name = click.argument("name", required=False)
_WAITED_FOR = {
    "touch": "a touch",
    "long-touch": "a touch that is held for 5 seconds",
    "finger": "a finger to verify",
    "sample": "a finger to enroll",
}


def _reached(name: str | None) -> Hands:
    from fidokit.lab.control_client import Hands

    return Hands(name)


def _do(
    settings: Settings, name: str | None, said: str, do: str, **arguments: object
) -> Mapping[str, object]:
    """One request; says that it was done."""
    with _reached(name) as control:
        answer = control.ask(do, **arguments)
    show(settings, {"done": do, **answer}, Lines([said]))
    return answer


@verb()
@_name
@click.option("--held", is_flag=True, help="For the 5 seconds that some resets take.")
@click.option(
    "--when-asked",
    metavar="SECONDS",
    type=click.IntRange(1, 600),
    help="First wait until the token asks for it.",
)
def touch(settings: Settings, *, name: str | None, held: bool, when_asked: int | None) -> None:
    """Touch a virtual token that is served.

    If the token does not wait for a touch, the next request gets it. NAME is one that is served; a
    program of `virtual run` can leave it out.
    """
    if when_asked is not None:
        _wait(name, when_asked)
    _do(settings, name, "Touched.", "touch", held=held)


@verb()
@_name
def refuse(settings: Settings, *, name: str | None) -> None:
    """Refuse the touch that a virtual token asks for, now or next.

    NAME is one that is served; a program of `virtual run` can leave it out.
    """
    _do(settings, name, "Refused.", "refuse")


@verb()
@_name
@click.option("--mismatch", is_flag=True, help="A finger that the token does not know.")
@click.option(
    "--sample",
    "samples",
    metavar="NAME",
    multiple=True,
    help="While a finger is enrolled: good, high, low, left, right, fast, slow, ... Repeatable.",
)
def finger(
    settings: Settings, *, name: str | None, mismatch: bool, samples: tuple[str, ...]
) -> None:
    """Lay a finger on the sensor of a virtual token.

    NAME is one that is served; a program of `virtual run` can leave it out.
    """
    if samples and mismatch:
        raise UsageError("--mismatch is for verification, --sample for enrolling a finger")
    what: dict[str, object] = {"samples": list(samples)} if samples else {"match": not mismatch}
    _do(settings, name, "Done.", "finger", **what)


@verb()
@_name
def unplug(settings: Settings, *, name: str | None) -> None:
    """Pull a virtual token out; `virtual serve` stays, to insert it again.

    NAME is one that is served; a program of `virtual run` can leave it out.
    """
    _do(settings, name, "Unplugged.", "unplug")


@verb()
@_name
def insert(settings: Settings, *, name: str | None) -> None:
    """Plug a virtual token in again that was unplugged.

    NAME is one that is served; a program of `virtual run` can leave it out.
    """
    _do(settings, name, "Inserted.", "insert")


@verb()
@_name
def power_cycle(settings: Settings, *, name: str | None) -> None:
    """Take the power from a virtual token and give it back.

    PIN tokens and what waits for a touch are gone; programs that have the token open keep it. NAME
    is one that is served; a program of `virtual run` can leave it out.
    """
    _do(settings, name, "Power cycled.", "power-cycle")


@verb()
@click.argument("words", metavar="[NAME] FAULT", nargs=-1, required=True)
@click.option(
    "--command", metavar="NAME|BYTE", help="Only at this CTAP2 command: makeCredential, 0x02, ..."
)
@click.option("--u2f", metavar="BYTE", help="Only at U2F messages with this instruction byte.")
@click.option(
    "--count", metavar="N", type=click.IntRange(1), default=1, help="How often.  [default: 1]"
)
@click.option(
    "--after",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    help="How many pass unharmed before.  [default: 0]",
)
@click.option(
    "--set",
    "given",
    metavar="PARAMETER=VALUE",
    multiple=True,
    help="A parameter of the fault, such as status=0x7f. Repeatable.",
)
def fault(
    settings: Settings,
    *,
    words: tuple[str, ...],
    command: str | None,
    u2f: str | None,
    count: int,
    after: int,
    given: tuple[str, ...],
) -> None:
    """Break a virtual token at a command to come.

    FAULT is unplug, power-cycle, stall, stall-in-silence, slow, refuse, key-store-full, truncate,
    oversize, non-canonical, wrong-signature or wrong-credential-id. NAME
    is a token that is served; a program of `virtual run` can leave it out.
    """
    if len(words) > 2:
        raise UsageError("a fault takes the token's name and its own, no more")
    where = {"command": command, "u2f": u2f}
    _do(
        settings,
        words[0] if len(words) == 2 else None,
        f"Waits for its command: {words[-1]}",
        "fault",
        fault=words[-1],
        count=count,
        after=after,
        **{"with": dict(_parameter(text) for text in given)},
        **{name: value for name, value in where.items() if value is not None},
    )


def _parameter(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r} is not PARAMETER=VALUE")
    if value in {"true", "false"}:
        return name, value == "true"
    try:
        return name, int(value, 0)
    except ValueError:
        return name, value


@verb()
@_name
@click.option(
    "--quirk",
    "quirks",
    metavar="NAME",
    multiple=True,
    help="Have this quirk, and of those it was created with only what is named. Repeatable.",
)
@click.option("--no-quirks", is_flag=True, help="Have no quirks.")
@click.option("--advance", metavar="MS", type=click.IntRange(1), help="Move the clock of --clock.")
def set_virtual(
    settings: Settings,
    *,
    name: str | None,
    quirks: tuple[str, ...],
    no_quirks: bool,
    advance: int | None,
) -> None:
    """Change the quirks or the clock of a virtual token that is served.

    Quirks cycle the power, and last until the token is pulled out. NAME is one that is served; a
    program of `virtual run` can leave it out.
    """
    if bool(quirks) + no_quirks + (advance is not None) != 1:
        raise UsageError("say what to change: --quirk, --no-quirks or --advance")
    if advance is not None:
        _do(settings, name, "Advanced.", "clock", advance=advance)
    else:
        _do(settings, name, "Changed.", "quirks", names=list(quirks))


@verb()
@_name
def state(settings: Settings, *, name: str | None) -> None:
    """Show what a virtual token that is served is, and waits for.

    NAME is one that is served; a program of `virtual run` can leave it out.
    """
    with _reached(name) as control:
        found = control.ask("state")["state"]
    assert isinstance(found, dict)  # noqa: S101  the protocol's own
    if not found["plugged_in"]:
        pairs = [("Plugged in", "no")]
    else:
        pairs = [
            ("Plugged in", "yes"),
            ("Waits for", _WAITED_FOR.get(str(found["waiting"]), "nothing")),
            ("Serial", str(found["serial"])),
            ("Profile", str(found["profile"])),
            ("Quirks", ", ".join(map(str, found["quirks"])) or "none"),
            ("Faults", f"{found['faults_struck']} struck, {_pending(found)}"),
        ]
    show(settings, {"state": found}, Facts(name or "The token", pairs))


def _pending(found: Mapping[str, object]) -> str:
    return "more to come" if found["faults_pending"] else "none to come"


@verb()
@_name
@click.option(
    "--seconds",
    metavar="SECONDS",
    type=click.IntRange(0, 600),
    default=10,
    help="How long.  [default: 10]",
)
def wait_for_touch(settings: Settings, *, name: str | None, seconds: int) -> None:
    """Wait until a virtual token asks for a touch or a finger.

    NAME is one that is served; a program of `virtual run` can leave it out.
    """
    word = _wait(name, seconds)
    show(settings, {"waiting": word}, Lines([f"It waits for {_WAITED_FOR.get(word, word)}."]))


def _wait(name: str | None, seconds: int) -> str:
    with _reached(name) as control:
        word = control.wait_for_touch(seconds)
    if word is None:
        raise TouchTimedOut(
            f"the token asked for no touch within {seconds} s",
            hint="start the program that uses it first, or wait for longer",
        )
    return word
