"""The command that `fidokit setup` shows for each step, typed in the state that showed it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.interop.test_setup import ME, PIN, WHO, Desk, answer, desk  # noqa: F401
from tests.support.agent_keys import executable
from tests.support.key_site import ACCOUNT, StandIn, key_site
from tests.support.screen import window

pytestmark = pytest.mark.interop

STANDS_FOR = {
    "OTHER": "virtual:spare",
    "user@host": f"{ME}@testserver",
    "FILE": "text",
    "gh:NAME": f"gh:{ACCOUNT}",
    "gl:NAME": f"gl:{ACCOUNT}",
}
"""What a user types for the words that stand for something."""

NOTHING = """
set_pin = false
test = false
[key]
file = "~/.ssh/id_script"
[login]
ssh = "{ssh}"
[git]
sign = false
"""
FILES_ALONE = """
set_pin = false
test = false
[key]
file = "~/.ssh/id_script"
[login]
ssh = "{ssh}"
servers = ["{me}@testserver"]
ssh_config = false
test = false
[git]
email = "{who}"
test = false
"""
ALL = """
[key]
file = "~/.ssh/id_script"
verify_required = true
application = "work"
backup = "virtual:spare"
[login]
ssh = "{ssh}"
servers = ["{me}@testserver"]
test = false
[publish]
github = true
gitlab = true
[git]
email = "{who}"
every_commit = false
"""


@pytest.fixture
def sites(desk: Desk, tmp_path: Path) -> Iterator[Mapping[str, StandIn]]:  # noqa: F811
    """GitHub and GitLab for the desk, and somebody who answers for PINs and passphrases."""
    with key_site(tmp_path, "gh") as github, key_site(tmp_path, "gl") as gitlab:
        github.log_in(ACCOUNT, "admin:public_key", "admin:ssh_signing_key")
        gitlab.log_in(ACCOUNT)
        desk.env.update(gitlab.environ(github.environ(desk.env["PATH"])["PATH"]))
        desk.env.update({k: v for k, v in github.environ("").items() if k != "PATH"})
        says = f"import sys\nprint('' if 'passphrase' in sys.argv[1].lower() else {PIN!r})\n"
        desk.env["SSH_ASKPASS"] = str(executable(desk.home / "askpass", says))
        desk.env["SSH_ASKPASS_REQUIRE"] = "force"
        (desk.home / "text").write_text("hello")
        desk.fidokit("virtual", "create", "spare")
        desk.fidokit("--token", "virtual:spare", "pin", "set")
        yield {"gh": github, "gl": gitlab}


def steps(desk: Desk, answers: str) -> list[dict[str, Any]]:  # noqa: F811
    (desk.home / "answers").write_text(answers.format(me=ME, ssh=desk.ssh, who=WHO))
    said = desk.fidokit("--json", "setup", "--answers", "answers")
    document, _ = json.JSONDecoder().raw_decode(said)  # notices of touches follow
    found: list[dict[str, Any]] = document["setup"]["steps"]
    return found


def type_it(desk: Desk, command: str) -> str:  # noqa: F811
    for word, meant in STANDS_FOR.items():
        command = re.sub(rf"(?<!\S){re.escape(word)}(?!\S)", meant, command)
    git = (desk.home / ".gitconfig").exists()
    if command.startswith("ssh "):
        return desk.run("sh", "-c", f"{command} true")
    if command.startswith("fidokit git setup") and "--principal" not in command and not git:
        with window(["sh", "-c", f'cd "$HOME" && {command}'], desk.env) as shown:
            answer(shown, "Email address of your commits", WHO)
            assert shown.status == 0, shown.text()
            return shown.text()
    return desk.run("sh", "-c", command)


@pytest.mark.parametrize("answers", [NOTHING, FILES_ALONE], ids=["nothing", "files alone"])
def test_what_was_skipped_is_done_by_its_command(
    desk: Desk,  # noqa: F811
    sites: Mapping[str, StandIn],
    answers: str,
) -> None:
    left = [one for one in steps(desk, answers) if one["outcome"] == "skipped"]
    names = {one["name"] for one in left if one["commands"]}
    assert names >= {"pin", "backup", "GitHub", "GitLab", "test"}
    for step in left:
        for command in step["commands"]:
            type_it(desk, command)
    assert "set" in desk.fidokit("pin", "status")
    public = (desk.home / ".ssh/id_script.pub").read_text()
    backup = (desk.home / ".ssh/id_script_backup.pub").read_text()
    for site in sites.values():
        assert site.keys() == [public.strip(), backup.strip()]
    assert public in (desk.server.folder / f"keys-{ME}").read_text()
    assert (desk.home / "text.sig").exists()
    assert desk.run("git", "config", "--global", "user.signingKey").strip() == "~/.ssh/id_script"


def test_what_was_done_is_done_again_by_its_commands_in_a_new_home(
    desk: Desk,  # noqa: F811
    sites: Mapping[str, StandIn],
) -> None:
    found = steps(desk, ALL)
    assert [one["name"] for one in found if one["outcome"] in {"failed", "left to do"}] == []
    commands = [
        command
        for one in found
        for command in one["commands"]
        if not re.match(r"ssh .*git@127.0.0.1$", command)  # no sshd is there
    ]
    shape = {path.relative_to(desk.home) for path in (desk.home / ".ssh").rglob("*")}
    for site in sites.values():
        for kind in ("authentication", "signing"):
            (site.folder / kind).unlink(missing_ok=True)
    old = (desk.home / ".ssh").rename(desk.home / "old")
    (desk.home / ".ssh").mkdir(mode=0o700)
    for name in ("id_old", "id_old.pub", "config"):
        (old / name).rename(desk.home / ".ssh" / name)
    (desk.home / ".gitconfig").unlink()
    for name in ("new", "spare"):
        desk.fidokit("virtual", "delete", name, "--yes")
        desk.fidokit("virtual", "create", name)
    desk.fidokit("--token", "virtual:spare", "pin", "set")
    for command in commands:
        type_it(desk, command)
    assert {path.relative_to(desk.home) for path in (desk.home / ".ssh").rglob("*")} == shape
    public = (desk.home / ".ssh/id_script.pub").read_text()
    assert public != (old / "id_script.pub").read_text()
    assert sites["gh"].keys() == sites["gh"].keys("signing")
    assert set(sites["gh"].keys()) >= {public.strip()}
    again = {one["name"]: one["outcome"] for one in steps(desk, ALL)}
    assert {n: o for n, o in again.items() if o != "was so"} == {
        "token": "found", "test login": "skipped", "test commit": "done"
    }  # fmt: skip
