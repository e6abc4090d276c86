"""Certificates on the token: stored beside their keys, read back, and what is none of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.desk import PIN, Desk
from tests.support.signers import certificate, ed25519_key, ml_dsa_key

from fidokit.client.blobs import large_blobs
from fidokit.client.blobs.array import BlobArray
from fidokit.client.credentials import resident
from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.errors import (
    CredentialNotFound,
    FidokitError,
    MalformedCbor,
    SignatureInvalid,
    Unsupported,
    UsageError,
    WouldOverwrite,
)
from fidokit.keys import blobs, stored_certificates
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.keys.resident_keys import download_keys, list_keys
from fidokit.keys.stored_certificates import (
    MOST,
    certificate_line,
    certificates_in,
    holds_certificates,
    require_user_certificate,
    store_certificate,
    until,
    usable_longest,
)
from fidokit.openssh.certificates.certificate import FOREVER, Certificate, CertKind
from fidokit.openssh.lines import key_text
from fidokit.tokens.owner import set_pin
from fidokit.types import KeyType
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")

CA = ed25519_key(9)
KEY = ed25519_key(3).public
NOW = 1_700_000_000


def make(
    desk: Desk, folder: Path, name: str, *, large_blob: bool = True, verify_required: bool = False
) -> None:
    request = GenerateRequest(
        KeyType.ED25519_SK,
        path=folder / name,
        application=f"ssh:{name}",
        resident=True,
        large_blob=large_blob,
        verify_required=verify_required,
    )
    with desk.open() as session:
        generate_key(session, request)


@pytest.fixture(params=["ctap2.1", "ctap2.3-largeblob"])
def stocked(folder: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Tokens that keep blobs in one array, and tokens that keep each with its key."""
    desk = Desk()
    desk.plug("ONE", VirtualToken(profile=request.param))
    with desk.open() as session:
        set_pin(session, PinCode.parse(PIN))
    make(desk, folder, "work")
    make(desk, folder, "home")
    yield desk
    desk.close()


def certify(folder: Path, name: str, **how: object) -> Certificate:
    public, _ = key_text.read_key((folder / f"{name}.pub").read_bytes().strip())
    assert not isinstance(public, Certificate)
    return certificate(public, CA, **how)  # type: ignore[arg-type]


def kept(desk: Desk) -> tuple[dict[str, tuple[Certificate, ...]], list[str]]:
    problems: list[str] = []
    with desk.open() as session:
        rows = list_keys(session, only_token=True, certificates=problems)
    return {row.application: row.certificates for row in rows}, problems


def store(desk: Desk, made: Certificate, **how: bool) -> None:
    with desk.open() as session:
        store_certificate(session, made, "me", blobs.changeable_keys(session), **how)


def test_what_is_stored_is_found_without_a_touch(stocked: Desk, folder: Path) -> None:
    made = certify(folder, "work")
    store(stocked, made)
    touches, asked = list(stocked.person.touches), len(stocked.person.asked)
    assert kept(stocked) == ({"ssh:work": (made,), "ssh:home": ()}, [])
    assert stocked.person.touches == touches
    assert len(stocked.person.asked) == asked + 1
    with stocked.open() as session:
        assert blobs.get_blob(session, "ssh:work") == certificate_line(made, "me")


def test_those_of_keys_that_want_the_pin_cost_no_second_one(stocked: Desk, folder: Path) -> None:
    for name in ("one", "two"):
        make(stocked, folder, name, verify_required=True)
        store(stocked, certify(folder, name))
    asked = len(stocked.person.asked)
    found, problems = kept(stocked)
    assert {name for name, held in found.items() if held} == {"ssh:one", "ssh:two"}
    assert (problems, len(stocked.person.asked)) == ([], asked + 1)
    with stocked.open() as session:
        interaction = session.interaction
        list_keys(session, only_token=True, certificates=[])
        assert session.interaction is interaction, "the PIN is forgotten"


def test_without_the_pin_those_are_left_out(stocked: Desk, folder: Path) -> None:
    """The list needs none where the right to it was kept; then no other is asked for."""
    make(stocked, folder, "one", verify_required=True)
    store(stocked, certify(folder, "one"))
    store(stocked, made := certify(folder, "work"))
    with stocked.open() as session:
        credentials = resident.list_credentials(session)
        asked = len(stocked.person.asked)
        found = stored_certificates.read_certificates(session, credentials)
        assert len(stocked.person.asked) == asked
    assert (made,) in found.by_key.values()


def test_the_new_one_takes_the_place_of_the_old(stocked: Desk, folder: Path) -> None:
    for serial in (1, 2):
        store(stocked, made := certify(folder, "work", serial=serial))
    assert kept(stocked)[0]["ssh:work"] == (made,)


def test_a_blob_that_is_something_else_stays(stocked: Desk, folder: Path) -> None:
    made = certify(folder, "work")
    with stocked.open() as session:
        blobs.set_blob(session, "ssh:work", b"\x00my notes")
    assert kept(stocked) == ({"ssh:work": (), "ssh:home": ()}, [])
    with pytest.raises(WouldOverwrite, match="not a certificate"):
        store(stocked, made)
    store(stocked, made, force=True)
    assert kept(stocked)[0]["ssh:work"] == (made,)


def test_broken_ones_are_named_and_hide_nothing(stocked: Desk, folder: Path) -> None:
    good = certify(folder, "work")
    text = certificate_line(good, "me")
    with stocked.open() as session:
        blobs.set_blob(session, "ssh:work", text[:120] + b"\n" + text)
        blobs.set_blob(session, "ssh:home", text)
    found, problems = kept(stocked)
    assert found == {"ssh:work": (good,), "ssh:home": ()}
    assert any("ssh:work" in one for one in problems)
    assert any("ssh:home certifies other keys" in one for one in problems)


def test_an_array_that_is_none_hides_no_key(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_array(_session: Session) -> BlobArray:
        raise MalformedCbor("the large blobs are not an array")

    make(desk, folder, "work")
    monkeypatch.setattr(large_blobs, "read_array", read_array)
    found, problems = kept(desk)
    assert found == {"ssh:work": ()}
    assert "the large blobs are not an array" in problems[0]


def test_downloads_bring_it(stocked: Desk, folder: Path, tmp_path: Path) -> None:
    store(stocked, made := certify(folder, "work"))
    with stocked.open() as session:
        (result,) = download_keys(session, tmp_path, selectors=["ssh:work"])
    assert result.error is None
    assert result.certificate == result.path.with_name(f"{result.path.name}-cert.pub")
    found, _ = key_text.read_key(result.certificate.read_bytes().strip())
    assert found == made
    result.path.unlink()
    result.path.with_name(f"{result.path.name}.pub").unlink()
    with stocked.open() as session:
        (refused,) = download_keys(session, tmp_path, selectors=["ssh:work"])
    assert isinstance(refused.error, WouldOverwrite)
    assert not result.path.exists()


def test_keys_that_are_not_there(stocked: Desk) -> None:
    with pytest.raises(CredentialNotFound) as caught:
        store(stocked, certificate(KEY, CA))
    assert "--certificates FOLDER" in caught.value.hint


def test_keys_without_room(desk: Desk, folder: Path) -> None:
    make(desk, folder, "small", large_blob=False)
    with pytest.raises(Unsupported) as caught:
        store(desk, certify(folder, "small"))
    assert "--large-blob" in caught.value.hint


# --- texts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (certificate_line(certificate(KEY, CA), ""), True),
        (b"\n ssh-mldsa44-ed25519-cert AAAA", True),
        (b"ssh-ed25519 AAAA", False),
        (b"", False),
        (b"\xff-cert", False),
        (b"# a file", False),
    ],
)
def test_what_begins_as_a_certificate(text: bytes, expected: bool) -> None:
    assert holds_certificates(text) is expected


def test_only_those_of_the_key_and_not_too_many() -> None:
    mine = [certificate(KEY, CA, serial=n) for n in range(MOST + 3)]
    other = certificate(ed25519_key(4).public, CA)
    text = (
        b"# mine\n\n"
        + certificate_line(other, "")
        + b"".join(certificate_line(one, "x") for one in mine)
    )
    assert list(certificates_in(text, KEY)) == mine[: MOST - 1]


def test_forged_ones_and_hosts_are_errors() -> None:
    forged = replace(certificate(KEY, CA), serial=7)
    host = certificate(KEY, CA, kind=CertKind.HOST)
    text = certificate_line(forged, "") + certificate_line(host, "") + b"ssh-x-cert AAAA\n"
    found = list(certificates_in(text, KEY))
    assert len(found) == 3
    assert all(isinstance(one, FidokitError) for one in found)
    with pytest.raises(SignatureInvalid):
        require_user_certificate(forged)
    with pytest.raises(UsageError):
        require_user_certificate(host)


def test_an_authority_that_cannot_be_checked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_certificate: Certificate) -> None:
        raise Unsupported("no ML-DSA here")

    monkeypatch.setattr(stored_certificates, "require_trustworthy", refuse)
    made = certificate(KEY, ml_dsa_key())
    assert list(certificates_in(certificate_line(made, ""), KEY)) == [made]


def test_the_one_that_is_valid_longest() -> None:
    ends = [NOW + 10, FOREVER, NOW]
    made = [certificate(KEY, CA, valid_before=end) for end in ends]
    assert usable_longest(made).valid_before == FOREVER
    words = [until(one, NOW) for one in made]
    assert words == ["until 2023-11-14", "for ever", "expired"]
