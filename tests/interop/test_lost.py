"""`fidokit lost`: a token with two keys, known to hosts, a forge, signers and an authority.

The judges are the stock programs: sshd, asked by the stock ssh, and ssh-keygen.
"""

from __future__ import annotations

import getpass
import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.key_site import StandIn, key_site
from tests.support.sandbox import Done, Sandbox
from tests.support.sshd import Sshd, running
from tests.support.town import found_town

from fidokit.fleet.loss.work import LossRequest, carry_out, plan_loss
from fidokit.inventory.kept import KnownKey, fingerprint_of
from fidokit.inventory.store import kept_inventory
from fidokit.keys.bookkeeping import record_host_audit
from fidokit.server.authorize.over_ssh.login import ask_texts
from fidokit.server.sshd.key_questions import PublicText
from fidokit.signing.git_config import Git

pytestmark = pytest.mark.interop
WHO = "me@example.org"


@dataclass
class Story:
    """A home with a token that has two keys with backups, and who knows them."""

    sandbox: Sandbox
    site: StandIn
    hosts: dict[str, Sshd] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.sandbox.home

    @property
    def user(self) -> str:
        return getpass.getuser()

    def run(self, *words: str, **more: str) -> Done:
        env = self.site.environ(self.sandbox.env["PATH"]) | more
        done = self.sandbox.run(*words, stdin=b"", GIT_CONFIG_NOSYSTEM="1", **env)
        assert "Traceback" not in done.err
        return done

    def ok(self, *words: str) -> str:
        done = self.run(*words)
        assert done.code == 0, (words, done.out, done.err)
        return done.out

    def ssh(self, host: str) -> str:
        """The command that reaches a host by the administrator's key."""
        provider = "-oSecurityKeyProvider=$SSH_SK_PROVIDER"
        return shlex.join(self.hosts[host].client(provider, "-i", str(self.home / "admin")))

    def at(self, host: str) -> list[str]:
        return ["--host", f"{self.user}@127.0.0.1", "-e", self.ssh(host)]

    def keys_of(self, host: str) -> str:
        return (self.home / f"keys_{host}.{self.user}").read_text()

    def takes(self, host: str, public: str) -> bool:
        """Whether sshd would take a signature by a key, as the stock ssh tells."""
        done = subprocess.run(
            [*self.hosts[host].client("-v", "-oIdentityAgent=none", "-i", str(self.home / public)),
             f"{self.user}@127.0.0.1", "true"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert "Offering public key" in done.stderr, done.stderr
        return "Server accepts key" in done.stderr

    def lost(self, *words: str, code: int, **env: str) -> dict[str, Any]:
        done = self.run("lost", *words, "--yes", "--json", **env)
        assert done.code == code, (done.out, done.err)
        found: dict[str, Any] = json.loads(done.out)["lost"]
        return found

    def files(self) -> dict[str, bytes]:
        """All that a run may change, but for the inventory's times."""
        paths = [*self.home.glob("keys_*"), self.home / ".ssh/allowed_signers"]
        paths += [self.home / "revoked", self.home / ".ssh/fidokit.conf", self.home / ".gitconfig"]
        paths += [Path(self.sandbox.env["XDG_STATE_HOME"], "fidokit/revoked_keys")]
        paths += [self.site.folder / "authentication", self.site.folder / "signing"]
        return {str(path): path.read_bytes() for path in paths}


@pytest.fixture
def story(sandbox: Sandbox, tmp_path: Path, stock: Callable[[str], str]) -> Iterator[Story]:
    with ExitStack() as ends:
        site = ends.enter_context(key_site(tmp_path, "gh"))
        site.log_in("alice", "admin:public_key", "admin:ssh_signing_key")
        made = Story(sandbox, site)
        for name in ("admin", "ca"):
            words = [
                stock("ssh-keygen"),
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-f",
                str(made.home / name),
            ]
            subprocess.run(words, check=True)
        subprocess.run([stock("ssh-keygen"), "-q", "-k", "-f", made.home / "revoked"], check=True)
        admin = (made.home / "admin.pub").read_text()
        more = {"two": [f"TrustedUserCAKeys {made.home / 'ca.pub'}",
                        f"RevokedKeys {made.home / 'revoked'}"]}  # fmt: skip
        for host in ("one", "two", "three"):
            (made.home / f"keys_{host}.{made.user}").write_text(f"# {host}\n{admin}")
            settings = (f"AuthorizedKeysFile {made.home}/keys_{host}.%u", *more.get(host, []))
            server = running(tmp_path / host, *settings, sshd=stock("/usr/sbin/sshd"))
            made.hosts[host] = ends.enter_context(server)
        _live(made)
        yield made


def _live(story: Story) -> None:
    """What its owner did before the token was lost."""
    for token in ("main", "spare"):
        story.ok("virtual", "create", token)
    home = str(story.home)
    for name in ("work", "two"):
        words = ("-f", f"{home}/id_{name}", "-C", name, "--also", "virtual:spare")
        story.ok("--token", "virtual:main", "key", "generate", "--no-passphrase", "-q", *words)
    for host in ("one", "two"):
        story.ok("server", "authorize", f"{home}/id_work.pub", "--no-backup", *story.at(host))
    story.ok("server", "authorize", f"{home}/id_work.pub", *story.at("three"))
    limits = ("--no-backup", "--restrict", "--command", "/bin/true")
    story.ok("server", "authorize", f"{home}/id_two.pub", *limits, *story.at("one"))
    for use in ((), ("--signing",)):
        story.ok("key", "publish", "gh:", f"{home}/id_work.pub", "--no-backup", *use)
    story.ok("git", "setup", "-f", f"{home}/id_work", "--principal", WHO)
    story.ok("cert", "sign", "-s", f"{home}/ca", "-I", "work cert", "-n", story.user, "-z", "77",
             f"{home}/id_work.pub")  # fmt: skip
    story.ok("ssh-config", "--install", "-f", f"{home}/id_work", "server.example")
    (story.home / "letter").write_text("before the loss\n")
    story.ok("key", "sign", "-f", f"{home}/id_work", "-n", "git", f"{home}/letter")


def signature_counts(story: Story, moment: str) -> bool:
    """Whether ssh-keygen takes the letter's signature as one of that time."""
    done = subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-f", story.home / ".ssh/allowed_signers", "-I", WHO,
         "-n", "git", "-s", story.home / "letter.sig", f"-Overify-time={moment}"],
        input=(story.home / "letter").read_bytes(), capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


def test_the_whole_story(story: Story) -> None:
    for host in story.hosts:
        assert story.takes(host, "id_work.pub")
    assert story.takes("two", "id_work-cert.pub")
    story.ok("virtual", "delete", "main", "--yes")  # it is gone
    before = {path: path.read_bytes() for path in story.home.glob("keys_*")}
    shown = story.ok("lost", "virtual:main", "--dry-run")
    assert re.search(r"Lost: 2 keys of virtual:main\n", shown)
    assert "backup: work (backup), on virtual:spare" in shown
    for place in ("GitHub (alice)", "GitHub (alice, signatures)", "work cert, serial 77"):
        assert place in shown
    assert {path: path.read_bytes() for path in before} == before
    since = time.strftime("%Y%m%d%H%M%SZ", time.gmtime())
    found = story.lost("virtual:main", code=0)
    assert found["proved"] is True
    kinds = [row["kind"] for row in found["verdict"]]
    assert [kinds.count(kind) for kind in ("host", "forge", "certificate", "signers")] == [
        *(4, 2, 1, 1)
    ]
    require_gone(story)
    require_promoted(story)
    assert signature_counts(story, since)
    assert not signature_counts(story, "20380101000000Z")
    after = story.files()
    again = story.lost("virtual:main", code=0)
    assert again["proved"] is True
    assert [row["done"] for row in again["verdict"]] == [[] for _ in again["verdict"]]
    assert story.files() == after
    provider = story.ok("provider", "path").strip()
    env = {"SSH_SK_PROVIDER": provider, "FIDOKIT_TOKEN": "virtual:spare"}
    logged_in = story.lost("virtual:main", "--login", code=0, **env)
    assert [row["done"] for row in logged_in["verdict"] if row["kind"] == "host"] == [
        ["backup logged in"]
    ] * 4
    unplugged = {**env, "FIDOKIT_TOKEN": "virtual:nowhere"}
    refused = story.lost("virtual:main", "--login", code=10, **unplugged)
    assert {row["backup"] for row in refused["verdict"] if row["kind"] == "host"} == {
        "cannot be known"
    }


def require_gone(story: Story) -> None:
    """As sshd, ssh-keygen and GitHub's stand-in see it."""
    for host in story.hosts:
        for key in ("id_work.pub", "id_two.pub"):
            assert not story.takes(host, key)
    assert not story.takes("two", "id_work-cert.pub")
    state = Path(story.sandbox.env["XDG_STATE_HOME"], "fidokit/revoked_keys")
    for krl in (state, story.home / "revoked"):
        for public in ("id_work.pub", "id_two.pub", "id_work-cert.pub"):
            words = ["ssh-keygen", "-Q", "-f", str(krl), str(story.home / public)]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert "REVOKED" in done.stdout
        shown = subprocess.check_output(["ssh-keygen", "-Q", "-l", "-f", krl], text=True)
        assert "serial: 77" in shown
    lost = (story.home / "id_work.pub").read_text().split()[1]
    assert lost not in "".join(story.site.keys() + story.site.keys("signing"))


def require_promoted(story: Story) -> None:
    """The backups are where the keys were, with the options that these had."""
    for host in story.hosts:
        assert story.takes(host, "id_work_backup.pub")
    assert story.takes("one", "id_two_backup.pub")
    assert not story.takes("two", "id_two_backup.pub")
    second = (story.home / "id_two_backup.pub").read_text().split()[1]
    (line,) = (line for line in story.keys_of("one").splitlines() if second in line)
    assert line.startswith('restrict,command="/bin/true" ')
    assert story.keys_of("one").startswith("# one\n")
    backup = (story.home / "id_work_backup.pub").read_text().split()[1]
    assert backup in "".join(story.site.keys())
    assert backup in "".join(story.site.keys("signing"))
    config = subprocess.check_output(
        ["git", "config", "--global", "user.signingKey"], text=True, env=story.sandbox.env
    )
    assert config.strip().endswith("id_work_backup")
    assert "id_work_backup\n" in (story.home / ".ssh/fidokit.conf").read_text()
    (story.home / "letter2").write_text("after\n")
    signed = ("key", "sign", "-f", str(story.home / "id_work_backup"), "-n", "git")
    story.ok("--token", "virtual:spare", *signed, str(story.home / "letter2"))
    words = ("-I", WHO, "-n", "git", "-f", str(story.home / ".ssh/allowed_signers"))
    story.ok("key", "verify", str(story.home / "letter2"), *words)


def test_a_host_that_is_down_is_named_and_finished_later(
    story: Story, stock: Callable[[str], str]
) -> None:
    down = story.hosts["three"]
    down.process.terminate()
    down.process.wait(30)
    found = story.lost("virtual:main", code=10)
    open_rows = [row for row in found["verdict"] if not row["proved"]]
    assert [row["kind"] for row in open_rows] == ["host", "certificate"]  # its host was not asked
    assert {row["lost_key"] for row in open_rows} == {"cannot be known"}
    assert f":{down.port}" in open_rows[0]["place"]
    shown = story.run("lost", "virtual:main", "--yes")
    assert shown.code == 10
    assert "Not proved in 2 of" in shown.out
    assert "To finish it: fidokit lost virtual:main" in shown.out
    restarted = subprocess.Popen(
        [stock("/usr/sbin/sshd"), "-D", "-e", "-f", str(down.config)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for command in open_rows[0]["by_hand"]:  # what it says to do by hand does it
            ready(story, "three")
            program, *words = shlex.split(command)
            assert program == "fidokit"
            story.ok(*words)
        assert not story.takes("three", "id_work.pub")
        assert story.takes("three", "id_work_backup.pub")
        assert story.lost("virtual:main", code=0)["proved"] is True
    finally:
        restarted.terminate()
        restarted.wait(30)


def ready(story: Story, host: str) -> None:
    """Wait until a host that was started answers."""
    for _ in range(1000):
        done = subprocess.run(
            [*shlex.split(story.ssh(host)), "-oConnectionAttempts=20",
             f"{story.user}@127.0.0.1", "true"],
            capture_output=True, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            return
    raise AssertionError(done.stderr)


# --- other accounts, found in a report of their host -----------------------------------------


@pytest.mark.root
def test_accounts_that_a_report_by_root_names(
    tmp_path: Path, stock: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a colleague's key only the fingerprint is known; root takes it out where it lets in."""
    town = found_town(tmp_path, stock("/usr/sbin/sshd"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    town.configure("PermitRootLogin yes", "AuthorizedKeysFile /home/%u/.ssh/authorized_keys")
    for name in ("admin", "colleague", "drawer"):
        town.key(name)
    public = {name: town.key(name).read_text() for name in ("admin", "colleague", "drawer")}
    files = {
        user: town.put(user, f"# {user}\nno-pty {public['colleague']}{public['admin']}")
        for user in ("alice", "bob")
    }
    (town.folder / "home/root/.ssh").mkdir(parents=True)
    (town.folder / "home/root/.ssh/authorized_keys").write_text(public["admin"])
    print_ = fingerprint_of(public["colleague"].strip())
    drawer = public["drawer"].strip()
    backup = KnownKey(fingerprint_of(drawer), drawer, backup_of=print_)
    with town.serving() as login:
        ssh = (*login.ssh, "-i", str(town.folder / "keys/admin"))
        report = town.fidokit("--json", "server", "check", code=None)
        document = json.loads(report[report.index("{") :])
        record_host_audit("root@127.0.0.1", document, ssh=ssh)
        kept_inventory().change(lambda old: old.with_facts(keys=[backup]))
        request = LossRequest((print_,), krl=tmp_path / "krl")
        plan = plan_loss(request, Git(folder=tmp_path, environ={"HOME": str(tmp_path)}))
        assert sorted(at.account for at in plan.accounts) == ["alice", "bob"]
        rows = carry_out(plan, request, print)
        assert {(row.place.partition("@")[0], row.proved) for row in rows[1:]} == {
            ("alice", True),
            ("bob", True),
        }, rows
        for user, file in files.items():
            assert login.says(user, town.key("colleague")) == ""
            assert login.says(user, town.key("drawer")) == user
            assert file.read_text() == f"# {user}\n{public['admin']}no-pty {drawer}\n"
            assert file.stat().st_uid != 0
        again = carry_out(plan_loss(request), request, print)
        assert all(row.proved and not row.done for row in again), again


def test_a_host_behind_a_jump_host(story: Story) -> None:
    """Whether sshd takes a key is asked through the jump host, which sees an ordinary login."""
    config = story.home / "config"
    blocks = [
        f"Host {name}\n HostName 127.0.0.1\n Port {story.hosts[name].port}\n User {story.user}\n"
        f" UserKnownHostsFile {story.hosts[name].folder / 'known_hosts'}\n"
        f" IdentityFile {story.home / 'admin'}\n IdentitiesOnly yes\n"
        for name in story.hosts
    ]
    config.write_text("".join(blocks) + "Host one\n ProxyJump three\n")
    ssh = ["ssh", "-F", str(config)]
    texts = [
        PublicText(line, fingerprint_of(line))
        for name in ("id_work", "id_work_backup")
        for line in [" ".join((story.home / f"{name}.pub").read_text().split()[:2])]
    ]
    for destination in ("one", f"ssh://{story.user}@one"):
        closed = ask_texts(ssh, destination, texts)
        assert all("by a jump host" in answer.why for answer in closed.values())
        answers = ask_texts(ssh, destination, texts, jump=True)
        assert [answers[text.fingerprint].accepted for text in texts] == [True, False], answers
