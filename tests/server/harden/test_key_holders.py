"""Who has keys, and which: each once, from every file that sshd reads."""

from __future__ import annotations

import os
import pwd
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, text

from fidokit.errors import NoPermission
from fidokit.server.accounts import Account
from fidokit.server.check import key_source
from fidokit.server.harden.key_holders import everybody, holder


@pytest.fixture
def me(tmp_path: Path) -> Account:
    return Account(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid(), tmp_path)


def test_keys_of_all_files_each_once(me: Account) -> None:
    (me.home / "a").write_bytes(b"junk\n" + text(PLAIN, TOKEN))
    (me.home / "b").write_bytes(b"restrict " + text(TOKEN, OTHER))
    found = holder(me, ["a", "%h/b", "a", "missing", "a/missing"])
    assert [line.key for line in found.keys] == [PLAIN.key, TOKEN.key, OTHER.key]
    assert not found.keys[1].has("restrict")  # sshd takes the first line that fits
    assert found.files[:2] == (me.home / "a", me.home / "b")


def test_a_folder_has_no_keys(me: Account) -> None:
    assert holder(me, ["."]).keys == ()


def test_what_only_root_may_read_is_told(me: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = key_source.Source(me.home, hidden="it cannot be read by you; root can look")
    monkeypatch.setattr(key_source, "_open", lambda *_, **__: hidden)
    with pytest.raises(NoPermission, match="cannot be read by you"):
        holder(me, ["a"])


def people(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Root of this machine with a key, and users without."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(key_source, "_rights_of", lambda _: nullcontext())
    (tmp_path / "root").mkdir()
    (tmp_path / "root/keys").write_bytes(text(PLAIN))
    rows = [
        ("root", 0, "/bin/sh"),
        ("daemon", 1, "/bin/sh"),
        ("alice", 1000, "/bin/sh"),
        ("alice", 1000, "/bin/sh"),
        ("robot", 1001, "/usr/sbin/nologin"),
    ]
    entries = []
    for name, uid, shell in rows:
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        (home / "keys").touch()
        entries.append(pwd.struct_passwd((name, "x", uid, uid, "", str(home), shell)))
    monkeypatch.setattr(pwd, "getpwall", lambda: entries)


def test_everybody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    people(monkeypatch, tmp_path)
    assert [user.name for user in everybody(["keys"])] == ["root"]


def test_a_file_of_everybody_says_nothing_of_users_without_a_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    people(monkeypatch, tmp_path)
    shared = [f"{tmp_path}/root/keys"]
    assert [user.name for user in everybody(shared)] == ["root", "daemon", "alice"]
    (tmp_path / "robot/own").write_bytes(text(PLAIN))
    assert "robot" in [user.name for user in everybody([*shared, "own"])]


def test_an_ordinary_user_is_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() or 1)
    if os.getuid() == 0:
        me = pwd.getpwuid(1).pw_name
    assert [user.name for user in everybody(["keys"])] == [me]
