"""Make tests/vectors/signatures with stock ssh-keygen; run it by hand, never from a test.

    python tests/vectors/make_signatures.py

Each run makes new keys, so that the files of one run belong together. No private key of an
ordinary kind is kept: what stays is what strangers would see. The token keys have no private
half at all: their public lines come from the fixed seeds of tests/support/signers.py.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from tests.support.signers import ecdsa_token, ed25519_token  # noqa: E402

from fidokit.openssh.keys.public import PublicLine  # noqa: E402

OUT = Path(__file__).with_name("signatures")
MESSAGE = b"a message\r\nof two lines\n"
TYPES = {
    "ed25519": ("ed25519",),
    "ecdsa256": ("ecdsa", "-b", "256"),
    "ecdsa384": ("ecdsa", "-b", "384"),
    "ecdsa521": ("ecdsa", "-b", "521"),
    "rsa": ("rsa", "-b", "2048"),
}
OPTIONS = (
    "-Oforce-command=/bin/echo a b",
    "-Osource-address=10.0.0.0/8",
    "-Overify-required",
    "-Ono-touch-required",
)


def main() -> None:
    """Fill the folder anew."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)

        def keygen(*args: str, stdin: bytes = b"") -> bytes:
            done = subprocess.run(
                ["ssh-keygen", *args],
                cwd=work,
                input=stdin,
                capture_output=True,
                check=True,
                env={"TZ": "UTC", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            )
            return done.stdout

        (OUT / "message").write_bytes(MESSAGE)
        for token in (ed25519_token(), ecdsa_token()):
            line = PublicLine(token.public, "token").encode() + "\n"
            (work / f"{token.key_type}.pub").write_text(line)
        for key, kind in TYPES.items():
            keygen("-q", "-t", *kind, "-N", "", "-C", key, "-f", key)
            shutil.copy(work / f"{key}.pub", OUT)
            for hash_alg in ("sha256", "sha512"):
                signed = keygen(
                    "-Y",
                    "sign",
                    "-n",
                    "file",
                    "-O",
                    f"hashalg={hash_alg}",
                    "-f",
                    key,
                    stdin=MESSAGE,
                )
                (OUT / f"{key}.{hash_alg}.sig").write_bytes(signed)
            for subject in ("ed25519-sk", "ecdsa-sk"):
                keygen(
                    "-q",
                    "-s",
                    key,
                    "-I",
                    f"{subject} by {key}",
                    "-n",
                    "alice,bob",
                    "-z",
                    "7",
                    "-V",
                    "20200101:20300101",
                    *OPTIONS,
                    f"{subject}.pub",
                )
                made = work / f"{subject}-cert.pub"
                shutil.copy(made, OUT / f"{subject}.{key}-cert.pub")
                shown = keygen("-L", "-f", made.name)
                (OUT / f"{subject}.{key}.shown").write_bytes(shown)
        version = subprocess.run(["ssh", "-V"], capture_output=True, check=True).stderr
        (OUT / "made-by").write_bytes(version)


if __name__ == "__main__":
    main()
