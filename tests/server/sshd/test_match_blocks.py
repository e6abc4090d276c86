"""Which criteria Match blocks use, in sshd_config and in what it includes."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.server.sshd.match_blocks import OF_PLACES, OF_USERS, criteria


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("PasswordAuthentication no\n", set()),
        ("# Match User x\n", set()),
        ("Matching User x\n", set()),
        ("Match all\n", set()),
        ("Match User alice\n", {"user"}),
        ("\tmatch\tgroup admins address 10.0.0.0/8\n", {"group", "address"}),
        ("MATCH User=alice\n", {"user"}),
        ("Port 22\r\nMatch Host *.example,LocalPort 22\r\n", {"host", "localport"}),
    ],
)
def test_one_file(text: str, found: set[str], tmp_path: Path) -> None:
    (tmp_path / "conf").write_text(text)
    assert criteria(str(tmp_path / "conf")) == found


def test_included_files_count(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (tmp_path / "conf").write_text(f'Include "{folder}/*.conf" {tmp_path}/more\n')
    (folder / "a.conf").write_text("Match User a\n")
    (folder / "b.other").write_text("Match Host b\n")
    (tmp_path / "more").write_text("Match Group c\n")
    assert criteria(str(tmp_path / "conf")) == {"user", "group"}


def test_in_doubt_everything_may_be_meant(tmp_path: Path) -> None:
    (tmp_path / "loop").write_text(f"Include {tmp_path}/loop\n")
    assert criteria(str(tmp_path / "loop")) == OF_PLACES | OF_USERS
    assert criteria(str(tmp_path / "none")) == OF_PLACES | OF_USERS
