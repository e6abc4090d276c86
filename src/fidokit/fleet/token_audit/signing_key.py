"""The key file here that signs a log: one of those that a policy names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from fidokit.errors import CredentialNotFound
from fidokit.files.scan import find_keys
from fidokit.fleet.policy.values import PolicyKey
from fidokit.openssh.keys import fingerprint


def signing_key(signers: Sequence[PolicyKey], folders: Iterable[Path] | None = None) -> Path:
    """The file of the first key of a policy's signers that is here; its public half will do.

    Args:
        signers: of the policy, in the order in which they are preferred.
        folders: where to look; `~/.ssh` if None.

    Raises:
        CredentialNotFound: none of them is here.
    """
    found: dict[str, Path] = {}
    for file in find_keys([Path.home() / ".ssh"] if folders is None else folders):
        name = fingerprint.sha256(file.line.key.blob())
        if file.is_private or name not in found:
            found[name] = file.path
    for key in signers:
        if key.fingerprint in found:
            return found[key.fingerprint]
    raise CredentialNotFound(
        "no key that the policy lets sign the log is in ~/.ssh",
        hint="name its file with --signer KEY",
    )
