"""Every keyword that some sshd prints is read, or harmless for a reason; also the installed one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fidokit.server.check.scope.keywords import HARMLESS, READ, doubts
from fidokit.server.sshd.settings import SshdSettings, parse_settings

PRINTED = sorted((Path(__file__).parents[2] / "sshd/printed").glob("*.txt"))


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: path.stem)
def test_each_version(path: Path) -> None:
    assert list(doubts(parse_settings(path.read_text()))) == []


@pytest.mark.interop
def test_the_installed_one(tmp_path: Path) -> None:
    key = tmp_path / "key"
    keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(keygen, check=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    command = ["/usr/sbin/sshd", "-T", "-h", str(key)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert list(doubts(parse_settings(done.stdout))) == []


def test_no_keyword_is_on_both_lists() -> None:
    assert not READ & set(HARMLESS)
    assert all(HARMLESS.values())


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("RefuseConnection no", 0),
        ("PubkeyAuthOptions touch-required max-pk-ok:4", 0),
        ("LetEverybodyIn yes", 1),
        ("PubkeyAuthOptions touch-optional", 1),
    ],
)
def test_what_is_new_is_a_doubt(printed: str, said: int) -> None:
    assert len(list(doubts(parse_settings(printed)))) == said


def test_nothing_printed_is_nothing_doubted() -> None:
    assert list(doubts(SshdSettings())) == []
