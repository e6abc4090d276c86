"""The man page is the help text: committed, current, and free of errors."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from fidokit.cli import manual
from fidokit.cli.app import GROUPS, TOP, load, root
from fidokit.errors import ExitCode

COMMITTED = Path(__file__).parents[2] / "docs" / "fidokit.1"


def test_committed_page_is_current() -> None:
    assert COMMITTED.read_text() == manual.page(), (
        "run: PYTHONPATH=src python -m fidokit.cli.manual > docs/fidokit.1"
    )


def test_every_verb_and_its_own_options_are_in_it() -> None:
    page = manual.page().replace("\\-", "-")
    for group, section in GROUPS.items():
        for name, target in section.verbs.items():
            assert f".SS fidokit {group} {name}" in page
            for param in load(target).params:
                if isinstance(param, click.Option) and not param.hidden:
                    assert param.opts[-1] in page
    for name in TOP:
        assert f".SS fidokit {name}" in page


def test_every_exit_status_is_explained() -> None:
    assert set(manual.EXIT_STATUS) == set(ExitCode)


def test_common_options_are_described_once() -> None:
    assert manual.page().count("Print JSON, for scripts.") == 1


def test_hidden_refusals_stay_hidden() -> None:
    assert ".B \\-N" not in manual.page()


def test_lines_that_roff_would_take_for_requests_are_guarded() -> None:
    assert manual._escape(".hidden\n'quoted\nplain-\\") == "\\&.hidden\n\\&'quoted\nplain\\-\\e"


@pytest.mark.interop
def test_man_renders_it_without_a_warning() -> None:
    groff = shutil.which("groff")
    if groff is None:
        if os.environ.get("CI") == "true":
            pytest.fail("groff is missing")
        pytest.skip("groff is not installed")
    done = subprocess.run(
        [groff, "-man", "-Tutf8", "-ww", "-z", str(COMMITTED)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_table_and_modules_agree() -> None:
    context = click.Context(root)
    for group in root.list_commands(context):
        assert root.get_command(context, group) is not None
    for section in GROUPS.values():
        for name, target in section.verbs.items():
            command = load(target)
            assert command.help, name
            assert command.short_help
            assert len(command.short_help) < 70, name
