"""The man pages are the help text: committed, current, free of errors, and shown by `help`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from tests.support.sandbox import Sandbox
from tests.support.screen import window

from fidokit.cli.app import GROUPS, TOP, load, root
from fidokit.cli.manual import pages
from fidokit.cli.manual.__main__ import written
from fidokit.cli.manual.examples import EXAMPLES
from fidokit.errors import ExitCode

TOP_FOLDER = Path(__file__).parents[3]
DOCS = TOP_FOLDER / "docs"
PAGES = written()


def plain(name: str) -> str:
    return PAGES[name].replace("\\-", "-")


def test_committed_pages_are_current() -> None:
    assert {path.name: path.read_text() for path in DOCS.glob("*.1")} == PAGES, (
        "run: PYTHONPATH=src python -m fidokit.cli.manual docs"
    )


def test_pip_installs_them() -> None:
    project = tomllib.loads((TOP_FOLDER / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["data-files"]["share/man/man1"] == ["docs/*.1"]


def test_both_commands_and_each_group_have_one() -> None:
    groups = {f"fidokit-{group}.1" for group in GROUPS}
    assert set(PAGES) == {"fidokit.1", "fidokit-ssh-keygen.1", *groups}
    for group in GROUPS:
        assert f".BR fidokit-{group} (1)" in plain("fidokit.1")


def test_every_verb_its_own_options_and_examples_are_there() -> None:
    for group, section in GROUPS.items():
        page = plain(f"fidokit-{group}.1")
        for name, target in section.verbs.items():
            assert f".SS fidokit {group} {name}" in page
            for param in load(target).params:
                if isinstance(param, click.Option) and not param.hidden:
                    assert param.opts[-1] in page
            for example in EXAMPLES[f"{group} {name}"]:
                assert example in page
    for name in TOP:
        assert f".SS fidokit {name}" in plain("fidokit.1")


def test_every_exit_status_is_explained() -> None:
    assert set(pages.EXIT_STATUS) == set(ExitCode)


def test_common_options_are_described_once() -> None:
    for page in PAGES.values():
        assert page.count("Print JSON, for scripts.") <= 1


def test_hidden_refusals_stay_hidden() -> None:
    assert ".B \\-N" not in PAGES["fidokit-key.1"]


def test_lines_that_roff_would_take_for_requests_are_guarded() -> None:
    assert pages.escape(".hidden\n'quoted\nplain-\\") == "\\&.hidden\n\\&'quoted\nplain\\-\\e"


@pytest.mark.interop
@pytest.mark.parametrize("program", ["groff", "mandoc"])
def test_they_render_without_a_warning(program: str, tmp_path: Path) -> None:
    """All that are installed, and those of one verb that `help` shows."""
    if shutil.which(program) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is missing")
        pytest.skip(f"{program} is not installed")
    judge = {
        "groff": ["groff", "-man", "-Tutf8", "-ww", "-z"],
        "mandoc": ["mandoc", "-T", "lint", "-W", "warning"],
    }
    verbs = {f"fidokit-{'-'.join(words)}.1": words for words in map(str.split, EXAMPLES)}
    made = {**PAGES, **{name: pages.page_of(root, words) for name, words in verbs.items()}}
    for name, text in made.items():
        (tmp_path / name).write_text(text)
        done = subprocess.run(
            [*judge[program], name], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        said = [
            line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line
        ]
        assert said == [], name  # a date would be another each day


@pytest.mark.interop
@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ((), "manage FIDO2 security keys"),
        (("key",), "fidokit key VERB"),
        (("key", "sign"), "EXAMPLES"),
    ],
)
def test_help_shows_them_on_a_terminal(
    sandbox: Sandbox, words: tuple[str, ...], seen: str, tmp_path: Path
) -> None:
    if shutil.which("man") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("man is missing")
        pytest.skip("man is not installed")
    env = {
        **sandbox.env,
        "TERM": "xterm",
        "PATH": os.environ["PATH"],
        "MANPAGER": "cat",
        "TMPDIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "fidokit", "help", *words]
    with window(command, env, columns=80) as shown:
        assert shown.status == 0
    assert seen in shown.text()
    assert "FIDOKIT" in shown.text()
    assert not list(tmp_path.glob("fidokit-man-*"))


@pytest.mark.parametrize("words", [(), ("key",), ("key", "sign"), ("help",)])
def test_without_man_or_terminal_help_prints_the_help_text(
    in_process: Callable[..., int], capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert in_process("help", *words) == 0
    printed = capsys.readouterr().out
    assert in_process(*words, "--help") == 0
    assert capsys.readouterr().out.strip() == printed.strip()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("kye",), "there is no command 'kye' here; did you mean 'key'?"),
        (("key", "create"), "`fidokit key generate` makes a key"),
        (("key", "sign", "x"), "`fidokit key sign` has no commands below it"),
    ],
)
def test_help_on_what_is_not_there(
    in_process: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    assert in_process("help", *words) == 2
    assert said in capsys.readouterr().err


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
