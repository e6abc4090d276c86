"""Runs the suite against one token that the caller names; see README.md in this folder."""

from __future__ import annotations

import contextlib
import getpass
import sys
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import cast

import pytest
from hwtests.desk import Desk
from hwtests.hands import CommandsHands, Hands, PersonsHands
from hwtests.needs import NEEDS, unmet
from hwtests.person import Person
from hwtests.report import Outcome, Report, Result

from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.errors import FidokitError
from fidokit.tokens.access import list_tokens
from fidokit.virtual.models.search import list_models

ORDER = ("identity", "pin", "keys", "resident", "beyond", "settings", "plug", "reset")
"""The suite's files: what looks before what changes, and erasing last."""

SKIPPED_ALL = "no token is named: give --token SELECTOR (`fidokit token list` shows them)"

DIFFERS = "differs"

desk_key = pytest.StashKey[Desk]()
report_key = pytest.StashKey[Report]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a run."""
    group = parser.getgroup("hwtests", "a physical token")
    group.addoption("--token", metavar="SELECTOR", help="the token to test; nothing runs without")
    group.addoption(
        "--allow-reset",
        action="store_true",
        help="ERASE the token before and after, and test what can only be undone by that; its "
        "serial must be typed first",
    )
    group.addoption(
        "--pin-file", metavar="FILE", help="holds the token's PIN; else a terminal is asked"
    )
    group.addoption(
        "--hands",
        metavar="COMMAND",
        help="touches, unplugs and inserts in a person's place: run with one more argument, "
        "touch, unplug or insert",
    )
    group.addoption(
        "--report",
        metavar="FOLDER",
        default="hwtests-report",
        help="where report.md and report.json go  [hwtests-report]",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Know the suite's marker."""
    config.addinivalue_line("markers", "needs(*names): skipped, with the reason, where one lacks")


# --- the terminal ----------------------------------------------------------------------------


@contextlib.contextmanager
def _uncaptured(config: pytest.Config) -> Iterator[None]:
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        yield


def _say(config: pytest.Config) -> Callable[[str], None]:
    def say(line: str) -> None:
        with _uncaptured(config):
            sys.stderr.write(f"\n{line}\n")
            sys.stderr.flush()

    return say


def _ask(config: pytest.Config, question: str) -> str:
    """A line of standard input; empty at its end."""
    with _interactive(config):
        sys.stderr.write(f"\n{question}")
        sys.stderr.flush()
        return (sys.__stdin__.readline() if sys.__stdin__ else "").strip()


@contextlib.contextmanager
def _interactive(config: pytest.Config) -> Iterator[None]:
    """Give back standard input, too, before the first test."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if not capture:
        yield
        return
    capture.suspend_global_capture(in_=True)
    try:
        yield
    finally:
        capture.resume_global_capture()


def _at_terminal() -> bool:
    return bool(sys.__stdin__ and sys.__stdin__.isatty())


# --- the token -------------------------------------------------------------------------------


def pytest_sessionstart(session: pytest.Session) -> None:
    """Find the token, and have its owner agree to what a run with --allow-reset does to it."""
    config = session.config
    selector = config.getoption("--token", None)
    if not selector or config.option.collectonly:
        return
    try:
        desk = _desk(config, selector)
        if desk.allow_reset:
            _erase_first(config, desk)
        elif desk.info.pin_set:
            desk.person.pin = _known_pin(config)
        config.stash[report_key] = _report(config, desk)
        config.stash[desk_key] = desk
    except FidokitError as error:
        pytest.exit(f"{error.message}; {error.hint}", returncode=int(error.exit_code))


def _desk(config: pytest.Config, selector: str) -> Desk:
    say, command = _say(config), config.getoption("--hands")
    hands: Hands = CommandsHands(command, say) if command else PersonsHands(say)
    desk = Desk(selector, Person(hands, say), allow_reset=config.getoption("--allow-reset"))
    with _interactive(config):
        watched = _at_terminal() and not selector.startswith("virtual:")
    desk.can_replug = bool(command) or watched
    desk.look()
    if (why := desk.drop_reset()) and config.getoption("--allow-reset"):
        say(f"{plain(why)}: --allow-reset changes nothing for this token")
    return desk


def _erase_first(config: pytest.Config, desk: Desk) -> None:
    plan = desk.plan_reset()
    desk.person.say(
        f"EVERYTHING on {plain(plan.name)} will be erased, now and again at the end: all keys,\n"
        "also those of websites, fingers, blobs, the PIN and all settings. There is no way back."
    )
    desk.reset(_ask(config, f"Type {plain(plan.confirm)} to allow it: "))
    if desk.info.pin_set is not None:
        desk.set_first_pin()


def plain(text: str) -> str:
    """Text of the token's own, fit for a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _known_pin(config: pytest.Config) -> PinCode | None:
    path = config.getoption("--pin-file")
    if path:
        return PinCode.parse(Path(path).read_text(encoding="utf-8").rstrip("\r\n"))
    with _interactive(config):
        if not _at_terminal():
            return None
        typed = getpass.getpass("\nPIN of the token (empty: skip what needs it): ")
    return PinCode.parse(typed) if typed else None


def _report(config: pytest.Config, desk: Desk) -> Report:
    seen = next((s for s in list_tokens(with_info=False) if s.selector == desk.selector), None)
    asked = "erasing allowed" if desk.allow_reset else "nothing erased"
    return Report(
        transport=str(seen.transport) if seen else desk.selector.partition(":")[0],
        product=seen.product if seen else desk.name,
        model=_certified_as(desk),
        options=f"{asked}, PIN {'known' if desk.person.pin else 'not known'}",
        info=desk.info,
    )


def _certified_as(desk: Desk) -> str:
    """The model's name in the FIDO Alliance's metadata, where that is installed."""
    aaguid = str(uuid.UUID(bytes=bytes(desk.info.aaguid)))
    try:
        found = list_models(aaguid).models
    except FidokitError:
        return ""
    return next((model.description for model in found if model.aaguid == aaguid), "")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave the token as new where it was erased, and write the report."""
    config = session.config
    desk, report = config.stash.get(desk_key, None), config.stash.get(report_key, None)
    if desk is None or report is None:
        return
    if desk.allow_reset:
        try:
            desk.reset(desk.plan_reset().confirm)
        except FidokitError as error:
            desk.person.say(f"The token could not be erased at the end: {error.message}.")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    folder = Path(config.getoption("--report"))
    pages = report.write(folder)
    desk.person.say("Report: " + ", ".join(map(str, pages)))


# --- the tests -------------------------------------------------------------------------------


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the files in order; without a token skip everything, and say why."""
    places = {f"test_{name}.py": place for place, name in enumerate(ORDER)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
    if not config.getoption("--token", None):
        for item in items:
            item.add_marker(pytest.mark.skip(reason=SKIPPED_ALL))


@pytest.fixture
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """The token under test, if it has what the test needs."""
    found = request.config.stash[desk_key]
    marks = request.node.iter_markers("needs")
    names = tuple(name for mark in marks for name in cast("tuple[str, ...]", mark.args))
    assert set(names) <= set(NEEDS), f"unknown needs: {names}"
    if reason := unmet(found, names):
        pytest.skip(reason)
    found.round_trips = found.person.touches = 0
    yield found
    request.node.user_properties.append(("round_trips", found.round_trips))
    request.node.user_properties.append(("touches", found.person.touches))


@pytest.fixture
def differs(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Notes how the token departs from CTAP, where that is known and harmless: no failure."""
    return lambda how: request.node.user_properties.append((DIFFERS, how))


@pytest.fixture
def token(desk: Desk) -> Iterator[Session]:
    """A session on it, for this test alone."""
    with desk.open() as session:
        yield session


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Keep the phases of one test together, for the report."""
    item.stash[phases_key] = []
    yield
    report = item.config.stash.get(report_key, None)
    if report is not None:
        report.results.append(_result(item, item.stash[phases_key]))


phases_key = pytest.StashKey[list[pytest.TestReport]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember each phase's outcome."""
    phase = yield
    item.stash[phases_key].append(phase)
    return phase


def _result(item: pytest.Item, phases: list[pytest.TestReport]) -> Result:
    worst = next((p for p in phases if p.failed), next((p for p in phases if p.skipped), None))
    counted = {name: count for name, count in item.user_properties if isinstance(count, int)}
    how = "; ".join(str(value) for name, value in item.user_properties if name == DIFFERS)
    well: Outcome = "differs" if how else "passed"
    return Result(
        name=item.nodeid.rpartition("/")[2],
        outcome=well if worst is None else "failed" if worst.failed else "skipped",
        seconds=round(sum(phase.duration for phase in phases), 3),
        round_trips=counted.get("round_trips", 0),
        touches=counted.get("touches", 0),
        reason=_reason(worst) if worst else how,
    )


def _reason(phase: pytest.TestReport) -> str:
    if phase.skipped and isinstance(phase.longrepr, tuple):
        return str(phase.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(phase.longrepr, "reprcrash", None)
    return str(crash.message).partition("\n")[0] if crash else "failed"
