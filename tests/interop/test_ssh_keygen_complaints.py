"""What ssh-keygen says of a line of allowed signers, with file and line: ours says the same, also
where another line lets the key sign."""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path

import pytest
from tests.support.agent_host import stock

from fidokit.cli.ssh_keygen import operate

pytestmark = pytest.mark.interop

LINES = {
    "date": 'me@x valid-after="2020-01-01" {key}',
    "date before": 'me@x valid-before="soon" {key}',
    "no quotes": "me@x namespaces=file {key}",
    "open quote": 'me@x namespaces="file {key}',
    "open quote at the end": 'me@x {key} namespaces="file',
    "blank in options": 'me@x namespaces="file", valid-after="20200101" {key}',
    "comma at the end": 'me@x namespaces="file", {key}',
    "times crossed": 'me@x valid-after="20990101",valid-before="20200101" {key}',
    "twice": 'me@x namespaces="a",namespaces="b" {key}',
    "unknown": "me@x foo {key}",
    "flag with value": 'me@x cert-authority="x" {key}',
    "no key": "other@x,me@x",
    "options and no key": 'me@x namespaces="file"',
    "damaged key": "me@x {key}AAAA",
    "unknown type": "me@x ssh-unheard-of AAAA",
    "open quote around principals": '"me@x {key}',
    "a blank for a comma": "other@x, me@x {key}",
    "not yet": 'me@x valid-after="20990101Z" {key}',
    "expired": 'me@x valid-before="20200101Z" {key}',
    "namespace": 'me@x namespaces="git" {key}',
    "about somebody else": "you@x foo {key}",
    "no authority": "me@x cert-authority {key}",
}


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signed")
    run = [stock("ssh-keygen"), "-q"]
    subprocess.run([*run, "-t", "ed25519", "-N", "", "-C", "", "-f", "k"], cwd=folder, check=True)
    (folder / "data").write_text("data")
    subprocess.run([*run, "-Y", "sign", "-n", "file", "-f", "k", "data"], cwd=folder, check=True)
    return folder


def named(said: str) -> list[str]:
    """The lines that name file and line; when they were said is left out."""
    lines = [line.rstrip("\r") for line in said.splitlines() if line.startswith("al:")]
    return [re.sub(r"verify time \S+", "verify time", line) for line in lines]


def stocks(folder: Path, *operation: str) -> tuple[int, list[str]]:
    """Exit status of ssh-keygen, and what it says of lines."""
    command = [stock("ssh-keygen"), "-Y", *operation, "-f", "al"]
    done = subprocess.run(
        command, cwd=folder, input="data", capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, named(done.stderr)


OPERATIONS = {
    "verify": ["verify", "-n", "file", "-I", "me@x", "-s", "data.sig"],
    "find": ["find-principals", "-s", "data.sig"],
    "match": ["match-principals", "-I", "me@x"],
}


@pytest.mark.parametrize("end", ["\n", ""], ids=["line end", "no line end"])
@pytest.mark.parametrize("good_follows", [False, True])
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_both_complain_alike(  # noqa: PLR0917  a table of variants
    folder: Path,
    line: str,
    operation: list[str],
    good_follows: bool,
    end: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    key = " ".join((folder / "k.pub").read_text().split()[:2])
    text = line.format(key=key) + ("\n" + f"me@x {key}" if good_follows else "") + end
    (folder / "al").write_text(text)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"data")))
    status = operate(["-Y", *operation, "-f", "al"])
    assert (status, named(capfd.readouterr().err)) == stocks(folder, *operation)
