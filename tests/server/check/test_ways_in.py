"""Who gets in by a password, and who by nothing at all."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from fidokit.server.accounts import Account, account
from fidokit.server.check.admission import Person
from fidokit.server.check.ways_in import WaysIn, people
from fidokit.server.shadow import Entry, Password
from fidokit.server.sshd.settings import Settings, parse

ALICE = Account("alice", 1000, 1000, Path("/home/alice"))
ROOT = Account("root", 0, 0, Path("/root"))


def ways(state: Password) -> WaysIn:
    return WaysIn(lambda user: Person(user.name, user.uid, "/bin/sh", (), Entry(state)))


def settings(*more: str) -> Settings:
    lines = ["usepam yes", "pubkeyauthentication yes", "passwordauthentication yes", *more]
    return parse("".join(f"{line}\n" for line in lines))


def test_a_password_is_enough() -> None:
    assert ways(Password.SET).password_is_enough(ALICE, settings())
    assert ways(Password.UNKNOWN).password_is_enough(ALICE, settings())
    assert not ways(Password.NONE).password_is_enough(ALICE, settings())


def test_a_password_is_not_enough() -> None:
    keys_only = settings("authenticationmethods publickey")
    assert not ways(Password.SET).password_is_enough(ALICE, keys_only)
    assert not ways(Password.SET).password_is_enough(ROOT, settings())
    assert ways(Password.SET).password_is_enough(ROOT, settings("permitrootlogin yes"))
    assert not ways(Password.SET).password_is_enough(ALICE, settings("denyusers alice"))


@pytest.mark.parametrize("state", Password)
def test_who_may_have_a_password(state: Password) -> None:
    expected = state in {Password.SET, Password.EMPTY, Password.UNKNOWN}
    assert ways(state).may_have_password(ALICE) is expected


def test_whom_sshd_turns_away() -> None:
    known = ways(Password.SET)
    assert known.refusal(ALICE, settings()) == ""
    assert known.refusal(ALICE, settings("denyusers ali*")) == "DenyUsers names it"
    assert known.refusal(ROOT, settings("permitrootlogin no")) == "PermitRootLogin is no"


def test_people_of_this_machine() -> None:
    me = account(pwd.getpwuid(os.geteuid()).pw_name)
    assert people()(me).uid == os.geteuid()
