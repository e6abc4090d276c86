"""Files besides authorized_keys that decide who logs in, and who may change them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.server.settings import settings

from fidokit.findings import FindingKind
from fidokit.server.accounts import Account
from fidokit.server.check.findings.finding import CheckFinding
from fidokit.server.check.findings.server_files import ServerFiles

ME = os.geteuid()


@pytest.fixture
def files() -> ServerFiles:
    return ServerFiles(frozenset({0, ME}))


@pytest.fixture
def loose(tmp_path: Path) -> Path:
    path = tmp_path / "a file"
    path.write_text("")
    path.chmod(0o666)
    return path


def ids(found: Iterable[CheckFinding]) -> list[str]:
    return [finding.kind.id for finding in found]


@pytest.mark.parametrize(
    ("keyword", "value", "kind"),
    [
        ("hostkey", "{}", "FK304"),
        ("trustedusercakeys", "{}", "FK305"),
        ("revokedkeys", "{}", "FK306"),
        ("authorizedkeyscommand", "'{}' %u", "FK308"),
        ("authorizedkeyscommand", '"{}" ssh-authorized-keys %u', "FK308"),
        ("authorizedprincipalscommand", "'{}'", "FK308"),
    ],
)
def test_what_settings_name(
    files: ServerFiles, loose: Path, keyword: str, value: str, kind: str
) -> None:
    given = settings(**{keyword: value.format(loose)})
    found = [*files.of_settings(given)]
    assert set(ids(found)) == {kind}
    assert found[0].path == str(loose)
    assert found[0].fix == ("chmod", "go-w", str(loose))
    assert "everybody may write to" in found[0].why
    assert [*files.of_settings(given)] == []  # once is enough


@pytest.mark.parametrize("value", ["none", "None", ""])
def test_none_is_no_file(files: ServerFiles, value: str) -> None:
    keywords = ("hostkey", "trustedusercakeys", "revokedkeys", "authorizedkeyscommand")
    assert [*files.of_settings(settings(**dict.fromkeys(keywords, value)))] == []


def test_a_command_that_no_shell_splits(files: ServerFiles, loose: Path) -> None:
    assert [*files.of_settings(settings(authorizedkeyscommand=f'{loose.parent}/x "'))] == []


def test_a_folder_on_the_way(files: ServerFiles, tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    folder.chmod(0o777)
    names = [str(folder / "a.conf"), str(folder / "b.conf")]
    (found,) = files.of_configuration(names)
    assert found.kind.id == "FK303"
    assert found.path == str(folder)
    assert found.why == f"everybody may write to {folder}, on the way to {names[0]}"


def test_a_principals_file_may_belong_to_its_user(tmp_path: Path, files: ServerFiles) -> None:
    account = Account("alice", ME, ME, tmp_path)
    path = tmp_path / "principals"
    path.write_text("")
    given = settings(authorizedprincipalsfile="%h/principals")
    assert [*files.of_user(account, given)] == []
    path.chmod(0o662)
    (found,) = files.of_user(account, given)
    assert (found.kind.id, found.user, found.path) == ("FK307", "alice", str(path))
    kinds: set[FindingKind] = {found.kind}
    assert len(kinds) == 1


@pytest.mark.root
def test_somebody_elses_file(tmp_path: Path) -> None:
    path = tmp_path / "sshd_config"
    path.write_text("")
    os.chown(path, 65534, 0)
    (found,) = ServerFiles(frozenset({0})).of_configuration([str(path)])
    assert found.why == f"{path} belongs to nobody"
    assert found.fix == ("chown", "-h", "root", str(path))


@pytest.mark.parametrize("name", ["*.conf", "[a-z]*.conf", "?/x.conf", "absent.conf"])
def test_the_folder_of_drop_ins_may_be_empty(files: ServerFiles, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    assert [*files.of_configuration([], [f"{folder}/{name}"])] == []
    folder.chmod(0o777)
    found = [*ServerFiles(frozenset({0, ME})).of_configuration([], [f"{folder}/{name}"])]
    assert [(finding.kind.id, finding.path) for finding in found] == [("FK303", str(folder))]
