"""fidokit.ssh.check: facts, rules that hold and that do not."""

from __future__ import annotations

import pytest
from tests.support.ansible_site import HERE, Controller, Target

pytestmark = [pytest.mark.interop, pytest.mark.root]


def test_facts_and_rules(site: Controller, web: Target) -> None:
    public = {name: (site.files / f"{name}.pub").read_text() for name in ("alice", "plain")}
    web.write("/home/alice/.ssh/authorized_keys", public["alice"], "alice")
    web.write("/home/bob/.ssh/authorized_keys", public["plain"], "bob")
    found = site.task("check").result
    assert found["changed"] is False
    assert found["ways"]["token-key"] == ["root", "alice"]
    assert found["ways"]["file-key"] == ["bob"]
    assert found["ansible_facts"]["fidokit_ssh"]["ways"] == found["ways"]
    assert "users" not in found
    broken = site.task("check", require=["hardware"], code=2).result
    assert "hardware: bob: the key is not on a token" in broken["msg"]
    assert broken["ways"] == found["ways"]
    report = site.task("check", require=["hardware"], report_only=True, details=True).result
    assert report["policy"]["holds"] is False
    assert [user["user"] for user in report["users"] if user["files"]]
    good = site.task("check", require=["hardware", "no-password"], users=["alice"]).result
    assert good["policy"]["holds"] is True
    assert "there is no rule" in site.task("check", require=["hard"], code=2).result["msg"]


@pytest.mark.parametrize("site", [HERE], indirect=True)
def test_text_of_a_user_cannot_act_on_the_terminal(site: Controller, web: Target) -> None:
    public = (site.files / "plain.pub").read_text().strip()
    web.write("/home/bob/.ssh/authorized_keys", f"{public} \x1b]0;x\x07\x9b31m\n", "bob")
    done = site.task("check", details=True, users=["bob"])
    assert "\\\\x1b]0;x" in done.out
    assert not {"\x1b", "\x9b", "\x07"} & set(done.out + done.err)
    diff = site.task(
        "authorized_key", "--check", "--diff", user="bob", state="absent", key=[public]
    )
    assert "\\x1b]0;x" in diff.out
    assert not {"\x1b", "\x9b", "\x07"} & set(diff.out + diff.err)
