"""git's settings for signing: planned, written, undone, by the real git in a home of its own."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.server.samples import PLAIN, TOKEN, text

from fidokit.errors import FidokitError, SignatureInvalid, Unsupported, UsageError
from fidokit.signing import git_config
from fidokit.signing.git_config import (
    Git,
    GitSigning,
    apply_plan,
    configured_key,
    email_of,
    our_signer,
    plan_signing,
    prove_signing,
    signs_every_commit,
    undo_signing,
)

WHO = "alice@example.org"
ALL = git_config._SETTINGS


@pytest.fixture
def git(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / "repository").mkdir()
    made = Git("global", tmp_path / "repository")
    assert made.run("init", "-q", ".").returncode == 0
    return made


@pytest.fixture
def key(home: Path) -> Path:
    path = home / ".ssh" / "id_work.pub"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(text(TOKEN))
    return path


@pytest.fixture
def wish(key: Path) -> GitSigning:
    return GitSigning(key, WHO, program="/opt/signer")


def test_all_is_set_and_set_back(git: Git, home: Path, wish: GitSigning) -> None:
    plan = plan_signing(git, wish)
    assert tuple(change.name for change in plan.settings) == ALL
    assert not (home / ".gitconfig").exists()
    assert apply_plan(git, plan) == []
    assert git.effective("user.signingKey") == "~/.ssh/id_work.pub"
    assert git.effective(git_config.SIGNERS_FILE) == "~/.ssh/allowed_signers"
    assert signs_every_commit(git)
    signers = home / ".ssh" / "allowed_signers"
    assert signers.read_text() == f'{WHO} namespaces="git" {TOKEN.encode()}\n'
    assert email_of(git) == WHO
    assert configured_key(git) == wish.key
    undone = undo_signing(git)
    assert tuple(change.name for change in undone.restored) == ALL
    assert len(undone.lines) == 1
    assert signers.read_text() == ""
    assert (home / ".gitconfig").read_text() == ""
    assert undo_signing(git).restored == ()


def test_a_second_time_changes_nothing(git: Git, home: Path, wish: GitSigning) -> None:
    apply_plan(git, plan_signing(git, wish))
    before = (home / ".gitconfig").read_text()
    plan = plan_signing(git, wish)
    assert plan.is_empty
    assert plan.present == ALL[:-1]  # an address that git has is not ours
    assert plan.known == (WHO,)
    apply_plan(git, plan)
    assert (home / ".gitconfig").read_text() == before


def test_what_was_there_comes_back(git: Git, wish: GitSigning) -> None:
    git.put("gpg.format", ["openpgp"])
    git.put("user.signingKey", ["AAAA", "BBBB"])
    git.put("commit.gpgSign", ["yes"])
    plan = plan_signing(git, wish)
    assert "commit.gpgSign" in plan.present
    apply_plan(git, plan)
    other = plan_signing(git, GitSigning(wish.key, WHO, program="/opt/other"))
    assert [change.name for change in other.settings] == ["gpg.ssh.program"]
    apply_plan(git, other)
    undo_signing(git)
    assert git.values("gpg.format") == ["openpgp"]
    assert git.values("user.signingKey") == ["AAAA", "BBBB"]
    assert git.values("commit.gpgSign") == ["yes"]
    assert git.values("gpg.ssh.program") == []


def test_what_the_user_changed_since_stays(git: Git, home: Path, wish: GitSigning) -> None:
    apply_plan(git, plan_signing(git, wish))
    git.put("user.signingKey", ["mine"])
    signers = home / ".ssh" / "allowed_signers"
    signers.write_text(f"# mine\n{signers.read_text()}bob {PLAIN.encode()}\n")
    undone = undo_signing(git)
    assert undone.left == ("user.signingKey",)
    assert git.values("user.signingKey") == ["mine"]
    assert signers.read_text() == f"# mine\nbob {PLAIN.encode()}\n"


def test_one_repository_alone(git: Git, home: Path, wish: GitSigning) -> None:
    local = Git("local", git.folder)
    apply_plan(local, plan_signing(local, wish))
    assert not (home / ".gitconfig").exists()
    assert git.values("gpg.format") == []
    assert local.effective("gpg.format") == "ssh"
    undo_signing(local)
    assert local.values("gpg.format") == []


def test_another_file_has_the_last_word(git: Git, wish: GitSigning) -> None:
    Git("local", git.folder).put("gpg.ssh.program", ["/opt/third"])
    (problem,) = apply_plan(git, plan_signing(git, wish))
    assert "gpg.ssh.program = /opt/third" in problem


def test_a_file_that_git_uses_already(git: Git, tmp_path: Path, wish: GitSigning) -> None:
    git.put(git_config.SIGNERS_FILE, ["signers"])  # from the top of the repository
    plan = plan_signing(git, wish)
    assert git_config.SIGNERS_FILE in plan.present
    assert plan.signers == tmp_path / "repository" / "signers"
    named = GitSigning(wish.key, WHO, tmp_path / "named", program="/opt/signer")
    plan = plan_signing(git, named)
    assert plan.signers == tmp_path / "named"
    apply_plan(git, plan)
    assert git.effective(git_config.SIGNERS_FILE) == str(tmp_path / "named")


def test_commits_on_request(git: Git, wish: GitSigning) -> None:
    plan = plan_signing(git, GitSigning(wish.key, WHO, program="x", every_commit=False))
    assert "commit.gpgSign" not in [change.name for change in plan.settings]


def test_who_signs(git: Git, key: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    programs = {c.name: c.after for c in plan_signing(git, GitSigning(key, WHO)).settings}
    assert programs["gpg.ssh.program"] == our_signer()
    key.write_bytes(text(PLAIN))
    assert "gpg.ssh.program" not in {
        c.name for c in plan_signing(git, GitSigning(key, WHO)).settings
    }
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match="fidokit-ssh-keygen is not installed"):
        our_signer()
    (tmp_path / git_config.SIGNER).touch(stat.S_IRWXU)
    assert our_signer() == git_config.SIGNER


def test_the_private_file_is_named_where_it_is(git: Git, key: Path, wish: GitSigning) -> None:
    key.with_suffix("").write_bytes(text(TOKEN))
    plan = plan_signing(git, wish)
    assert "~/.ssh/id_work" in [change.after for change in plan.settings]


@pytest.mark.parametrize("who", ["", "*", "a,b", "a b", '"a"', "#a", "a\nb", "a?", "!a"])
def test_principals_that_are_patterns(git: Git, key: Path, who: str) -> None:
    with pytest.raises(UsageError, match="is not a principal"):
        plan_signing(git, GitSigning(key, who, program="x"))


def test_values_that_look_like_options(git: Git, wish: GitSigning) -> None:
    strange = GitSigning(wish.key, WHO, program="--replace-all; touch x")
    apply_plan(git, plan_signing(git, strange))
    assert git.effective("gpg.ssh.program") == "--replace-all; touch x"
    undo_signing(git)
    assert git.effective("gpg.ssh.program") == ""


@pytest.mark.parametrize("value", ["key::sk-ssh-ed25519@openssh.com AAAA", "/nowhere", "ssh-rsa A"])
def test_keys_that_are_no_files(git: Git, value: str) -> None:
    assert configured_key(git) is None
    git.put("gpg.format", ["ssh"])
    git.put("user.signingKey", [value])
    assert configured_key(git) is None


def test_outside_of_a_repository(home: Path, tmp_path: Path, key: Path) -> None:
    local = Git("local", tmp_path)
    with pytest.raises(FidokitError, match="git refuses"):
        apply_plan(local, plan_signing(local, GitSigning(key, WHO, program="x")))
    assert email_of(local) == ""


def test_without_git(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="git is not installed"):
        Git("global", tmp_path, {"PATH": str(tmp_path)}).values("gpg.format")


def test_a_commit_that_is_not_signed(git: Git, key: Path, tmp_path: Path) -> None:
    """The proof fails with the words of what signs; a hook of the user's has no say."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\necho hook >&2; exit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    git.put("core.hooksPath", [str(hooks)])
    signer = tmp_path / "signer"
    signer.write_text("#!/bin/sh\necho the dog ate the key >&2; exit 1\n")
    signer.chmod(0o755)
    wish = GitSigning(key, WHO, program=str(signer))
    plan = plan_signing(git, wish)
    apply_plan(git, plan)
    with pytest.raises(SignatureInvalid, match="the dog ate the key"):
        prove_signing(git, wish, plan)
    assert [path.name for path in (tmp_path / "repository").iterdir()] == [".git"]
