"""What commands about signatures note down in the kept inventory: certificates and signers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fidokit.inventory.kept import MOST_TEXT, KnownKey, KnownPlace, PlaceKind
from fidokit.keys.bookkeeping import note_facts
from fidokit.keys.stored_certificates import certificate_line
from fidokit.openssh.certificates.certificate import CertKind
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.keys.public import PublicLine

if TYPE_CHECKING:
    from fidokit.openssh.keys.public import PublicKey
    from fidokit.signing.certificates import IssuedCertificate
    from fidokit.signing.git_config import GitSigning, SigningPlan

Say = Callable[[str], None]


def note_certificates(say: Say, issued: Sequence[IssuedCertificate]) -> None:
    """Note certificates that were signed, each with its serial number and its authority."""
    keys, places = [], []
    for one in issued:
        certificate = one.certificate
        if certificate.kind is not CertKind.USER:
            continue
        key = _known(certificate.public)
        keys.append(key)
        places.append(
            KnownPlace(
                PlaceKind.CERTIFICATE,
                key.fingerprint,
                str(one.path.absolute())[:MOST_TEXT],
                certificate.key_id[:MOST_TEXT],
                serial=certificate.serial,
                authority=sha256(certificate.signature_key.blob()),
                line=certificate_line(certificate, "").decode().strip(),
            )
        )
    note_facts(say, keys=keys, places=places)


def note_signers(say: Say, wish: GitSigning, plan: SigningPlan) -> None:
    """Note whose keys a file of allowed signers lets sign now."""
    from fidokit.signing.signers import private_path
    from fidokit.signing.signers_file import SignerLines

    beside = private_path(wish.key)
    own = SignerLines.of_file(wish.principal, beside if beside.exists() else wish.key)
    file = str(plan.signers.absolute())[:MOST_TEXT]
    keys, places = [], []
    for signer in (own, *wish.others):
        for key in signer.keys:
            known = _known(key)
            keys.append(known)
            places.append(KnownPlace(PlaceKind.SIGNERS, known.fingerprint, file, signer.principal))
    note_facts(say, keys=keys, places=places)


def _known(key: PublicKey) -> KnownKey:
    application = getattr(key, "application", "")
    return KnownKey(sha256(key.blob()), PublicLine(key, "").encode(), application[:MOST_TEXT])
