"""Our rules by the udev of each release: what an installed udev makes of them, group or none.

udevadm goes over /dev/null in mounts of its own, as if that were a token. Debian 12's udev meets
our token itself, in tests/kernel/test_udev.py.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.support.roots import elsewhere, required

from fidokit.system.host import Host
from fidokit.system.udev import RULES_NAME, rules_text
from fidokit.tokens.udev_rules import install_udev_rules

pytestmark = [pytest.mark.interop, pytest.mark.root]

TOKEN = 'KERNEL=="null", ENV{ID_FIDO_TOKEN}="1"\n'
SEEN = 'TAG=="uaccess", ENV{FIDOKIT_SEAT}="yes"\n'
OLD_FORM = 'KERNEL=="null", TAG+="uaccess", GROUP="nobodys", ENV{FIDOKIT_OLD}="yes"\n'
PREPARE = """
set -e
for folder in /dev /run; do mount -t tmpfs none $folder; done
mknod -m 666 /dev/null c 1 3
mkdir -p /etc/udev/rules.d
mount -t tmpfs none /etc/udev/rules.d
cp "$1"/*.rules /etc/udev/rules.d/
for group in $2; do echo "$group" >>"$1/group"; done
mount --bind "$1/group" /etc/group
udevadm --version
udevadm test /sys/class/mem/null 2>&1
stat -c gid=%g /dev/null # up to some version it is not a dry run
if udevadm verify --help >/dev/null 2>&1; then udevadm verify --no-style "$1/ours" 2>&1 || true; fi
"""


class Udev:
    """The udev of a release."""

    def __init__(self, suite: str, folder: Path) -> None:
        self.suite, self.folder = suite, folder

    def __call__(self, rules: str, *groups: str) -> str:
        """What it says of /dev/null, and of the file, with these lines at the end of /etc/group."""
        (self.folder / "60-token.rules").write_text(TOKEN)
        (self.folder / "61-old.rules").write_text(OLD_FORM)
        as_if = rules.replace('SUBSYSTEM!="hidraw"', 'SUBSYSTEM!="mem"')
        assert as_if != rules
        (self.folder / RULES_NAME).write_text(as_if)
        (self.folder / "99-seen.rules").write_text(SEEN)
        (self.folder / "ours").mkdir()
        (self.folder / "ours" / RULES_NAME).write_text(rules)
        (self.folder / "group").write_text("root:x:0:\ntty:x:5:\ndisk:x:6:\n")
        command = ["sh", "-c", PREPARE, "sh", str(self.folder), " ".join(groups)]
        place = str(self.folder)
        command = required(self.suite).within(command, show={place: place})
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done
        return done.stdout


@pytest.fixture(params=elsewhere())
def udev(request: pytest.FixtureRequest, tmp_path: Path) -> Udev:
    return Udev(request.param, tmp_path)


def group_given(said: str) -> bool:
    return re.search(r"GROUP 950\b|[Gg]roup ID: 950\b|gid=950\b", said) is not None


def installed(folder: Path, groups: str, group: str | None = None) -> str:
    """What `udev install` writes on a machine with these groups."""
    (folder / "machine/etc").mkdir(parents=True)
    (folder / "machine/etc/group").write_text(groups)
    host = Host(root=folder / "machine", run=lambda _argv: "")
    return install_udev_rules(group, host=host).path.read_text()


def test_the_seat_counts_where_the_group_does_not_exist(udev: Udev, tmp_path: Path) -> None:
    said = udev(installed(tmp_path, "root:x:0:\n"))
    assert "FIDOKIT_SEAT=yes" in said
    assert "/dev/fidokit/by-id/token_null" in said or "fidokit/by-id/token_null" in said
    assert not group_given(said)
    assert "Fail:    1" not in said


def test_a_group_gets_the_token(udev: Udev, tmp_path: Path) -> None:
    said = udev(installed(tmp_path, "fido:x:950:\n", "fido"), "fido:x:950:")
    assert "FIDOKIT_SEAT=yes" in said
    assert group_given(said)
    assert "Fail:    1" not in said


def test_a_group_that_went_takes_nothing_with_it(udev: Udev) -> None:
    """And this is why: the form that all distributions' examples have is dropped as a whole."""
    said = udev(rules_text("fido", with_group=True))
    version = int(said.split(maxsplit=1)[0].partition("~")[0])
    assert "FIDOKIT_SEAT=yes" in said
    assert ("FIDOKIT_OLD=yes" in said) is (version < 258)
