"""A log is signed as a whole, stock ssh-keygen verifies it, and nobody's change is vouched for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.fleet.policy.policies import print_of
from tests.support.keygen import line
from tests.support.signers import PlainKey, ed25519_key

from fidokit.errors import CredentialNotFound, SignatureInvalid, UsageError
from fidokit.fleet.policy.values import PolicyKey
from fidokit.fleet.token_audit.signed_log import NAMESPACE, LoggedAudit, append_entry
from fidokit.fleet.token_audit.signing_key import signing_key
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import PublicLine
from fidokit.openssh.signatures.signature import Signature


class KeySigner:
    """An ordinary key that signs."""

    name = "a key"

    def __init__(self, key: PlainKey) -> None:
        self._key = key
        self.public = key.public
        self.signatures = 0

    def sign(self, message: bytes) -> Signature:
        self.signatures += 1
        return self._key.sign(message)


SIGNER, OTHER = KeySigner(ed25519_key(1)), KeySigner(ed25519_key(2))
NAME, OTHER_NAME = (fingerprint.sha256(one.public.blob()) for one in (SIGNER, OTHER))


def appended(path: Path, entry: object, signer: KeySigner = SIGNER) -> LoggedAudit:
    return append_entry(path, {"entry": entry}, signer, [NAME])


def test_a_line_for_each_entry(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert appended(path, 1).entries == 1
    done = appended(path, "a\nb\x1b[2J\u202e")
    assert done == LoggedAudit(path, tmp_path / "log.sig", NAME, 2)
    lines = path.read_bytes().splitlines()
    assert [json.loads(one)["entry"] for one in lines] == [1, "a\nb\x1b[2J\u202e"]
    assert path.read_bytes().isascii()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.interop
def test_stock_ssh_keygen_verifies_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for number in range(3):
        appended(path, number)
    (tmp_path / "signers").write_bytes(line(SIGNER.public, f'audit namespaces="{NAMESPACE}"'))
    words = f"ssh-keygen -Y verify -f signers -I audit -n {NAMESPACE} -s log.sig < log"
    done = subprocess.run(["sh", "-c", words], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    path.write_bytes(path.read_bytes().replace(b"1", b"7"))
    done = subprocess.run(["sh", "-c", words], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda log, _: log.write_bytes(b"{}\n"), "does not hold"),
        (lambda log, _: log.write_bytes(log.read_bytes()[:-5]), "does not hold"),
        (lambda log, _: log.unlink(), "is not$"),
        (lambda _, sig: sig.unlink(), "is not signed"),
    ],
)
def test_a_changed_log_gets_no_entry(tmp_path: Path, change: object, said: str) -> None:
    path = tmp_path / "log"
    appended(path, 1)
    assert callable(change)
    change(path, tmp_path / "log.sig")
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    signed = SIGNER.signatures
    with pytest.raises(SignatureInvalid, match=said) as caught:
        appended(path, 2)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before
    assert SIGNER.signatures == signed, "nobody is asked for a touch"
    assert caught.value.hint


def test_an_interrupted_run_is_undone_as_the_hint_says(tmp_path: Path) -> None:
    path = tmp_path / "log"
    appended(path, 1)
    appended(path, 2)
    with path.open("ab") as file:
        file.write(b'{"entry": 3}\n')  # written, and not signed any more
    with pytest.raises(SignatureInvalid) as caught:
        appended(path, 4)
    _, _, advice = caught.value.hint.partition("after an interruption: ")
    subprocess.run(["sh", "-c", advice], check=True)
    assert appended(path, 4).entries == 3


@pytest.mark.parametrize("damage", ["changed", "unsigned", "without its log"])
def test_beginning_anew_as_the_hint_says(tmp_path: Path, damage: str) -> None:
    path, signature = tmp_path / "log", tmp_path / "log.sig"
    append_entry(path, {}, OTHER, [OTHER_NAME])
    if damage == "unsigned":
        signature.unlink()
    elif damage == "without its log":
        path.unlink()
    with pytest.raises(SignatureInvalid) as caught:
        appended(path, 1)
    _, _, advice = caught.value.hint.partition("begin anew: ")
    subprocess.run(["sh", "-c", advice], check=False, stderr=subprocess.DEVNULL)
    assert appended(path, 1).entries == 1


def test_only_a_key_that_the_policy_names_signs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not let"):
        appended(tmp_path / "log", 1, OTHER)
    assert not list(tmp_path.iterdir())


def test_a_signature_for_something_else_is_none(tmp_path: Path) -> None:
    from fidokit.signing.signatures import sign_message

    path = tmp_path / "log"
    appended(path, 1)
    other = sign_message(SIGNER, path.read_bytes(), namespace="file")
    (tmp_path / "log.sig").write_text(other)
    with pytest.raises(SignatureInvalid):
        appended(path, 2)


def test_the_signing_key_is_found_by_the_policy(tmp_path: Path) -> None:
    (tmp_path / "id_a.pub").write_text(PublicLine(SIGNER.public, "a").encode() + "\n")
    wanted = [PolicyKey(print_of("elsewhere")), PolicyKey(NAME)]
    assert signing_key(wanted, [tmp_path]) == tmp_path / "id_a.pub"
    with pytest.raises(CredentialNotFound, match="no key that the policy lets sign"):
        signing_key(wanted[:1], [tmp_path])
