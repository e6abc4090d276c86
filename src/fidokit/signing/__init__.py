"""Signatures of files and certificates, by a token, a key file or an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fidokit.facade import Facade

if TYPE_CHECKING:
    from fidokit.signing.certificates import certificate_request as certificate_request
    from fidokit.signing.certificates import issue_certificate as issue_certificate
    from fidokit.signing.signatures import VerifiedSignature as VerifiedSignature
    from fidokit.signing.signatures import sign_file as sign_file
    from fidokit.signing.signatures import sign_message as sign_message
    from fidokit.signing.signatures import verify_signature as verify_signature
    from fidokit.signing.signers import Signer as Signer
    from fidokit.signing.signers import open_signer as open_signer

_PUBLIC = Facade(
    __name__,
    {
        "fidokit.signing.certificates": ("certificate_request", "issue_certificate"),
        "fidokit.signing.signatures": (
            "VerifiedSignature",
            "sign_file",
            "sign_message",
            "verify_signature",
        ),
        "fidokit.signing.signers": ("Signer", "open_signer"),
    },
)
__all__ = list(_PUBLIC)
__dir__ = _PUBLIC.names
if not TYPE_CHECKING:
    __getattr__ = _PUBLIC.fetch
