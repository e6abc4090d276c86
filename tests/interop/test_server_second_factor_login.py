"""`server harden second-factor` and the real PAM module: key, then code, and no password; and back.

As root: sshd runs with users, homes and PAM services of the test's own (tests/support/private_etc).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.private_etc import USER
from tests.support.second_factor import CODES, SERVICE, Site, second_factor_site
from tests.support.typist import converse

pytestmark = [
    pytest.mark.interop,
    pytest.mark.root,
]


@pytest.fixture
def site(tmp_path: Path, stock: Callable[[str], str]) -> Iterator[Site]:
    with second_factor_site(tmp_path, stock) as made:
        yield made


def test_key_and_code_and_back(site: Site) -> None:
    assert site.ssh().status == 0
    stopped = site.harden("second-factor", "--user", USER)
    assert stopped.returncode == 1
    assert f"would be locked out, since no code lets them in: {USER} (" in stopped.stderr
    assert f"would be locked out: {USER} (" in stopped.stdout
    site.enroll()
    done = site.harden("second-factor", "--user", USER)
    assert done.returncode == 0, done.stderr
    assert "together are not recommended" in done.stderr
    assert f"{USER}: login  by a key and a code" in done.stdout
    assert f"would get in: {USER}" in done.stdout
    assert not list(site.etc.folder.glob("pam.d/fidokit-trial-*"))

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


def test_homes_that_cannot_be_written_stop_it(site: Site) -> None:
    """As in an sftp chroot: the module would refuse every login, emergency codes too."""
    site.enroll()
    os.chown(site.etc.home, 0, 0)
    site.etc.home.chmod(0o755)
    before = (site.etc.folder / "pam.d/sshd").read_text()
    done = site.harden("second-factor", "--user", USER)
    assert done.returncode == 1
    assert f"{USER} (/home/{USER} cannot be written to: Permission denied" in done.stderr
    assert (site.etc.folder / "pam.d/sshd").read_text() == before
    kept = "/home/otp/${USER}"
    (site.etc.home / ".google_authenticator").unlink()
    program = [sys.executable, "-m", "fidokit", "otp", "enroll", "--no-confirm", "--qr", "none"]
    enrolled = site.etc.run([*program, "--user", USER, "--secret-file", kept])
    assert enrolled.returncode == 0, enrolled.stderr
    done = site.harden("second-factor", "--user", USER, "--secret-file", kept)
    assert done.returncode == 0, done.stderr
    code = re.findall(r"^  ([0-9]{8})$", enrolled.stdout, re.MULTILINE)[0]
    seen = site.ssh(code)
    assert seen.status == 0, seen.text + site.server.log()
    assert site.ssh(code).status == 255


def test_the_service_is_the_one_that_sshd_names(site: Site) -> None:
    """Before OpenSSH 9.8 it has sshd's own name; then PAMServiceName says it."""
    site.enroll()
    done = site.harden("second-factor", "--user", USER, reload=False)
    assert done.returncode == 0, done.stderr
    assert "written  /etc/pam.d/sshd" in done.stdout
    advice = r"^It takes effect when sshd is reloaded: sudo (kill -HUP [0-9]+)$"
    (command,) = re.findall(advice, done.stdout, re.MULTILINE)
    assert site.ssh().status == 0, "until then the key alone does"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0
    asked = any("Verification code" in site.ssh().text for _ in range(50))
    assert asked, "the command that it printed has sshd take it"
    site.enroll()
    assert site.ssh(CODES[0]).status == 0
