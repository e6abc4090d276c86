"""`fidokit server authorize --host`: what the sshd there reads, and what it proves."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.town import Login, Town, found_town

pytestmark = [pytest.mark.interop, pytest.mark.root]


@pytest.fixture
def town(tmp_path: Path, stock: Callable[[str], str]) -> Town:
    stock("ssh")
    made = found_town(tmp_path, stock("/usr/sbin/sshd"))
    made.key("admin")
    made.key("plain")
    return made


def there(town: Town, login: Login, *arguments: str, user: str = "root", code: int = 0) -> str:
    ssh = shlex.join([*login.ssh, "-i", str(town.folder / "keys/admin")])
    place = ("--host", f"{user}@127.0.0.1", "-e", ssh)
    return town.authorize(*place, *arguments, code=code)


def test_a_central_folder_there(town: Town) -> None:
    folder = town.etc / "keys"
    folder.mkdir()
    (folder / "root").write_text(town.key("admin").read_text())
    town.configure("AuthorizedKeysFile /etc/keys/%u", "PermitRootLogin yes")
    with town.serving() as login:
        said = there(town, login, "plain.pub")
        assert "File: root@127.0.0.1:/etc/keys/root" in said
        assert "lets in: plain" in said
        assert login.says("root", town.key("plain")) == "root"
        again = there(town, login, "plain.pub")
        assert "Nothing changes" in again
        said = there(town, login, "--revoke", "plain.pub")
        assert "Proved: sshd accepts none of them for root" in said
        assert login.says("root", town.key("plain")) == ""
    assert (folder / "root").stat().st_mode & 0o777 == 0o644


def test_the_arguments_of_the_sshd_that_serves_count(town: Town) -> None:
    town.put("alice", town.key("admin").read_text(), "odd")
    with town.serving("-o", "AuthorizedKeysFile=.ssh/odd") as login:
        said = there(town, login, "plain.pub", user="alice")
        assert "File: alice@127.0.0.1:.ssh/odd" in said
        assert login.says("alice", town.key("plain")) == "alice"


def test_an_ordinary_user_there(town: Town) -> None:
    """sshd tells its settings to a user with a host key of their own."""
    town.put("alice", town.key("admin").read_text(), "authorized_keys2")
    with town.serving() as login:
        said = there(town, login, "plain.pub", "--from", "127.0.0.1", user="alice")
        assert "File: alice@127.0.0.1:.ssh/authorized_keys\n" in said
        assert "lets in: plain" in said
        there(town, login, "--revoke", "admin.pub", user="alice")
        assert login.says("alice", town.key("admin")) == ""
        assert login.says("alice", town.key("plain")) == "alice"


def test_settings_that_are_hidden_there(town: Town) -> None:
    town.put("alice", town.key("admin").read_text())
    (town.etc / "ssh/sshd_config").chmod(0o600)
    with town.serving() as login:
        said = there(town, login, "plain.pub", user="alice", code=1)
        assert "could not be asked which files it reads" in said
        assert login.says("alice", town.key("plain")) == ""
        named = ("--path", ".ssh/authorized_keys", "plain.pub")
        said = there(town, login, *named, user="alice")
        assert "accepted: plain" in said
        assert login.says("alice", town.key("plain")) == "alice"


def test_only_these_there(town: Town) -> None:
    town.put("alice", town.key("admin").read_text() + town.key("other").read_text())
    with town.serving() as login:
        there(town, login, "--exclusive", "plain.pub", user="alice")
        assert login.says("alice", town.key("plain")) == "alice"
        assert login.says("alice", town.key("other")) == ""
        assert login.says("alice", town.key("admin")) == ""


def test_what_is_in_the_way_there(town: Town) -> None:
    town.put("alice", town.key("admin").read_text())
    town.key("rsa", kind="rsa")
    town.configure("PubkeyAcceptedKeyTypes ssh-ed25519")
    with town.serving() as login:
        said = there(town, login, "rsa.pub", user="alice", code=1)
        assert "does not let in: rsa (sshd's PubkeyAcceptedAlgorithms leaves out ssh-rsa)" in said
        assert login.says("alice", town.key("rsa")) == ""
