"""Stock ssh-keygen reads, changes and verifies what the face writes, and the other way round."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.desk import Desk

from fidokit.errors import SignatureInvalid
from fidokit.keys import holder, key_files
from fidokit.keys.generation import GeneratedKey, GenerateRequest, generate_key
from fidokit.signing import signatures
from fidokit.signing.signers import SessionSigner
from fidokit.types import KeyType, SkFlag

pytestmark = pytest.mark.interop


@pytest.fixture(scope="session")
def program() -> str:
    found = shutil.which("ssh-keygen")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("ssh-keygen is missing: install openssh-client")
        pytest.skip("ssh-keygen is not installed")
    return found


def keygen(program: str, *argv: str, stdin: bytes = b"") -> str:
    done = subprocess.run([program, *argv], input=stdin, capture_output=True, check=True)
    return done.stdout.decode()


@pytest.fixture(params=list(KeyType))
def made(desk: Desk, folder: Path, request: pytest.FixtureRequest) -> GeneratedKey:
    wanted = GenerateRequest(request.param, folder / "key", comment="my key", rounds=2)
    with desk.open() as session:
        return generate_key(session, wanted, passphrase=lambda path: b"first")


def test_it_reads_the_key_under_its_passphrase(program: str, made: GeneratedKey) -> None:
    printed = keygen(program, "-y", "-P", "first", "-f", str(made.path))
    assert printed.strip() == made.public_line


def test_it_draws_the_same_picture(program: str, made: GeneratedKey) -> None:
    listed = keygen(program, "-lvf", str(made.public_path)).splitlines()
    assert listed[0].split()[1] == made.fingerprint
    assert "\n".join(listed[1:]) == made.randomart


def test_passphrases_change_hands(program: str, made: GeneratedKey) -> None:
    path = str(made.path)
    keygen(program, "-p", "-q", "-P", "first", "-N", "second", "-a", "2", "-f", path)
    key_files.change_passphrase(
        made.path, old=lambda _: b"second", new=lambda _: b"third", rounds=2
    )
    assert keygen(program, "-y", "-P", "third", "-f", path).strip() == made.public_line
    keygen(program, "-p", "-q", "-P", "third", "-N", "", "-f", path)
    found = key_files.describe_key_file(made.path)
    assert not found.encrypted
    assert found.comment == "my key"


def test_flags_that_we_set_do_not_disturb_it(program: str, made: GeneratedKey) -> None:
    change = key_files.set_key_flags(
        made.path, touch=False, verify=True, passphrase=lambda _: b"first"
    )
    assert change.after == SkFlag.USER_VERIFICATION_REQUIRED
    printed = keygen(program, "-y", "-P", "first", "-f", str(made.path))
    assert printed.strip() == made.public_line


def test_a_comment_that_it_changed_is_read(program: str, made: GeneratedKey) -> None:
    keygen(program, "-c", "-P", "first", "-C", "new comment", "-f", str(made.path))
    assert (
        key_files.describe_key_file(made.path, passphrase=lambda _: b"first").comment
        == "new comment"
    )
    assert key_files.describe_key_file(made.path).comment == "new comment", "from the public file"


def test_it_verifies_our_signature(
    desk: Desk, program: str, made: GeneratedKey, folder: Path
) -> None:
    document = folder / "document"
    document.write_bytes(b"what is signed")
    signers = folder / "allowed_signers"
    signers.write_text(f"me@example.org {made.public_line}\n")
    with desk.open() as session:
        key = holder.open_key_file(made.path, passphrase=lambda _: b"first")
        signature = signatures.sign_file(SessionSigner(session, key), document)
    verify = ["-Y", "verify", "-f", str(signers), "-I", "me@example.org", "-n", "file"]
    said = keygen(program, *verify, "-s", str(signature), stdin=document.read_bytes())
    assert said.startswith("Good ")
    found = keygen(program, "-Y", "find-principals", "-f", str(signers), "-s", str(signature))
    assert found.strip() == "me@example.org"
    assert (
        signatures.verify_signature(document, signature, allowed_signers=signers).principal
        == found.strip()
    )


def test_we_verify_its_signature(program: str, folder: Path) -> None:
    """Its own kind of key: ssh-keygen has no token here."""
    document, key = folder / "document", folder / "plain"
    document.write_bytes(b"what is signed")
    keygen(program, "-q", "-t", "ed25519", "-N", "", "-C", "plain", "-f", str(key))
    keygen(program, "-q", "-Y", "sign", "-n", "file", "-f", str(key), str(document))
    signature = folder / "document.sig"
    good = signatures.verify_signature(document, signature, public_key=Path(f"{key}.pub"))
    assert (good.touched, good.verified, good.counter) == (None, None, None)
    assert good.type_label == "ED25519"
    assert signatures.verify_signature(document, signature, public_key=key) == good
    with pytest.raises(SignatureInvalid):
        signatures.verify_signature(b"another", signature, public_key=key)
