"""What is installed: versions inside the ranges that users get, each by its hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tests.ci.loading import load, load_file

TOP = Path(__file__).parents[2]
lock = load("lock")
dependencies = load_file(TOP / "debian/dependencies.py")
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
DIRECT = [
    *PROJECT["build-system"]["requires"],
    *PROJECT["project"]["dependencies"],
    *PROJECT["project"]["optional-dependencies"]["test"],
    *PROJECT["project"]["optional-dependencies"]["pcsc"],
    *PROJECT["project"]["optional-dependencies"]["site"],
    *PROJECT["project"]["optional-dependencies"]["check"],
    *PROJECT["project"]["optional-dependencies"]["fuzz"],
]


EXTRAS = PROJECT["project"]["optional-dependencies"]
PARAGRAPH = re.compile(r"# ([a-z -]+)\n([a-z0-9-]+)==(\S+)([^\n]*)\n((?:    --hash=.*\n)+)")
DEBIAN = TOP / "debian/vendored"


def text(name: str = "constraints.txt") -> str:
    return (TOP / name).read_text()


def pinned() -> dict[str, str]:
    return {name: version for _, name, version, *_ in PARAGRAPH.findall(text())}


def level(name: str) -> set[str]:
    return {found[1] for found in PARAGRAPH.findall(text()) if name in found[0].split()}


def test_every_package_has_levels_a_version_and_hashes() -> None:
    rest = PARAGRAPH.sub("", text())
    assert all(line.startswith("# ") for line in rest.splitlines()), rest
    for levels, _, version, marker, hashes in PARAGRAPH.findall(text()):
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version)
        assert re.fullmatch(r"( ; .*)? \\", marker)
        assert set(levels.split()) <= set(lock.LEVELS)
        for line in hashes.splitlines():
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line)


@pytest.mark.parametrize("extra", ["check", "test", "release", "lock"])
def test_a_level_has_what_its_extra_wants(extra: str) -> None:
    assert {Requirement(line).name for line in EXTRAS[extra]} <= level(extra)
    assert {Requirement(line).name for line in PROJECT["project"]["dependencies"]} <= level(extra)


@pytest.mark.parametrize("release", lock.DEBIAN)
def test_a_debian_package_carries_what_its_release_has_not(release: str) -> None:
    _, theirs = lock.DEBIAN[release]
    carried = dict(
        re.findall(r"^([a-z0-9-]+)==(\S+)", text(f"debian/vendored/{release}.txt"), re.MULTILINE)
    )
    wanted = {Requirement(line).name for line in PROJECT["project"]["dependencies"]}
    assert wanted <= {*carried, *theirs}
    assert not set(carried) & set(theirs)
    assert carried.items() <= pinned().items()
    needed = dependencies.depends(
        PROJECT["project"]["dependencies"], text(f"debian/vendored/{release}.txt")
    )
    named = {word.split()[0].removeprefix("python3-") for word in needed}
    assert named == wanted - set(carried)


@pytest.mark.parametrize("line", DIRECT)
def test_direct_requirement_is_pinned_inside_its_range(line: str) -> None:
    wanted = Requirement(line)
    found = [version for _, name, version, *_ in PARAGRAPH.findall(text()) if name == wanted.name]
    assert any(map(wanted.specifier.contains, found)), found


@pytest.mark.parametrize("line", DIRECT)
def test_direct_requirement_has_a_lower_bound(line: str) -> None:
    assert any(part.operator == ">=" for part in Requirement(line).specifier)


def test_the_newcomers_tests_need_nothing_that_is_compiled() -> None:
    """pyscard has no wheels for Linux."""
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [Requirement(text) for text in (*PROJECT["project"]["dependencies"], *extras["test"])]
    assert not any(requirement.extras for requirement in wanted)
    assert "fidokit[pcsc,site,test]" in extras["test-all"]


def test_the_project_itself_is_not_pinned() -> None:
    assert PROJECT["project"]["name"] not in pinned()
