"""Real logins by a key and a one-time code, on a throw-away sshd with the PAM stack to come.

The module burns codes and rewrites the secret file, so that it gets a copy of each secret, in a
folder of its user's; whether it could write the real file, `google_authenticator.unwritable` tells.
The stack stands in /etc/pam.d for the time being, under a name that no program has.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.errors import FidokitError
from fidokit.files.disk_errors import explained
from fidokit.server.accounts import Account
from fidokit.server.locks import own_folder
from fidokit.server.otp import google_authenticator as on_disk
from fidokit.server.otp.enrollment import next_code
from fidokit.server.otp.format import OtpFile
from fidokit.server.otp.pam import FOLDER, SecretPlace, service_text
from fidokit.server.sshd.trial import Trial

_AUTHENTICATED: Final = re.compile(r"^Authenticated to ", re.MULTILINE)
_TRIES: Final = 2
"""The code of a step may be over when it arrives."""

# sshd takes the first value of a setting; of Match blocks that hold, the first one counts.
_OWN: Final = """\
StrictModes no
Include {folder}/codes.conf
"""
_ALWAYS: Final = """\
Match all
AuthorizedKeysFile {folder}/key.pub
AuthorizedKeysCommand none
PubkeyAcceptedKeyTypes ssh-ed25519
PubkeyAuthOptions none
"""
_OPTIONS: Final = (
    "-oBatchMode=no",
    "-oIdentityAgent=none",
    "-oPreferredAuthentications=publickey,keyboard-interactive",
    "-oNumberOfPasswordPrompts=1",
)


@dataclass(frozen=True)
class CodeProof:
    """What is known of a user's codes.

    Attributes:
        works: whether a login by a key and a code worked; None if it could not be tried.
        why: the reason where it did not, or could not be tried.
    """

    user: str
    works: bool | None
    why: str = ""


@dataclass(frozen=True)
class CodeTrial:
    """Users who log in to a throw-away sshd by a key of ours and a code of theirs.

    Attributes:
        trial: the sshd, with the PAM stack to come.
        folder: the key, and copies of the secrets.
        place: where the secrets are.
    """

    trial: Trial
    folder: Path
    place: SecretPlace

    def prove(
        self, users: Sequence[Account], progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[CodeProof]:
        """Log in as each of the users, several at a time; answers come in their order."""
        contents = [
            self._content(user) for user in users
        ]  # not in threads: rights are the process's
        with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
            for done, proof in enumerate(pool.map(self._proved, users, contents), 1):
                progress(done)
                yield proof

    def _content(self, user: Account) -> OtpFile | str:
        """What is in a user's file; or why they get in by no code whatever sshd says."""
        try:
            why = on_disk.problem(user, self.place)
            content = on_disk.load(user, self.place) if not why else None
        except FidokitError as error:
            return error.message
        if content is None:
            return why
        blocked = content.blocked_for(time.time())
        return f"their rate limit blocks logins for another {blocked} s" if blocked else content

    def _proved(self, user: Account, content: OtpFile | str) -> CodeProof:
        if isinstance(content, str):
            return CodeProof(user.name, False, content)
        words = ""
        try:
            for _ in range(_TRIES):
                code = next_code(content, time.time())
                if code is None:
                    return CodeProof(user.name, None, "their codes cannot be computed here")
                self._copy(user, content)
                seen, words = self.trial.typed(user.name, self._options, code)
                if _AUTHENTICATED.search(seen):
                    return CodeProof(user.name, True)
        except FidokitError as error:
            return CodeProof(user.name, None, error.message)
        return CodeProof(user.name, False, f"a login by key and code failed: {_reason(words)}")

    @property
    def _options(self) -> tuple[str, ...]:
        return (*_OPTIONS, "-i", str(self.folder / "key"))

    def _copy(self, user: Account, content: OtpFile) -> None:
        """Give the module a secret that it may wear out."""
        actor = self.place.actor(user)
        path = _copies(self.folder).path(user)
        with explained(path):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content.encode())
            for one in (path.parent, path):
                os.chown(one, actor.uid, actor.gid)


@contextmanager
def code_trial(
    trial: Callable[[bytes, str], Trial], pam_text: bytes, pam_file: Path, place: SecretPlace
) -> Iterator[CodeTrial]:
    """Set one up for the `with` block; root's alone.

    Args:
        trial: makes the throw-away sshd, of lines that come before all others and the name of its
            PAM stack.
        pam_text: what sshd's PAM service is to say.
        pam_file: where it is to stand.
        place: where the secrets are.

    Raises:
        FidokitError: the disk has no room for it.
    """
    with ExitStack() as stack:
        with explained(own_folder()):
            folder = Path(stack.enter_context(TemporaryDirectory(dir=own_folder())))
            folder.chmod(0o711)  # users' rights read the key and the secrets in it
            (folder / "copies").mkdir(mode=0o711)
            (folder / "codes.conf").write_text(_ALWAYS.format(folder=folder))
        _make_key(folder / "key")
        name = f"fidokit-trial-{os.urandom(8).hex()}"
        staged = FOLDER / name
        text = service_text(pam_text, pam_file, _copies(folder))
        with explained(staged):
            stack.callback(staged.unlink, missing_ok=True)
            staged.write_bytes(text)
        own = _OWN.format(folder=folder)
        yield CodeTrial(trial(own.encode(), name), folder, place)


def _copies(folder: Path) -> SecretPlace:
    return SecretPlace(f"{folder}/copies/${{USER}}/secret")


def _make_key(path: Path) -> None:
    program = shutil.which("ssh-keygen") or "ssh-keygen"
    done = subprocess.run(  # noqa: S603  as ssh-keygen is called by hand
        [program, "-q", "-t", "ed25519", "-N", "", "-C", "throw-away", "-f", str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise FidokitError(f"ssh-keygen makes no key for a trial: {said}")
    path.with_suffix(".pub").chmod(0o644)


def _reason(words: str) -> str:
    """What sshd noted down last of a login that failed."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    telling = [line for line in lines if "PAM" in line or "denied" in line or "rror" in line]
    return (telling or lines or ["nothing was recorded"])[-1]
