"""Who else may change a file: modes and owners of everything on the way."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fidokit.server.check.findings.loose_files import LooseFiles, LoosePlace

ME = os.geteuid()
NOBODY = 65534


def judge(path: Path, *, secret: bool = False) -> list[tuple[str, str]]:
    """What is wrong from a test's own folder on; what is above it is the machine's."""
    found = LooseFiles(frozenset({0, ME})).judge(str(path), secret=secret)
    return [(place.path, place.why) for place in found]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "etc" / "ssh"
    folder.mkdir(parents=True, mode=0o755)
    path = folder / "sshd_config"
    path.write_text("")
    path.chmod(0o644)
    return path


def test_a_file_of_ones_own(file: Path) -> None:
    assert judge(file) == []


@pytest.mark.parametrize(
    ("mode", "who"), [(0o664, "group "), (0o646, "everybody"), (0o666, "everybody")]
)
@pytest.mark.parametrize("up", [0, 1, 2])
def test_modes(file: Path, mode: int, who: str, up: int) -> None:
    place = [file, *file.parents][up]
    place.chmod(mode | (0o111 if up else 0))
    ((where, why),) = judge(file)
    assert where == str(place)
    assert why.startswith(who)
    assert f"may write to {place}" in why


def test_the_command_mends_it(file: Path) -> None:
    file.parent.chmod(0o777)
    (loose,) = LooseFiles(frozenset({0, ME})).judge(str(file))
    assert loose.fix == ("chmod", "go-w", str(file.parent))
    file.parent.chmod(0o755)
    assert judge(file) == []


def test_a_sticky_folder_matters_for_what_is_missing_alone(file: Path) -> None:
    file.parent.chmod(0o1777)
    assert judge(file) == []
    assert judge(file.parent / "absent") == [
        (str(file.parent), f"everybody may make {file.parent / 'absent'}")
    ]


def relative(link: Path, target: Path) -> None:
    link.symlink_to(os.path.relpath(target, link.parent))


@pytest.mark.parametrize("make", [Path.symlink_to, relative])
def test_links_are_followed_a_step_at_a_time(
    file: Path, tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    middle, link = open_to_all / "middle", tmp_path / "link"
    make(middle, file)
    make(link, middle)
    assert judge(link) == []
    open_to_all.chmod(0o777)
    assert [where for where, _ in judge(link)] == [str(open_to_all)]
    open_to_all.chmod(0o755)
    file.chmod(0o666)
    assert [where for where, _ in judge(link)] == [str(file)]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.symlink_to(two)
    two.symlink_to(one)
    assert judge(one) == []


@pytest.mark.parametrize("name", ["absent", "absent/absent", "file/below", "a\0b", "x" * 5000])
def test_what_is_not_there(file: Path, name: str) -> None:
    found = LooseFiles(frozenset({0, ME})).judge(f"{file.parent}/{name}")
    assert all(loose.doubt for loose in found)


def test_hosts_keys_are_secret(file: Path) -> None:
    file.chmod(0o640)
    assert judge(file) == []
    file.chmod(0o644)
    assert judge(file, secret=True) == [(str(file), f"everybody may read {file}")]
    (loose,) = LooseFiles(frozenset({0, ME})).judge(str(file), secret=True)
    assert loose.fix == ("chmod", "go-r", str(file))


@pytest.mark.root
def test_owners(file: Path) -> None:
    os.chown(file, NOBODY, 0)
    loose = LooseFiles(frozenset({0}))
    (found,) = loose.judge(str(file))
    assert found.why == f"{file} belongs to nobody"
    assert found.fix == ("chown", "-h", "root", str(file))
    assert loose.judge(str(file), owners={NOBODY}) == ()


@pytest.mark.root
def test_a_folder_is_not_taken_from_its_owner(file: Path) -> None:
    os.chown(file.parent, NOBODY, 0)
    assert LooseFiles(frozenset({0})).judge(str(file)) == (
        LoosePlace(str(file.parent), f"{file.parent} belongs to nobody"),
    )
