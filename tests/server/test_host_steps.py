"""Steps on this machine: the order, the end at a failure, and the way back."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from fidokit.errors import FidokitError, UsageError
from fidokit.server import host_steps
from fidokit.server.host_steps import (
    CarriedOutStep,
    ChangedFile,
    HostStep,
    StepKind,
    carry_out,
    take_back,
)
from fidokit.server.sshd.drop_in import Edit

ME = getpass.getuser()
STEPS = [HostStep(StepKind.AUTHORIZE), HostStep(StepKind.REVOKE), HostStep(StepKind.HARDEN)]


def fails(_: HostStep) -> CarriedOutStep:
    raise UsageError("no such user")


def breaks(_: HostStep) -> CarriedOutStep:
    raise ZeroDivisionError("by zero")


@pytest.mark.parametrize(("doer", "said"), [(fails, "no such user"), (breaks, "ZeroDivision")])
def test_a_step_that_fails_is_the_last(
    monkeypatch: pytest.MonkeyPatch, doer: object, said: str
) -> None:
    good = CarriedOutStep((ChangedFile("/f", ME, None, b""),))
    doers = {StepKind.AUTHORIZE: lambda _: good, StepKind.REVOKE: doer}
    monkeypatch.setattr(host_steps, "_DOERS", doers)
    done = [*carry_out(STEPS)]
    assert done[0] == good
    assert len(done) == 2
    assert said in done[1].problem


def test_files_of_keys_are_given_back_last_first(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(b"three\n")
    files = [
        ChangedFile(str(keys), ME, b"one\n", b"two\n"),
        ChangedFile(str(keys), ME, b"two\n", b"three\n"),
    ]
    assert take_back(files) == []
    assert keys.read_bytes() == b"one\n"


def test_what_was_changed_since_is_left_and_named(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.write_bytes(b"edited\n")
    other.write_bytes(b"after\n")
    files = [
        ChangedFile(str(other), ME, b"before\n", b"after\n"),
        ChangedFile(str(mine), ME, b"before\n", b"after\n"),
    ]
    (problem,) = take_back(files)
    assert problem == f"{mine} was changed since, and was left as it is"
    assert (mine.read_bytes(), other.read_bytes()) == (b"edited\n", b"before\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FidokitError("sshd does not answer"), "sshd does not answer"),
        (KeyError("x"), "fidokit failed on it: KeyError: 'x'"),
    ],
)
def test_files_of_sshd_go_back_at_once_and_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, said: str
) -> None:
    seen: list[Edit] = []

    def restore(edits: list[Edit], *, reload: bool) -> None:
        assert reload
        seen.extend(edits)
        raise error

    monkeypatch.setattr(host_steps, "restore", restore)
    keys = tmp_path / "keys"
    keys.write_bytes(b"b")
    files = [
        ChangedFile(str(keys), ME, b"a", b"b"),
        ChangedFile("/etc/one", "", None, b"1"),
        ChangedFile("/etc/two", "", b"0", b"2"),
    ]
    assert take_back(files) == [said]
    assert seen == [Edit(Path("/etc/two"), b"2", b"0"), Edit(Path("/etc/one"), b"1", None)]
    assert keys.read_bytes() == b"a"
