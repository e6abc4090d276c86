"""The recipes for other systems: of this version, readable, and honest about what was run."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).parents[2]
FOLDER = TOP / "packaging"
RECIPES = sorted(path.name for path in FOLDER.iterdir())
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
VERSIONS = {
    "PKGBUILD": r"^pkgver=(\S+)$",
    "fidokit.nix": r'version = "([^"]+)";',
    "fidokit.rb": r"fidokit-([\d.]+)\.tar\.gz",
    "fidokit.spec": r"^Version: +(\S+)$",
}


def text(name: str) -> str:
    return (FOLDER / name).read_text()


@pytest.mark.parametrize("name", RECIPES)
def test_says_first_whether_it_was_run(name: str) -> None:
    head = " ".join(text(name).split("\n\n")[0].splitlines()[:8])
    assert re.search(r"Built and run|never (ran|run|built|evaluated)", head)


@pytest.mark.parametrize("name", VERSIONS)
def test_is_of_this_version(name: str) -> None:
    found = re.search(VERSIONS[name], text(name), re.MULTILINE)
    assert found
    assert found[1] == PROJECT["version"]


@pytest.mark.parametrize("name", ["PKGBUILD", "fidokit.nix", "fidokit.rb"])
def test_names_every_dependency(name: str) -> None:
    for requirement in PROJECT["dependencies"]:
        assert re.split("[<>=]", requirement)[0] in text(name)


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "compose.yaml"])
def test_what_it_takes_from_the_tree_is_there(name: str) -> None:
    for path in re.findall(r"\b(?:src/fidokit|\.ci|docs)/[\w./-]*\w", text(name)):
        if "$" not in path:
            assert (TOP / path).exists(), path


def test_bash_can_read_the_one_for_arch() -> None:
    subprocess.run(["bash", "-n", FOLDER / "PKGBUILD"], check=True)


def test_the_service_waits_for_the_socket_that_others_use() -> None:
    services = yaml.safe_load(text("compose.yaml"))["services"]
    path = services["tests"]["environment"]["FIDOKIT_TOKEN"].removeprefix("socket:")
    assert f"--socket {path}" in services["token"]["command"][0]
    assert path in services["token"]["healthcheck"]["test"]
    assert services["token"]["volumes"] == services["tests"]["volumes"]
