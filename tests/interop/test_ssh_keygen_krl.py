"""Revocation lists both ways: `ssh-keygen -k` makes them and `-Q` judges, beside us."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.openssh.certificates.test_krl import KRLS, REFUSED, TAKEN
from tests.support.keygen import Keygen, line
from tests.support.mutate import mutants
from tests.support.openssh_version import openssh
from tests.support.signers import (
    PlainKey,
    certificate,
    ecdsa_key,
    ecdsa_token,
    ed25519_key,
    ed25519_token,
)

from fidokit.errors import Malformed
from fidokit.openssh.certificates import krl
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.certificates.krl import (
    Bitmap,
    Entry,
    ExplicitKey,
    Fingerprint,
    KeyId,
    Serials,
    file_revocation,
)
from fidokit.openssh.certificates.krl_encoding import encode_krl
from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.wire import Reader

pytestmark = pytest.mark.interop

CA, OTHER_CA = ed25519_key(99), ecdsa_key(seed=98)
TOKEN, OTHER, PLAIN = ed25519_token().public, ecdsa_token().public, ecdsa_key().public
SERIALS = (0, 1, 4, 5, 6, 7, 999, 1000, 1001, 1003, 2000, 2**32, 2**63, 2**64 - 1)


@pytest.fixture
def keygen(stock: Callable[[str], str], tmp_path: Path) -> Keygen:
    keygen = Keygen(stock("ssh-keygen"), tmp_path)
    (tmp_path / "ca.pub").write_bytes(line(CA.public, "").lstrip())
    return keygen


def subjects() -> list[PublicKey | Certificate]:
    """Keys and certificates that lists may be about."""
    authorities: tuple[PlainKey, ...] = (CA, OTHER_CA)
    return [
        TOKEN,
        OTHER,
        PLAIN,
        CA.public,
        *(certificate(key, ca) for key in (TOKEN, PLAIN) for ca in authorities),
        *(certificate(PLAIN, ca, serial=n) for n in SERIALS for ca in authorities),
        *(certificate(PLAIN, ca, key_id=name) for name in ("alice", "al") for ca in authorities),
    ]


def agree(keygen: Keygen, data: bytes, keys: list[PublicKey | Certificate]) -> list[bool | None]:
    """What is revoked, by both; None where the list cannot be read."""
    keygen.write("list.krl", data)
    names = [keygen.write(f"{n}.pub", line(key, "").lstrip()) for n, key in enumerate(keys)]
    said = keygen("-Q", "-f", "list.krl", *names).stdout.decode().splitlines()
    theirs: list[bool | None] = [text.endswith("REVOKED") for text in said]
    theirs = theirs or [None] * len(keys)
    try:
        found = krl.parse_krl(data)
        ours: list[bool | None] = [found.revocation(key) is not None for key in keys]
    except Malformed:
        ours = [None] * len(keys)
    assert ours == theirs
    return ours


SPECS = {
    "nothing": [],
    "a serial": ["serial: 5"],
    "serials far apart": ["serial: 5", "serial: 0x100000000", "serial: 18446744073709551615"],
    "a range": ["serial: 1000-2000"],
    "all": ["serial: 1-18446744073709551615"],
    "a bitmap": [f"serial: {n}" for n in range(1, 1200, 2)],
    "key ids": ["id: alice", "id: bob"],
    "a key": [f"key: {line(TOKEN, '').decode().strip()}"],
    "a bare key": [line(PLAIN, "").decode().strip()],
    "a certificate": [line(certificate(PLAIN, CA, serial=7), "").decode().strip()],
    "a certificate without serial": [line(certificate(PLAIN, CA), "").decode().strip()],
    "sha1": [f"sha1: {line(OTHER, '').decode().strip()}"],
    "sha256": [f"sha256: {line(TOKEN, '').decode().strip()}"],
    "the authority": [f"sha256: {line(CA.public, '').decode().strip()}"],
}


@pytest.mark.parametrize("scope", ["ca.pub", "none"])
@pytest.mark.parametrize("name", SPECS)
def test_lists_that_ssh_keygen_makes(keygen: Keygen, name: str, scope: str) -> None:
    keygen.write("spec", "".join(f"{text}\n" for text in SPECS[name]).encode())
    made = keygen("-k", "-q", "-f", "made.krl", "-s", scope, "spec")
    assert made.returncode == 0, made.stderr
    data = (keygen.folder / "made.krl").read_bytes()
    revoked = agree(keygen, data, subjects())
    assert any(revoked) is (name != "nothing")


@pytest.mark.parametrize("name", KRLS)
def test_the_vectors(keygen: Keygen, name: str) -> None:
    agree(keygen, KRLS[name], subjects())


BY_CHANCE: list[Entry] = [
    Serials(b"", 5, 5),
    Serials(CA.public.blob(), 1000, 2**63),
    Serials(OTHER_CA.public.blob(), 2**64 - 1, 2**64 - 1),
    Bitmap(CA.public.blob(), 1, b"\x81"),
    Bitmap(OTHER_CA.public.blob(), 990, b"\x04\x00"),
    KeyId(b"", b"alice"),
    KeyId(CA.public.blob(), b"al"),
    ExplicitKey(TOKEN.blob()),
    Fingerprint("sha1", bytes(20)),
    Fingerprint("sha256", bytes(32)),
]


@pytest.mark.parametrize("seed", range(12))
def test_lists_that_we_write(keygen: Keygen, seed: int) -> None:
    chosen = random.Random(seed).sample(BY_CHANCE, 1 + seed % len(BY_CHANCE))
    agree(keygen, encode_krl(chosen, version=3, generated=1, comment="ours"), subjects())


NEWER = {"an extension", "an extension of certificates", "a signature"}
"""OpenSSH passes these over from 9.4 on; before, it refuses the list."""


@pytest.mark.parametrize("name", [*REFUSED, *TAKEN])
def test_what_ssh_keygen_refuses(keygen: Keygen, name: str) -> None:
    data = REFUSED.get(name) or TAKEN.get(name) or b""
    keys: list[PublicKey | Certificate] = [PLAIN, certificate(PLAIN, CA, serial=9)]
    if name in NEWER and openssh() < (9, 4):
        keygen.write("list.krl", data)
        assert keygen("-Q", "-f", "list.krl", keygen.write("x.pub", line(PLAIN, ""))).returncode
    else:
        agree(keygen, data, keys)


def test_damaged_lists_are_judged_alike(keygen: Keygen) -> None:
    keys: list[PublicKey | Certificate] = [
        TOKEN,
        certificate(PLAIN, CA, serial=1003, key_id="alice"),
    ]
    corpus = [data for data in KRLS.values() if len(data) < 400]
    for mutant in itertools.islice(mutants(corpus, 150, seed=3), 150):
        if openssh() >= (9, 4) or not {krl.SIGNATURE, krl.EXTENSION} & set(sections(mutant)):
            agree(keygen, mutant, keys)


def sections(data: bytes) -> Iterator[int]:
    """The types of a list's sections, as far as it can be read."""
    try:
        reader = Reader(data, "a list")
        reader.raw(len(krl.MAGIC) + 4 + 3 * 8)
        reader.string()
        reader.string()
        while reader.remaining:
            yield reader.u8()
            reader.string()
    except Malformed:
        return


# --- as files of revoked keys --------------------------------------------------------------

LISTS = {
    "the key": line(TOKEN, "").lstrip(),
    "a comment": b"# x\n\n  " + line(TOKEN, "").lstrip(),
    "another": line(OTHER, "").lstrip(),
    "nothing": b"",
    "junk": b"junk\n",
    "options": line(OTHER, "restrict"),
    "a certificate of it": line(certificate(TOKEN, CA), "").lstrip(),
    "a krl": encode_krl([ExplicitKey(TOKEN.blob())]),
    "a krl of another": encode_krl([ExplicitKey(OTHER.blob())]),
    "a broken krl": krl.MAGIC + b"x",
}


@pytest.mark.parametrize("name", LISTS)
def test_revoked_keys_of_signatures(keygen: Keygen, name: str) -> None:
    from tests.support.keygen import MESSAGE
    from tests.support.signers import sshsig

    sig = sshsig(TOKEN, ed25519_token().sign, MESSAGE)
    keygen.write("x.sig", sig.armor())
    keygen.write("allowed", line(TOKEN))
    keygen.write("revoked", LISTS[name])
    args = ["-Y", "verify", "-f", "allowed", "-I", "alice", "-n", "file", "-s", "x.sig"]
    theirs = keygen(*args, "-r", "revoked", stdin=MESSAGE).returncode == 0
    try:
        ours = file_revocation(LISTS[name], TOKEN) is None
    except Malformed:
        ours = False
    assert ours is theirs
