"""The CI definitions: on the Pythons that we promise, by the commands that run by hand."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.ci.conftest import TOP

FILES = sorted((TOP / ".github/workflows").glob("*.yml"))
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
PROMISED = [
    classifier.rpartition(" ")[2]
    for classifier in PROJECT["classifiers"]
    if re.search(r":: 3\.\d+$", classifier)
]
COMMANDS = (
    r"make [a-z-]+",
    r"(bash )?\.ci/[a-z-]+( python| \"\$GITHUB_REF_NAME\")?",
    r"apt-get update && apt-get install -y --no-install-recommends [a-z0-9 .-]+",
    r'git config --global --add safe\.directory "\$GITHUB_WORKSPACE"',
)


def read(path: Path) -> Any:
    """Return a workflow; YAML 1.1 takes the key `on` for a truth value, GitHub does not."""
    return yaml.safe_load(re.sub(r"^on:", '"on":', path.read_text(), flags=re.MULTILINE))


def jobs() -> list[Any]:
    return [
        pytest.param(job, id=f"{path.stem}-{key}")
        for path in FILES
        for key, job in read(path)["jobs"].items()
    ]


def steps() -> list[Any]:
    return [
        pytest.param(step, id=f"{path.stem}-{key}-{number}")
        for path in FILES
        for key, job in read(path)["jobs"].items()
        for number, step in enumerate(job["steps"])
    ]


def matrices() -> dict[str, list[str]]:
    found = {
        key: job["strategy"]["matrix"]["python"]
        for path in FILES
        for key, job in read(path)["jobs"].items()
        if "python" in job.get("strategy", {}).get("matrix", {})
    }
    assert found
    return found


def test_the_promised_versions_begin_where_the_package_does() -> None:
    assert PROJECT["requires-python"] == f">={PROMISED[0]}"
    minors = [int(version.removeprefix("3.")) for version in PROMISED]
    assert minors == list(range(minors[0], minors[-1] + 1))


@pytest.mark.parametrize(("job", "versions"), matrices().items())
def test_every_promised_python_is_tested_and_no_other(job: str, versions: list[str]) -> None:
    assert versions == PROMISED


def test_linux_of_both_families_and_the_others_are_there() -> None:
    text = (TOP / ".github/workflows/ci.yml").read_text()
    for system in ("ubuntu-", '"debian:', "macos-", "windows-"):
        assert system in text
    assert {"ubuntu", "portable"} <= set(matrices())


@pytest.mark.parametrize("step", steps())
def test_steps_run_our_commands_and_nothing_of_their_own(step: dict[str, Any]) -> None:
    if "run" in step:
        assert any(re.fullmatch(command, step["run"].strip()) for command in COMMANDS), step["run"]


@pytest.mark.parametrize("step", steps())
def test_actions_are_githubs_own_and_pinned(step: dict[str, Any]) -> None:
    if "uses" in step:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_pin_says_which_version_it_is(path: Path) -> None:
    pins = dict(re.findall(r"uses: \S+@(\S+)(.*)", path.read_text()))
    assert all(re.fullmatch(r" # v\d+\.\d+\.\d+", comment) for comment in pins.values())


def test_one_pin_for_one_action() -> None:
    pins = {
        pin
        for path in FILES
        for pin in re.findall(r"uses: (actions/\S+@\S+ # .*)", path.read_text())
    }
    assert len(pins) == len({pin.split("@")[0] for pin in pins})


@pytest.mark.parametrize("job", jobs())
def test_a_job_ends(job: dict[str, Any]) -> None:
    assert job["timeout-minutes"] <= 90


@pytest.mark.parametrize("job", jobs())
def test_the_clone_keeps_no_credentials(job: dict[str, Any]) -> None:
    clones = [step for step in job["steps"] if "actions/checkout" in step.get("uses", "")]
    assert len(clones) == 1
    assert clones[0]["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_workflow_may_only_read(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert not [job for job in workflow["jobs"].values() if "permissions" in job]
    assert "pull_request_target" not in workflow["on"]


def test_the_whole_of_ci_has_time_for_its_stages() -> None:
    stages = re.findall(r"^stage \w+ (\d+) ", (TOP / ".ci/run").read_text(), re.MULTILINE)
    job = read(TOP / ".github/workflows/full.yml")["jobs"]["run"]
    assert sum(int(minutes) for minutes in stages) < job["timeout-minutes"]
