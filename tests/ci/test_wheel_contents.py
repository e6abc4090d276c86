"""The check of the wheel's contents notices what is missing and what does not belong."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from tests.ci.loading import load

wheel_contents = load("wheel_contents")
FILES = ("fidokit/__init__.py", "fidokit/py.typed", "fidokit/data/models.json")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    stale = tmp_path / "src/fidokit/__pycache__/old.pyc"
    stale.parent.mkdir()
    stale.touch()
    return tmp_path / "src"


def wheel(folder: Path, *names: str) -> str:
    path = folder / "sample-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (*names, "fidokit-1.dist-info/METADATA"):
            archive.writestr(name, "")
    return str(path)


def test_complete_wheel_passes(source: Path, tmp_path: Path) -> None:
    assert wheel_contents.main(wheel(tmp_path, *FILES), str(source)) is None


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(source: Path, tmp_path: Path, name: str) -> None:
    rest = [other for other in FILES if other != name]
    said = wheel_contents.main(wheel(tmp_path, *rest), str(source))
    assert Path(name).name in said


def test_surplus_file_is_named(source: Path, tmp_path: Path) -> None:
    said = wheel_contents.main(wheel(tmp_path, *FILES, "fidokit/left_over.py"), str(source))
    assert said == "the wheel carries fidokit/left_over.py"


def test_a_wheel_for_one_platform_is_refused(source: Path, tmp_path: Path) -> None:
    path = Path(wheel(tmp_path, *FILES))
    for_one = path.rename(tmp_path / "sample-1-py3-none-linux_x86_64.whl")
    assert "for one platform" in wheel_contents.main(str(for_one), str(source))
