"""A server, its user with one-time codes, and fidokit beside it, as root.

sshd runs with users, homes and PAM services of the test's own (tests/support/private_etc).
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.private_etc import UID, USER, PrivateEtc, private_etc
from tests.support.sshd import Sshd, running
from tests.support.typist import Seen, converse

from fidokit.server.otp.format import Method, Rules, compose

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

    def harden(self, *words: str, reload: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `fidokit server harden` for this server."""
        program = [sys.executable, "-m", "fidokit", "server", "harden"]
        return self.etc.run([*program, *self.where(reload=reload), *words])

    def where(self, *, reload: bool) -> tuple[str, ...]:
        """Options that name the server."""
        pid = ("--pid-file", f"{self.server.folder}/pid") if reload else ()
        return ("--config", str(self.server.config), *pid)

    def enroll(self) -> None:
        """Give the user a new secret, and codes that nobody has used."""
        path = self.etc.home / ".google_authenticator"
        rules = Rules(3, None, reuse=False)
        path.write_bytes(compose(bytes(20), Method.TOTP, rules, CODES).encode())
        os.chown(path, UID, UID)
        path.chmod(0o400)

    def ssh(self, code: str = "", *options: str) -> Seen:
        """Log in by the key, and by a code where it is asked for."""
        program, *words = self.server.client("-i", str(self.key), "-oNumberOfPasswordPrompts=1")
        command = [program, "-oBatchMode=no", *options, *words, f"{USER}@127.0.0.1", "echo here"]
        return converse(command, [("Verification code: ", code), ("Password: ", "x")])

    def by_code_alone(self, code: str, *options: str) -> Seen:
        """Log in without the key: the code answers whatever is asked."""
        alone = "-oPreferredAuthentications=keyboard-interactive,password"
        program, *words = self.server.client(alone, "-oNumberOfPasswordPrompts=1")
        command = [program, "-oBatchMode=no", *options, *words, f"{USER}@127.0.0.1", "echo here"]
        return converse(command, [(": ", code), (": ", code), (": ", code)])

    @property
    def anew(self) -> str:
        """ssh's option for a server that starts now, and reads the files as they are."""
        sshd = ["/usr/sbin/sshd", "-i", "-f", str(self.server.config)]
        return f"-oProxyCommand={shlex.join(self.etc.within(sshd))}"


@contextmanager
def second_factor_site(
    tmp_path: Path, stock: Callable[[str], str], *settings: str
) -> Iterator[Site]:
    """One of them, for the `with` block.

    Args:
        settings: more lines of sshd_config, which count first.
    """
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
    lines = (
        f"Include {folder}/sshd_config.d/*.conf",
        *settings,
        "UsePAM yes",
        "AuthorizedKeysFile /home/keys",
    )
    sshd = stock("/usr/sbin/sshd")
    with running(folder, *lines, sshd=sshd, within=etc.within([])) as server:
        yield Site(etc, server, key)
