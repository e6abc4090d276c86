"""Installing udev rules: whole, told to udev, and nothing of the administrator overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.errors import FileInTheWay, NoPermission, UsageError, WouldOverwrite
from fidokit.system.host import Host
from fidokit.tokens import udev_rules

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("plugdev:x:46:\n")
    return Host(root=tmp_path, run=lambda _argv: "")


def test_the_rules_are_at_hand() -> None:
    assert 'TAG+="uaccess"' in udev_rules.rules_text()
    assert udev_rules.RULES_PATH == "/etc/udev/rules.d/70-fidokit.rules"


def test_they_are_written_once(host: Host) -> None:
    done = udev_rules.install_udev_rules(host=host)
    used = udev_rules.GroupState.USED
    assert done == udev_rules.Installed(host.path(udev_rules.RULES_PATH), True, None, used)
    assert done.path.read_text() == udev_rules.rules_text(with_group=True)
    assert done.path.stat().st_mode & 0o777 == 0o644
    assert udev_rules.install_udev_rules(host=host).changed is False
    assert [path.name for path in done.path.parent.iterdir()] == ["70-fidokit.rules"]


def test_one_that_the_administrator_changed_is_left_alone(host: Host) -> None:
    path = udev_rules.install_udev_rules(host=host).path
    path.write_text("mine")
    with pytest.raises(FileInTheWay, match="differs"):
        udev_rules.install_udev_rules(host=host)
    assert path.read_text() == "mine"
    assert udev_rules.install_udev_rules(host=host, force=True).changed is True
    assert path.read_text() == udev_rules.rules_text(with_group=True)


def test_another_group_is_another_file(host: Host) -> None:
    with host.path("/etc/group").open("a") as groups:
        groups.write("fido:x:950:\n")
    udev_rules.install_udev_rules(host=host)
    with pytest.raises(FileInTheWay):
        udev_rules.install_udev_rules("fido", host=host)
    done = udev_rules.install_udev_rules("fido", host=host, force=True)
    assert '\nENV{ID_FIDO_TOKEN}=="1", GROUP="fido"' in done.path.read_text()


def test_a_machine_without_the_group_gets_rules_that_name_none(host: Host) -> None:
    """And when the group came, or went, the same command follows."""
    groups = host.path("/etc/group")
    groups.write_text("root:x:0:\n")
    done = udev_rules.install_udev_rules(host=host)
    assert (done.changed, done.group) == (True, "missing")
    assert done.path.read_text() == udev_rules.rules_text()
    groups.write_text("plugdev:x:46:\n")
    assert udev_rules.install_udev_rules(host=host).changed
    assert done.path.read_text() == udev_rules.rules_text(with_group=True)
    groups.write_text("root:x:0:\n")
    assert udev_rules.install_udev_rules(host=host).changed
    assert done.path.read_text() == udev_rules.rules_text()


@pytest.mark.parametrize(
    ("name", "groups", "message"),
    [
        ("fido", "plugdev:x:46:\n", "there is no group fido"),
        ("fido", "fido:x:1001:\n", "fido is a group for users"),
        ("no group", "", "cannot be the name of a group"),
    ],
)
def test_a_named_group_that_udev_would_ignore_is_refused(
    host: Host, name: str, groups: str, message: str
) -> None:
    host.path("/etc/group").write_text(groups)
    with pytest.raises(UsageError, match=message):
        udev_rules.install_udev_rules(name, host=host, force=True)
    assert not host.path(udev_rules.RULES_PATH).exists()


@pytest.mark.parametrize("size", [udev_rules._MOST, udev_rules._MOST + 1])
def test_a_huge_file_is_none_of_ours(host: Host, size: int) -> None:
    path = host.path(udev_rules.RULES_PATH)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"#" * size)
    with pytest.raises(FileInTheWay):
        udev_rules.install_udev_rules(host=host)


def test_a_link_is_not_followed(host: Host) -> None:
    """`ln -s /dev/null` is how an administrator switches a rules file off."""
    path = host.path(udev_rules.RULES_PATH)
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/null")
    for force in (False, True):
        with pytest.raises(WouldOverwrite):
            udev_rules.install_udev_rules(host=host, force=force)
    assert path.is_symlink()


def test_where_udev_does_not_run(host: Host) -> None:
    silent = Host(root=host.root, run=lambda _argv: None)
    done = udev_rules.install_udev_rules(host=silent)
    assert done.changed
    assert done.problem == "udevadm is not installed"


def test_an_ordinary_user(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> None:
        raise NoPermission("no", hint="ls -ld")

    monkeypatch.setattr("fidokit.files.atomic.replace", refuse)
    with pytest.raises(NoPermission) as caught:
        udev_rules.install_udev_rules(host=host)
    assert "sudo" in str(caught.value.hint)
