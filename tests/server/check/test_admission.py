"""Whom sshd turns away, whatever key or password they have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.server.settings import settings

from fidokit.server.check import admission
from fidokit.server.check.admission import Person
from fidokit.server.shadow import Entry, Password
from fidokit.server.sshd.query import Origin

ALICE = Person("alice", 1000, "/bin/sh", ("alice", "staff"), Entry(Password.SET))
HERE = Origin.parse("addr=10.0.0.7,host=desk.example")


def refused(person: Person = ALICE, **changes: str) -> list[str]:
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
    assert refused(allowusers=allowed) == ([] if gets_in else ["AllowUsers leaves it out"])
    assert refused(denyusers=allowed) == (["DenyUsers names it"] if gets_in else [])


def test_lists_of_groups() -> None:
    assert refused(allowgroups="sta*") == []
    assert refused(allowgroups="wheel") == ["AllowGroups names no group of it"]
    assert refused(denygroups="wheel\nstaff") == ["DenyGroups names a group of it"]


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
    locked = replace(ALICE, shadow=Entry(Password.LOCKED, expires=999))
    assert refused(locked) == []
    assert refused(locked, usepam="no") == [
        "the account is locked, and UsePAM is off",
        "the account has expired",
    ]
    assert refused(replace(ALICE, shadow=Entry(Password.NONE, expires=1001)), usepam="no") == []


def test_a_person_of_this_machine_has_groups() -> None:
    found = admission.person("root", 0, 0, "/bin/bash", Entry(Password.UNKNOWN))
    assert found.groups[0] == "root"
