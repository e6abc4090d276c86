"""What starts fast must not import what is slow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest
from tests.support.sandbox import Sandbox

SLOW = (
    "fido2",
    "cryptography",
    "rich",
    "sqlite3",
    "asyncio",
    "bcrypt",
    "logging",
    "json",
)


def loaded_by(sandbox: Sandbox, *args: str, slow: Sequence[str] = SLOW) -> list[str]:
    probe = (
        "import sys\n"
        "from fidokit.cli import main\n"
        "status = main.run(sys.argv[1:])\n"
        f"loaded = [name for name in {slow!r} if name in sys.modules]\n"
        "import json\n"
        "sys.stderr.write(json.dumps([status, loaded]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, *args],
        capture_output=True,
        env=sandbox.env,
        cwd=sandbox.home,
        check=True,
    )
    status, loaded = json.loads(done.stderr)
    assert status == 0
    return list(loaded)


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["key", "--help"],
        ["key", "generate", "--help"],
        ["pin", "set", "--help"],
        ["token", "reset", "--help"],
        ["completion", "bash"],
    ],
    ids=" ".join,
)
def test_help_and_version_import_nothing_heavy(sandbox: Sandbox, args: list[str]) -> None:
    assert loaded_by(sandbox, *args) == []


PUBLIC = (
    "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAdHjQ5PUJMBE0LHN"
    "GF6OliFqy5rDQE4Kgy8o8Z+NQeEAAAABHNzaDo= someone\n"
)


@pytest.mark.parametrize("options", [[], ["--hash", "md5"], ["--bubblebabble"], ["--randomart"]])
def test_fingerprints_import_nothing_heavy(sandbox: Sandbox, options: list[str]) -> None:
    (sandbox.home / "k.pub").write_text(PUBLIC)
    assert loaded_by(sandbox, "key", "show", *options, "k.pub") == []


@pytest.mark.parametrize(
    ("args", "spared"),
    [
        (["key", "show", "k.pub"], {"pathlib", "subprocess", "cryptography"}),
        (["virtual", "list"], {"cryptography", "fido2", "rich", "subprocess"}),
        (
            ["--token", "virtual:t", "token", "info"],
            {"cryptography.x509", "fido2.ctap2", "logging", "subprocess", "rich", "shutil"},
        ),
        (["--token", "virtual:t", "pin", "status"], {"cryptography.x509", "fido2.ctap2", "rich"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_each_command_pays_for_what_it_uses(
    sandbox: Sandbox, args: list[str], spared: set[str]
) -> None:
    (sandbox.home / "k.pub").write_text(PUBLIC)
    assert sandbox.run("virtual", "create", "t").code == 0
    assert loaded_by(sandbox, *args, slow=sorted(spared)) == []
