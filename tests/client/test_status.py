from __future__ import annotations

import pytest

from fidokit.client.status import MEANINGS, error_for, untouched
from fidokit.errors import FidokitError, PinWrong, TokenRefused
from fidokit.types import CtapStatus


def test_every_status_has_a_meaning() -> None:
    assert set(MEANINGS) == set(CtapStatus) - {CtapStatus.OK}


@pytest.mark.parametrize("status", sorted(MEANINGS), ids=lambda s: s.name)
def test_sentence_and_hint(status: CtapStatus) -> None:
    error = error_for(status, "making the key")
    assert isinstance(error, MEANINGS[status].error)
    assert error.message.startswith("making the key failed: ")
    assert not error.message.endswith(".")
    assert error.hint or status is CtapStatus.KEEPALIVE_CANCEL


@pytest.mark.parametrize("status", range(1, 256))
def test_every_byte_is_told(status: int) -> None:
    error = error_for(status, "signing")
    assert isinstance(error, FidokitError)
    if status not in set(CtapStatus):
        assert isinstance(error, TokenRefused)
        assert error.status == status
        assert f"0x{status:02x}" in error.message


def test_kinds_of_unknown_status() -> None:
    assert "vendor-specific" in error_for(0xF1, "x").message
    assert "an extension's" in error_for(0xE1, "x").message
    assert "the unknown" in error_for(0x99, "x").message


def test_extra_arguments_are_filled() -> None:
    wrong = error_for(CtapStatus.PIN_INVALID, "x")
    assert isinstance(wrong, PinWrong)
    assert wrong.retries is None
    other = error_for(CtapStatus.OTHER, "x")
    assert isinstance(other, TokenRefused)
    assert other.status == 0x7F


@pytest.mark.parametrize(
    ("status", "seconds", "said"),
    [
        (CtapStatus.OPERATION_DENIED, 30.2, "nobody touched it for 30 seconds"),
        (CtapStatus.OPERATION_DENIED, 12.0, "for 12 seconds, or it was refused"),
        (CtapStatus.USER_ACTION_TIMEOUT, 10.0, "nobody touched it for 10 seconds"),
    ],
)
def test_a_touch_that_nobody_gave(status: CtapStatus, seconds: float, said: str) -> None:
    error = untouched(status, "signing", seconds)
    assert error.exit_code == 7
    assert error.message.startswith("signing failed: ")
    assert error.message.endswith(said)
