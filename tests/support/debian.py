"""Debian userlands made by debootstrap, and the folder in which what was built once is kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

LIMIT_S = 900
"""For each program that builds."""
PRIVATE = ("unshare", "--mount", "--propagation", "private")
"""Gives a program mounts of its own."""
ALONE = (*PRIVATE, "--pid", "--fork", "--kill-child")
"""What it mounts and starts dies with it, also where it is cut off."""

_INSTALL = """
mount -t proc proc /proc &&
apt-get -q -o Acquire::Check-Valid-Until=false update &&
DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@"
"""


class Missing(Exception):
    """What this machine lacks to build or boot one, as a sentence."""


def cache(kind: str) -> Path:
    """Where what takes long to build is kept: FIDOKIT_CACHE, or `~/.cache/fidokit`."""
    if given := os.environ.get("FIDOKIT_CACHE"):
        return Path(given) / kind
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "fidokit" / kind


def run(command: Sequence[str | Path], **options: object) -> str:
    """What a program printed; it must succeed."""
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(  # type: ignore[call-overload]
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env=env,
        **options,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}"
    return str(done.stdout)


def debootstrap(suite: str, root: Path, packages: Iterable[str]) -> None:
    """Make a minimal Debian with more packages, from the mirror that this machine's apt uses.

    Args:
        suite: such as "bookworm".
        root: the folder, which does not exist yet.
        packages: their names.

    Raises:
        Missing: this user cannot build one.
    """
    if os.geteuid() != 0:
        raise Missing(f"building a Debian {suite} needs root (debootstrap)")
    mirror = run(["apt-get", "indextargets", "--format", "$(REPO_URI)"]).split("\n", 1)[0]
    run([*ALONE, "debootstrap", "--variant=minbase", suite, root, mirror])
    # Not by debootstrap: it configures packages in an order that some of them do not bear.
    (root / "etc/dpkg/dpkg.cfg.d/fast").write_text("force-unsafe-io\n")
    add_packages(root, packages)


def add_packages(root: Path, packages: Iterable[str]) -> None:
    """Install packages in a userland; nothing there may start a daemon."""
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    run([*ALONE, "chroot", root, "sh", "-c", _INSTALL, "sh", *packages])
