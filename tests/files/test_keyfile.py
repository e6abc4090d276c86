"""A key's two files: both or neither, and what is not a key file is refused without harm."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pytest

from fidokit.errors import FidokitError, MalformedKey, NoPermission, UsageError, WouldOverwrite
from fidokit.files import atomic, keyfile
from fidokit.files.keyfile import PIECE, pieces
from fidokit.types import KeyType


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_default_paths_are_those_of_ssh_keygen(home: Path) -> None:
    assert keyfile.default_path(KeyType.ED25519_SK) == home / ".ssh/id_ed25519_sk"
    assert keyfile.default_path(KeyType.ECDSA_SK) == home / ".ssh/id_ecdsa_sk"


def test_the_ssh_folder_is_made_for_its_owner_alone(home: Path) -> None:
    keyfile.ensure_ssh_folder(keyfile.default_path(KeyType.ED25519_SK))
    assert (home / ".ssh").stat().st_mode & 0o777 == 0o700
    keyfile.ensure_ssh_folder(home / "other" / "key")
    assert not (home / "other").exists()


def test_public_path_appends() -> None:
    assert keyfile.public_path(Path("/a/key.v1")) == Path("/a/key.v1.pub")


def test_a_pair_has_its_modes(tmp_path: Path) -> None:
    path = tmp_path / "key"
    keyfile.write_pair(path, b"private", "public line")
    assert path.read_bytes() == b"private"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "key.pub").read_bytes() == b"public line\n"
    assert (tmp_path / "key.pub").stat().st_mode & 0o777 == 0o644
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("taken", ["key", "key.pub"])
def test_a_pair_is_written_whole_or_not(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_bytes(b"old")
    with pytest.raises(WouldOverwrite, match=taken):
        keyfile.write_pair(tmp_path / "key", b"private", "line")
    assert [p.name for p in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_bytes() == b"old"


def test_force_replaces_both(tmp_path: Path) -> None:
    for name in ("key", "key.pub"):
        (tmp_path / name).write_bytes(b"old")
        (tmp_path / name).chmod(0o666)
    keyfile.write_pair(tmp_path / "key", b"private", "line\n", force=True)
    assert (tmp_path / "key").read_bytes() == b"private"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "key.pub").read_bytes() == b"line\n"


def test_force_follows_no_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    for name in ("key", "key.pub"):
        link = tmp_path / name
        link.symlink_to(victim)
        with pytest.raises(WouldOverwrite, match="symbolic link"):
            keyfile.check_pair_free(tmp_path / "key", force=True)
        with pytest.raises(WouldOverwrite, match="symbolic link"):
            keyfile.write_pair(tmp_path / "key", b"private", "line", force=True)
        link.unlink()
    assert victim.read_bytes() == b"precious"


def test_two_writers_of_a_pair_never_mix(tmp_path: Path) -> None:
    results: list[str] = []
    start = threading.Barrier(6)

    def writer(name: str) -> None:
        start.wait()
        try:
            keyfile.write_pair(tmp_path / "key", name.encode(), name)
        except WouldOverwrite:
            results.append("refused")
        else:
            results.append(name)

    threads = [threading.Thread(target=writer, args=(f"writer{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner = {name for name in results if name != "refused"}
    assert results.count("refused") == 5
    assert {(tmp_path / "key").read_text()} == winner
    assert {(tmp_path / "key.pub").read_text().strip()} == winner


def test_the_loser_of_the_public_half_takes_its_private_half_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_claim = atomic.claim

    def claim(temporary: Path, path: Path) -> None:
        real_claim(temporary, path)
        if path.name == "key":
            (tmp_path / "key.pub").write_bytes(b"somebody else's")

    monkeypatch.setattr(atomic, "claim", claim)
    with pytest.raises(WouldOverwrite, match=r"key\.pub"):
        keyfile.write_pair(tmp_path / "key", b"private", "line")
    assert [p.name for p in tmp_path.iterdir()] == ["key.pub"]
    assert (tmp_path / "key.pub").read_bytes() == b"somebody else's"


def test_check_finds_what_is_in_the_way(tmp_path: Path) -> None:
    keyfile.check_pair_free(tmp_path / "key")
    (tmp_path / "key.pub").write_bytes(b"")
    with pytest.raises(WouldOverwrite, match="already exists"):
        keyfile.check_pair_free(tmp_path / "key")
    keyfile.check_pair_free(tmp_path / "key", force=True)
    (tmp_path / "folder").mkdir()
    with pytest.raises(WouldOverwrite, match="not a regular file"):
        keyfile.check_pair_free(tmp_path / "folder", force=True)


@pytest.mark.parametrize("name", ["k" * 256, "k" * 252, "nowhere/key", "file/key", "nul\0"])
def test_check_refuses_impossible_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((UsageError, FidokitError)) as caught:
        keyfile.check_pair_free(tmp_path / name)
    assert caught.value.hint


def test_check_refuses_a_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *args: False)  # the tests may run as root
    with pytest.raises(NoPermission, match="may not create files"):
        keyfile.check_free(tmp_path / "key")


def test_reading_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"x" * keyfile.MAX_KEY_FILE)
    assert len(keyfile.read_private(path)) == keyfile.MAX_KEY_FILE
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(MalformedKey, match="larger than"):
        keyfile.read_private(path)


def test_reading_refuses_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", Path("/dev/zero")):
        with pytest.raises(UsageError, match="not a regular file"):
            keyfile.read_private(path)
    with pytest.raises(UsageError, match=r"is a folder|not a regular file"):
        keyfile.read_private(tmp_path)
    with pytest.raises(FidokitError, match="does not exist"):
        keyfile.read_private(tmp_path / "none")
    with pytest.raises(UsageError, match="not a file name"):
        keyfile.read_private(Path("nul\0"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError, match="symbolic link"):
        keyfile.read_private(tmp_path / "loop")


@pytest.mark.parametrize(
    ("mode", "folder_mode", "words"),
    [
        (0o600, 0o700, []),
        (0o400, 0o755, []),
        (0o640, 0o700, ["others may access"]),
        (0o604, 0o700, ["chmod 600"]),
        (0o600, 0o770, ["may replace files"]),
        (0o600, 0o1777, []),
        (0o666, 0o777, ["others may access", "may replace files"]),
    ],
)
def test_mode_warnings(tmp_path: Path, mode: int, folder_mode: int, words: list[str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "key").write_bytes(b"")
    (folder / "key").chmod(mode)
    folder.chmod(folder_mode)
    warnings = keyfile.mode_warnings(folder / "key")
    assert len(warnings) == len(words)
    for warning, word in zip(warnings, words, strict=True):
        assert word in warning


@pytest.mark.parametrize("nameless", ["", ".", "/", "./."])
def test_a_path_without_a_name_is_refused(nameless: str) -> None:
    with pytest.raises(UsageError, match="names no file") as caught:
        keyfile.check_pair_free(Path(nameless))
    assert caught.value.hint


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 2 * PIECE])
def test_all_of_it_and_never_much_at_once(tmp_path: Path, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    data = data[:size]
    (tmp_path / "file").write_bytes(data)
    for source in (tmp_path / "file", io.BytesIO(data)):
        parts = list(pieces(source))
        assert b"".join(parts) == data
        assert all(0 < len(part) <= PIECE for part in parts)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FidokitError, match="does not exist"):
        list(pieces(tmp_path / "missing"))
    with pytest.raises(UsageError, match="is a folder"):
        list(pieces(tmp_path))
