"""fidokit.ssh.revoked on each Debian release: a key gets in nowhere, and gets in again."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.ansible_site import HERE, Controller, Target

pytestmark = [pytest.mark.interop, pytest.mark.root]

LIST = "/etc/ssh/revoked_keys"
OTHER = "/etc/ssh/revoked_for_bob"
DROP_IN = "/etc/ssh/sshd_config.d/0-fidokit-revoked.conf"


@pytest.fixture(autouse=True)
def authorized(site: Controller, web: Target) -> None:
    """Two users who know the key, and one list of ours less."""
    public = (site.files / "plain.pub").read_text()
    for user in ("alice", "bob"):
        web.write(f"/home/{user}/.ssh/authorized_keys", public, user)


def test_a_key_gets_in_nowhere_until_it_is_taken_off(site: Controller, web: Target) -> None:
    key = site.files / "plain.pub"
    wish: dict[str, Any] = {"key": [key.read_text()]}
    planned = site.task("revoked", "--check", "--diff", **wish)
    assert f"+RevokedKeys {LIST}" in planned.out
    assert "+SHA256:" in planned.out
    assert web.read(DROP_IN) == ""
    assert site.says(web, "bob", key) == "bob"
    done = site.task("revoked", **wish).result
    assert done["changed"] is True
    assert sorted(done["proved"]) == ["alice", "bob"]
    assert done["revoked"]["confirmed"] is True
    assert [site.says(web, user, key) for user in ("alice", "bob")] == ["", ""]
    again = site.task("revoked", **wish).result
    assert again["changed"] is False
    assert sorted(again["proved"]) == ["alice", "bob"]
    back = site.task("revoked", **wish, state="absent").result
    assert back["changed"] is True
    assert site.says(web, "bob", key) == "bob"
    assert site.task("revoked", **wish, state="absent").result["changed"] is False
    web.run("rm", DROP_IN, LIST)  # as its first line says
    site.task("hardened", undo=True)  # which reloads


@pytest.mark.parametrize("site", [HERE], indirect=True)
def test_a_user_with_settings_of_their_own_is_found(site: Controller, web: Target) -> None:
    config = web.read("/etc/ssh/sshd_config")
    web.write("/etc/ssh/sshd_config", f"{config}Match User bob\nRevokedKeys {OTHER}\n")
    web.write(OTHER, "")
    try:
        done = site.task("revoked", key=[(site.files / "plain.pub").read_text()], code=2).result
        assert done["changed"] is True
        assert any("still lets in as bob" in one for one in done["failures"])
        assert done["proved"] == ["alice"]
        assert site.says(web, "bob", site.files / "plain.pub") == "bob"
    finally:
        web.write("/etc/ssh/sshd_config", config)
        web.run("rm", DROP_IN, LIST)
        site.task("hardened", undo=True)


@pytest.mark.parametrize("site", [HERE], indirect=True)
def test_of_a_fingerprint_alone_nothing_is_proved(site: Controller, web: Target) -> None:
    key = site.files / "plain.pub"
    print_ = site.host.run("ssh-keygen", "-lf", key).stdout.decode().split()[1]
    done = site.task("revoked", key=[print_])
    assert done.result["proved"] == []
    assert "of which only the fingerprint is known" in done.told
    assert site.says(web, "bob", key) == ""
    web.run("rm", DROP_IN, LIST)
    site.task("hardened", undo=True)
