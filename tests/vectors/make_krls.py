"""Make tests/vectors/krls with stock ssh-keygen; run it by hand, never from a test.

    python tests/vectors/make_krls.py

Keys and certificates come from the fixed seeds of tests/support/signers.py, so that a test can make
them again; `NAME.spec` is what ssh-keygen was told, `NAME.krl` what it made of it.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.support.signers import ecdsa_key, ecdsa_token, ed25519_key, ed25519_token  # noqa: E402

from fidokit.openssh.keys.public import PublicKey, PublicLine  # noqa: E402

OUT = Path(__file__).with_name("krls")
VERSION, COMMENT = "7", "made for a test"


def line(key: PublicKey) -> str:
    return PublicLine(key, "").encode()


def hashed(key: PublicKey) -> str:
    digest = hashlib.sha256(key.blob()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


TOKEN, OTHER = ed25519_token().public, ecdsa_token().public
MIXED = (
    "serial: 1-1000",
    "serial: 2000",
    "id: alice",
    line(TOKEN),
    f"sha1: {line(OTHER)}",
    f"sha256: {line(ecdsa_key().public)}",
)
SPECS: dict[str, tuple[str, str | None]] = {
    "empty": ("", None),
    "keys": (f"{line(TOKEN)}\nkey: {line(OTHER)}\n", None),
    "sha1": (f"sha1: {line(TOKEN)}\nsha1: {line(OTHER)}\n", None),
    "sha256": (f"sha256: {line(TOKEN)}\nhash: {hashed(OTHER)}\n", None),
    "serial-list": ("serial: 5\nserial: 5000000\nserial: 18446744073709551615\n", "ca.pub"),
    "serial-range": ("serial: 10-9223372036854775808\nserial: 3\n", "ca.pub"),
    "serial-bitmap": ("".join(f"serial: {n}\n" for n in range(1000, 1400, 3)), "ca.pub"),
    "key-ids": ("id: host.example.org\nid: alice\n", "ca.pub"),
    "every-authority": ("serial: 7\nid: alice\n", "none"),
    "mixed": ("\n".join(MIXED), "ca.pub"),
}


def main() -> None:
    """Fill the folder anew."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "ca.pub").write_text(line(ed25519_key(99).public) + "\n")
        for spec, (text, authority) in SPECS.items():
            (OUT / f"{spec}.spec").write_text(text)
            scope = ("-s", authority) if authority else ()
            args = ("-k", "-q", "-f", f"{spec}.krl", "-z", VERSION, "-C", COMMENT, *scope)
            subprocess.run(["ssh-keygen", *args, OUT / f"{spec}.spec"], cwd=work, check=True)
            shutil.copy(work / f"{spec}.krl", OUT)
        done = subprocess.run(["ssh", "-V"], capture_output=True, check=True)
        (OUT / "made-by").write_bytes(done.stderr)


if __name__ == "__main__":
    main()
