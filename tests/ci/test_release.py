"""A release: tag, version, changelog and contact agree, or nothing is built."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from tests.ci.conftest import TOP, Machine
from tests.ci.loading import load

release = load("release")
VERSION = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["version"]
CHANGES = """# Changes

## [Unreleased]

## [1.2.0] - 2026-12-01

### Added

- Something.
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "src/fidokit").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    (tmp_path / "src/fidokit/__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGES)
    (tmp_path / "ansible").mkdir()
    (tmp_path / "ansible/galaxy.yml").write_text("name: ssh\nversion: 1.2.0\n")
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian/changelog").write_text("fidokit (1.2.0) trixie; urgency=medium\n")
    (tmp_path / "SECURITY.md").write_text("Write to us.\n")
    return tmp_path


def test_ready(tree: Path) -> None:
    assert release.main("v1.2.0", str(tree)) is None


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("pyproject.toml", "1.2.0", "1.3.0", "the tag must be v1.3.0"),
        ("src/fidokit/__init__.py", "1.2.0", "1.1.0", "__init__.py has version 1.1.0"),
        ("ansible/galaxy.yml", "1.2.0", "1.2.01", "galaxy.yml does not have version 1.2.0"),
        ("debian/changelog", "1.2.0", "1.1.0", "debian/changelog does not begin"),
        ("CHANGELOG.md", " - 2026-12-01", "", "no heading"),
        ("CHANGELOG.md", "[1.2.0]", "[1x2.0]", "no heading"),
        ("CHANGELOG.md", "sed]\n", "sed]\n\n- New.\n", "still has entries"),
        ("CHANGELOG.md", "sed]\n", "sed]\n\n### Fixed\n\n- It.\n", "still has entries"),
        ("SECURITY.md", "us", release.PLACEHOLDER, "names no contact"),
    ],
)
def test_not_ready(tree: Path, name: str, old: str, new: str, said: str) -> None:
    text = (tree / name).read_text()
    assert old in text
    (tree / name).write_text(text.replace(old, new, 1))
    problems = release.main("v1.2.0", str(tree))
    assert problems is not None
    assert said in problems


def test_tag_of_another_version(tree: Path) -> None:
    assert release.main("1.2.0", str(tree)) == (
        "release: the tag is 1.2.0, pyproject.toml has version 1.2.0: the tag must be v1.2.0"
    )


def test_this_tree_has_the_files_and_one_version() -> None:
    problems = release.main(f"v{VERSION}", str(TOP)) or ""
    assert "version" not in problems


@pytest.mark.parametrize("arguments", [(), ("v1", "v2")])
def test_the_script_wants_one_tag(machine: Machine, arguments: tuple[str, ...]) -> None:
    done = machine.run(".ci/release", *arguments)
    assert done.returncode == 2
    assert "usage: .ci/release TAG | --dry-run" in done.stderr
    assert machine.calls() == []


def test_notes_are_what_the_changelog_says_of_the_version(tree: Path) -> None:
    assert release.notes(tree) == "### Added\n\n- Something.\n"
    changes = CHANGES.replace("[1.2.0]", "[1.1.0]").replace("sed]\n", "sed]\n\n- New.\n")
    (tree / "CHANGELOG.md").write_text(changes)
    assert release.notes(tree) == "- New.\n"


@pytest.mark.parametrize("artifact", release.LISTS)
def test_what_an_artifact_carries_is_listed_by_version_and_hash(artifact: str) -> None:
    listed = release.packages(artifact, TOP)
    assert "==" in listed
    assert listed.count("--hash=sha256:") >= listed.count("==")
    assert "pytest==" not in listed


def test_the_wheel_is_listed_with_what_users_get() -> None:
    listed = release.packages("wheel", TOP)
    for wanted in ("fido2", "cryptography", "click", "rich", "bcrypt"):
        assert f"\n{wanted}==" in f"\n{listed}"


def test_the_script_builds_nothing_that_is_not_ready(machine: Machine) -> None:
    machine.have("ensurepip")
    refusing = (
        (machine.programs / "python3")
        .read_text()
        .replace("-mvenv)", ".ci/release.py*) echo no; exit 1 ;;\n    -mvenv)")
    )
    machine.program("python3", refusing)
    machine.program("git", '#!/bin/sh\necho git >>"$CALLS"\n')
    assert machine.run(".ci/release", "v0.0.0").returncode == 1
    assert "git" not in machine.calls()


def test_a_changed_tree_is_refused(machine: Machine) -> None:
    machine.have("ensurepip")
    machine.program("git", "#!/bin/sh\necho ' M README.md'\n")
    done = machine.run(".ci/release", "v0.0.0")
    assert done.returncode == 1
    assert "not committed" in done.stderr
    assert not (machine.clone / "dist").exists()
