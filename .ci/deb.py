"""Builds the Debian package of a release, from the tree as git knows it, in a userland of its own.

Usage: deb.py FOLDER RELEASE...

The source package carries the wheels of what the release lacks, by the hashes of
debian/vendored/RELEASE.txt, for each architecture; building it reaches no network.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.children import popen
from tests.support.debian import run
from tests.support.roots import RELEASES, Root, root

TOP = Path(__file__).parents[1]
PYTHON = {"bookworm": "3.11", "trixie": "3.13"}
MACHINES = ("x86_64", "aarch64")
MANYLINUX = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
_ENTRY = re.compile(r"fidokit \(([\w.~+]+)\) (\w+);")


def source(release: str, folder: Path) -> Path:
    """Make the tree that dpkg-buildpackage takes.

    Args:
        release: Debian's name of it.
        folder: where the tree is made.
    """
    changelog = (TOP / "debian/changelog").read_text(encoding="utf-8")
    found = _ENTRY.match(changelog)
    assert found, "debian/changelog has no entry"
    tree = folder / f"fidokit-{found[1]}"
    copy_tree(tree)
    entry = f"fidokit ({found[1]}~deb{RELEASES[release]}u1) {release};"
    text = changelog.replace(found[0], entry, 1)
    (tree / "debian/changelog").write_text(text, encoding="utf-8")
    fetch(release, tree / "debian/wheels")
    return tree


def copy_tree(tree: Path) -> None:
    listed = ["git", "ls-files", "-z", "--cached"]
    names = subprocess.run(listed, cwd=TOP, capture_output=True, check=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (TOP / name).exists():  # one that is deleted and not committed
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TOP / name, tree / name, follow_symlinks=False)


def fetch(release: str, folder: Path) -> None:
    """Put the vendored wheels there, and what builds ours; pip refuses those of other hashes."""
    lists = [TOP / f"debian/vendored/{name}.txt" for name in (release, "build")]
    wanted = [word for path in lists for word in ("--requirement", path)]
    for machine in MACHINES:
        platforms = [f"--platform={name}_{machine}" for name in MANYLINUX]
        run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
                *("--no-deps", "--only-binary", ":all:", "--python-version", PYTHON[release]),
                *(*platforms, "--dest", folder, *wanted),
            ]
        )


def build(workshop: Root, tree: Path, output: Path) -> None:
    """Build the source package and the binary one in a workshop; they are in `output` then.

    Raises:
        AssertionError: it failed; the sentence ends with what dpkg-buildpackage said.
    """
    script = 'mkdir /made && cp -a /tree /made/ && cd /made/tree && "$@" && cp /made/*.* /output/'
    # what is in the source package is compressed already
    build = [
        "dpkg-buildpackage",
        "--source-option=-Zgzip",
        "--unsigned-source",
        "--unsigned-changes",
        "--build=full",
    ]
    shown = {str(tree): "/tree", str(output): "/output"}
    command = workshop.within(["sh", "-c", script, "sh", *build], show=shown, alone=True)
    with popen(
        ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        said = process.communicate(timeout=600)[0].decode("utf-8", "replace")
    assert process.returncode == 0, said[-4000:]


def main(folder: str, releases: Sequence[str]) -> None:
    """Build the packages of the releases, and put the binary ones into the folder."""
    for release in releases:
        with tempfile.TemporaryDirectory() as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            build(root(release, "workshop"), source(release, Path(scratch)), made)
            for path in made.glob("fidokit_*.deb"):
                shutil.copy(path, folder)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
