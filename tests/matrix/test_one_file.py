"""fidokit.pyz on each Debian, by its own Python, sshd and nothing else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ci.loading import load
from tests.server.samples import TOKEN
from tests.support.roots import Machine, elsewhere, required

TOP = Path(__file__).parents[2]
KEY = TOKEN.encode()
pytestmark = [pytest.mark.interop, pytest.mark.root]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("one-file") / "fidokit.pyz"
    wheels = TOP / ".venv/one-file"  # .ci/setup fetched them
    assert list(wheels.glob("*.whl")), "make test-all has them fetched"
    assert load("pyz").main(str(TOP / "src"), str(wheels), str(made)) is None
    return made


@pytest.fixture(scope="module", params=elsewhere())
def machine(request: pytest.FixtureRequest, program: Path) -> Iterator[Machine]:
    """One user, who has a password and no key yet."""
    with required(request.param).machine({str(program): "/fidokit.pyz"}) as made:
        for command in (
            ["useradd", "--create-home", "--shell", "/bin/sh", "ana"],
            ["sh", "-c", "echo ana:not-a-secret | chpasswd"],
            ["sh", "-c", "mkdir -p /run/sshd && ssh-keygen -A"],
            ["sh", "-c", f"echo '{KEY}' >/key.pub"],
        ):
            subprocess.run(made.within(command), check=True, capture_output=True, timeout=60)
        yield made


def run(machine: Machine, *words: str, code: int = 0) -> str:
    """What it prints; Python may warn of nothing."""
    command = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"]
    done = subprocess.run(
        machine.within([*command, "python3", "-B", "-W", "error", "/fidokit.pyz", *words]),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_a_key_is_let_in_and_taken_out(machine: Machine) -> None:
    """Authorized, seen, demanded, revoked: the installed sshd is asked each time."""
    assert "password" in run(machine, "server", "check", "--require", "no-password", code=10)
    added = run(machine, "server", "authorize", "--user", "ana", "/key.pub")
    assert "added" in added
    assert "sshd accepts" in added or "accepted" in added
    report = json.loads(run(machine, "--json", "server", "check", "--user", "ana"))
    assert report["tally"]["on_tokens"] == 1
    assert "token; touch" in run(machine, "server", "check", "--user", "ana", "--long")
    assert "removed" in run(machine, "server", "authorize", "--user", "ana", "--revoke", "/key.pub")
    report = json.loads(run(machine, "--json", "server", "check", "--user", "ana"))
    assert report["tally"]["keys"] == 0


def test_hardening_is_planned(machine: Machine) -> None:
    run(machine, "server", "authorize", "--user", "ana", "/key.pub")
    said = run(machine, "server", "harden", "hardware-only", "--dry-run")
    assert "PubkeyAcceptedAlgorithms" in said or "PubkeyAcceptedKeyTypes" in said


def test_files_of_keys(machine: Machine) -> None:
    theirs = subprocess.check_output(machine.within(["ssh-keygen", "-lf", "/key.pub"]), text=True)
    assert run(machine, "key", "show", "/key.pub") == theirs


def test_what_is_not_in_it_is_named(machine: Machine) -> None:
    said = run(machine, "token", "list", code=2)
    assert "no command 'token'" in said
    said = run(machine, "key", "show", "--public", "/key.pub", code=8)
    assert "pipx install ./fidokit-" in said  # tests/interop/test_installing.py does that
