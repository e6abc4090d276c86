"""Files that the agent serves: as `ssh-add FILE` takes them, with the certificate beside."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import agent_keys
from tests.support.signers import certificate, ed25519_key

from fidokit.agent.served_files import CertificateFolders, entries_of
from fidokit.errors import UsageError
from fidokit.openssh.certificates.certificate import Certificate, CertKind
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


# --- folders of certificates ---------------------------------------------------------------


def test_a_folder_is_searched_by_key_and_followed(tmp_path: Path) -> None:
    log: list[str] = []
    folder = tmp_path / "certificates"
    folders = CertificateFolders([folder], log.append)
    assert not folders.changed()  # it is not there yet
    folder.mkdir()
    (folder / "a-cert.pub").write_bytes(line(CERTIFIED))
    (folder / "b.pub").write_bytes(b"ssh-ed25519 " + b64encode(ed25519_key(3).public.blob()))
    (folder / "notes").write_bytes(line(CERTIFIED))
    assert folders.changed()
    assert not folders.changed()
    assert (folders.of(SK.public), folders.of(ed25519_key(3).public)) == ((CERTIFIED,), ())
    renewed = certificate(SK.public, ed25519_key(9), serial=2)
    (folder / "a-cert.pub").write_bytes(line(renewed) + b"\n")
    assert folders.changed()
    assert folders.of(SK.public) == (renewed,)
    (folder / "a-cert.pub").unlink()
    assert folders.changed()
    assert folders.of(SK.public) == ()
    assert log == []


def test_what_is_no_use_in_a_folder_is_named_once_and_hides_nothing(tmp_path: Path) -> None:
    log: list[str] = []
    host = certificate(SK.public, ed25519_key(9), kind=CertKind.HOST)
    (tmp_path / "0-cert.pub").write_bytes(line(replace(CERTIFIED, serial=99)))
    (tmp_path / "1-cert.pub").write_bytes(line(host))
    (tmp_path / "2-cert.pub").write_bytes(b"ssh-ed25519-cert-v01@openssh.com AAAA")
    (tmp_path / "3-cert.pub").mkdir()
    (tmp_path / "4-cert.pub").write_bytes(line(CERTIFIED))
    folders = CertificateFolders([tmp_path / "none", tmp_path], log.append)
    assert folders.changed()
    assert not folders.changed()
    assert folders.of(SK.public) == (CERTIFIED,)
    assert [said.split(" is not served")[0][-10:] for said in log] == [
        f"{n}-cert.pub" for n in range(4)
    ]
