"""Every user's files: sshd is asked about several at a time, and odd names stop nobody else."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from fidokit.errors import SshdNotAsked
from fidokit.server.accounts import Account
from fidokit.server.authorize import removal
from fidokit.server.authorize.local import LocalSshd
from fidokit.server.authorize.removal import files_of_all
from fidokit.server.sshd.query import Ran, Sshd

SAID = "pubkeyauthentication yes\nauthorizedkeysfile .ssh/authorized_keys\n"


class Counted:
    """An sshd that answers once two are asked at the same time."""

    def __init__(self, refused: str = "") -> None:
        self.refused = refused
        self.asked: list[str] = []
        self.together = threading.Barrier(2)

    def __call__(self, argv: Sequence[str]) -> Ran:
        self.asked.append(argv[-1])
        self.together.wait(30)
        if self.refused and self.refused in argv[-1]:
            return Ran(1, "", "terminating, 1 bad configuration options")
        return Ran(0, SAID, "")


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names = [f"u{number}" for number in range(8)]
    found = [Account(name, 0, 0, tmp_path / name) for name in names]
    monkeypatch.setattr(removal, "all_accounts", lambda: list(found))
    found.append(Account("a,b", 0, 0, tmp_path / "odd"))
    return names


def test_several_users_at_a_time_and_progress(users: list[str]) -> None:
    sshd = Counted()
    steps: list[tuple[int, int]] = []
    failures: list[str] = []
    server = LocalSshd(Sshd("/sshd", run=sshd))
    files = list(
        files_of_all(
            server, progress=lambda done, of: steps.append((done, of)), failed=failures.append
        )
    )
    assert [one.user.name for one in files] == users
    assert {spec.partition(",")[0] for spec in sshd.asked} == {f"user={name}" for name in users}
    assert steps == [(number, 9) for number in range(9)]
    assert failures == ["not checked for 'a,b': sshd -T cannot be asked about a user called 'a,b'"]


def test_an_sshd_that_does_not_tell_ends_it(users: list[str]) -> None:
    server = LocalSshd(Sshd("/sshd", run=Counted(refused=f"user={users[3]},")))
    with pytest.raises(SshdNotAsked, match="could not be asked"):
        list(files_of_all(server))
