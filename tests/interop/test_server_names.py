"""Users with names that a shell would obey: names to us, and no more."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.agent_host import Host, make_host

pytestmark = [
    pytest.mark.interop,
    pytest.mark.root,
]

NAMES = ("a;touch owned", "$(touch owned)", "`touch owned`", "it's", '"|&<*')
UID = 4001


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that sshd's StrictModes trust, all the way up."""
    with tempfile.TemporaryDirectory(dir="/run") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.parametrize("name", NAMES)
def test_a_user_is_let_in_and_reported(folder: Path, tmp_path: Path, name: str) -> None:
    """Stock ssh takes no such name; so the report is the judge, with sshd's own settings."""
    host = make_host(tmp_path / "home")
    host.keygen("-t", "ed25519", "-N", "", "-f", "key")
    home = folder / "home"
    home.mkdir()
    os.chown(home, UID, UID)
    people = folder / "passwd"
    people.write_text(f"{Path('/etc/passwd').read_text()}{name}:x:{UID}:{UID}::{home}:/bin/sh\n")
    as_seen = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"')
    fidokit = (*as_seen, str(people), sys.executable, "-m", "fidokit", "server")
    host.run(*fidokit, "authorize", "key.pub", "--user", name)
    written = home / ".ssh" / "authorized_keys"
    assert written.read_text() == (host.home / "key.pub").read_text()
    assert written.stat().st_uid == UID
    user = report(host, folder, [*fidokit, "check", "--json", "--user", name])
    assert user["user"] == name
    (file,) = [file for file in user["files"] if file["lines"]]
    assert [line["refused"] for line in file["lines"]] == [[]]
    assert not [*folder.rglob("owned"), *host.home.rglob("owned")]


def report(host: Host, folder: Path, command: list[str]) -> dict[str, Any]:
    config = folder / "config"
    config.write_text("AuthorizedKeysFile .ssh/authorized_keys\n")
    done = host.run(*command, "--config", str(config))
    (user,) = json.loads(done.stdout)["users"]
    return dict(user)
