"""Runs tests against the programs of another Debian release.

`python -m tests.matrix SUITE [ARGUMENT...]`, or `all` for one after the other. `--chosen` stands
for the tests that the file `chosen` names; all other arguments are pytest's. Without any, all of
tests/interop runs.

Where the release's Python can run fidokit, the whole run is inside its userland, with a virtual
environment made there. Where it is too old, fidokit and the tests run here, and ssh, sshd and the
like on their PATH are the release's, entered for each call.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.children import popen
from tests.support.debian import Missing
from tests.support.roots import RELEASES, TOO_OLD, TOP, Machine, Root, elsewhere, root

INSIDE = "/fidokit"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS = {
    "sshd": "/usr/sbin/sshd",
    **{name: f"/usr/bin/{name}" for name in ("scp", "sftp", "ssh", "ssh-add", "ssh-agent")},
    "ssh-keygen": "/usr/bin/ssh-keygen",
    "ssh-keyscan": "/usr/bin/ssh-keyscan",
}
"""What is used of a release whose Python is too old, and where that is there."""
PASSED_ON = re.compile(r"(PIP_.*|SSL_CERT_\w+|(https?|no)_proxy|CI|FIDOKIT_\w+|TERM)", re.ASCII)
"""Environment variables that count inside, too."""
CONFIGURATION = ("/etc/pip.conf", "/etc/resolv.conf", "/etc/hosts")
OF_THE_SYSTEM = {"bin", "dev", "etc", "lib", "proc", "run", "sys", "usr", "var"}
"""Folders that the userland has of its own."""
_PATH = re.compile(r"(?:^|[\s=]|file://)(/[^\s:]+)", re.MULTILINE)
SUITE = "FIDOKIT_MATRIX"
"""Names the release to the tests."""


WHOLE = ("-q", "-n", "auto", "--dist", "loadgroup", "-m", "interop")
HERE = Path(__file__).parent


def named(file: str) -> list[str]:
    """The tests that a file beside this one names: `chosen`, or `beyond_bullseye`."""
    lines = (line.partition("#")[0].strip() for line in (HERE / file).read_text().splitlines())
    return [line for line in lines if line]


def words(arguments: Sequence[str]) -> list[str]:
    """What pytest is called with."""
    if not arguments:
        return [*WHOLE, "tests/interop"]
    if "--chosen" in arguments:
        return [*WHOLE, *(word for word in arguments if word != "--chosen"), *named("chosen")]
    return list(arguments)


def all_but_this(arguments: Sequence[str]) -> int:
    """Every release but this machine's own, on which `make test-all` runs."""
    return max([main(suite, arguments) for suite in elsewhere()])


def main(suite: str, arguments: Sequence[str]) -> int:
    """Run pytest; its exit status."""
    try:
        found = root(suite)
    except Missing as error:
        print(f"matrix: Debian {suite} is LEFT OUT: {error}", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0
    print(f"matrix: Debian {RELEASES[suite]} ({suite})", file=sys.stderr, flush=True)
    return (_outside if suite in TOO_OLD else _inside)(found, arguments)


# --- inside --------------------------------------------------------------------------------------


def _inside(found: Root, arguments: Sequence[str]) -> int:
    tree = found.folder.with_name("kept") / "tree"
    _copy_tree(tree)
    environ = {name: text for name, text in os.environ.items() if PASSED_ON.fullmatch(name)}
    environ |= {"PATH": SYSTEM_PATH, "HOME": "/root", "LANG": "C.UTF-8", SUITE: found.suite}
    # Its packages are there already; those of the kernel stage would be installed in vain.
    environ |= {"FIDOKIT_PACKAGES": "skip", "FIDOKIT_PYTHON": "/usr/bin/python3"}
    variables = [f"{name}={text}" for name, text in environ.items()]
    pytest = ["python", "-u", "-m", "pytest", *arguments]
    command = ["env", "-i", *variables, ".ci/in-venv", "test-all", *pytest]
    show = {str(tree): INSIDE} | {str(path): str(path) for path in package_sources(environ)}
    # By sh, since it is process 1: a run that is ended ends all that it started.
    shell = ["sh", "-c", '"$@" & wait $!', "sh", *command]
    return popen(found.within(shell, show=show, folder=INSIDE, alone=True)).wait()


def _copy_tree(tree: Path) -> None:
    """Bring the files that git knows, and new ones, up to date there; the environment stays."""
    tree.mkdir(parents=True, exist_ok=True)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=TOP, capture_output=True, check=True).stdout.decode()
    wanted = {name for name in names.split("\0") if name and (TOP / name).exists()}
    manifest = tree / ".manifest"
    before = set(manifest.read_text().split("\0")) if manifest.exists() else set()
    for name in before - wanted:
        (tree / name).unlink(missing_ok=True)
    for name in wanted:
        _copy(TOP / name, tree / name)
    manifest.write_text("\0".join(wanted))


def _copy(old: Path, new: Path) -> None:
    there = new.lstat() if new.is_symlink() or new.exists() else None
    status = old.lstat()
    if there and (there.st_mtime_ns, there.st_size) == (status.st_mtime_ns, status.st_size):
        return
    new.parent.mkdir(parents=True, exist_ok=True)
    if there:
        new.unlink()
    shutil.copy2(old, new, follow_symlinks=False)


def package_sources(environ: dict[str, str]) -> Iterator[Path]:
    """pip's configuration, and the folders of this machine that it names."""
    files = [Path(name) for name in CONFIGURATION]
    files.append(Path.home() / ".config/pip/pip.conf")
    texts = [text for name, text in environ.items() if name.startswith(("PIP_", "SSL_"))]
    for file in files:
        if file.exists():
            yield file
            texts.append(file.read_text())
    named = {Path(found) for text in texts for found in _PATH.findall(text)}
    for path in {Path.home() / ".cache/pip", *named}:
        place = path.parent if path.name == "simple" else path
        if place.exists() and (place.is_file() or place.parts[1] not in OF_THE_SYSTEM):
            yield place


# --- outside -------------------------------------------------------------------------------------


def _outside(found: Root, arguments: Sequence[str]) -> int:
    libraries = map(Path, dict.fromkeys(map(sysconfig.get_path, ("stdlib", "platstdlib"))))
    paths = (TOP, Path("/tmp"), Path(sys.prefix), *libraries)
    shown = {str(path): str(path) for path in paths}
    with found.machine(shown) as machine, tempfile.TemporaryDirectory() as folder:
        write_programs(machine, Path(folder))
        environ = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", SUITE: found.suite}
        left_out = [f"--deselect={test}" for test in named(f"beyond_{found.suite}")]
        command = [sys.executable, "-u", "-m", "pytest", *arguments, *left_out]
        return subprocess.run(command, cwd=TOP, env=environ, check=False).returncode


def write_programs(machine: Machine, folder: Path) -> None:
    """Scripts that run the release's programs in the folder in which they are called."""
    there = f"/proc/{machine.process.pid}"
    enter = f'nsenter --mount={there}/ns/mnt --wd="{there}/root$PWD"'
    for name, path in PROGRAMS.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {enter} {path} "$@"\n')
        script.chmod(0o755)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in {*RELEASES, "all"}:
        sys.exit(f"usage: python -m tests.matrix {'|'.join(RELEASES)}|all [ARGUMENT...]")
    given = words(sys.argv[2:])
    sys.exit(all_but_this(given) if sys.argv[1] == "all" else main(sys.argv[1], given))
