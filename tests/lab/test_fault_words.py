"""Faults and commands by name."""

from __future__ import annotations

import pytest

from fidokit.errors import UsageError
from fidokit.lab.fault_words import FAULTS, command_code, fault
from fidokit.virtual import faults
from fidokit.virtual.wrong_answers import NonCanonicalForm


def test_every_fault_has_a_name() -> None:
    classes = {getattr(faults, name) for name in faults.__all__} - {faults.Fault, faults.Faults}
    assert set(FAULTS.values()) == classes


@pytest.mark.parametrize(
    ("name", "given", "made"),
    [
        ("stall", {}, faults.Stall()),
        ("stall", {"status": 1, "obeys_cancel": False}, faults.Stall(1, obeys_cancel=False)),
        ("refuse", {"status": 0x7F}, faults.Refuse(0x7F)),
        ("truncate", {"keep": 3}, faults.Truncate(3)),
        ("non-canonical", {"form": "unsorted"}, faults.NonCanonical(NonCanonicalForm.UNSORTED)),
        ("unplug", {"acted": True}, faults.Unplug(acted=True)),
    ],
)
def test_named(name: str, given: dict[str, object], made: faults.Fault) -> None:
    assert fault(name, given) == made


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("nap", {}, "there is no fault 'nap'"),
        ("refuse", {}, "needs its parameters: status"),
        ("refuse", {"status": "7f"}, "status of the fault refuse is a number"),
        ("refuse", {"status": True}, "is a number"),
        ("slow", {"milliseconds": -1}, "is a number"),
        ("unplug", {"acted": 1}, "is true or false"),
        ("unplug", {"status": 1}, "has no parameter 'status'"),
        ("non-canonical", {"form": "odd"}, "is one of indefinite"),
        ("key-store-full", {"x": 1}, "has no parameter 'x'"),
    ],
)
def test_what_makes_no_sense(name: str, given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        fault(name, given)


@pytest.mark.parametrize(
    ("given", "code"), [(1, 1), ("0x0d", 13), ("9", 9), ("makeCredential", 1), ("selection", 11)]
)
def test_commands(given: object, code: int) -> None:
    assert command_code(given) == code


@pytest.mark.parametrize("given", [-1, 256, True, 1.0, None, "", "makecred", "0x100", "-1", []])
def test_no_commands(given: object) -> None:
    with pytest.raises(UsageError, match="is not a CTAP2 command"):
        command_code(given)
