"""Builds the disk that the virtual machine boots: a small Debian with a kernel and stock programs.

Built once and kept, under the name of a hash of all that goes into it, in FIDOKIT_CACHE or
`~/.cache/fidokit/kernel`. A second, smaller disk has our own sources and is made for each run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.debian import Missing, cache, debootstrap, run

TOP = Path(__file__).parents[2]
HERE = Path(__file__).parent
SUITE = "bookworm"
USER = "charlie"

PACKAGES = (
    "linux-image-amd64",
    "cryptsetup-bin",
    "fido2-tools",
    "iproute2",
    "kmod",
    "libpam-u2f",
    "openssh-client",
    "openssh-server",
    "pamtester",
    "pamu2fcfg",
    "python3",
    "systemd",
    "udev",
    "usbip",
)
"""Of the guest; its Python lies below /usr, where ordinary users may run it."""

LEVEL = "test"
"""What constraints.txt lists under it is there, by its hashes: all of it comes as wheels."""
"""For our own programs there; versions from constraints.txt."""

SIZE_MB = 1400
SOURCES_MB = 200


@dataclass(frozen=True)
class Image:
    """What qemu is given."""

    kernel: Path
    initrd: Path
    disk: Path


def require_programs() -> None:
    """See that all is there.

    Raises:
        Missing: something is not.
    """
    needed = {
        "qemu-system-x86_64": "qemu-system-x86",
        "debootstrap": "debootstrap",
        "mke2fs": "e2fsprogs",
        "ssh": "openssh-client",
    }
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    for program, package in needed.items():
        if shutil.which(program, path=path) is None:
            raise Missing(f"{program} is not installed (Debian: {package})")


def image() -> Image:
    """The disk, from the cache or built now.

    Raises:
        Missing: this user cannot build one.
    """
    place = cache("kernel") / _key()
    made = Image(place / "vmlinuz", place / "initrd.img", place / "disk.img")
    if not made.disk.exists():
        _build(place)
    return made


def _key() -> str:
    words = " ".join((SUITE, str(SIZE_MB), *PACKAGES))
    return hashlib.sha256(words.encode() + (HERE / "guest/init").read_bytes()).hexdigest()[:16]


def _build(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        root = Path(scratch) / "root"
        debootstrap(SUITE, root, PACKAGES)
        _furnish(root)
        new = Path(scratch) / "new"
        new.mkdir()
        shutil.copy(next(root.glob("boot/vmlinuz-*")), new / "vmlinuz")
        shutil.copy(next(root.glob("boot/initrd.img-*")), new / "initrd.img")
        make_disk(new / "disk.img", root, SIZE_MB)
        if not place.exists():  # two runs may build at once; the first wins
            new.rename(place)


def make_disk(disk: Path, folder: Path, megabytes: int) -> None:
    """A file system with a folder's content, without mounting anything."""
    run(["mke2fs", "-q", "-t", "ext4", "-d", folder, disk, f"{megabytes}M"])


def _furnish(root: Path) -> None:
    """Take out what only costs time, and put in what starts our sshd."""
    for waste in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
        shutil.rmtree(root / waste, ignore_errors=True)
    shutil.rmtree(root / "usr/share/locale", ignore_errors=True)
    shutil.copy(HERE / "guest/init", root / "sbin/fidokit-init")
    (root / "sbin/fidokit-init").chmod(0o755)
    run(["chroot", root, "useradd", "--create-home", "--shell", "/bin/bash", USER])
    run(["chroot", root, "passwd", "-u", "-d", USER])
    (root / "etc/hostname").write_text("fidokit\n")


def sources(folder: Path, key: Path) -> Path:
    """The second disk: our sources, the Python packages they need, and who may log in.

    Args:
        folder: where it is made.
        key: the public key of the test run.
    """
    tree = folder / "tree"
    for name in ("src", "hwtests", "udev"):
        shutil.copytree(TOP / name, tree / name, symlinks=False, ignore=_not_wanted)
    shutil.copy(TOP / "pyproject.toml", tree)
    shutil.copytree(HERE / "guest", tree / "guest", ignore=_not_wanted)
    shutil.copytree(_site(), tree / "site")
    shutil.copy(key, tree / "authorized_keys")
    _compile(tree)
    disk = folder / "sources.img"
    make_disk(disk, tree, SOURCES_MB)
    return disk


def _compile(tree: Path) -> None:
    """Byte-compile for the guest's Python, which is slow and may not write there.

    Where this machine has no Python of its version, the guest takes longer; nothing else.
    """
    for python in (sys.executable, "/usr/bin/python3", "python3.11"):
        try:
            version = run([python, "-c", "import sys; print(sys.version_info[:2])"])
        except (AssertionError, OSError):
            continue
        if version.strip() == "(3, 11)":
            mode = ("--invalidation-mode", "unchecked-hash")
            ours = [tree / name for name in ("src", "hwtests", "guest")]  # pip did the others
            run([python, "-m", "compileall", "-q", *mode, *ours])
            return


_not_wanted = shutil.ignore_patterns("__pycache__", "*.egg-info")


def _locked() -> str:
    """The paragraphs of constraints.txt whose first line names the level."""
    kept, lines = False, []
    for line in (TOP / "constraints.txt").read_text().splitlines():
        if line.startswith("# "):
            kept = LEVEL in line.split()
        elif kept:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _site() -> Path:
    """Python packages for the guest's Python, which need not be this one; kept as the image is."""
    chosen = _locked()
    digest = hashlib.sha256(chosen.encode()).hexdigest()[:16]
    place = cache("kernel") / f"site-{digest}"
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        target = Path(scratch) / "site"
        pip: list[str | Path] = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--target",
            target,
        ]
        wheels = ["--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp"]
        platforms = ["--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_28_x86_64"]
        listed = Path(scratch) / "listed"
        listed.write_text(chosen)
        run([*pip, *wheels, *platforms, "--require-hashes", "--requirement", listed])
        if not place.exists():
            target.rename(place)
    return place
