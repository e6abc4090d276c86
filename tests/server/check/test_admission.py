"""Whom sshd turns away, whatever key or password they have."""

from __future__ import annotations

import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest
from tests.server.settings import settings

from fidokit.server.accounts import Account, Password, ShadowEntry, account
from fidokit.server.check import admission
from fidokit.server.check.admission import LoginUser, WaysIn, people
from fidokit.server.sshd.query import LoginOrigin
from fidokit.server.sshd.settings import SshdSettings, parse_settings

ALICE = LoginUser("alice", 1000, "/bin/sh", ("alice", "staff"), ShadowEntry(Password.SET))
HERE = LoginOrigin.parse("addr=10.0.0.7,host=desk.example")


def refused(person: LoginUser = ALICE, **changes: str) -> list[str]:
    return list(admission.refusals(person, settings(**changes), HERE, now=1000.0))


def test_an_ordinary_user_gets_in() -> None:
    assert refused() == []


@pytest.mark.parametrize(
    ("allowed", "gets_in"),
    [
        ("alice", True),
        ("bob", False),
        ("bob\nal*", True),
        ("alice@10.0.0.0/8", True),
        ("alice@10.1.0.0/16", False),
        ("alice@desk.example", True),
        ("alice@DESK.*", True),
        ("alice@10.0.0.?", True),
        ("alice@2001:db8::/32", False),
        ("alice@x/y", False),
        ("bob@10.0.0.7", False),
    ],
)
def test_lists_of_users(allowed: str, gets_in: bool) -> None:
    assert refused(allowusers=allowed) == ([] if gets_in else ["AllowUsers does not name the user"])
    assert refused(denyusers=allowed) == (["DenyUsers names the user"] if gets_in else [])


def test_lists_of_groups() -> None:
    assert refused(allowgroups="sta*") == []
    assert refused(allowgroups="wheel") == ["AllowGroups names no group of the user"]
    assert refused(denygroups="wheel\nstaff") == ["DenyGroups names a group of the user"]


def test_root() -> None:
    root = replace(ALICE, name="root", uid=0)
    assert refused(root) == []
    assert refused(root, permitrootlogin="no") == ["PermitRootLogin is no"]
    assert refused(permitrootlogin="no") == []


def test_a_shell_that_cannot_be_run(tmp_path: Path) -> None:
    plain = tmp_path / "shell"
    plain.write_text("")
    plain.chmod(0o644)
    for shell in (str(plain), str(tmp_path), "/no/such/shell"):
        assert refused(replace(ALICE, shell=shell)) == [f"the shell {shell} cannot be run"]
        assert refused(replace(ALICE, shell=shell), chrootdirectory="/srv") == []
    assert refused(replace(ALICE, shell="")) == []


def test_locked_and_expired_accounts_are_pams_where_there_is_pam() -> None:
    locked = replace(ALICE, shadow=ShadowEntry(Password.LOCKED, expires=999))
    assert refused(locked) == []
    assert refused(locked, usepam="no") == [
        "the account is locked, and UsePAM is off",
        "the account has expired",
    ]
    assert (
        refused(replace(ALICE, shadow=ShadowEntry(Password.NONE, expires=1001)), usepam="no") == []
    )


def test_a_user_of_this_machine_has_groups() -> None:
    found = people()(account("root"))
    assert found.groups[0] == "root"


# --- apart from keys ---------------------------------------------------------------------


ACCOUNT = Account("alice", 1000, 1000, Path("/home/alice"))
ROOT = Account("root", 0, 0, Path("/root"))


def ways(state: Password) -> WaysIn:
    return WaysIn(lambda user: LoginUser(user.name, user.uid, "/bin/sh", (), ShadowEntry(state)))


def effective(*more: str) -> SshdSettings:
    lines = ["usepam yes", "pubkeyauthentication yes", "passwordauthentication yes", *more]
    return parse_settings("".join(f"{line}\n" for line in lines))


def test_a_password_is_enough() -> None:
    assert ways(Password.SET).password_is_enough(ACCOUNT, effective())
    assert ways(Password.UNKNOWN).password_is_enough(ACCOUNT, effective())
    assert not ways(Password.NONE).password_is_enough(ACCOUNT, effective())


def test_a_password_is_not_enough() -> None:
    keys_only = effective("authenticationmethods publickey")
    assert not ways(Password.SET).password_is_enough(ACCOUNT, keys_only)
    assert not ways(Password.SET).password_is_enough(ROOT, effective())
    assert ways(Password.SET).password_is_enough(ROOT, effective("permitrootlogin yes"))
    assert not ways(Password.SET).password_is_enough(ACCOUNT, effective("denyusers alice"))


@pytest.mark.parametrize("state", Password)
def test_who_may_have_a_password(state: Password) -> None:
    expected = state in {Password.SET, Password.EMPTY, Password.UNKNOWN}
    assert ways(state).may_have_password(ACCOUNT) is expected


def test_whom_sshd_turns_away() -> None:
    known = ways(Password.SET)
    assert known.refusal(ACCOUNT, effective()) == ""
    assert known.refusal(ACCOUNT, effective("denyusers ali*")) == "DenyUsers names the user"
    assert known.refusal(ROOT, effective("permitrootlogin no")) == "PermitRootLogin is no"


def test_people_of_this_machine() -> None:
    me = account(pwd.getpwuid(os.geteuid()).pw_name)
    assert people()(me).uid == os.geteuid()
