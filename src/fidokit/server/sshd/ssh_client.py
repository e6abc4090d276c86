"""The stock ssh, as it is called to ask a throw-away sshd."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from typing import Final

from fidokit.errors import FidokitError

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]*\Z")


def user_config(user: str) -> str:
    """A configuration for ssh that names a user; its command line takes no `\\` and no `$`.

    Raises:
        FidokitError: a name that cannot stand there.
    """
    if any(sign in user for sign in '"\n\r\0'):
        raise FidokitError(f"ssh cannot be asked to log in as {user!r}")
    return f"User {user}\n" if _PLAIN_NAME.match(user) else f'User "{user}"\n'


def environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What ssh needs of the environment: the agent, the provider, how to ask, and the path."""
    given = os.environ if environ is None else environ
    return {"LC_ALL": "C.UTF-8", **{name: value for name, value in given.items() if _kept(name)}}


def _kept(name: str) -> bool:
    return not name.startswith("LC_") and name not in {"LANG", "LANGUAGE"}


@cache
def every_algorithm() -> str:
    """All that the installed ssh can sign by, also what it does not offer by default.

    A pattern would not do: of RSA's algorithms ssh takes one that its list names.
    """
    command = [find_client("ssh"), "-Q", "PubkeyAcceptedKeyTypes"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    names = sorted(done.stdout.split(), key=lambda name: name.startswith(("ssh-rsa", "ssh-dss")))
    return ",".join(names) or "+ssh-rsa"


def find_client(name: str) -> str:
    """The whole path of one of OpenSSH's clients.

    Raises:
        FidokitError: it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise FidokitError(
            f"{name} is not installed here", hint="it comes with openssh-client, as ssh does"
        )
    return found
