"""`.ci/release TAG` in a clone with a tag of its own: everything but publishing."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
import tomllib
from pathlib import Path

from tests.ci.loading import load

TOP = Path(__file__).parents[2]
VERSION = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["version"]
LIMIT_S = 1800
FILES = {
    "NOTES",
    "SHA256SUMS",
    "fidokit.pyz",
    f"fidokit-{VERSION}.tar.gz",
    f"fidokit-{VERSION}-py3-none-any.whl",
    *(f"fidokit-{VERSION}-{name}.cdx.json" for name in ("wheel", "pyz", "deb12", "deb13")),
}


def run(folder: Path, *words: str) -> str:
    """What a command says in a folder, as a maintainer types it."""
    author = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
    command = [words[0], *author, *words[1:]] if words[0] == "git" else list(words)
    done = subprocess.run(
        command,
        cwd=folder,
        env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def scratch_release(clone: Path) -> None:
    """Do the steps of docs/release.md that come before the build."""
    run(clone.parent, "git", "clone", "--quiet", str(TOP), clone.name)
    changes = clone / "CHANGELOG.md"
    dated = f"## [Unreleased]\n\n## [{VERSION}] - 2026-12-01"
    changes.write_text(changes.read_text().replace("## [Unreleased]", dated, 1))
    contact = clone / "SECURITY.md"
    placeholder = load("release").PLACEHOLDER
    contact.write_text(contact.read_text().replace(placeholder, "t@example.invalid"))
    run(clone, "git", "commit", "--quiet", "-am", f"Release {VERSION}")
    run(clone, "git", "tag", "-a", f"v{VERSION}", "-m", f"fidokit {VERSION}")


def test_a_release_from_its_tag(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    scratch_release(clone)
    run(clone, ".ci/release", f"v{VERSION}")
    dist = clone / "dist"
    there = {path.name for path in dist.iterdir()}
    debs = {name for name in there if re.fullmatch(rf"fidokit_{VERSION}~deb1[23]u1_\w+\.deb", name)}
    assert (there - debs, len(debs)) == (FILES, 2)
    sums = dict(line.split()[::-1] for line in (dist / "SHA256SUMS").read_text().splitlines())
    assert sums == {
        name: hashlib.sha256((dist / name).read_bytes()).hexdigest()
        for name in there - {"SHA256SUMS"}
    }
    assert (dist / "NOTES").read_text().startswith("### Added\n")
    with tarfile.open(dist / f"fidokit-{VERSION}.tar.gz") as source:
        assert f"fidokit-{VERSION}/pyproject.toml" in source.getnames()
    assert run(clone, "git", "status", "--porcelain") == ""
