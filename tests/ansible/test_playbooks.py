"""The playbooks of docs/ansible.md on each Debian release, as molecule would have it: converge,
converge again without a change, verify by logins, and back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.agent_host import sk_key
from tests.support.ansible_site import TOP, Controller, Target, oldest

pytestmark = [pytest.mark.interop, pytest.mark.root]

PAGE = TOP / "docs/ansible.md"
BLOCK = re.compile(r"^```yaml\n# (\S+\.yml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KEYS = {"alice": "alice", "bob": "root", "old": "old", "new": "new", "lost": "new"}
"""By the name that the page gives a file, the key that the test has."""
NAMES = ("who", "keys", "attested", "hardened", "undo", "lost")


@pytest.fixture(scope="module")
def playbooks(site: Controller) -> Path:
    """The page's playbooks, and the files that they name."""
    home = site.files
    found = dict(BLOCK.findall(PAGE.read_text()))
    assert sorted(found) == sorted(f"{name}.yml" for name in NAMES)
    for name, text in found.items():
        (home / name).write_text(f"---\n{text}")
    keys = home / "files/keys"
    if not keys.exists():
        keys.mkdir(parents=True)
        (keys / "new.challenge").write_bytes(bytes(range(32)))
        files = (f"challenge={keys}/new.challenge", f"write-attestation={keys}/new.attestation")
        words = [word for file in files for word in ("-O", file)]
        site.host.add(sk_key(site.host, "new", "-t", "ed25519-sk", *words))
        site.host.keygen("-t", "ed25519", "-N", "", "-f", "old", "-C", "old")
        for name, key in KEYS.items():
            (keys / f"{name}.pub").write_text((home / f"{key}.pub").read_text())
    return home


def repeated(site: Controller, name: str) -> None:
    """Converge, and then again without a change; this release's check mode promises the same."""
    planned = site.play(f"{name}.yml", "--check", "--diff") if site.program == oldest() else None
    changed = site.play(f"{name}.yml").count("changed")
    assert changed > 0
    assert planned is None or planned.count("changed") == changed, planned.out
    assert site.play(f"{name}.yml").count("changed") == 0


def test_the_page_on_a_host(site: Controller, web: Target, playbooks: Path) -> None:
    old, alice, new = (playbooks / name for name in ("old", "alice", "new"))
    for user in ("alice", "bob"):
        line = old.with_suffix(".pub").read_text()
        web.write(f"/home/{user}/.ssh/authorized_keys", line, user)
    before = web.files()
    assert "by a key in a file: alice, bob" in site.play("who.yml").out

    repeated(site, "keys")
    assert [site.says(web, "alice", key) for key in (old, alice)] == ["", "alice"]
    assert [site.says(web, "bob", key) for key in (old, playbooks / "root")] == ["", "bob"]
    assert web.read("/home/alice/.ssh/authorized_keys").startswith("no-agent-forwarding sk-ssh")

    repeated(site, "attested")
    with_new = web.read("/home/bob/.ssh/authorized_keys")
    assert new.with_suffix(".pub").read_text() in with_new

    repeated(site, "hardened")
    assert "PasswordAuthentication no" in web.read("/etc/ssh/sshd_config.d/0-fidokit.conf")
    assert site.says(web, "alice", alice) == "alice"

    assert site.says(web, "bob", new) == "bob"
    repeated(site, "lost")
    assert site.says(web, "bob", new) == ""
    assert site.says(web, "bob", playbooks / "root") == "bob"

    site.play("undo.yml")
    assert site.play("undo.yml").count("changed") == 0
    web.run("rm", "/etc/ssh/revoked_keys", "/etc/ssh/sshd_config.d/0-fidokit-revoked.conf")
    assert web.files() == before
