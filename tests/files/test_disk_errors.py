"""The system's errors in our sentences."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from fidokit.errors import FidokitError, FileInTheWay, NoPermission, UsageError
from fidokit.files.disk_errors import explain, explained

PATH = Path("/some/where/key")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.EEXIST, FileInTheWay),
        (errno.EACCES, NoPermission),
        (errno.EPERM, NoPermission),
        (errno.EROFS, NoPermission),
        (errno.ENAMETOOLONG, UsageError),
        (errno.EISDIR, UsageError),
        (errno.ENOTDIR, UsageError),
        (errno.ELOOP, UsageError),
        (errno.ENOENT, FidokitError),
        (errno.ENOSPC, FidokitError),
        (errno.EIO, FidokitError),
    ],
)
def test_each_has_a_sentence_and_a_hint(code: int, error: type[FidokitError]) -> None:
    found = explain(OSError(code, os.strerror(code)), PATH)
    assert type(found) is error
    assert "key" in found.message
    assert not found.message.endswith(".")
    assert found.hint


def test_an_error_without_a_number() -> None:
    assert "the system refused" in explain(OSError(), PATH).message


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), explained(PATH):
        _ = 1 // 0
    with pytest.raises(ValueError, match="not about names"), explained(PATH):
        raise ValueError("not about names")


@pytest.mark.parametrize("name", ["nul\0", "surrogate\ud800"])
def test_what_is_no_file_name(name: str) -> None:
    with pytest.raises(UsageError, match="not a file name"), explained(Path(name)):
        pytest.fail("the block is not entered")


def test_a_name_that_is_no_utf8_is_one() -> None:
    with explained(Path(os.fsdecode(b"\xff"))):
        pass
