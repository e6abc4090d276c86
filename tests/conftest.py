"""Settings that hold for every test."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from contextlib import suppress

import pytest
from hypothesis import settings
from tests.support import children, pcscd

pytest_plugins = ["pytester", "tests.conformance"]
with suppress(ModuleNotFoundError):  # Unix has terminals; elsewhere the tests of formats run alone
    import termios  # noqa: F401

    pytest_plugins += [
        "tests.support.guardian",
        "tests.support.suites",
        "tests.support.rights",
        "tests.support.desk_fixtures",
        "tests.support.sandbox",
    ]

# A machine that is busy with something else is not a failure: time is measured in benchmarks/.
settings.register_profile("fidokit", deadline=None)
settings.register_profile("quick", settings.get_profile("fidokit"), max_examples=60)
settings.load_profile("fidokit")


# Whoever starts a run in the background has it ignore Ctrl-C, and every child would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Have our own plug-in also where the tests run from a tree that is not installed.

    `make test` tries fewer random examples than `make test-all`, in every test that has no number.
    """
    if config.option.markexpr == "not rest":
        settings.load_profile("quick")
    if not config.pluginmanager.has_plugin("fidokit"):
        config.pluginmanager.import_plugin("fidokit.pytest_plugin")
    os.umask(0o022)  # many users have 002, and then others may change what a test makes
    # What tests compile in this process stays out of the home of whoever runs them.
    own = tempfile.TemporaryDirectory(prefix="data-", dir=children.place())
    os.environ["XDG_DATA_HOME"] = own.name
    config.add_cleanup(own.cleanup)
    # No test meets this machine's own readers; and where libpcsclite looks is settled only once.
    pcscd.reserve()
    config.add_cleanup(pcscd.free)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the thousands of tests, which live to the end."""
    gc.collect()
    gc.freeze()
