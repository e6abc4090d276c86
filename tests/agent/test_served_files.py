"""Files that the agent serves: as `ssh-add FILE` takes them, with the certificate beside."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import agent_keys
from tests.support.signers import certificate, ed25519_key

from fidokit.agent.served_files import entries_of
from fidokit.errors import UsageError
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys.private import PrivateFile, encode_private

SK = agent_keys.sk()
CERTIFIED = certificate(SK.public, ed25519_key(9))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "k"
    path.write_bytes(encode_private(PrivateFile(SK, "me")))
    path.chmod(0o600)
    return path


def put(key: Path, text: bytes) -> None:
    key.with_name("k-cert.pub").write_bytes(text)


def line(made: Certificate) -> bytes:
    return made.type_name.encode() + b" " + b64encode(made.blob()) + b" me\n"


def served(key: Path) -> tuple[list[bytes], list[str]]:
    log: list[str] = []
    return [entry.blob for entry in entries_of(key, None, None, log.append)], log


def test_a_key_alone(key: Path) -> None:
    assert served(key) == ([SK.public.blob()], [])


def test_the_certificate_beside_it_is_served_too(key: Path) -> None:
    put(key, line(CERTIFIED))
    assert served(key) == ([SK.public.blob(), CERTIFIED.blob()], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (line(certificate(ed25519_key(3).public, ed25519_key(9))), "another key"),
        (line(replace(CERTIFIED, serial=99)), "not signed by"),
        (b"rubbish", "no key"),
        (b"", "no key"),
        (b"ssh-ed25519 " + b64encode(ed25519_key(3).public.blob()), "plain key"),
    ],
)
def test_one_that_does_not_fit_is_named_and_the_key_served(
    key: Path, text: bytes, said: str
) -> None:
    put(key, text)
    blobs, log = served(key)
    assert blobs == [SK.public.blob()]
    assert said in log[0]


def test_a_certificate_is_no_key_file(key: Path) -> None:
    with pytest.raises(UsageError, match="certificate") as caught:
        list(entries_of(key.with_name("k-cert.pub"), None, None, print))
    assert str(key) in (caught.value.hint or "")
