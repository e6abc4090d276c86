"""fidokit.ssh.authorized_key on each Debian release: added, proved by a login, taken out."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.ansible_site import Controller, Target

pytestmark = [pytest.mark.interop, pytest.mark.root]

FILE = "/home/alice/.ssh/authorized_keys"


@pytest.fixture(autouse=True)
def empty(web: Target) -> None:
    web.run("rm", "-rf", "/home/alice/.ssh")


def line(site: Controller, name: str) -> str:
    return (site.files / f"{name}.pub").read_text()


def test_a_key_is_let_in_and_taken_out(site: Controller, web: Target) -> None:
    public = line(site, "alice")
    wish: dict[str, Any] = {"user": "alice", "key": [public], "key_options": "no-pty"}
    planned = site.task("authorized_key", "--check", "--diff", **wish)
    assert "+no-pty sk-ssh-ed25519@openssh.com" in planned.out
    assert "CHANGED" in planned.out
    assert web.read(FILE) == ""
    done = site.task("authorized_key", **wish)
    assert done.result["changed"] is True
    assert web.read(FILE) == f"no-pty {public}"
    assert site.says(web, "alice", site.files / "alice.pub") == "alice"
    again = site.task("authorized_key", **wish).result
    assert again["changed"] is False
    assert again["authorized"]["keys"][0]["standing"] in {"accepted", "lets in"}
    out = site.task("authorized_key", user="alice", key=[public], state="absent").result
    assert out["changed"] is True
    assert out["authorized"]["proved"] == ["alice"]
    assert site.says(web, "alice", site.files / "alice.pub") == ""
    assert (
        site.task("authorized_key", user="alice", key=[public], state="absent").result["changed"]
        is False
    )
