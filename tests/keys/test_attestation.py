from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.desk import Desk

from fidokit.client.credentials import attestation
from fidokit.errors import MalformedKey, SignatureInvalid, UsageError
from fidokit.keys.attestation import (
    Origin,
    VerifiedAttestation,
    show_attestation,
    verify_attestation,
)
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.keys.holder import open_key_file
from fidokit.metadata import catalog
from fidokit.metadata.catalog import Catalog
from fidokit.metadata.model import Model, StatusReport
from fidokit.openssh.signatures.attestation import Attestation, parse_attestation, wrap_bytes
from fidokit.tokens.owner import set_pin
from fidokit.types import Aaguid, KeyType
from fidokit.virtual.models.search import list_models
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def files(bare_desk: Desk, folder: Path) -> Path:
    """A folder with a key, its challenge and its attestation."""
    return make(bare_desk, folder)


def make(desk: Desk, folder: Path) -> Path:
    (folder / "challenge").write_bytes(b"what was sent")
    request = GenerateRequest(
        KeyType.ECDSA_SK,
        path=folder / "key",
        challenge_file=folder / "challenge",
        attestation_file=folder / "proof",
    )
    with desk.open() as session:
        generate_key(session, request)
    return folder


def checked(folder: Path, key: str = "key.pub") -> VerifiedAttestation:
    return verify_attestation(folder / "proof", folder / key, folder / "challenge")


def know(monkeypatch: pytest.MonkeyPatch, *models: Model) -> None:
    monkeypatch.setattr(catalog, "load", lambda: Catalog(models))


def leaf_of(folder: Path) -> bytes:
    return parse_attestation((folder / "proof").read_bytes()).leaf_der


def model_of(folder: Path, *roots: bytes, status: str = "FIDO_CERTIFIED_L1") -> Model:
    data = attestation.read_auth_data(parse_attestation((folder / "proof").read_bytes()))
    named = attestation.aaguid_of(data)
    reports = (StatusReport(status, "2026-01-01"),)
    return Model(named, "Maker Key", "fido2", attestation_roots=roots, status_reports=reports)


def test_what_a_file_says(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, model_of(files))
    shown = show_attestation(files / "proof")
    assert (shown.version, shown.application, shown.model) == (1, "ssh:", "Maker Key")
    assert (shown.user_present, shown.user_verified) == (True, False)
    assert shown.key_handle == open_key_file(files / "key").key.key_handle
    assert shown.leaf is not None
    assert "fidokit virtual" in shown.leaf.subject


def test_version_00_says_little(files: Path) -> None:
    old = replace(parse_attestation((files / "proof").read_bytes()), auth_data_cbor=None)
    (files / "proof").write_bytes(old.blob())
    shown = show_attestation(files / "proof")
    assert (shown.version, shown.aaguid, shown.key_handle) == (0, None, None)
    assert shown.leaf is not None


def test_a_model_whose_roots_vouch(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, model_of(files, leaf_of(files)))
    for key in ("key.pub", "key"):
        found = checked(files, key)
        assert (found.origin, found.format) == (Origin.MODEL, "packed")
        assert (found.certification, found.untrusted) == ("FIDO_CERTIFIED_L1", False)


def test_a_model_that_was_revoked(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, model_of(files, leaf_of(files), status="REVOKED"))
    assert checked(files).untrusted


def test_a_model_that_is_only_named(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, model_of(files))
    found = checked(files)
    assert (found.origin, found.shown.model) == (Origin.CLAIMED, "Maker Key")


def test_a_stand_in_for_a_certified_model_is_found_out(folder: Path) -> None:
    """By the real metadata: a virtual token says that it is one, and cannot prove it."""
    first = next(m for m in list_models("YubiKey 5").models if "FIDO_2_0" in m.versions)
    desk = Desk()
    with VirtualToken(model=first.aaguid) as token:
        desk.plug("ONE", token)
        with desk.open() as session:
            set_pin(session)
        found = checked(make(desk, folder))
    assert found.origin is Origin.CLAIMED
    assert found.shown.aaguid == first.aaguid


def test_no_model_is_known(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch)
    assert checked(files).origin is Origin.UNKNOWN


def test_u2f_models_are_known_by_their_certificate(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    with VirtualToken(profile="u2f") as token:
        desk.plug("ONE", token)
        make(desk, folder)
    leaf = leaf_of(folder)
    identifier = attestation.read_leaf(leaf).key_identifier
    model = Model(None, "Old Key", "u2f", attestation_roots=(leaf,), key_identifiers=(identifier,))
    know(monkeypatch, model)
    found = checked(folder)
    assert (found.format, found.origin) == ("fido-u2f", Origin.MODEL)
    assert (found.shown.model, found.shown.aaguid) == ("Old Key", None)


FORGED = Aaguid(bytes.fromhex("2fc0579f811347eab116bb5a8db9202a"))


def forge(folder: Path, *, flags: int, counter: int, aaguid: bytes) -> None:
    """Change what a fido-u2f statement does not sign."""
    found = parse_attestation((folder / "proof").read_bytes())
    raw = found.auth_data
    assert raw is not None
    changed = raw[:32] + bytes([flags]) + counter.to_bytes(4, "big") + aaguid + raw[53:]
    (folder / "proof").write_bytes(
        Attestation(found.leaf_der, found.signature, wrap_bytes(changed)).blob()
    )


@pytest.mark.parametrize("flags", [0x41, 0x45, 0x44])
@pytest.mark.parametrize("aaguid", [bytes(16), FORGED])
def test_what_u2f_does_not_sign_is_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, flags: int, aaguid: bytes
) -> None:
    desk = Desk()
    with VirtualToken(profile="u2f") as token:
        desk.plug("ONE", token)
        make(desk, folder)
    forge(folder, flags=flags, counter=77, aaguid=aaguid)
    reports = (StatusReport("FIDO_CERTIFIED_L2", "2026-01-01"),)
    root = leaf_of(folder)
    know(
        monkeypatch,
        Model(FORGED, "Dear Key", "fido2", attestation_roots=(root,), status_reports=reports),
    )
    found = checked(folder)
    assert found.format == "fido-u2f"
    assert found.user_verified is None
    assert (found.shown.user_present, found.shown.user_verified) == (None, None)
    assert (found.shown.aaguid, found.shown.model) == (None, None)
    assert (found.origin, found.certification) == (Origin.UNKNOWN, None)


def test_the_issuer_names_the_model_of_u2f(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    with VirtualToken(profile="u2f") as token:
        desk.plug("ONE", token)
        make(desk, folder)
    read = attestation.read_leaf
    monkeypatch.setattr(
        "fidokit.keys.attestation.read_leaf",
        lambda der: replace(read(der), issuer_identifier="aa" * 20),
    )
    root = leaf_of(folder)
    model = Model(None, "Old Key", "u2f", attestation_roots=(root,), key_identifiers=("aa" * 20,))
    know(monkeypatch, model)
    assert (checked(folder).origin, checked(folder).shown.model) == (Origin.MODEL, "Old Key")


def test_a_key_that_attests_itself_names_no_model(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes a key can sign any AAGUID with it."""
    found = parse_attestation((files / "proof").read_bytes())
    know(monkeypatch, model_of(files))
    monkeypatch.setattr("fidokit.keys.attestation.verify_stored", lambda *_args: "packed")
    bare = Attestation(b"", found.signature, found.auth_data_cbor)
    (files / "proof").write_bytes(bare.blob())
    self_made = checked(files)
    assert (self_made.origin, self_made.shown.model) == (Origin.SELF, None)
    assert self_made.certification is None


def test_a_model_that_is_only_named_is_not_certified(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, model_of(files, b"another root"))
    found = checked(files)
    assert (found.origin, found.certification) == (Origin.CLAIMED, None)


def test_an_attestation_without_signature_proves_nothing(files: Path) -> None:
    """What a token of format none leaves."""
    found = parse_attestation((files / "proof").read_bytes())
    (files / "proof").write_bytes(Attestation(b"", b"", found.auth_data_cbor).blob())
    with pytest.raises(SignatureInvalid, match="holds no signature"):
        checked(files)


def test_a_certificate_of_another_model(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = attestation.read_leaf
    other = Aaguid(bytes(15) + b"x")
    monkeypatch.setattr(
        "fidokit.keys.attestation.read_leaf", lambda der: replace(read(der), aaguid=other)
    )
    with pytest.raises(SignatureInvalid, match="another model"):
        checked(files)


def test_files_that_will_not_do(files: Path) -> None:
    (files / "plain.pub").write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop me\n"
    )
    with pytest.raises((UsageError, MalformedKey)):
        checked(files, "plain.pub")
    (files / "proof").write_bytes(b"junk")
    with pytest.raises(MalformedKey):
        show_attestation(files / "proof")
