"""The artifact: built, the same twice, installed by stock ansible-galaxy, and used from there."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tests.ci.loading import load
from tests.support.ansible_site import TOP, newest, oldest

pytestmark = pytest.mark.interop

SANITY = (
    "action-plugin-docs",
    "changelog",
    "compile",
    "empty-init",
    "ignores",
    "line-endings",
    "no-assert",
    "no-get-exception",
    "no-illegal-filenames",
    "no-smart-quotes",
    "replace-urlopen",
    "shebang",
    "symlinks",
    "use-argspec-type-path",
)
"""The tests of `ansible-test sanity` that install nothing."""


def run(*command: str | Path, folder: Path, **env: str) -> str:
    environ = {**os.environ, "ANSIBLE_HOME": str(folder / "state"), "ANSIBLE_NOCOLOR": "1", **env}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by `.ci/collection`'s steps; its set-up would change this environment."""
    folder = tmp_path_factory.mktemp("artifact")
    return packed(folder)


def packed(folder: Path) -> Path:
    place = folder / "ansible_collections/fidokit/ssh"
    place.parent.mkdir(parents=True)
    packer = load("collection")
    packer.write(TOP, place)
    galaxy = newest().with_name("ansible-galaxy")
    run(galaxy, "collection", "build", "--output-path", folder, place, folder=folder)
    [made] = folder.glob("fidokit-ssh-*.tar.gz")
    packer.repack(made)
    return made


def test_the_same_tree_gives_the_same_bytes(artifact: Path, tmp_path: Path) -> None:
    other = packed(tmp_path)
    assert other.name == artifact.name
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (artifact, other)]
    assert sums[0] == sums[1]
    with tarfile.open(artifact) as archive:
        names = archive.getnames()
    assert "LICENSE" in names
    assert "plugins/module_utils/fidokit/server/desired/account_keys.py" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/output")]


@pytest.mark.parametrize("program", [oldest, newest], ids=["oldest", "newest"])
def test_it_is_installed_and_works_from_there(
    artifact: Path, tmp_path: Path, program: object
) -> None:
    assert callable(program)
    beside = Path(program())
    where = {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "there")}
    galaxy, ansible = beside.with_name("ansible-galaxy"), beside.with_name("ansible")
    install = ("collection", "install", "--offline", "-p", tmp_path / "there", artifact)
    run(galaxy, *install, folder=tmp_path, **where)
    said = run(galaxy, "collection", "verify", "--offline", "fidokit.ssh", folder=tmp_path, **where)
    assert "fidokit.ssh" in said
    for name in ("authorized_key", "hardened", "check", "revoked"):
        documented = run(
            beside.with_name("ansible-doc"),
            *("-t", "module", "--json", f"fidokit.ssh.{name}"),
            folder=tmp_path,
            **where,
        )
        assert json.loads(documented[documented.index("{") :])[f"fidokit.ssh.{name}"]["return"]
    checked = run(
        ansible,
        "localhost",
        "-m",
        "fidokit.ssh.check",
        "-a",
        "users=nobody",
        folder=tmp_path,
        **where,
    )
    assert '"token-key": []' in checked


@pytest.mark.parametrize("program", [oldest, newest], ids=["oldest", "newest"])
def test_sanity_as_far_as_it_installs_nothing(tmp_path: Path, program: object) -> None:
    assert callable(program)
    place = tmp_path / "ansible_collections/fidokit/ssh"
    place.parent.mkdir(parents=True)
    load("collection").write(TOP, place)
    run("git", "init", "-q", ".", folder=place)
    run("git", "add", "-A", ".", folder=place)
    tester = Path(program()).with_name("ansible-test")
    named = [word for name in SANITY for word in ("--test", name)]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    said = run(tester, "sanity", "--local", "--python", python, *named, folder=place)
    for name in SANITY:
        assert f'Running sanity test "{name}"' in said
