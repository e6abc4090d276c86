"""What contributors are told to run or open exists: pages, templates, workflows and hooks."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from tests.ci.contributing import mentions
from tests.ci.contributing.mentions import SOURCE, TOP

PAGES = [
    TOP / "CONTRIBUTING.md",
    TOP / "SECURITY.md",
    TOP / "docs/release.md",
    TOP / ".github/pull_request_template.md",
    *sorted((TOP / ".github/ISSUE_TEMPLATE").glob("*.yml")),
]
DEFINITIONS = [*sorted((TOP / ".github/workflows").glob("*.yml")), TOP / ".pre-commit-config.yaml"]
ALL = [*PAGES, *DEFINITIONS]


def name(path: object) -> str:
    return path.relative_to(TOP).as_posix() if isinstance(path, Path) else str(path)


def cases(found: dict[Path, set[str]]) -> list[tuple[Path, str]]:
    return [(page, each) for page, several in found.items() for each in sorted(several)]


def commands(page: Path) -> list[str]:
    text = page.read_text()
    return mentions.code(text) if page in PAGES else re.findall(r"(?:run|entry): (.*)", text)


@pytest.mark.parametrize(
    ("page", "target"), cases({p: mentions.targets(commands(p)) for p in ALL}), ids=name
)
def test_target_exists(page: Path, target: str) -> None:
    assert re.search(rf"^{target}: ##", (TOP / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "script"), cases({p: mentions.scripts(p.read_text()) for p in ALL}), ids=name
)
def test_script_exists(page: Path, script: str) -> None:
    assert (TOP / script).is_file()


@pytest.mark.parametrize(
    ("page", "mode"), cases({p: mentions.modes(p.read_text()) for p in ALL}), ids=name
)
def test_environment_can_be_set_up(page: Path, mode: str) -> None:
    usage = re.search(r"Usage: \.ci/setup (\S+)", (TOP / ".ci/setup").read_text())
    assert usage
    assert mode in usage[1].split("|")


@pytest.mark.parametrize(
    ("page", "check"), cases({p: mentions.checks(commands(p)) for p in ALL}), ids=name
)
def test_check_exists(page: Path, check: str) -> None:
    known = re.search(r'^readonly names="(.*)"$', (TOP / ".ci/check").read_text(), re.MULTILINE)
    assert known
    assert check in known[1].split()


@pytest.mark.parametrize(
    ("page", "variable"), cases({p: mentions.settings(p.read_text()) for p in ALL}), ids=name
)
def test_setting_has_an_effect(page: Path, variable: str) -> None:
    read = [TOP / "Makefile", *(p for p in (TOP / ".ci").iterdir() if p.is_file())]
    assert any(variable in path.read_text() for path in read)


@pytest.mark.parametrize(
    ("page", "link"), cases({p: mentions.links(p) for p in PAGES if p.suffix == ".md"}), ids=name
)
def test_link_leads_somewhere(page: Path, link: str) -> None:
    assert (page.parent / link).exists()


def generated(path: str) -> bool:
    command = ["git", "check-ignore", "--quiet", path]
    return subprocess.run(command, cwd=TOP, check=False).returncode == 0


@pytest.mark.parametrize(
    ("page", "path"), cases({p: mentions.paths(p.read_text()) for p in PAGES}), ids=name
)
def test_path_exists(page: Path, path: str) -> None:
    if mentions.where(path, page) or generated(path):
        return
    pytest.fail(f"{name(page)} names {path}, which does not exist")


def table() -> list[set[str]]:
    """Return the packages of each row in CONTRIBUTING.md, from the top."""
    rows = re.findall(r"^\| \d+ \| (.*?) \|", (TOP / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    return [set(re.findall(r"`(\w+)`", row)) for row in rows]


def test_rows_are_those_that_import_linter_holds() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    held = [
        {part.strip("() ").removeprefix("fidokit.") for part in re.split(r"[|:]", row)}
        for row in layers
    ]
    assert table() == held


def test_every_package_has_a_row() -> None:
    modules = {
        p.stem for p in SOURCE.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    assert set().union(*table()) == modules - {"__init__", "__main__"}


@pytest.mark.parametrize("page", ALL, ids=name)
def test_names_no_machine_and_no_host_of_packages(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"/(work|home|root|tmp)/", text)
    hosts = re.findall(r"https?://([^/\s)>]+)", text)
    assert set(hosts) <= {"semver.org"}


PAGE = """Run `make test` or `.ci/run`, with `FIDOKIT_FUZZ`; see [x](a/b.md#c) and
`src/fidokit/cbor.py`.

```sh
make check ARGS='ruff mypy'  # make nothing
.ci/check signals
.ci/in-venv check pre-commit install
```

Make haste: make sense. `Makefile` and `docs/json.md`, tests/openssh.
"""


def test_what_is_read_from_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    code = mentions.code(PAGE)
    assert mentions.targets(code) == {"test", "check"}
    assert mentions.scripts(PAGE) == {".ci/run", ".ci/check", ".ci/in-venv"}
    assert mentions.checks(code) == {"ruff", "mypy", "signals"}
    assert mentions.modes(PAGE) == {"check"}
    assert mentions.settings(PAGE) == {"FIDOKIT_FUZZ"}
    assert mentions.links(page) == {"a/b.md"}
    assert {"src/fidokit/cbor.py", "docs/json.md", "tests/openssh"} <= mentions.paths(PAGE)
