"""At no step of `server harden second-factor`, nor of its undoing, is a code alone enough.

The command is killed before each of its steps (kill -9), and a login by a code alone is tried at
the server that runs, which has taken the files or not, and at one that starts with them.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.private_etc import USER
from tests.support.second_factor import CODES, SERVICE, Site, second_factor_site

pytestmark = [
    pytest.mark.interop,
    pytest.mark.root,
    pytest.mark.long,
]

KILLED = """
import ctypes, os, signal, sys
left = int(sys.argv.pop(1))
STEPS = {"os.rename", "os.remove", "os.kill", "os.link"}
OURS = ("sshd", "pam.d")

def is_step(event, args):
    named = [os.fspath(path) for path in args[:2] if isinstance(path, (str, os.PathLike))]
    return event == "os.kill" or any(ours in path for path in named for ours in OURS)

def hook(event, args):
    global left
    if event in STEPS and is_step(event, args):
        left -= 1
        if left < 0:
            ctypes.CDLL(None).kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
from fidokit.cli.main import main
sys.argv[0] = "fidokit"
sys.exit(main())
"""
MOST_STEPS = 40


@pytest.fixture
def site(tmp_path: Path, stock: Callable[[str], str]) -> Iterator[Site]:
    """A server that asks PAM for passwords, at which a code alone would do if PAM took it."""
    asking = ("PasswordAuthentication yes", "KbdInteractiveAuthentication yes")
    with second_factor_site(tmp_path, stock, *asking) as made:
        made.enroll()
        yield made


def killed(site: Site, at: int, *words: str, reload: bool) -> bool:
    """Whether the command was killed before its step of that number; else it went through."""
    program = [sys.executable, "-c", KILLED, str(at), "server", "harden"]
    done = site.etc.run([*program, *site.where(reload=reload), *words])
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode != 0


def no_code_alone(site: Site) -> None:
    for where in ((), (site.anew,)):
        site.enroll()
        seen = site.by_code_alone(CODES[0], *where)
        assert seen.status == 255, seen.text


HARDEN = ("second-factor", "--user", USER, "--yes-unproved")


def test_a_code_alone_lets_nobody_in_without_a_reload(site: Site) -> None:
    no_code_alone(site)
    assert not killed(site, 1000, *HARDEN, reload=False)
    no_code_alone(site)
    site.enroll()
    assert site.ssh(CODES[0]).status == 0


def test_a_code_alone_lets_nobody_in_at_any_step(site: Site) -> None:
    for at in range(MOST_STEPS):
        alive = not killed(site, at, *HARDEN, reload=True)
        no_code_alone(site)
        site.enroll()
        seen = site.ssh(CODES[0])
        assert seen.status == 0, "a key, and a code where it is asked for, always do"
        if alive:
            break
        assert not killed(site, 1000, "--undo", reload=True)
        assert (site.etc.folder / "pam.d/sshd").read_text() == SERVICE
    assert 2 < at < MOST_STEPS


def test_nor_when_it_is_taken_back(site: Site) -> None:
    for at in range(MOST_STEPS):
        site.enroll()
        assert not killed(site, 1000, *HARDEN, reload=True)
        alive = not killed(site, at, "--undo", reload=True)
        no_code_alone(site)
        site.enroll()
        assert site.ssh(CODES[0]).status == 0
        if alive:
            break
    assert 2 < at < MOST_STEPS
    assert site.ssh().status == 0
