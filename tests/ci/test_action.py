"""The GitHub Action and the GitLab template: checked by actionlint, their scripts run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.ci.test_check import linter

TOP = Path(__file__).parents[2]
ACTION = TOP / "action.yml"
TEMPLATE = TOP / "docs" / "examples" / "gitlab" / "security-key.yml"
WORKFLOW = """on: push
jobs:
  test:
    runs-on: ubuntu-24.04
    steps:
      - uses: ./
        with:
          {name}: {value}
          run: npm test
"""


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def script() -> str:
    """The step that runs the caller's commands."""
    return str(read(ACTION)["runs"]["steps"][-1]["run"])


@pytest.mark.interop
@pytest.mark.parametrize(
    ("name", "value", "said"), [("model", "x", ""), ("modle", "x", 'input "modle" is not defined')]
)
def test_actionlint_knows_it(tmp_path: Path, name: str, value: str, said: str) -> None:
    """In a workflow of a repository that has the action."""
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    shutil.copy(ACTION, tmp_path)
    (folder / "w.yml").write_text(WORKFLOW.format(name=name, value=value))
    done = subprocess.run(
        [linter("actionlint"), "-no-color"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == (not said), done.stdout
    assert said in done.stdout


def test_no_input_is_pasted_into_a_script() -> None:
    """What a caller writes reaches bash by variables alone."""
    for step in read(ACTION)["runs"]["steps"]:
        assert "${{" not in step["run"]
    inputs = set(read(ACTION)["inputs"])
    given = " ".join(read(ACTION)["runs"]["steps"][-1]["env"].values())
    assert all(f"inputs.{name} " in given for name in inputs)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("name", "value"), [("PRESENCE", "deny"), ("PROFILE", "ctap2.0"), ("", "")]
)
def test_its_script_runs(tmp_path: Path, name: str, value: str) -> None:
    """With a fidokit where the first step would install one."""
    tools = tmp_path / "fidokit" / "bin"
    tools.mkdir(parents=True)
    (tools / "fidokit").symlink_to(shutil.which("fidokit") or TOP / ".venv" / "bin" / "fidokit")
    empty = {f"FIDOKIT_{key}": "" for key in ("MODEL", "PROFILE", "QUIRK")}
    environ = {
        **os.environ,
        **empty,
        "HOME": str(tmp_path),
        "RUNNER_TEMP": str(tmp_path),
        "FIDOKIT_PRESENCE": "auto",
        "FIDOKIT_SCRIPT": "ls /dev | grep -c hidraw90\nfalse",
    }
    if name:
        environ[f"FIDOKIT_{name}"] = value
    done = subprocess.run(
        ["bash", "-c", script()], env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "1\n"), done.stderr


@pytest.mark.compiled
def test_the_templates_script_runs(tmp_path: Path) -> None:
    job = read(TEMPLATE)[".security-key"]
    (line,) = job["script"]
    tool = shutil.which("fidokit") or str(TOP / ".venv" / "bin" / "fidokit")
    environ = {
        **os.environ,
        **job["variables"],
        "HOME": str(tmp_path),
        "PATH": f"{Path(tool).parent}:{os.environ['PATH']}",
        "SECURITY_KEY_SCRIPT": "ls /dev | grep -c hidraw90; exit 7",
    }
    done = subprocess.run(
        ["sh", "-e", "-c", line], env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (7, "1\n"), done.stderr
