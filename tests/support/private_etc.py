"""A machine with users and PAM services of its own, as root: this one's /etc is not touched.

Programs run in a mount namespace of theirs, where files of the test lie over /etc/passwd and the
like, over /etc/pam.d and over /home.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

UID = 64_321
USER = "otto"
ENTER = """
set -e
for name in passwd group shadow pam.d; do mount --bind "$1/$name" "/etc/$name"; done
mount --bind "$1/home" /home
shift
exec "$@"
"""


@dataclass(frozen=True)
class PrivateEtc:
    """Where the files are."""

    folder: Path

    def within(self, command: list[str]) -> list[str]:
        """The command line that runs a program there."""
        entering = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]
        return [*entering, str(self.folder), *command]

    def as_user(self, command: list[str]) -> list[str]:
        """The same, as the user."""
        who = [f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
        return self.within(["setpriv", *who, "env", f"HOME=/home/{USER}", *command])

    @property
    def home(self) -> Path:
        """The user's home folder, as it is seen from outside."""
        return self.folder / "home" / USER

    def service(self, name: str, text: str) -> None:
        """Define a PAM service."""
        (self.folder / "pam.d" / name).write_text(text)

    def run(self, command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program there to its end."""
        return subprocess.run(
            self.within(command),
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            start_new_session=True,
            check=False,
        )


def private_etc(folder: Path) -> PrivateEtc:
    """Make one, with this machine's users and one more, who has no password."""
    made = PrivateEtc(folder)
    made.home.mkdir(parents=True)
    shutil.chown(made.home, UID, UID)
    made.home.chmod(0o700)
    (folder / "home").chmod(0o755)
    (folder / "pam.d").mkdir()
    lines = {
        "passwd": f"{USER}:x:{UID}:{UID}::/home/{USER}:/bin/sh",
        "group": f"{USER}:x:{UID}:",
        "shadow": f"{USER}:*:19000:0:99999:7:::",
    }
    for name, line in lines.items():
        text = Path("/etc", name).read_text()
        (folder / name).write_text(f"{text.rstrip()}\n{line}\n")
        (folder / name).chmod(0o600 if name == "shadow" else 0o644)
    return made
