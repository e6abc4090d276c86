"""The bench on which the steps of setup are taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.desk import Desk
from tests.support.setup_bench import Bench, made_bench


@pytest.fixture
def bench(bare_desk: Desk, home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return made_bench(bare_desk, home, monkeypatch)
