"""Stock ssh-keygen as a judge: what it says of signatures, signers and certificates."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess, run

from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.signatures.sshsig import SshSig

MESSAGE = b"a message\r\nof two lines\n"
"""What all signatures here are over."""


def line(key: PublicKey | Certificate, start: str = "alice") -> bytes:
    """A line of an allowed_signers file."""
    return f"{start} {key.type_name} {base64.b64encode(key.blob()).decode()}\n".encode()


@dataclass(frozen=True)
class Keygen:
    """ssh-keygen in a folder of its own."""

    program: str
    folder: Path
    zone: str = "UTC"

    def __call__(self, *args: str, stdin: bytes = b"") -> CompletedProcess[bytes]:
        return run(
            [self.program, *args],
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=60,
            env={"TZ": self.zone, "PATH": "/usr/bin:/bin", "HOME": str(self.folder)},
        )

    def write(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return name

    def verify(
        self, sig: SshSig, signers: bytes, *, at: int | None = None, identity: str = "alice"
    ) -> bool:
        """`-Y verify` of `sig` over MESSAGE, against the lines of an allowed_signers file."""
        name, allowed = self.write("x.sig", sig.armor()), self.write("allowed", signers)
        args = ["-Y", "verify", "-f", allowed, "-I", identity, "-n", "file", "-s", name]
        return self(*args, *_at(at), stdin=MESSAGE).returncode == 0

    def check(self, sig: SshSig, message: bytes = MESSAGE, namespace: str = "file") -> bool:
        """`-Y check-novalidate` of `sig`."""
        name = self.write("x.sig", sig.armor())
        result = self("-Y", "check-novalidate", "-n", namespace, "-s", name, stdin=message)
        return result.returncode == 0

    def find(self, sig: SshSig, signers: bytes, *, at: int | None = None) -> tuple[str, ...]:
        """`-Y find-principals` for the key of `sig`."""
        name, allowed = self.write("x.sig", sig.armor()), self.write("allowed", signers)
        result = self("-Y", "find-principals", "-s", name, "-f", allowed, *_at(at))
        return tuple(result.stdout.decode().splitlines()) if result.returncode == 0 else ()

    def match(self, signers: bytes, identity: str) -> tuple[str, ...]:
        """`-Y match-principals`."""
        allowed = self.write("allowed", signers)
        result = self("-Y", "match-principals", "-I", identity, "-f", allowed)
        return tuple(result.stdout.decode().splitlines())


def _at(at: int | None) -> tuple[str, ...]:
    if at is None:
        return ()
    return (f"-Overify-time={datetime.fromtimestamp(at, UTC):%Y%m%d%H%M%S}Z",)
