"""The plug-in that collects what a run proves: unknown ids, outcomes, whole runs, a stable page."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.conformance import (
    AREAS,
    CHECKS,
    PAGE,
    Conformance,
    Outcome,
    Seen,
    read_checks,
    render,
)

TITLES = read_checks(CHECKS.read_text())


class Run:
    """A run of made-up tests through the plug-in's hooks."""

    def __init__(self, page: Path, *, write: bool = False) -> None:
        self.plugin = Conformance(page, write=write)
        self.session: Any = SimpleNamespace(exitstatus=0, config=SimpleNamespace())
        self.properties: dict[str, list[tuple[str, object]]] = {}

    def collect(self, tests: dict[str, list[str]], args: list[str] | None = None) -> None:
        items: Any = [
            SimpleNamespace(
                nodeid=node,
                iter_markers=lambda _, ids=ids: [SimpleNamespace(args=tuple(ids))],
                user_properties=self.properties.setdefault(node, []),
            )
            for node, ids in tests.items()
        ]
        config: Any = SimpleNamespace(
            args=args or ["tests"],
            getini=lambda _: ["tests"],
            option=SimpleNamespace(collectonly=False),
        )
        self.plugin.pytest_collection_modifyitems(config, items)

    def report(self, node: str, outcome: Outcome) -> None:
        report: Any = SimpleNamespace(
            nodeid=node,
            outcome=outcome,
            failed=outcome == "failed",
            user_properties=self.properties[node],
        )
        self.plugin.pytest_runtest_logreport(report)

    def finish(self) -> int:
        self.plugin.pytest_sessionfinish(self.session)
        return int(self.session.exitstatus)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "conformance.md"


def row(page: Path, check: str) -> str:
    (found,) = (line for line in page.read_text().splitlines() if line.startswith(f"| {check} "))
    return found


def test_every_check_has_a_short_title_and_an_area() -> None:
    assert len(TITLES) == 282
    for check, title in TITLES.items():
        assert re.fullmatch(r"[A-Z0-9]{2,3}-\d\d", check)
        assert 0 < len(title) <= 60
        assert check.partition("-")[0] in AREAS
    assert len(set(TITLES)) == sum(
        not line.startswith("#") for line in CHECKS.read_text().splitlines()
    )


def test_an_unknown_id_stops_the_run(page: Path) -> None:
    with pytest.raises(pytest.UsageError, match="MC-99"):
        Run(page).collect({"tests/test_x.py::test_a": ["MC-01", "MC-99"]})


def test_nothing_passes_by_default() -> None:
    assert Seen().verdict("MC-01") == "not implemented"
    assert Seen().verdict("HID-01") == "not implemented (transport)"
    everything = render(TITLES, {})
    assert "| passed" not in everything
    counted = "239 not implemented, 43 not implemented (transport)"
    assert f"{len(TITLES)} checks: {counted}" in everything


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        (["passed"], "passed, 1"),
        (["passed", "passed"], "passed, 2"),
        (["passed", "skipped"], "**skipped**, 1"),
        (["failed", "passed", "skipped"], "**failed**, 1"),
    ],
)
def test_a_check_is_as_good_as_its_worst_test(outcomes: list[Outcome], verdict: str) -> None:
    seen = Seen()
    for number, outcome in enumerate(outcomes):
        seen.add(f"tests/test_x.py::test_{number}", outcome)
    assert seen.verdict("MC-01") == verdict


def test_phases_of_a_test_add_up_to_the_worst() -> None:
    seen = Seen()
    outcomes: list[Outcome] = ["passed", "failed", "passed"]
    for outcome in outcomes:
        seen.add("tests/test_x.py::test_a", outcome)
    assert seen.outcomes == {"tests/test_x.py::test_a": "failed"}


def test_a_whole_run_writes_what_it_saw(page: Path) -> None:
    run = Run(page, write=True)
    nodes = [f"tests/v/test_x.py::test_a[{number}]" for number in (1, 2)]
    run.collect({node: ["MC-01"] for node in nodes})
    for node in reversed(nodes):
        run.report(node, "passed")
    assert run.finish() == 0
    assert row(page, "MC-01") == "| MC-01 | members of a good reply | passed, 2 | v/test_x: a |"
    assert row(page, "MC-02").endswith("| not implemented |  |")


def test_a_page_that_is_not_what_was_seen_fails_the_run(page: Path) -> None:
    for outcome, expected in (("passed", 0), ("failed", 1)):
        first = Run(page, write=True)
        first.collect({"tests/test_x.py::test_a": ["GI-01"]})
        first.report("tests/test_x.py::test_a", "passed")
        first.finish()
        run = Run(page)
        run.collect({"tests/test_x.py::test_a": ["GI-01"]})
        run.report("tests/test_x.py::test_a", outcome)  # type: ignore[arg-type]
        assert run.finish() == expected
        assert (run.plugin.complaint is not None) == bool(expected)


def test_a_missing_page_fails_the_run(page: Path) -> None:
    run = Run(page)
    run.collect({"tests/test_x.py::test_a": ["GI-01"]})
    run.report("tests/test_x.py::test_a", "passed")
    assert run.finish() == 1


def test_a_run_that_could_not_look_everywhere_judges_nothing(page: Path) -> None:
    run = Run(page)
    run.collect({"tests/test_x.py::test_a": ["GI-01"]})
    run.report("tests/test_x.py::test_a", "skipped")
    assert run.finish() == 0
    assert run.plugin.complaint == "conformance.md is not judged: tests were skipped: 1"


@pytest.mark.parametrize("args", [["tests"], ["tests/virtual"]])
def test_a_run_of_some_tests_leaves_the_page_alone(page: Path, args: list[str]) -> None:
    run = Run(page, write=True)
    run.collect({"tests/test_x.py::test_a": ["GI-01"], "tests/test_x.py::test_b": ["GI-02"]}, args)
    run.report("tests/test_x.py::test_a", "passed")
    if args != ["tests"]:
        run.report("tests/test_x.py::test_b", "passed")
    assert run.finish() == 0
    assert not page.exists()


def test_what_a_run_left_out_counts_as_passed_but_is_not_written(page: Path) -> None:
    tests = {"tests/test_x.py::test_a": ["GI-01"], "tests/interop/test_y.py::test_b": ["GI-01"]}
    whole = Run(page, write=True)
    whole.collect(tests)
    for node in tests:
        whole.report(node, "passed")
    whole.finish()
    text = page.read_text()
    for spoilt in (False, True):
        run = Run(page)
        run.collect(tests | ({"tests/test_x.py::test_new": ["GI-02"]} if spoilt else {}))
        run.report("tests/test_x.py::test_a", "passed")
        assert run.finish() == spoilt
    assert page.read_text() == text


def test_workers_tell_their_controller_what_they_collected(page: Path) -> None:
    node = "tests/test_x.py::test_a"
    worker, controller = Run(page, write=True), Run(page, write=True)
    worker.session.config.workeroutput = {}
    worker.collect({node: ["GI-01"]})
    worker.finish()
    assert not page.exists()
    controller.properties = worker.properties
    controller.properties[f"{node}@rest-test_x"] = controller.properties[node]
    controller.report(f"{node}@rest-test_x", "passed")
    output = worker.session.config.workeroutput
    controller.plugin.pytest_testnodedown(SimpleNamespace(workeroutput=output))
    assert controller.finish() == 0
    assert "| passed, 1 |" in row(page, "GI-01")


def test_the_order_of_tests_does_not_show(page: Path) -> None:
    pages = []
    for nodes in (["b", "a", "c"], ["c", "b", "a"]):
        run = Run(page, write=True)
        run.collect({f"tests/test_{node}.py::test_it": ["GI-01"] for node in nodes})
        for node in nodes:
            run.report(f"tests/test_{node}.py::test_it", "passed")
        run.finish()
        pages.append(page.read_text())
    assert pages[0] == pages[1]


def test_the_committed_page_has_no_red_row_and_a_row_for_each_check() -> None:
    text = PAGE.read_text()
    assert "**" not in text
    rows = re.findall(r"^\| ([A-Z0-9]+-\d\d) \| (.*?) \|", text, re.MULTILINE)
    assert dict(rows) == TITLES
    missing = re.findall(r"^\| ([A-Z0-9]+)-\d\d .*\| not implemented \|", text, re.MULTILINE)
    assert missing == []
