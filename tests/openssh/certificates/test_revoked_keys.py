"""Files of revoked keys: revocation lists and plain lists alike."""

from __future__ import annotations

import base64

import pytest
from tests.support.mutate import fuzz_count, survive
from tests.support.signers import certificate, ecdsa_key, ed25519_key, ed25519_token

from fidokit.errors import Malformed, MalformedFile, MalformedKey
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.certificates.krl import MAGIC, ExplicitKey, encode_krl
from fidokit.openssh.certificates.revoked_keys import revocation
from fidokit.openssh.keys.public import PublicKey

TOKEN, OTHER = ed25519_token().public, ecdsa_key().public
CA = ed25519_key(99)


def line(key: PublicKey | Certificate, before: bytes = b"", after: bytes = b" comment\n") -> bytes:
    text = key.type_name.encode() + b" " + base64.b64encode(key.blob())
    return before + text + after


def test_a_revocation_list() -> None:
    data = encode_krl([ExplicitKey(TOKEN.blob())])
    assert revocation(data, TOKEN) == "the key is revoked"
    assert revocation(data, OTHER) is None


def test_a_list_of_keys() -> None:
    data = b"# gone\n\n \t# too\n" + line(OTHER) + line(TOKEN, b" \t", b"\r\n")
    assert revocation(data, TOKEN) == "the key is revoked by line 5"
    assert revocation(data, OTHER) == "the key is revoked by line 4"
    assert revocation(data, CA.public) is None
    assert revocation(b"", TOKEN) is None
    assert revocation(line(TOKEN, after=b""), TOKEN)


def test_certificates_go_with_their_key_and_authority() -> None:
    made = certificate(TOKEN, CA)
    assert revocation(line(TOKEN), made) == "the key is revoked by line 1"
    assert revocation(line(CA.public), made) == "the key of its authority is revoked by line 1"
    assert revocation(line(made), TOKEN) == "the key is revoked by line 1"
    assert revocation(line(OTHER), made) is None


@pytest.mark.parametrize(
    "bad", [b"junk\n", b"ssh-ed25519 AAAA\n", line(OTHER, b"restrict "), b"SSHKRL\n"]
)
def test_a_line_that_cannot_be_read_revokes_everything(bad: bytes) -> None:
    with pytest.raises(MalformedFile, match="line 2"):
        revocation(line(OTHER) + bad, TOKEN)


def test_a_key_before_the_bad_line_is_known_revoked() -> None:
    assert revocation(line(TOKEN) + b"junk\n", TOKEN)


def test_a_damaged_revocation_list_is_not_taken_for_keys() -> None:
    with pytest.raises(MalformedKey):
        revocation(MAGIC, TOKEN)


def test_fuzz_revoked_keys() -> None:
    samples = [line(TOKEN), b"# x\n" + line(OTHER) + line(certificate(TOKEN, CA))]
    assert survive(samples, lambda data: revocation(data, TOKEN), Malformed, fuzz_count(300))
