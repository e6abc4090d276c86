"""What is built once and installed in many places: wheel, one-file program, Debian packages.

These tests fetch packages as a user's machine would, so they need Debian's mirror and the package
index that pip's configuration names; `make packages` runs them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.ci.loading import load
from tests.matrix.__main__ import PASSED_ON, SYSTEM_PATH, package_sources
from tests.support.roots import PACKAGED, Machine, required

TOP = Path(__file__).parents[2]
RELEASES = PACKAGED
LIMIT_S = 500
AUTHORITIES, SHOWN = "/etc/ssl/certs/ca-certificates.crt", "/authorities.crt"
"""What this machine's pip trusts, where it is configured to."""


@dataclass(frozen=True)
class Fresh:
    """A Debian as debootstrap leaves it, and what is installed there since."""

    machine: Machine
    pip: Mapping[str, str]

    def run(self, *words: str, user: str = "root", code: int = 0, **variables: str) -> str:
        """What a program says there, in an environment that has nothing of ours."""
        home = "/root" if user == "root" else f"/home/{user}"
        usual = {"PATH": f"{home}/.local/bin:{SYSTEM_PATH}", "HOME": home, "LC_ALL": "C.UTF-8"}
        environ = [f"{name}={text}" for name, text in ({**usual, **self.pip, **variables}).items()]
        become = [] if user == "root" else ["setpriv", "--reuid", user, "--regid", user]
        command = [*become, *(["--init-groups"] if become else []), "env", "-i", *environ, *words]
        done = subprocess.run(
            self.machine.within(command, home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == code, f"{' '.join(words)}\n{done.stdout[-4000:]}"
        return done.stdout

    def install(self, *packages: str) -> str:
        """By apt, without what is only recommended."""
        words = ("apt-get", "-q", "-y", "install", "--no-install-recommends", *packages)
        return self.run(*words, DEBIAN_FRONTEND="noninteractive")


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Fresh]]:
    """Makes fresh machines of a release, with a user ana; each shows the folders that are named."""
    stack = []

    def make(release: str, kind: str = "bare", **show: Path) -> Fresh:
        places = {str(path): f"/{name}" for name, path in show.items()}
        environ = {name: text for name, text in os.environ.items() if PASSED_ON.fullmatch(name)}
        places |= {str(path): str(path) for path in package_sources(environ)}
        if AUTHORITIES in places:  # not in its place: Debian's package of that name writes it
            places[AUTHORITIES] = SHOWN
        entered = required(release, kind).machine(places)
        pip = {"PIP_CERT": SHOWN, "SSL_CERT_FILE": SHOWN} if SHOWN in places.values() else {}
        made = Fresh(entered.__enter__(), pip)
        stack.append(entered)
        made.run("apt-get", "-q", "update")
        made.run("useradd", "--create-home", "--shell", "/bin/sh", "ana")
        return made

    yield make
    for entered in stack:
        entered.__exit__(None, None, None)


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the one-file program."""
    folder = tmp_path_factory.mktemp("artifacts")
    folder.chmod(0o755)  # for users there, too
    tree = tmp_path_factory.mktemp("source") / "tree"
    deb = load("deb")
    deb.copy_tree(tree)
    command = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", folder, tree], check=True, timeout=LIMIT_S)
    wheels = TOP / ".venv/one-file"  # .ci/setup fetched them
    assert load("pyz").main(str(TOP / "src"), str(wheels), str(folder / "fidokit.pyz")) is None
    return folder


@pytest.fixture(scope="session")
def debian_package(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds the Debian package of a release once; the folder with all that came out."""
    made: dict[str, Path] = {}
    deb = load("deb")

    def build(release: str) -> Path:
        if release not in made:
            folder = tmp_path_factory.mktemp(release)
            tree = deb.source(release, folder)
            output = folder / "made"
            output.mkdir()
            deb.build(required(release, "workshop"), tree, output)
            made[release] = output
        return made[release]

    return build
