"""`fidokit provider path|install`."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.sandbox import Sandbox

from fidokit.errors import NoPermission
from fidokit.provider.library import FILES, InstalledProvider, is_trusted, provider_path

Run = Callable[..., int]


@pytest.mark.compiled
def test_the_path_is_all_that_is_printed(sandbox: Sandbox) -> None:
    """So that $(fidokit provider path) is what -w, -S and SSH_SK_PROVIDER want."""
    done = sandbox.run("provider", "path")
    assert (done.code, done.err) == (0, "")
    library = Path(done.out.removesuffix("\n"))
    assert library.is_relative_to(sandbox.home)
    assert library.read_bytes().startswith(b"\x7fELF")


@pytest.mark.compiled
@pytest.mark.parametrize("version", [10, 9])
def test_each_version_as_json(sandbox: Sandbox, version: int) -> None:
    done = sandbox.run("provider", "path", "--sk-api", str(version), "--json")
    library = sandbox.home / ".local/share/fidokit" / FILES[version]
    assert json.loads(done.out)["provider"] == {"path": str(library), "sk_api": version}
    assert library.is_file()


@pytest.mark.compiled
def test_installed(sandbox: Sandbox, tmp_path: Path) -> None:
    into = tmp_path / "lib folder"
    done = sandbox.run("provider", "install", "--into", str(into), "--sk-api", "10")
    copy = into / "sk_fidokit.so"
    assert (done.code, done.out) == (0, f"Wrote {copy}.\n")
    assert f"export SSH_SK_PROVIDER={shlex.quote(str(copy))}" in done.err
    assert copy.read_bytes() == provider_path(10).read_bytes()
    document = json.loads(sandbox.run("provider", "install", "--into", str(into), "--json").out)
    assert document["provider"]["python"] == sys.executable


def test_installing_needs_root(
    in_process: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NoPermission("/usr/local/lib/fidokit is root's")

    monkeypatch.setattr("fidokit.provider.library.install_provider", refuse)
    assert in_process("provider", "install") == 1
    said = capsys.readouterr().err
    assert "sudo" in said
    assert "provider install" in said
    assert "--into" not in said
    assert in_process("provider", "install", "--into", "/opt/x") == 1
    assert "provider install --into /opt/x" in capsys.readouterr().err


def test_a_library_that_is_trusted_already_is_not_copied(
    in_process: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = Path("/usr/lib/x86_64-linux-gnu/fidokit/sk_fidokit.so")
    monkeypatch.setattr("fidokit.provider.library.provider_path", lambda _: there)
    monkeypatch.setattr("fidokit.provider.library.built", lambda _: pytest.fail("copied"))
    assert in_process("provider", "install") == 0
    said = capsys.readouterr()
    assert said.out == f"{there} is already there.\n"
    assert f"export SSH_SK_PROVIDER={there}" in said.err
    assert in_process("provider", "install", "--json") == 0
    assert json.loads(capsys.readouterr().out)["provider"]["written"] is False


@pytest.mark.parametrize(
    ("path", "is_so"),
    [
        ("/usr/lib/x86_64-linux-gnu/fidokit/sk_fidokit.so", True),
        ("/usr/local/lib/fidokit/sk_fidokit.so", True),
        ("/usr/lib64/sk_fidokit.so", True),
        ("/home/me/usr/lib/sk_fidokit.so", False),
        ("/usr/local/share/sk_fidokit.so", False),
        ("/usr/local/lib/../../../tmp/sk_fidokit.so", False),
    ],
)
def test_what_ssh_agent_trusts(path: str, is_so: bool) -> None:
    assert is_trusted(Path(path)) is is_so


def test_who_else_can_run_it(
    in_process: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    done = InstalledProvider(tmp_path / "sk_fidokit.so", "/root/venv/python", Path("/root"))
    monkeypatch.setattr("fidokit.provider.library.install_provider", lambda *_, **__: done)
    assert in_process("provider", "install") == 0
    assert "other users may not enter /root" in capsys.readouterr().err
