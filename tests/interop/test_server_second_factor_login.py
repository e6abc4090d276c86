"""`server harden second-factor` and the real PAM module: key, then code, and no password; and back.

As root: sshd runs with users, homes and PAM services of the test's own (tests/support/private_etc).
"""

from __future__ import annotations

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
