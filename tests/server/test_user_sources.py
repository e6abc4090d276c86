"""Whether everybody is listed, by nsswitch.conf and what lies beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.server.user_sources import UserSources


def machine(root: Path, switch: str | None, **more: str) -> UserSources:
    (root / "etc").mkdir(exist_ok=True)
    if switch is not None:
        (root / "etc/nsswitch.conf").write_text(switch)
    for name, text in {"passwd": "root:x:0:0::/root:/bin/sh\n", **more}.items():
        path = root / name if "/" in name else root / "etc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return UserSources(root)


@pytest.mark.parametrize(
    ("switch", "said"),
    [
        ("passwd: files\n", ""),
        ("passwd: files systemd\n", ""),
        ("passwd:\tfiles [NOTFOUND=return] # sss\n", ""),
        ("passwd: compat\n", ""),
        (None, ""),
        ("hosts: dns\n", ""),
        ("passwd: files sss\n", "names sss"),
        ("passwd: files [success=continue] ldap\n", "names ldap"),
        ("passwd: winbind files\n", "names winbind"),
        ("passwd: files[NOTFOUND=continue]nis\n", "names nis"),
    ],
)
def test_sources(tmp_path: Path, switch: str | None, said: str) -> None:
    found = machine(tmp_path, switch).unlisted()
    assert bool(found) is bool(said)
    assert said in "".join(found)


@pytest.mark.parametrize("switch", ["passwd: compat\n", None])
@pytest.mark.parametrize("line", ["+\n", "+@staff::::::\n", " +alice::::::\n", "-bob\n"])
def test_lines_that_stand_for_a_directory(tmp_path: Path, switch: str | None, line: str) -> None:
    assert machine(tmp_path, switch, passwd=f"root:x:0:0::/root:/bin/sh\n{line}").unlisted()


def test_lines_that_only_compat_reads(tmp_path: Path) -> None:
    assert not machine(tmp_path, "passwd: files\n", passwd="+\n").unlisted()


@pytest.mark.parametrize(
    "record", ["etc/userdb/alice.user", "run/userdb/a.user", "var/lib/systemd/home/a.identity"]
)
def test_records_of_systemd(tmp_path: Path, record: str) -> None:
    made = machine(tmp_path, "passwd: files systemd\n")
    assert not made.unlisted()
    assert machine(tmp_path, None, **{record: "{}"}).unlisted()
    assert not machine(tmp_path, "passwd: files\n").unlisted()


def test_passwords(tmp_path: Path) -> None:
    made = machine(tmp_path, "passwd: files sss\nshadow: files\n")
    assert made.unlisted("shadow") == ()
    assert made.files_first("shadow")
    made = machine(tmp_path, "passwd: files sss\n")
    assert made.unlisted("shadow")
    assert not machine(tmp_path, "shadow: sss files\n").files_first("shadow")
    assert not machine(tmp_path, "shadow: files [success=continue] sss\n").files_first("shadow")
