from __future__ import annotations

import stat
from pathlib import Path

import pytest

from fidokit.errors import FidokitError, Unsupported
from fidokit.provider import library
from fidokit.provider.abi import API_VERSIONS


def test_a_file_for_each_version() -> None:
    assert set(library.FILES) == set(API_VERSIONS)


@pytest.mark.parametrize(
    ("openssh", "api"),
    [(None, 10), ((10, 2), 10), ((9, 2), 10), ((9, 1), 10), ((9, 0), 9), ((8, 9), 9)],
)
def test_which_version_an_openssh_speaks(openssh: tuple[int, int] | None, api: int) -> None:
    assert library.api_for(openssh) == api


@pytest.mark.parametrize("openssh", [(8, 8), (8, 2), (7, 9)])
def test_too_old(openssh: tuple[int, int]) -> None:
    with pytest.raises(Unsupported, match=f"OpenSSH {openssh[0]}.{openssh[1]} is too old"):
        library.api_for(openssh)


def test_not_built(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="no C compiler") as caught:
        library.built(10, tmp_path)
    assert "gcc" in caught.value.hint


def test_built(tmp_path: Path) -> None:
    (tmp_path / "sk_fidokit_9.so").write_bytes(b"elf")
    assert library.built(9, tmp_path) == tmp_path / "sk_fidokit_9.so"


def test_pointing_it_at_a_python(tmp_path: Path) -> None:
    note = tmp_path / "lib.so.python"
    library.point_at(tmp_path / "lib.so", "/usr/bin/python3")
    assert note.read_text() == "/usr/bin/python3\n"
    before = note.stat().st_ino
    library.point_at(tmp_path / "lib.so", "/usr/bin/python3")
    assert note.stat().st_ino == before, "who may only read must be able to ask for the path"
    library.point_at(tmp_path / "lib.so", "/opt/python")
    assert note.read_text() == "/opt/python\n"


def test_installing(tmp_path: Path) -> None:
    source = tmp_path / "sk_fidokit.so"
    source.write_bytes(b"elf")
    for content in (b"elf", b"a newer one"):
        source.write_bytes(content)
        copy = library.install(source, tmp_path / "lib" / "deep", "/usr/bin/python3")
        assert copy == tmp_path / "lib" / "deep" / "sk_fidokit.so"
        assert copy.read_bytes() == content
        assert not copy.is_symlink()
        assert stat.S_IMODE(copy.stat().st_mode) == 0o755
    assert copy.with_name("sk_fidokit.so.python").read_text() == "/usr/bin/python3\n"


def test_installing_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "lib").write_text("a file")
    (tmp_path / "sk_fidokit.so").write_bytes(b"elf")
    with pytest.raises(FidokitError):
        library.install(tmp_path / "sk_fidokit.so", tmp_path / "lib", "/usr/bin/python3")


def test_a_python_that_others_cannot_reach(tmp_path: Path) -> None:
    python = tmp_path / "closed" / "deep" / "python"
    python.parent.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    closed = library.unreachable_part(str(python))
    assert closed in python.parents
    assert closed is not None
    assert not closed.stat().st_mode & 0o001
    assert library.unreachable_part("/usr/bin/python3") is None
