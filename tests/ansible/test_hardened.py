"""fidokit.ssh.hardened on each Debian release: proved, in force, repeated, undone."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.ansible_site import HERE, Controller, Target

pytestmark = [pytest.mark.interop, pytest.mark.root]

FILE = "/home/alice/.ssh/authorized_keys"


@pytest.fixture(autouse=True)
def keys_of_alice(site: Controller, web: Target) -> None:
    """One key in a file, one on a token."""
    text = "".join((site.files / f"{name}.pub").read_text() for name in ("plain", "alice"))
    web.run("rm", "-rf", "/home/alice/.ssh")
    web.write(FILE, text, "alice")


def test_a_level_and_back(site: Controller, web: Target) -> None:
    before = web.files()
    plain, token = site.files / "plain.pub", site.files / "alice.pub"
    wish: dict[str, Any] = {"level": ["hardware-only"]}
    planned = site.task("hardened", "--check", "--diff", **wish)
    assert "+PasswordAuthentication no" in planned.out
    assert "CHANGED" in planned.out
    assert web.files() == before
    assert site.says(web, "alice", plain) == "alice"
    done = site.task("hardened", **wish).result
    assert done["changed"] is True
    assert {"user": "alice", "standing": "would get in", "why": ""} in done["standings"]
    assert site.says(web, "alice", plain) == ""
    assert site.says(web, "alice", token) == "alice"
    assert site.task("hardened", **wish).result["changed"] is False
    undone = site.task("hardened", undo=True).result
    assert undone["changed"] is True
    assert web.files() == before
    assert site.says(web, "alice", plain) == "alice"
    assert site.task("hardened", undo=True).result["changed"] is False


@pytest.mark.parametrize("site", [HERE], indirect=True)
def test_nobody_is_locked_out(site: Controller, web: Target) -> None:
    web.write(FILE, (site.files / "plain.pub").read_text(), "alice")
    before = web.files()
    for words in ((), ("--check",)):
        done = site.task("hardened", *words, level=["hardware-only"], code=2)
        assert "alice would be locked out" in done.result["msg"]
        assert "let a key on a token in first: fidokit.ssh.authorized_key" in done.result["msg"]
        assert web.files() == before
    token = (site.files / "alice.pub").read_text()
    site.task("authorized_key", user="alice", key=[token])  # as the hint says
    assert site.task("hardened", level=["hardware-only"]).result["changed"] is True
    site.task("hardened", undo=True)


@pytest.mark.parametrize("site", [HERE], indirect=True)
def test_what_is_not_known_stands_against_it_unless_you_are_sure(
    site: Controller, web: Target
) -> None:
    """Ansible goes on by the connection that it has: its own key does not verify."""
    web.write(FILE, (site.files / "alice.pub").read_text(), "alice")
    wish: dict[str, Any] = {"level": ["verify"], "users": ["alice"]}
    message = site.task("hardened", **wish, code=2).result["msg"]
    assert "cannot be known without a login: whether alice would get in" in message
    assert message.endswith("or, if you are sure: yes_unproved")
    done = site.task("hardened", **wish, yes_unproved=True).result
    assert done["changed"] is True
    standings = {one["user"]: one["standing"] for one in done["standings"]}
    assert standings["alice"] == "cannot be known without a login"
    site.task("hardened", undo=True)


@pytest.mark.parametrize("site", [HERE], indirect=True)
def test_files_that_sshd_has_not_read_yet_are_not_in_force(site: Controller, web: Target) -> None:
    wish: dict[str, Any] = {"level": ["touch"], "users": ["alice"]}
    written = site.task("hardened", **wish, reload=False)
    assert written.result["changed"] is True
    assert "reload it, because it still uses the old file" in written.told
    again = site.task("hardened", **wish, reload=False)
    assert again.result["changed"] is False
    assert "reload it" in again.told
    read = site.task("hardened", **wish).result
    assert read["changed"] is True
    assert read["stale"]
    assert site.task("hardened", **wish).result["changed"] is False
    site.task("hardened", undo=True)
