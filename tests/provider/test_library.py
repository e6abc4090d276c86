from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from fidokit.errors import FidokitError, NoPermission, PinRequired, PinWrong, Unsupported
from fidokit.files import atomic
from fidokit.provider import library
from fidokit.provider.abi import API_VERSIONS
from fidokit.provider.library import install_provider, provider_path, trusted_provider
from fidokit.provider.main import _OnePin
from fidokit.system.host import Host


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


@pytest.mark.compiled
def test_compiled_for_this_user(tmp_path: Path) -> None:
    made = library.built(9, {"XDG_DATA_HOME": str(tmp_path)})
    assert made == tmp_path / "fidokit" / "sk_fidokit_9.so"
    assert made.read_bytes().startswith(b"\x7fELF")
    assert library.built(9, {"HOME": str(tmp_path), "XDG_DATA_HOME": "not/whole"}) == (
        tmp_path / ".local/share/fidokit/sk_fidokit_9.so"
    )


def test_the_packagers_where_there_is_one(built: Path) -> None:
    assert library.built(10, {}) == built / "sk_fidokit.so"
    real = built / "lib" / "elsewhere.so"
    real.parent.mkdir()
    (built / "sk_fidokit.so").rename(real)
    (built / "sk_fidokit.so").symlink_to(real)
    assert library.built(10, {}) == real, "ssh-agent follows no link out of its allow list"


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


pytestmark = pytest.mark.usefixtures("home")


def host(banner: str | None) -> Host:
    return Host(run=lambda _argv: banner)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Libraries of both versions, not those of this installation."""
    for name in library.FILES.values():
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.setattr(library, "__file__", str(tmp_path / "library.py"))
    return tmp_path


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.15", 10),
        ("OpenSSH_8.9p1 Ubuntu-3ubuntu0.10, OpenSSL 3.0.2", 9),
        ("Sun_SSH_1.1", 10),
        (None, 10),
    ],
)
def test_the_version_of_the_ssh_that_is_here(banner: str | None, version: int) -> None:
    assert library.provider_api(host(banner)) == version


def test_an_ssh_that_is_too_old() -> None:
    with pytest.raises(Unsupported, match=r"8\.4"):
        library.provider_api(host("OpenSSH_8.4p1 Debian-5"))


@pytest.mark.parametrize("version", [10, 9])
def test_the_path_of_a_library_that_knows_its_python(built: Path, version: int) -> None:
    path = provider_path(version)
    assert path == built / library.FILES[version]
    assert path.with_name(f"{path.name}.python").read_text() == f"{sys.executable}\n"


def test_a_folder_of_another_user(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise NoPermission("this user may not write there")

    monkeypatch.setattr(atomic, "replace", refuse)
    with pytest.raises(NoPermission, match="which Python to run") as caught:
        provider_path(10)
    assert "fidokit provider install" in caught.value.hint
    (built / "sk_fidokit.so.python").write_text(f"{sys.executable}\n")
    assert provider_path(10) == built / "sk_fidokit.so", "it was made ready before"


def test_installing_for_this_ssh(built: Path, tmp_path: Path) -> None:
    done = install_provider(tmp_path / "lib", sk_api=9)
    assert done.path == tmp_path / "lib" / "sk_fidokit_9.so"
    assert done.path.read_bytes() == b"sk_fidokit_9.so"
    assert done.python == sys.executable
    assert done.closed == library.unreachable_part(sys.executable)


@pytest.mark.compiled
def test_the_copy_for_all_users_is_taken_while_it_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "INSTALL_FOLDER", tmp_path / "lib")
    own = provider_path(10)
    copy = install_provider(tmp_path / "lib", sk_api=10).path
    assert provider_path(10) == copy != own
    library.point_at(copy, "/opt/other/python")
    assert provider_path(10) == own, "it is another fidokit's"
    library.point_at(copy, sys.executable)
    copy.write_bytes(b"an older one")
    assert provider_path(10) == own


def test_what_an_agent_is_told(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy that ssh-agent trusts, where there is one."""
    monkeypatch.setattr(library, "INSTALL_FOLDER", tmp_path / "lib")
    version = library.provider_api()
    assert trusted_provider() == built / library.FILES[version]
    copy = install_provider(tmp_path / "lib").path
    assert trusted_provider() == copy


def test_the_pin_that_openssh_asked_for() -> None:
    person = _OnePin("1234")
    assert person.ask_pin("token", 8, "signing", False).utf8() == b"1234"
    assert "1234" not in repr(person)
    with pytest.raises(PinWrong, match="too short"):
        _OnePin("12").ask_pin("token", 8, "signing", False)
    with pytest.raises(PinRequired):
        _OnePin(None).ask_pin("token", 8, "signing", False)
    assert person.choose_token([]) is None


def test_a_touch_is_told_where_opensshs_own_line_is_not_seen(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("fidokit.prompt.questions.TERMINAL", str(tmp_path / "none"))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    person = _OnePin(None)
    person.touch_wanted("Token (usb:1)", "signing")
    person.touch_over()
    assert capfd.readouterr().err == "Touch your security key (Token (usb:1)): signing\n"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    person.touch_wanted("Token (usb:1)", "signing")
    assert capfd.readouterr().err == ""
