"""`server harden second-factor` and the real PAM module: key, then code, and no password; and back.

As root: sshd runs with users, homes and PAM services of the test's own (tests/support/private_etc).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.private_etc import UID, USER, PrivateEtc, private_etc
from tests.support.sshd import Sshd, running
from tests.support.typist import Seen, converse

from fidokit.server.otp.format import Method, Rules, compose

pytestmark = [
    pytest.mark.interop,
    pytest.mark.root,
]

SERVICE = """\
@include common-auth
account required pam_permit.so
session required pam_permit.so
"""
"""As Debian has it: after the code, common-auth would ask for the password, which nobody has."""

CODES = ("12345678", "23456789")


@dataclass
class Site:
    """A server, its user, and fidokit beside it."""

    etc: PrivateEtc
    server: Sshd
    key: Path

    def harden(self, *words: str) -> subprocess.CompletedProcess[str]:
        where = ("--config", str(self.server.config), "--pid-file", f"{self.server.folder}/pid")
        return self.etc.run([sys.executable, "-m", "fidokit", "server", "harden", *where, *words])

    def enroll(self) -> None:
        path = self.etc.home / ".google_authenticator"
        rules = Rules(3, None, reuse=False)
        path.write_bytes(compose(bytes(20), Method.TOTP, rules, CODES).encode())
        os.chown(path, UID, UID)
        path.chmod(0o400)

    def ssh(self, code: str = "") -> Seen:
        program, *words = self.server.client("-i", str(self.key), "-oNumberOfPasswordPrompts=1")
        command = [program, "-oBatchMode=no", *words, f"{USER}@127.0.0.1", "echo here"]
        return converse(command, [("Verification code: ", code), ("Password: ", "x")])


@pytest.fixture
def site(tmp_path: Path, stock: Callable[[str], str]) -> Iterator[Site]:
    stock("google-authenticator")  # of the same package as the module
    etc = private_etc(tmp_path)
    for path in Path("/etc/pam.d").iterdir():
        shutil.copy(path, tmp_path / "pam.d" / path.name)
    etc.service("sshd", SERVICE)
    key = tmp_path / "key"
    subprocess.run([stock("ssh-keygen"), "-qt", "ed25519", "-N", "", "-f", key], check=True)
    (tmp_path / "home/keys").write_text(key.with_suffix(".pub").read_text())
    folder = tmp_path / "sshd"
    (folder / "sshd_config.d").mkdir(parents=True)
    settings = (
        f"Include {folder}/sshd_config.d/*.conf",
        "UsePAM yes",
        "AuthorizedKeysFile /home/keys",
    )
    sshd = stock("/usr/sbin/sshd")
    with running(folder, *settings, sshd=sshd, within=etc.within([])) as server:
        yield Site(etc, server, key)


def test_key_and_code_and_back(site: Site) -> None:
    assert site.ssh().status == 0
    stopped = site.harden("second-factor", "--user", USER)
    assert stopped.returncode == 1
    assert f"these have no codes to log in with: {USER} (" in stopped.stderr
    site.enroll()
    done = site.harden("second-factor", "--user", USER)
    assert done.returncode == 0, done.stderr
    assert "together are not recommended" in done.stderr

    seen = site.ssh(CODES[0])
    assert seen.status == 0, seen.text + site.server.log()
    assert "Password" not in seen.text
    assert site.ssh(CODES[0]).status == 255  # used
    assert site.ssh("000000").status == 255
    assert site.ssh(CODES[1]).status == 0

    undone = site.harden("--undo")
    assert undone.returncode == 0, undone.stderr
    assert (site.etc.folder / "pam.d/sshd").read_text() == SERVICE
    seen = site.ssh()
    assert seen.status == 0
    assert "Verification" not in seen.text


def test_a_password_alone_lets_nobody_in(site: Site) -> None:
    site.enroll()
    site.harden("second-factor", "--user", USER)
    program, *words = site.server.client("-oPreferredAuthentications=password,keyboard-interactive")
    command = [program, "-oBatchMode=no", *words, f"{USER}@127.0.0.1", "true"]
    seen = converse(command, [("assword: ", "x"), ("code: ", CODES[0])])
    assert seen.status == 255
    assert "Permission denied (publickey)" in seen.text
