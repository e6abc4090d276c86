"""What the tests of the library are run with."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import sanitized
from tests.support.suites import brings


@pytest.fixture(scope="session")
@brings("compiled")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that has the library read replies (driver.c)."""
    made = tmp_path_factory.mktemp("driver") / "driver"
    here = Path(__file__).with_name("driver.c")
    include = f"-I{sanitized.SOURCE.parent}"
    return sanitized.compiled(made, "-Wno-unused-function", include, here)


@pytest.fixture(scope="session")
@brings("compiled")
def strict_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library itself, for sk-api 10."""
    return sanitized.strict_library(tmp_path_factory.mktemp("strict"))
