"""`fidokit server authorize` over stock ssh and sshd: let in, let out, and no line lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.sshd import Sshd, running

from fidokit.errors import FidokitError, UsageError
from fidokit.server.authorize.authorization import (
    AuthorizeTarget,
    authorize_keys,
    key_options,
    revoke_keys,
)
from fidokit.server.authorize.lines import line_name

pytestmark = pytest.mark.interop


@pytest.fixture
def user() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def keys(tmp_path: Path, stock: Callable[[str], str]) -> dict[str, Path]:
    made = {name: tmp_path / name for name in ("admin", "new")}
    for path in made.values():
        subprocess.run(
            [stock("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path],
            check=True,
        )
    return made


@pytest.fixture
def server(tmp_path: Path, keys: dict[str, Path], stock: Callable[[str], str]) -> Iterator[Sshd]:
    """Knows the admin's key alone."""
    letting_in = tmp_path / "authorized_keys"
    letting_in.write_text("# ours\n" + keys["admin"].with_suffix(".pub").read_text())
    with running(
        tmp_path / "sshd", f"AuthorizedKeysFile {letting_in}", sshd=stock("/usr/sbin/sshd")
    ) as found:
        yield found


def logs_in(server: Sshd, key: Path, user: str) -> bool:
    done = subprocess.run(
        [*server.client("-i", str(key)), f"{user}@127.0.0.1", "true"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode == 0


def test_in_and_out_over_ssh(
    server: Sshd, keys: dict[str, Path], user: str, tmp_path: Path
) -> None:
    place = AuthorizeTarget(
        destination=f"{user}@127.0.0.1",
        ssh=server.client("-i", str(keys["admin"])),
        path=str(tmp_path / "authorized_keys"),
    )
    assert not logs_in(server, keys["new"], user)
    done = authorize_keys([str(keys["new"])], place)
    assert [line.comment for line in done.change.added] == ["new"]
    assert done.warnings == ()
    assert logs_in(server, keys["new"], user)
    assert logs_in(server, keys["admin"], user)
    revoke_keys([str(keys["new"])], place)
    assert not logs_in(server, keys["new"], user)
    assert logs_in(server, keys["admin"], user)
    assert (tmp_path / "authorized_keys").read_text().startswith("# ours\n")


def test_options_hold(server: Sshd, keys: dict[str, Path], user: str, tmp_path: Path) -> None:
    place = AuthorizeTarget(
        destination=f"{user}@127.0.0.1",
        ssh=server.client("-i", str(keys["admin"])),
        path=str(tmp_path / "authorized_keys"),
    )
    authorize_keys([str(keys["new"])], place, options=key_options(["from=192.0.2.1"]))
    assert not logs_in(server, keys["new"], user)
    authorize_keys([str(keys["new"])], place, options=key_options(["from=127.0.0.1"]))
    assert logs_in(server, keys["new"], user)
    with pytest.raises(UsageError, match="is past"):
        authorize_keys([str(keys["new"])], place, options=key_options(["expiry-time=20200101"]))
    assert logs_in(server, keys["new"], user)


def test_a_login_that_is_refused_is_told(server: Sshd, keys: dict[str, Path], user: str) -> None:
    place = AuthorizeTarget(
        destination=f"{user}@127.0.0.1", ssh=server.client("-i", str(keys["new"]))
    )
    with pytest.raises(FidokitError, match="ssh ended"):
        authorize_keys([str(keys["new"])], place)


def test_here(keys: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine's sshd is told, ssh-keygen reads."""
    monkeypatch.setenv("HOME", str(tmp_path))
    place = AuthorizeTarget(path=".ssh/authorized_keys")
    done = authorize_keys([str(keys["new"])], place, options=key_options(["restrict"]))
    assert done.where == str(tmp_path / ".ssh/authorized_keys")
    shown = subprocess.check_output(["ssh-keygen", "-lf", done.where], text=True)
    assert line_name(done.change.added[0]).split()[0] in shown
