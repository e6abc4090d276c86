"""Files of revoked keys, as sshd's RevokedKeys and `ssh-keygen -Y verify -r` take them.

Such a file is a revocation list (`krl`), or a list of public keys, one a line. Sources:
sshd_config(5), RevokedKeys; ssh-keygen(1), `-Y verify`.
"""

from __future__ import annotations

from fidokit.errors import Malformed, MalformedFile
from fidokit.openssh.certificates import krl
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.lines import key_text


def revocation(data: bytes, key: PublicKey | Certificate) -> str | None:
    """Why a file revokes a key or certificate; None where it does not.

    In a list of keys, a line revokes that key, certificates of it, and certificates that it
    signed.

    Args:
        data: the whole file, at most `krl.MAX_KRL` bytes.

    Raises:
        MalformedKey: a revocation list that cannot be read.
        MalformedFile: a line that holds no key; nobody can tell whom it meant.
    """
    if krl.is_krl(data):
        return krl.parse_krl(data).revocation(key)
    for number, raw in enumerate(data.split(b"\n"), start=1):
        line = key_text.content(raw)
        if line and not line.startswith(b"#") and (why := _same(_key(line, number), key)):
            return f"{why} is revoked by line {number}"
    return None


def _key(line: bytes, number: int) -> PublicKey | Certificate:
    try:
        return key_text.read_key(line)[0]
    except Malformed as error:
        raise MalformedFile(
            f"revoked keys, line {number}: {error.message}",
            hint="Mend the line, or put a # before it; while it is so, nothing is trusted",
        ) from None


def _same(listed: PublicKey | Certificate, key: PublicKey | Certificate) -> str | None:
    if _plain(listed) == _plain(key):
        return "the key"
    if isinstance(key, Certificate) and _plain(listed) == key.signature_key:
        return "the key of its authority"
    return None


def _plain(key: PublicKey | Certificate) -> PublicKey:
    return key.public if isinstance(key, Certificate) else key
