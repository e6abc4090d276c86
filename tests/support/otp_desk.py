"""A user with one-time codes, a server that asks for them, and fidokit beside it, as root."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyotp
from tests.support.openssh_version import openssh
from tests.support.private_etc import UID, USER, PrivateEtc, private_etc
from tests.support.sshd import Sshd, running
from tests.support.typist import Seen, converse

from fidokit.server.otp.format import OtpFile, parse

PAGE = (Path(__file__).parents[2] / "docs/otp.md").read_text().partition("## The server")[2]
"""Its two blocks are what an administrator writes: these tests log in by them."""

SETTINGS, AUTH = re.findall(r"^```\n(.*?)^```\n", PAGE, re.MULTILINE | re.DOTALL)
SERVICE = (
    f"{AUTH}@include common-auth\naccount required pam_permit.so\nsession required pam_permit.so\n"
)
PROMPT = "Verification code: "
ENROLL = ("enroll", "--no-confirm", "--qr", "none", "--rate-limit", "none", "--window", "17")
"""No limit: these tests log in more often than people. A wide window: a slow machine takes long."""

SECRET = bytes(range(20))


@dataclass
class Desk:
    """A user with a key, the server that wants a code too, and fidokit beside it."""

    etc: PrivateEtc
    server: Sshd
    key: Path

    def fidokit(self, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run `fidokit otp` as root, for the user."""
        verb, *others = words
        program = [sys.executable, "-m", "fidokit", "otp", verb, "--user", USER]
        return self.etc.run([*program, *others], text)

    def enroll(self, *more: str) -> None:
        done = self.fidokit(*ENROLL, "--force", *more)
        assert done.returncode == 0, done.stderr

    @property
    def file(self) -> Path:
        return self.etc.home / ".google_authenticator"

    def content(self) -> OtpFile:
        """What is in the file, which must still be what the PAM module wants."""
        found = self.file.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o400, UID)
        return parse(self.file.read_bytes())

    def put(self, text: bytes, mode: int = 0o400) -> None:
        self.file.unlink(missing_ok=True)
        self.file.write_bytes(text)
        os.chown(self.file, UID, UID)
        self.file.chmod(mode)

    def totp(self, steps: int = 0) -> str:
        """The code of so many steps from now."""
        return pyotp.TOTP(self.content().base32).at(int(time.time()) + 30 * steps)

    def hotp(self, count: int) -> str:
        return pyotp.HOTP(self.content().base32).at(count)

    def ssh(self, code: str, *options: str) -> Seen:
        """Log in with the key and this code."""
        program, *words = self.server.client("-i", str(self.key), "-oNumberOfPasswordPrompts=1")
        command = [
            program,
            "-oBatchMode=no",
            *options,
            *words,
            f"{USER}@127.0.0.1",
            "echo here $USER",
        ]
        return converse(command, [(PROMPT, code)])

    def lets_in(self, code: str) -> bool:
        seen = self.ssh(code)
        assert PROMPT in seen.text, seen.text + self.server.log()
        assert (f"here {USER}" in seen.text) is (seen.status == 0)
        return seen.status == 0

    def verifies(self, code: str, *more: str) -> bool:
        """What `otp verify` says of a code."""
        done = self.fidokit("verify", "--code-file", "-", *more, text=code)
        assert done.returncode in (0, 1), done.stderr
        return done.returncode == 0


@contextmanager
def otp_desk(
    folder: Path, stock: Callable[[str], str], service: str = "", options: str = ""
) -> Iterator[Desk]:
    """One of them, for the `with` block.

    Args:
        service: of PAM, where it has another name than sshd.
        options: more of the module's.
    """
    stock("google-authenticator")  # of the same package as the module
    etc = private_etc(folder)
    for path in Path("/etc/pam.d").glob("common-*"):
        shutil.copy(path, folder / "pam.d" / path.name)
    module = "pam_google_authenticator.so"
    etc.service(service or "sshd", SERVICE.replace(module, f"{module} {options}"))
    key = folder / "key"
    subprocess.run([stock("ssh-keygen"), "-qt", "ed25519", "-N", "", "-f", key], check=True)
    (folder / "home/keys").write_text(key.with_suffix(".pub").read_text())
    settings = (*SETTINGS.splitlines(), "AuthorizedKeysFile /home/keys")
    sshd = stock("/usr/sbin/sshd")
    if service and openssh(sshd) >= (9, 8):
        settings = (f"PAMServiceName {service}", *settings)
    elif service:  # the name by which sshd is called
        (folder / service).symlink_to(sshd)
        sshd = str(folder / service)
    with running(folder / "sshd", *settings, sshd=sshd, within=etc.within([])) as server:
        yield Desk(etc, server, key)
