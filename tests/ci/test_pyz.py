"""The one-file program: what is in it, and that it is the same bytes each time."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from tests.ci.loading import load

from fidokit import one_file
from fidokit.cli.app import GROUPS

packer = load("pyz")
SRC = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    with zipfile.ZipFile(folder / "sample-1-py3-none-any.whl", "w") as archive:
        archive.writestr("sample/__init__.py", "")
        archive.writestr("sample/logo.png", "")
        archive.writestr("sample-1.dist-info/licenses/LICENSE", "free")
        archive.writestr("sample-1.dist-info/RECORD", "")
    return folder


def pack(wheels: Path, output: Path) -> list[str]:
    assert packer.main(str(SRC), str(wheels), str(output)) is None
    with zipfile.ZipFile(output) as archive:
        return archive.namelist()


def test_what_is_in_it(wheels: Path, tmp_path: Path) -> None:
    names = pack(wheels, tmp_path / "fidokit.pyz")
    assert len(names) == len(set(names))
    assert names[0] == "__main__.py"
    assert {"fidokit/cli/commands/server/check.py", "fidokit/server/otp/pam.py"} <= set(names)
    others = [name for name in names if not name.startswith(("fidokit/", "__main__"))]
    assert others == ["sample-1.dist-info/licenses/LICENSE", "sample/__init__.py"]
    for out in one_file.LEFT_OUT:
        path = f"fidokit/{out.replace('.', '/')}"
        assert not [name for name in names if name.startswith((f"{path}/", f"{path}.py"))]


def test_a_program_and_the_same_bytes_again(wheels: Path, tmp_path: Path) -> None:
    one, other = tmp_path / "one.pyz", tmp_path / "other.pyz"
    pack(wheels, one)
    pack(wheels, other)
    assert one.read_bytes() == other.read_bytes()
    assert one.read_bytes().startswith(b"#!/usr/bin/env python3\n")
    assert one.stat().st_mode & 0o111 == 0o111


def test_too_large(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packer, "LIMIT", 1000)
    said = packer.main(str(SRC), str(wheels), str(tmp_path / "fidokit.pyz"))
    assert said.endswith("more than 1,000")


def test_its_verbs_are_all_of_these_groups_or_named() -> None:
    assert set(one_file.VERBS) <= set(GROUPS)
    assert one_file.cut("server").verbs == GROUPS["server"].verbs
    assert list(one_file.cut("key").verbs) == ["show"]


def test_what_is_left_out_exists() -> None:
    """A module that was renamed would slip in."""
    known = packer.modules(SRC)
    assert [out for out in one_file.LEFT_OUT if f"fidokit.{out}" not in known] == []
