"""The userlands of other Debian releases, in which tests meet the stock programs of each.

Built once and kept in FIDOKIT_CACHE or `~/.cache/fidokit/roots`, each under its name and a hash of
all that goes into it. Nothing writes there afterwards: whoever enters one gets a layer in memory
over it, which goes with the mount namespace that it is in.

Besides those for tests there are two kinds for our Debian package: a `bare` one, as debootstrap
leaves it, in which the package is installed, and a `workshop`, in which it is built and judged.

`python -m tests.support.roots [SUITE...]` builds what is missing: of those for tests all but this
machine's own release, unless some are named.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.children import popen
from tests.support.debian import (
    ALONE,
    PRIVATE,
    Missing,
    add_packages,
    cache,
    debootstrap,
    run,
)

TOP = Path(__file__).parents[2]
RELEASES = {"bullseye": "11", "bookworm": "12", "trixie": "13", "sid": "sid"}
"""Debian's names and numbers; the newest is the last."""
TOO_OLD = ("bullseye",)
"""Their Python cannot run fidokit: it runs on the host, against the programs of the release."""
MOVING = ("sid",)
"""Built anew each week, because what is new in them is what we want to meet."""
BROWSERS = {"chromium", "chromium-driver", "firefox-esr", "xdotool", "xvfb"}
FUZZERS = {"clang", "libclang-rt-dev"}
HOST_ALONE = {"ansible-core", "debootstrap", "e2fsprogs", "qemu-system-x86", "u2f-host"}
ELSEWHERE = HOST_ALONE | BROWSERS | FUZZERS
"""Packages of .ci/debian-packages that are needed on the host alone."""
MORE = ("ca-certificates", "git", "iproute2", "make", "procps", "udev")
OF_PYTHON = ("python3-dev", "python3-venv")
ONLY_IN = {"trixie": ("openssh-tests",), "sid": ("openssh-tests",)}
"""The packages that tests find in some releases: OpenSSH's own programs for its tests."""
OLD_PACKAGES = (
    "libpam-google-authenticator",
    "netbase",
    "openssh-client",
    "openssh-server",
    "python3",
)
JUDGES = ("autopkgtest", "build-essential", "fakeroot", "lintian")
"""What builds any Debian package and judges it."""
KINDS = ("tests", "bare", "workshop")
PACKAGED = ("bookworm", "trixie")
"""The releases that have a Debian package of ours."""
WEEK_S = 7 * 24 * 3600

_ENTER = """
set -e
lower=$1 scratch=$2
shift 2
mount -t tmpfs -o mode=755 none "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
layers=lowerdir=$lower,upperdir=$scratch/upper,workdir=$scratch/work
mount -t overlay -o "$layers" overlay "$scratch/root"
cd "$scratch/root"
mount -t proc proc proc
mount --rbind /sys sys
mkdir -p dev/pts dev/shm run/sshd
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 none dev/shm
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p ".$2"; else mkdir -p ".${2%/*}"; : >>".$2"; fi
    mount --rbind "$1" ".$2"
    shift 2
done
shift
pivot_root . mnt
cd "$1"
shift
umount -l /mnt
exec "$@"
"""


def elsewhere() -> list[str]:
    """The releases that this machine is not of."""
    version = Path("/etc/debian_version")
    here = version.read_text().strip() if version.exists() else ""
    here = here.rpartition("/")[2].partition(".")[0]  # 12.11, or forky/sid
    return [suite for suite, number in RELEASES.items() if number != here]


@dataclass(frozen=True)
class Machine:
    """A userland that is entered again and again, with what was changed in it.

    Args:
        root: which it is.
        process: keeps it, while it lives.
    """

    root: Root
    process: subprocess.Popen[bytes]

    def within(self, command: Sequence[str | Path], folder: str | Path = "/") -> list[str]:
        """The command line that runs a program there, in the process that is started."""
        pid = self.process.pid
        enter = ["nsenter", f"--mount=/proc/{pid}/ns/mnt", f"--wd=/proc/{pid}/root{folder}"]
        return [*enter, *map(str, command)]


@dataclass(frozen=True)
class Root:
    """One that is built.

    Args:
        suite: Debian's name of it.
        folder: the userland.
        scratch: an empty folder, over which what is changed lies.
    """

    suite: str
    folder: Path
    scratch: Path = field(repr=False)

    def within(
        self,
        command: Sequence[str | Path],
        *,
        show: Mapping[str, str] | None = None,
        folder: str = "/",
        alone: bool = False,
    ) -> list[str]:
        """The command line that runs a program there as root, with mounts of its own.

        Args:
            command: the program and its words, as they are there.
            show: folders and files of this machine, and where they are there.
            folder: the working directory there.
            alone: whether what it starts ends with it; it is process 1 there then.
        """
        binds = [word for pair in (show or {}).items() for word in pair]
        enter = [
            *(ALONE if alone else PRIVATE),
            "sh",
            "-c",
            _ENTER,
            "sh",
            str(self.folder),
            str(self.scratch),
        ]
        return [*enter, *binds, "--", folder, *map(str, command)]

    @contextmanager
    def machine(self, show: Mapping[str, str] | None = None) -> Iterator[Machine]:
        """Keep what is changed there until the block ends.

        Args:
            show: as `within`.
        """
        waits = ["sh", "-c", "echo && exec sleep infinity"]
        with popen(
            self.within(waits, show=show), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == b"\n", f"{self.suite} cannot be entered"
                yield Machine(self, process)
            finally:
                process.kill()


def root(suite: str, kind: str = "tests") -> Root:
    """A userland, from the cache or built now.

    Args:
        suite: Debian's name of the release.
        kind: one of KINDS.

    Raises:
        Missing: it cannot be built here.
    """
    base = cache("roots")
    name = suite if kind == "tests" else f"{kind}-{suite}"
    place = base / f"{name}-{_key(suite, kind)}"
    base.mkdir(parents=True, exist_ok=True)
    scratch = base / "scratch"
    scratch.mkdir(exist_ok=True)
    with (base / f"{name}.lock").open("w") as lock:  # two runs may want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _build(suite, kind, place)
    return Root(suite, place / "root", scratch)


def required(suite: str, kind: str = "tests") -> Root:
    """As `root`, for a test: where it cannot be built, CI fails; elsewhere the test is skipped."""
    import pytest  # a release is built without it

    try:
        return root(suite, kind)
    except Missing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


def packages(suite: str, kind: str = "tests") -> list[str]:
    """What is in it beside the base system."""
    assert kind in KINDS
    if kind != "tests":
        return [] if kind == "bare" else sorted({*JUDGES, *build_dependencies()})
    if suite in TOO_OLD:
        return sorted({*OLD_PACKAGES, "python3", "udev"})
    lines = (TOP / ".ci/debian-packages").read_text().splitlines()
    listed = {line.split("#")[0].strip() for line in lines} - ELSEWHERE - {""}
    return sorted({*listed, *MORE, *OF_PYTHON, *ONLY_IN.get(suite, ())})


def build_dependencies() -> set[str]:
    """What debian/control wants for a build."""
    control = (TOP / "debian/control").read_text()
    named = re.search(r"^Build-Depends:(.*(?:\n .*)*)", control, re.MULTILINE)
    assert named
    return {word.split("(")[0].strip().removesuffix("-compat") for word in named[1].split(",")}


def _key(suite: str, kind: str = "tests") -> str:
    words = [suite, *packages(suite, kind)]
    if suite in MOVING:
        words.append(time.strftime("%G week %V", time.gmtime()))
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:12]


def _build(suite: str, kind: str, place: Path) -> None:
    if shutil.which("debootstrap", path=os.environ["PATH"] + ":/usr/sbin") is None:
        raise Missing(f"Debian {suite} is built by debootstrap, which is not installed")
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f"new-{suite}-") as new:
        made = Path(new) / "root"
        try:
            if kind == "workshop":
                run(["cp", "-a", root(suite, "bare").folder, made])
                add_packages(made, packages(suite, kind))
            else:
                debootstrap(suite, made, packages(suite, kind))
        except AssertionError as error:
            said = str(error).splitlines()[-5:]
            raise Missing(f"cannot build Debian {suite}: {' | '.join(said)}") from error
        for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
            shutil.rmtree(made / waste, ignore_errors=True)
        Path(new).chmod(0o755)
        (Path(new) / "kept").mkdir()
        Path(new).rename(place)
        Path(new).mkdir()  # what TemporaryDirectory takes away
    for old in place.parent.glob(f"{place.name.rpartition('-')[0]}-*"):
        if old != place and old.stat().st_mtime < time.time() - 2 * WEEK_S:
            run(["rm", "-rf", "--one-file-system", old])


def main(suites: Sequence[str]) -> int:
    """Build what is missing, and say what took a while, or cannot be built: that fails in CI."""
    failed = 0
    wanted = [(suite, "tests") for suite in suites or elsewhere()]
    if not suites:
        wanted += [(suite, kind) for suite in PACKAGED for kind in ("bare", "workshop")]
    for suite, kind in wanted:
        name = f"Debian {suite}" + ("" if kind == "tests" else f" ({kind})")
        began = time.monotonic()
        try:
            root(suite, kind)
        except Missing as error:
            print(f"setup: {error}\nsetup: {name} is LEFT OUT", file=sys.stderr)
            failed = 1
        else:
            if (took := time.monotonic() - began) > 1:
                print(f"setup: built {name} in {took:.0f} s", file=sys.stderr)
    return failed if os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
