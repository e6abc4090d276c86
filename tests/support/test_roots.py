"""Userlands of other releases: kept under their recipe; one that cannot be built is named."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.support import roots
from tests.support.debian import Missing


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without any, on a machine that cannot build one."""
    monkeypatch.setenv("FIDOKIT_CACHE", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)

    def refuse(suite: str, _kind: str, _place: Path) -> None:
        raise Missing(f"no mirror has {suite}")

    monkeypatch.setattr(roots, "_build", refuse)
    return tmp_path / "roots"


def test_one_that_cannot_be_built_fails_in_ci(
    empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no mirror has sid"):
        roots.required("sid")
    assert roots.main(["sid"]) == 1
    assert "sid is LEFT OUT" in capsys.readouterr().err


def test_and_is_named_elsewhere(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(pytest.skip.Exception, match="no mirror has sid"):
        roots.required("sid")
    assert roots.main(["sid", "trixie"]) == 0
    said = capsys.readouterr().err
    assert "no mirror has sid\nsetup: Debian sid is LEFT OUT\n" in said
    assert "Debian trixie is LEFT OUT" in said


def test_one_that_is_there_is_used(empty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (empty / f"trixie-{roots._key('trixie')}" / "root").mkdir(parents=True)
    found = roots.root("trixie")
    assert found.folder.is_dir()
    assert roots.main(["trixie"]) == 0
    assert capsys.readouterr().err == ""


def test_the_newest_is_built_anew_each_week(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = []
    for week in ("2026 week 48", "2026 week 49"):
        monkeypatch.setattr(time, "strftime", lambda *_args, week=week: week)
        keys.append([roots._key(suite) for suite in ("sid", "trixie")])
    (sid, trixie), (later_sid, later_trixie) = keys
    assert sid != later_sid
    assert trixie == later_trixie


def test_a_release_has_what_our_tests_need_there() -> None:
    for suite in roots.RELEASES:
        assert "openssh-server" in roots.packages(suite)
        assert not roots.ELSEWHERE & set(roots.packages(suite))
    assert "python3-dev" in roots.packages("sid")
    assert "python3-dev" not in roots.packages("bullseye")


def test_a_workshop_has_what_the_debian_package_is_built_with() -> None:
    found = set(roots.packages("trixie", "workshop"))
    assert {"debhelper", "dh-python", "lintian", "autopkgtest"} <= found
    assert roots.packages("trixie", "bare") == []
    keys = {roots._key("trixie", kind) for kind in roots.KINDS}
    assert len(keys) == len(roots.KINDS)
