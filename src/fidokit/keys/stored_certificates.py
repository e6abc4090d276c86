"""Certificates that a token keeps beside its resident keys: stored in a key's blob, and read back.

The blob is the text of a certificate file, one certificate a line, so that `fidokit blob get` and
other programs' tools give a file that ssh takes. Nothing in it is believed: a certificate counts
for the key whose blob it is, and where its authority's signature holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fidokit.client.blobs import large_blobs
from fidokit.errors import (
    CredentialNotFound,
    FidokitError,
    Malformed,
    MalformedKey,
    NotStored,
    Unsupported,
    UsageError,
    WouldOverwrite,
)
from fidokit.openssh.certificates.certificate import (
    FOREVER,
    Certificate,
    CertKind,
    require_trustworthy,
)
from fidokit.openssh.keys.public import as_bytes, is_certificate_type
from fidokit.openssh.lines import key_text

if TYPE_CHECKING:
    from fidokit.client.credentials.resident import ResidentCredential
    from fidokit.client.session import Session
    from fidokit.inventory.key_list import KeyRow
    from fidokit.openssh.keys.public import PublicKey
    from fidokit.types import CredentialId

MOST: Final = 16
"""Certificates of one key that are looked at."""
MOST_BYTES: Final = 1 << 18
"""Of all certificates of a token that are looked at; no client takes a longer list."""
FOLDER_HINT: Final = (
    "keep the certificate in a folder: fidokit agent serve --resident --certificates FOLDER"
)


@dataclass(frozen=True, slots=True)
class StoredCertificates:
    """What a token keeps.

    Args:
        by_key: the certificates of each key that has some, by its credential id.
        problems: a sentence for each blob or line that is useless, and why; hostile text.
    """

    by_key: Mapping[CredentialId, tuple[Certificate, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def holds_certificates(text: bytes) -> bool:
    """Whether a blob or file begins with a certificate, well formed or not."""
    first = key_text.content(text.lstrip().split(b"\n", 1)[0])
    word = key_text.split_field(first)[0]
    return word.isascii() and is_certificate_type(word.decode("ascii"))


def certificates_in(text: bytes, key: PublicKey) -> Iterator[Certificate | FidokitError]:
    """The certificates of a key in a file or blob; for lines that are none of its own, why.

    Lines that are blank, comments, or other keys' certificates are passed over.

    Args:
        text: at most 1 MiB; `MOST` certificates of it are looked at.
        key: whose certificates they have to be.
    """
    lines = (key_text.content(line) for line in text.split(b"\n"))
    for line in [line for line in lines if line and not line.startswith(b"#")][:MOST]:
        try:
            found, _ = key_text.read_key(line)
            if isinstance(found, Certificate) and found.public == key:
                _check(found)
                yield found
        except FidokitError as error:
            yield error


def _check(certificate: Certificate) -> None:
    if certificate.kind is not CertKind.USER:
        raise MalformedKey(f"the certificate {certificate.key_id!r} is a host's")
    with suppress(Unsupported):  # that this machine cannot check it: whoever it is shown to does
        require_trustworthy(certificate)


def read_certificates(
    session: Session, credentials: Sequence[ResidentCredential]
) -> StoredCertificates:
    """The certificates that a token keeps for these keys, at the cost of no touch and no PIN.

    Names what cannot be read, and still lists the others. Ignores blobs that are not certificates.
    """
    by_key: dict[CredentialId, tuple[Certificate, ...]] = {}
    problems: list[str] = []
    room = MOST_BYTES
    usable = {one.credential_id: one for one in credentials if one.public is not None}
    try:
        blobs = dict(large_blobs.at_no_cost(session, list(usable.values())))
    except FidokitError as error:
        return StoredCertificates({}, (f"{session.name}: {error.message}",))
    for credential_id, blob in blobs.items():
        held = usable[credential_id]
        public = held.public
        if isinstance(blob, FidokitError):
            problems.append(f"the blob of {held.application}: {blob.message}")
        elif public is not None and holds_certificates(blob):
            found = list(certificates_in(blob, public))
            good = tuple(one for one in found if isinstance(one, Certificate))
            errors = [one for one in found if isinstance(one, FidokitError)]
            problems += [f"a certificate of {held.application}: {one.message}" for one in errors]
            if not found:
                problems.append(f"the blob of {held.application} certifies other keys")
            room -= sum(len(one.blob()) for one in good)
            if room < 0:
                problems.append(f"more than {MOST_BYTES} bytes of certificates: the rest is left")
                break
            if good:
                by_key[credential_id] = good
    return StoredCertificates(by_key, tuple(problems))


def store_certificate(
    session: Session,
    certificate: Certificate,
    comment: str,
    rows: Sequence[KeyRow],
    *,
    force: bool = False,
) -> KeyRow:
    """Keep a certificate on the token that holds its key, in the place of the one that it had.

    Args:
        comment: what stands behind it in its file.
        rows: the token's keys.
        force: replace a blob that is not a certificate.

    Returns the key.

    Raises:
        CredentialNotFound: the token does not hold the key.
        Unsupported: the token keeps no blobs, or the key was made so that it can have none.
        WouldOverwrite: the key has a blob that is something else.
        StoreFull: it does not fit, and nothing was changed; PinError and others of the token.
    """
    row = next((row for row in rows if row.public == certificate.public), None)
    if row is None or row.credential is None:
        raise CredentialNotFound(
            f"{session.name} does not hold the key of the certificate {certificate.key_id!r} as a "
            "resident one",
            hint="name the token with --token; " + FOLDER_HINT,
        )
    held = row.credential
    try:
        before = large_blobs.get(session, held)
    except (NotStored, Malformed):
        before = b""
    except Unsupported as error:
        raise Unsupported(
            error.message,
            hint="a resident key made with `fidokit key generate -O resident --large-blob` can; "
            f"or {FOLDER_HINT}",
        ) from None
    if before and not (force or holds_certificates(before)):
        raise WouldOverwrite(
            f"the key for {held.application} has a blob that is not a certificate",
            hint="look at it with `fidokit blob get`; replace it with --force",
        )
    large_blobs.put(session, held, certificate_line(certificate, comment))
    return row


def certificate_line(certificate: Certificate, comment: str) -> bytes:
    """The one line of a certificate file, as `ssh-keygen -s` writes it."""
    from binascii import b2a_base64

    base64 = b2a_base64(certificate.blob(), newline=False)
    head = certificate.type_name.encode() + b" " + base64
    return (head + b" " + as_bytes(comment)).rstrip() + b"\n"


def require_user_certificate(certificate: Certificate) -> None:
    """Refuse what no agent could use: a host's certificate, or one that nobody signed.

    Raises:
        UsageError, SignatureInvalid.
    """
    if certificate.kind is not CertKind.USER:
        raise UsageError(
            f"the certificate {certificate.key_id!r} is a host certificate; tokens log users in",
            hint="leave it in its file, where sshd's HostCertificate finds it",
        )
    require_trustworthy(certificate)


def usable_longest(certificates: Sequence[Certificate]) -> Certificate:
    """The one of a key's certificates that is valid longest: a file has room for one."""
    return max(certificates, key=lambda one: (one.valid_before, one.valid_after))


def until(certificate: Certificate, now: float) -> str:
    """How long a certificate is valid, in two words for a list."""
    from fidokit.openssh.certificates.certificate import format_time

    if certificate.valid_before == FOREVER:
        return "for ever"
    if certificate.valid_before <= now:
        return "expired"
    return f"until {format_time(certificate.valid_before)[:10]}"
