"""A copy of the set-up scripts in a folder with a space, and stand-ins for what they call."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.children import popen

TOP = Path(__file__).parents[2]
BASICS = """
bash cat chmod cksum cp cut date dirname env expand flock grep head ln ls mkdir mktemp readlink
rm sed sh sleep tail timeout touch tr true
"""

PYTHON = """#!/bin/sh
# Stands in for an interpreter: answers what the set-up asks, makes an environment of itself.
printf 'python %s\\n' "$*" >>"$CALLS"
case $1$2 in
    -c*python%d.%d*) echo "python3.11-$3" ;;
    -c*version_info*) exit "${TOO_OLD:-0}" ;;
    -c*ensurepip*) [ -e "$STATE/ensurepip" ] ;;
    -c*base_prefix*) echo /usr ;;
    -c*Python.h*) [ -e "$STATE/headers" ] ;;
    -mvenv)
        for folder in "$@"; do :; done
        rm -rf "$folder" && mkdir -p "$folder/bin"
        cp "$0" "$folder/bin/python"
        ;;
    -mpip) [ -z "${PIP_BREAKS:-}" ] || { echo "no such wheel"; exit 1; } ;;
esac
"""
APT_GET = """#!/bin/sh
printf 'apt-get %s\\n' "$*" >>"$CALLS"
case "$*" in
    *update*) touch "$STATE/lists" ;;
    *download*)
        [ -e "$STATE/lists" ] || { echo "Unable to locate package"; exit 100; }
        touch python3-pip-whl_23_all.deb
        ;;
    *install*)
        [ -e "$STATE/lists" ] || { echo "Unable to locate package"; exit 100; }
        case "$*" in *"${UNKNOWN:-no such}"*) echo "Unable to locate package"; exit 100 ;; esac
        touch "$STATE/packages"
        case "$*" in *python3*-dev*) touch "$STATE/headers" ;; esac
        ;;
esac
"""
APT_CACHE = """#!/bin/sh
case "$2" in
    "${UNKNOWN:-no such}") echo "  Candidate: (none)" ;;
    *) echo "  Candidate: 1.0-1" ;;
esac
"""
DPKG_DEB = """#!/bin/sh
mkdir -p "$3/usr/share/python-wheels" && touch "$3/usr/share/python-wheels/pip-23.whl"
"""
DPKG_QUERY = """#!/bin/sh
[ -e "$STATE/packages" ] && echo installed
"""
SUDO = """#!/bin/sh
printf 'sudo %s\\n' "$*" >>"$CALLS"
[ -e "$STATE/sudoer" ] || exit 1
[ "$1" = -n ] && shift
exec "$@"
"""
ID = """#!/bin/sh
cat "$STATE/uid"
"""
FAKES = {
    "python3": PYTHON,
    "apt-get": APT_GET,
    "apt-cache": APT_CACHE,
    "dpkg-deb": DPKG_DEB,
    "dpkg-query": DPKG_QUERY,
    "sudo": SUDO,
    "id": ID,
}


@dataclass
class Machine:
    """A folder that looks like a clone, and the only programs that its scripts can see."""

    clone: Path
    programs: Path
    state: Path

    def run(
        self, *command: str, top: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script of the clone without a terminal, with the stand-ins alone on the path."""
        top = top or self.clone
        return subprocess.run(
            [str(top / command[0]), *command[1:]],
            cwd=self.state,
            env=self._environment(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *command: str, **variables: str) -> subprocess.Popen[bytes]:
        """Begin to run a script of the clone, in a process group of its own."""
        return popen(
            [str(self.clone / command[0]), *command[1:]],
            cwd=self.state,
            env=self._environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        return {
            "PATH": str(self.programs),
            "HOME": str(self.state),
            "CALLS": str(self.state / "calls"),
            "STATE": str(self.state),
            "FIDOKIT_POLICY_RC": str(self.state / "policy-rc.d"),
            **variables,
        }

    def calls(self) -> list[str]:
        """Return what the stand-ins were asked since the last time, in order."""
        log = self.state / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def have(self, *facts: str) -> None:
        """Let a fact hold: ensurepip, headers, packages, lists (of packages), sudoer."""
        for fact in facts:
            (self.state / fact).touch()

    def user(self, uid: int) -> None:
        """Say who runs the scripts."""
        (self.state / "uid").write_text(f"{uid}\n")

    def program(self, name: str, text: str) -> None:
        """Put a stand-in on the path."""
        path = self.programs / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = Machine(tmp_path / "a clone", tmp_path / "bin", tmp_path / "state")
    for folder in (found.clone, found.programs, found.state):
        folder.mkdir()
    shutil.copytree(TOP / ".ci", found.clone / ".ci")
    for name in ("pyproject.toml", "constraints.txt", "Makefile"):
        (found.clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, found.clone / name)
    for tool in BASICS.split():
        where = shutil.which(tool)
        assert where, f"{tool} is part of every Debian system"
        (found.programs / tool).symlink_to(where)
    for name, text in FAKES.items():
        found.program(name, text)
    found.user(1000)
    return found
