"""Key files in forms that OpenSSH does not read as they are: named, with what converts them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fidokit.errors import MalformedKey

_UTF_16: Final = ("is UTF-16 text", "iconv -f UTF-16 -t UTF-8 {0} > {1}")

_FORMS: Final[Mapping[bytes, tuple[str, str]]] = {
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
    b"\xef\xbb\xbf": ("begins with a byte order mark", "tail -c +4 {0} > {1}"),
    b"---- BEGIN SSH2 PUBLIC KEY": (
        "is a public key in the form of RFC 4716",
        "ssh-keygen -i -f {0} > {1}",
    ),
    b"-----BEGIN PUBLIC KEY-----": (
        "is a public key in PKCS #8's form",
        "ssh-keygen -i -m PKCS8 -f {0} > {1}",
    ),
    b"-----BEGIN RSA PUBLIC KEY-----": (
        "is a public key in PEM's form",
        "ssh-keygen -i -m PEM -f {0} > {1}",
    ),
    b"PuTTY-User-Key-File-": (
        "is a private key in PuTTY's form",
        "puttygen {0} -O private-openssh-new -o {1}",
    ),
}
"""What a file begins with: what it is, and the command that makes another file of it."""


def require_own_form(path: Path, data: bytes) -> None:
    """Let no file pass that only looks broken, but has another form.

    Args:
        path: for the sentence and the command.
        data: what the file holds.

    Raises:
        MalformedKey: names the form, and the command that converts it.
    """
    head = data.lstrip(b" \t\r\n")
    for begin, (what, command) in _FORMS.items():
        if head.startswith(begin):
            new = path.with_name(f"{path.name}.converted")
            names = (shlex.quote(str(name)) for name in (path, new))
            raise MalformedKey(f"{path} {what}", hint=f"convert it: {command.format(*names)}")
