"""`fidokit server harden` on real servers: what it demands, whom it would lock out, and back."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from tests.support.agent_host import Host, make_host, serving, sk_key, virtual_token
from tests.support.hardened import SSHD, USER, Machine, line, machine
from tests.support.json_members import require_documented
from tests.support.rights import as_ordinary
from tests.support.sshd import running

from fidokit.errors import FidokitError
from fidokit.server import accounts
from fidokit.server.accounts import Password, ShadowEntry
from fidokit.server.harden import application
from fidokit.server.harden import plan as planning
from fidokit.server.harden.application import apply_hardening, plan_hardening, plan_unhardening
from fidokit.server.harden.plan import HardeningRequest, HardeningTarget
from fidokit.server.sshd.services import Signaled

pytestmark = pytest.mark.interop

ORDINARY = pwd.getpwnam("daemon")  # libc says that nobody is locked
PLACES = ("include", "block")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory, stock: Callable[[str], str]) -> Iterator[Host]:
    """An agent with a key in a file, and three on a token: ordinary, touchless, with PIN."""
    stock(SSHD)
    host = make_host(tmp_path_factory.mktemp("harden") / "home")
    host.keygen("-t", "ed25519", "-N", "", "-f", "plain", "-C", "plain")
    virtual_token(host)
    sk_key(host, "touch", "-t", "ed25519-sk")
    sk_key(host, "silent", "-t", "ecdsa-sk", "-O", "no-touch-required")
    sk_key(host, "uv", "-t", "ed25519-sk", "-O", "verify-required")
    with serving(host):
        for name in ("plain", "touch", "silent", "uv"):
            host.add(host.home / name)
        yield host


@pytest.fixture(params=PLACES)
def any_machine(request: pytest.FixtureRequest, keys: Host, tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path / "etc", keys, place=request.param) as found:
        yield found


@pytest.fixture
def one(keys: Host, tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path / "etc", keys) as found:
        yield found


# --- what each level demands ---------------------------------------------------------------


def test_touch(any_machine: Machine) -> None:
    it = any_machine
    silent = line(it.host, "silent", "no-touch-required")
    it.authorize(silent, line(it.host, "touch"))
    assert it.lets_in("silent")
    plan = it.harden("touch")
    assert [key.proof.value for key in plan.proofs[0].keys] == ["unproved", "query"]
    assert not it.lets_in("silent")
    assert it.lets_in("touch")
    it.undo()
    assert it.lets_in("silent")


def test_verify_is_not_proved_by_the_query(any_machine: Machine) -> None:
    it = any_machine
    it.authorize(line(it.host, "touch"), line(it.host, "uv"))
    before = it.files()
    with pytest.raises(FidokitError, match="cannot be known without a login: whether") as refused:
        it.harden("verify")
    assert "--yes-unproved" in refused.value.hint
    assert it.files() == before
    it.harden("verify", yes_unproved=True)
    assert not it.lets_in("touch")
    assert it.lets_in("uv")


def test_verify_is_proved_by_a_login(one: Machine) -> None:
    one.authorize(line(one.host, "touch"), line(one.host, "uv"))
    plan = one.harden("verify", login_with=[one.host.home / "uv.pub"])
    assert [key.proof.value for key in plan.proofs[0].keys] == ["unproved", "login"]
    assert one.lets_in("uv")


def test_verify_is_proved_by_a_login_through_the_provider(one: Machine) -> None:
    """A private file, no agent: ssh itself asks for the PIN and has the token sign."""
    library = one.host.fidokit("provider", "path").strip()
    one.authorize(line(one.host, "uv"))
    request = HardeningRequest("verify", (USER,), [one.host.home / "uv"])
    plan = plan_hardening(request, one.target, environ=one.host.env | {"SSH_SK_PROVIDER": library})
    assert plan.proofs[0].keys[0].proof.value == "login", one.host.said()
    assert plan.obstacle is None


def test_a_login_that_fails_is_a_refusal(one: Machine) -> None:
    one.authorize(line(one.host, "touch"))
    with pytest.raises(FidokitError, match="would be locked out"):
        one.harden("verify", login_with=[one.host.home / "touch.pub"], yes_unproved=True)
    assert one.lets_in("touch")


def test_hardware_only(any_machine: Machine) -> None:
    it = any_machine
    it.authorize(line(it.host, "plain"), line(it.host, "touch"))
    assert it.lets_in("plain")
    it.harden("hardware-only")
    assert not it.lets_in("plain")
    assert it.lets_in("touch")


def test_hardware_only_takes_no_password(keys: Host, tmp_path: Path) -> None:
    first = ("PasswordAuthentication yes", "KbdInteractiveAuthentication yes")
    with machine(tmp_path / "etc", keys) as it:
        text = it.server.config.read_text()
        include, rest = text.split("\n", 1)
        it.server.config.write_text("\n".join([include, *first, rest]))
        it.authorize(line(keys, "touch"))
        offered = "-oPreferredAuthentications=password,keyboard-interactive"
        it.harden("touch")
        assert "continue: publickey,password,keyboard-interactive" in it.says("touch", offered)
        it.harden("hardware-only")
        assert "Permission denied (publickey)" in it.says("touch", offered)
        assert it.lets_in("touch")


# --- whom it would lock out ----------------------------------------------------------------


def test_nobody_is_locked_out(any_machine: Machine) -> None:
    it = any_machine
    it.authorize(line(it.host, "plain"))
    before = it.files()
    plan = it.plan("hardware-only", yes_unproved=True)
    assert plan.proofs[0].keys[0].why == "it is not on a token"
    with pytest.raises(FidokitError, match=f"{USER} would be locked out"):
        apply_hardening(plan)
    assert it.files() == before
    assert it.lets_in("plain")


def test_a_user_whom_sshd_turns_away_is_told(keys: Host, tmp_path: Path) -> None:
    with machine(tmp_path / "etc", keys, f"DenyUsers {USER}") as it:
        it.authorize(line(keys, "touch"))
        with pytest.raises(
            FidokitError, match=f"lets {USER} in by nothing: DenyUsers names the user"
        ):
            it.harden("hardware-only")


def test_who_gets_in_by_a_password_is_not_left_with_a_key_that_never_worked(
    keys: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial cannot try passwords: what is in the shadow file has to do."""
    entries = {user.pw_name: ShadowEntry(Password.NONE) for user in pwd.getpwall()}
    entries |= {name: ShadowEntry(Password.SET) for name in (USER, ORDINARY.pw_name)}
    monkeypatch.setattr(accounts, "read_shadow", lambda *_path: entries)
    first = ("PermitRootLogin yes", "PasswordAuthentication yes")
    with machine(tmp_path / "etc", keys, *first, place="block") as it:
        it.authorize(line(keys, "touch"))
        plan = it.plan("hardware-only")
        assert plan.obstacle is None
        if os.geteuid() == 0:
            assert f"would be locked out besides: {ORDINARY.pw_name}" in plan.warnings
        it.authorize(line(keys, "touch", 'expiry-time="20200101"'))
        with pytest.raises(FidokitError, match=f"{USER} would be locked out"):
            it.harden("hardware-only")


def test_a_key_that_never_worked_is_told(one: Machine) -> None:
    one.authorize(line(one.host, "touch", 'expiry-time="20200101"'))
    plan = one.harden("touch")
    assert any("neither before the change nor after it" in warning for warning in plan.warnings)


def test_a_key_that_may_not_come_from_here_is_not_proved(one: Machine) -> None:
    one.authorize(line(one.host, "touch", 'from="192.0.2.1"'))
    with pytest.raises(FidokitError, match="cannot be known without a login"):
        one.harden("hardware-only")
    plan = one.harden("hardware-only", yes_unproved=True)
    assert plan.proofs[0].keys[0].why == "its from= keeps this machine out"


@pytest.mark.root
def test_root_who_may_not_log_in_proves_nothing(keys: Host, tmp_path: Path) -> None:
    with machine(tmp_path / "etc", keys, "PermitRootLogin no") as it:
        it.authorize(line(keys, "touch"))
        with pytest.raises(FidokitError, match="PermitRootLogin is no"):
            it.plan("hardware-only")


def test_a_user_without_keys_is_told(one: Machine) -> None:
    one.authorize("# nobody\n")
    with pytest.raises(FidokitError, match=f"{USER} has no key in "):
        one.plan("touch")


# --- files that overrule it ----------------------------------------------------------------


def test_an_earlier_drop_in_wins_and_is_named(one: Machine) -> None:
    one.authorize(line(one.host, "touch"))
    other = one.folder / "-first.conf"
    other.write_text("# theirs\nPubkeyAuthOptions none\n")
    with pytest.raises(FidokitError) as refused:
        one.harden("touch")
    assert f"{other}:2 says none and is read first" in str(refused.value)
    assert [path.name for path in one.folder.iterdir()] == ["-first.conf"]


def test_later_drop_ins_do_not(one: Machine) -> None:
    one.authorize(line(one.host, "touch"))
    (one.folder / "00-cloud.conf").write_text("PubkeyAuthOptions none\n")
    one.harden("touch")
    assert one.lets_in("touch")


def test_a_line_before_the_include_wins_and_is_named(keys: Host, tmp_path: Path) -> None:
    with machine(tmp_path / "etc", keys, "PubkeyAuthOptions none") as it:
        it.authorize(line(keys, "touch"))
        with pytest.raises(FidokitError, match=f"{it.server.config}:1 says none"):
            it.harden("touch")


@pytest.mark.parametrize("place", PLACES)
def test_a_match_block_that_overrules_is_told(keys: Host, tmp_path: Path, place: str) -> None:
    tail = (f"Match User {USER}", "  PubkeyAuthOptions none", "Match User x", "  X11Forwarding no")
    with machine(tmp_path / "etc", keys, tail=tail, place=place) as it:
        silent = line(keys, "silent", "no-touch-required")
        it.authorize(silent)
        plan = it.harden("touch")
        assert any(f"Match User {USER} overrules the level" in w for w in plan.warnings)
        assert any(f"for {USER}, PubkeyAuthOptions touch-req" in w for w in plan.warnings)
        assert plan.proofs[0].is_proved
        assert it.lets_in("silent")


def test_a_configuration_that_sshd_refuses_is_not_touched(one: Machine) -> None:
    one.authorize(line(one.host, "touch"))
    with one.server.config.open("a") as config:
        config.write("NoSuchKeyword yes\n")
    before = one.files()
    with pytest.raises(FidokitError, match="Bad configuration option: NoSuchKeyword"):
        one.harden("touch")
    assert one.files() == before


# --- and back ------------------------------------------------------------------------------


def test_undo_is_byte_for_byte_after_several_levels(any_machine: Machine) -> None:
    it = any_machine
    it.server.config.write_bytes(it.server.config.read_bytes() + b"# \xff no newline at the end")
    it.server.config.chmod(0o640)
    it.authorize(line(it.host, "touch"))
    before = it.files()
    for level in ("touch", "hardware-only", "verify", "touch"):
        it.harden(level, yes_unproved=True)
    it.undo()
    assert it.files() == before
    assert it.undo().is_empty


def test_the_original_is_kept_write_protected(keys: Host, tmp_path: Path) -> None:
    with machine(tmp_path / "etc", keys, place="block") as it:
        it.authorize(line(keys, "touch"))
        before = it.server.config.read_bytes()
        it.harden("touch")
        it.harden("hardware-only")
        kept = it.server.config.with_name("sshd_config.fidokit-original")
        assert kept.read_bytes() == before
        assert stat.S_IMODE(kept.stat().st_mode) == 0o400


def test_undo_keeps_what_was_edited_since(keys: Host, tmp_path: Path) -> None:
    with machine(tmp_path / "etc", keys, place="block") as it:
        it.authorize(line(keys, "touch"))
        before = it.server.config.read_bytes()
        it.harden("touch")
        it.server.config.write_bytes(it.server.config.read_bytes() + b"# theirs\n")
        plan = it.undo()
        assert it.server.config.read_bytes() == before + b"# theirs\n"
        assert "was edited" in plan.warnings[0]


def test_the_same_level_again_changes_nothing(any_machine: Machine) -> None:
    it = any_machine
    it.authorize(line(it.host, "touch"))
    it.harden("touch")
    before = it.files()
    assert it.harden("touch").is_empty
    assert it.files() == before


def test_a_file_that_changes_meanwhile_is_left_alone(one: Machine) -> None:
    one.authorize(line(one.host, "touch"))
    plan = one.plan("touch")
    (one.folder / "0-fidokit.conf").write_text("# somebody else\n")
    with pytest.raises(FidokitError, match="was changed while the plan was made"):
        apply_hardening(plan)
    assert (one.folder / "0-fidokit.conf").read_text() == "# somebody else\n"


# --- the running server --------------------------------------------------------------------


def test_without_reload_the_running_server_is_left_alone(one: Machine) -> None:
    one.authorize(line(one.host, "silent", "no-touch-required"), line(one.host, "touch"))
    one.harden("touch", reload=False)
    assert one.lets_in("silent")


@dataclass
class Breaking:
    """A service manager under whose hands sshd's program breaks."""

    sshd: Signaled
    program: Path
    command = "true"

    def reload(self) -> None:
        self.program.unlink()
        self.program.symlink_to("/bin/false")  # what SIGHUP has the old process become
        self.sshd.reload()

    def restart(self) -> None:
        self.sshd.restart()

    def generation(self) -> object:
        return self.sshd.generation()

    def is_gone(self) -> bool:
        return self.sshd.is_gone()


def test_a_server_that_does_not_come_back_is_rolled_back(keys: Host, tmp_path: Path) -> None:
    program = tmp_path / "sshd"
    program.symlink_to(SSHD)
    with machine(tmp_path / "etc", keys, sshd=str(program)) as it:
        it.authorize(line(keys, "touch"))
        before = it.files()
        pid = it.server.folder / "pid"
        manager = Breaking(Signaled(pid, [SSHD, "-f", str(it.server.config)]), program)
        try:
            with pytest.raises(FidokitError, match="does not answer after the reload"):
                apply_hardening(it.plan("touch"), reload=True, services=manager)
            assert it.files() == before
            assert it.lets_in("touch")  # by another process
        finally:
            it.server.process.wait(30)
            os.kill(int(pid.read_text()), signal.SIGTERM)


def test_a_pid_file_that_names_somebody_else_is_not_believed(one: Machine) -> None:
    one.authorize(line(one.host, "touch"))
    before = one.files()
    (one.server.folder / "pid").write_text(str(os.getpid()))
    with pytest.raises(FidokitError, match="no sshd runs that"):
        one.harden("touch")
    assert one.files() == before


# --- the command ---------------------------------------------------------------------------


def fidokit(it: Machine, *arguments: str) -> subprocess.CompletedProcess[str]:
    where = ("--config", str(it.server.config), "--pam-file", str(it.pam))
    command = [sys.executable, "-m", "fidokit", "server", "harden", *where, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=it.environ, timeout=120, check=False
    )


def test_the_command(any_machine: Machine) -> None:
    it = any_machine
    it.authorize(line(it.host, "touch"))
    before = it.files()
    tried = fidokit(it, "touch", "--user", USER, "--dry-run")
    assert tried.returncode == 0, tried.stderr
    assert "+PubkeyAuthOptions touch-required" in tried.stdout
    assert f"{USER}: query  SHA256:" in tried.stdout
    assert it.files() == before
    pid = str(it.server.folder / "pid")
    done = fidokit(it, "touch", "--user", USER, "--reload", "--pid-file", pid)
    assert "sshd was reloaded and answers." in done.stdout
    assert "touch is already in place." in fidokit(it, "touch", "--user", USER).stdout
    assert fidokit(it, "--undo", "--dry-run").returncode == 0
    undone = fidokit(it, "--undo")
    assert "-PubkeyAuthOptions touch-required" in undone.stdout
    assert it.files() == before
    assert "There is nothing to undo." in fidokit(it, "--undo").stdout


def test_the_command_refuses(one: Machine) -> None:
    one.authorize(line(one.host, "plain").replace("plain\n", "\x1b[2J\n"))
    refused = fidokit(one, "hardware-only", "--user", USER)
    assert refused.returncode == 1
    assert f"Nothing was written.\nfidokit: {USER} would be locked out" in refused.stderr
    assert "\x1b" not in refused.stdout + refused.stderr
    assert fidokit(one).returncode == 2
    assert fidokit(one, "touch", "--undo").returncode == 2
    assert fidokit(one, "touch", "--user", "no-such-user").returncode == 2
    nobodys = fidokit(one, "touch", "--user", USER, "--login-with", f"{one.host.home}/touch")
    assert nobodys.returncode == 2
    assert "is not a key of" in nobodys.stderr


def test_the_command_as_json(one: Machine) -> None:
    one.authorize(line(one.host, "touch"))
    done = fidokit(one, "--json", "hardware-only", "--user", USER)
    require_documented(("--json", "server", "harden"), done.stdout)
    data = json.loads(done.stdout)["hardening"]
    assert (data["level"], data["done"], data["reloaded"]) == ("hardware-only", True, False)
    assert data["files"] == [str(one.folder / "0-fidokit.conf")]
    assert data["users"][0]["keys"][0]["proof"] == "query"
    assert "PasswordAuthentication no" in data["directives"]


# --- as an ordinary user -------------------------------------------------------------------


@pytest.mark.root
def test_as_an_ordinary_user(keys: Host) -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    public = line(keys, "touch")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        folder.chmod(0o755)
        (folder / "etc/sshd_config.d").mkdir(parents=True)
        (folder / "etc/authorized").write_text(public)
        settings = (
            f"Include {folder}/etc/sshd_config.d/*.conf",
            f"AuthorizedKeysFile {folder}/etc/authorized",
        )
        server = stack.enter_context(
            running(folder / "etc", *settings, sshd=SSHD, user=ORDINARY.pw_uid)
        )
        target = HardeningTarget(server.config, SSHD, folder / "pam")
        assert application
        assert planning  # loaded while that was allowed
        work = partial(_harden_and_undo, target, folder / "etc/pid")
        as_ordinary(work, ORDINARY.pw_uid, ORDINARY.pw_gid)


def _harden_and_undo(target: HardeningTarget, pid_file: Path) -> None:
    before = target.config.read_bytes()
    plan = plan_hardening(HardeningRequest("hardware-only"), target)
    assert [(p.user, p.is_proved) for p in plan.proofs] == [("daemon", True)]
    apply_hardening(plan, reload=True, pid_file=pid_file)
    drop_in = target.config.parent / "sshd_config.d/0-fidokit.conf"
    assert b"PasswordAuthentication no" in drop_in.read_bytes()
    apply_hardening(plan_unhardening(target), reload=True, pid_file=pid_file)
    assert not drop_in.exists()
    assert target.config.read_bytes() == before
