"""Settings that hold for every test."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["tests.conformance"]

# A machine that is busy with something else is no failure: time is measured in benchmarks/.
settings.register_profile("fidokit", deadline=None)
settings.load_profile("fidokit")
