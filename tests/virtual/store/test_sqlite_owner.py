"""A token's file has one owner: while it is open, after a crash, and when it is deleted."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.children import popen
from tests.virtual.conftest import IDENTITY, STATE, credential, make_sqlite

from fidokit.errors import TokenBusy, TokenNotFound
from fidokit.virtual.store.sqlite import SqliteStore, delete_token_file, read_identity


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A token's file, not plugged in."""
    store = make_sqlite(tmp_path)
    store.put(credential(1))
    store.close()
    return store.path


def test_a_second_opener_is_told_who_owns_it(path: Path) -> None:
    store = SqliteStore.open(path)
    with pytest.raises(TokenBusy, match=r"'token' is plugged in already, in this very process"):
        SqliteStore.open(path)
    store.close()
    SqliteStore.open(path).close()


OPEN = (
    "import sys; from pathlib import Path; from fidokit.virtual.store.sqlite import SqliteStore\n"
)


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return popen(
        [sys.executable, "-c", OPEN + code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "src")},
    )


def test_another_process_owns_it_until_it_ends_however_it_ends(path: Path) -> None:
    code = "s = SqliteStore.open(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    with python(code, path) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        with pytest.raises(TokenBusy, match=f"process {owner.pid}") as caught:
            SqliteStore.open(path)
        assert caught.value.hint
        assert read_identity(path) == IDENTITY
        owner.kill()
    SqliteStore.open(path).close()


def test_closing_twice_is_harmless(path: Path) -> None:
    store = SqliteStore.open(path)
    store.close()
    store.close()


def test_a_plugged_in_token_is_not_deleted(path: Path) -> None:
    store = SqliteStore.open(path)
    with pytest.raises(TokenBusy):
        delete_token_file(path)
    store.save(STATE)
    store.close()


def test_deleting_leaves_nothing(path: Path) -> None:
    delete_token_file(path)
    assert list(path.parent.iterdir()) == []
    with pytest.raises(TokenNotFound):
        SqliteStore.open(path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666, 0o600])
def test_a_file_open_to_others_is_closed_to_them(path: Path, mode: int) -> None:
    path.chmod(mode)
    SqliteStore.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
