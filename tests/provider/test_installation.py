from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fidokit.errors import NoPermission, PinRequired, PinWrong, Unsupported
from fidokit.files import atomic
from fidokit.provider import installation, library
from fidokit.provider.installation import install_provider, provider_path, trusted_provider
from fidokit.system.host import Host

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
    assert installation.provider_api(host(banner)) == version


def test_an_ssh_that_is_too_old() -> None:
    with pytest.raises(Unsupported, match=r"8\.4"):
        installation.provider_api(host("OpenSSH_8.4p1 Debian-5"))


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


def test_installing(built: Path, tmp_path: Path) -> None:
    done = install_provider(tmp_path / "lib", sk_api=9)
    assert done.path == tmp_path / "lib" / "sk_fidokit_9.so"
    assert done.path.read_bytes() == b"sk_fidokit_9.so"
    assert done.python == sys.executable
    assert done.closed == library.unreachable_part(sys.executable)


def test_what_an_agent_is_told(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy that ssh-agent trusts, where there is one."""
    monkeypatch.setattr(installation, "INSTALL_FOLDER", tmp_path / "lib")
    version = installation.provider_api()
    assert trusted_provider() == built / library.FILES[version]
    copy = install_provider(tmp_path / "lib").path
    assert trusted_provider() == copy


def test_the_pin_that_openssh_asked_for() -> None:
    person = installation._OnePin("1234")
    assert person.ask_pin("token", 8, "signing", False).utf8() == b"1234"
    assert "1234" not in repr(person)
    with pytest.raises(PinWrong, match="too short"):
        installation._OnePin("12").ask_pin("token", 8, "signing", False)
    with pytest.raises(PinRequired):
        installation._OnePin(None).ask_pin("token", 8, "signing", False)
    assert person.choose_token([]) is None
