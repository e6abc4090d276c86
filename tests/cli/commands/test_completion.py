"""`fidokit completion`, and what the shells then ask."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from tests.support.sandbox import Sandbox


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_names_the_command(sandbox: Sandbox, shell: str) -> None:
    done = sandbox.run("completion", shell)
    assert done.code == 0
    assert f"_FIDOKIT_COMPLETE={shell}_complete" in done.out
    document = json.loads(sandbox.run("completion", shell, "--json").out)
    assert document["script"].strip() == done.out.strip()


def test_unknown_shell_is_refused(sandbox: Sandbox) -> None:
    assert sandbox.run("completion", "tcsh").code == 2


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("fidokit ke", {"key"}),
        ("fidokit key ge", {"generate"}),
        ("fidokit key s", {"show", "sign"}),
        ("fidokit key generate --no-p", {"--no-passphrase", "--no-progress"}),
        ("fidokit key generate -t ", {"ed25519-sk", "ecdsa-sk"}),
        ("fidokit --tok", {"--token"}),
    ],
)
def test_words_are_completed(sandbox: Sandbox, words: str, offered: set[str]) -> None:
    done = sandbox.run(
        _FIDOKIT_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )
    assert done.code == 0, done.err
    assert {line.partition(",")[2] for line in done.out.splitlines()} == offered


def test_bash_takes_the_script(sandbox: Sandbox) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    script = sandbox.run("completion", "bash").out
    done = subprocess.run([bash, "-n"], input=script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
