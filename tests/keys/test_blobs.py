from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.desk import PIN, Desk

from fidokit.client.ports import PinCode
from fidokit.errors import (
    CredentialNotFound,
    NotStored,
    PassphraseWrong,
    Unsupported,
    UsageError,
    WouldOverwrite,
)
from fidokit.keys.blobs import (
    delete_all_blobs,
    delete_blobs,
    delete_orphaned_blobs,
    download_blob,
    get_blob,
    list_blobs,
    set_blob,
)
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.keys.resident_keys import delete_key, list_keys
from fidokit.tokens.owner import set_pin
from fidokit.types import KeyType
from fidokit.virtual.core.profile import CTAP_2_1
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")

BLOB = b"a certificate, say " * 20


def key(desk: Desk, path: Path, application: str = "ssh:work", **wishes: object) -> None:
    request = GenerateRequest(
        KeyType.ECDSA_SK,
        path=path,
        application=application,
        rounds=1,
        **{"resident": True, "large_blob": True, "allow_any_application": True, **wishes},  # type: ignore[arg-type]
    )
    with desk.open() as session:
        generate_key(session, request, passphrase=lambda _: b"secret")


@pytest.fixture
def stocked(desk: Desk, folder: Path) -> Desk:
    key(desk, folder / "work")
    key(desk, folder / "home", "ssh:home")
    key(desk, folder / "site", "example.com")
    return desk


def test_set_list_get_delete(stocked: Desk, folder: Path) -> None:
    asked = len(stocked.person.asked)
    with stocked.open() as session:
        set_blob(session, "ssh:work", BLOB)
    assert len(stocked.person.asked) == asked + 1
    with stocked.open() as session:
        table = list_blobs(session)
        (row,) = table.blobs
        assert (row.key.application, row.size, table.others) == ("ssh:work", len(BLOB), 0)
        assert row.stored is not None
        assert table.used is not None
        assert table.capacity == 4096
        assert get_blob(session, row.key.fingerprint) == BLOB
        for name in ("work", "work.pub"):
            assert get_blob(session, str(folder / name)) == BLOB
    assert len(stocked.person.asked) == asked + 2
    with stocked.open() as session:
        delete_blobs(session, ["ssh:work"])
        with pytest.raises(NotStored):
            get_blob(session, "ssh:work")


def test_websites_stay_out_of_sight(stocked: Desk) -> None:
    with stocked.open() as session:
        with pytest.raises(CredentialNotFound):
            set_blob(session, "example.com", BLOB)
        set_blob(session, "example.com", BLOB, any_rp=True)
        assert list_blobs(session).others == 1
        assert [row.key.application for row in list_blobs(session, any_rp=True).blobs] == [
            "example.com"
        ]
        assert delete_orphaned_blobs(session) == 0  # a website's is not an orphan
        assert get_blob(session, "example.com", any_rp=True) == BLOB


def test_orphans_and_all(stocked: Desk) -> None:
    with stocked.open() as session:
        for name in ("ssh:work", "ssh:home"):
            set_blob(session, name, BLOB)
        (row,) = [r for r in list_keys(session, only_token=True) if r.application == "ssh:work"]
        delete_key(session, row)
    with stocked.open() as session:
        assert delete_orphaned_blobs(session) == 1
        assert len(list_blobs(session).blobs) == 1
        delete_all_blobs(session)
        assert list_blobs(session).used == 17


def test_into_a_file(stocked: Desk, folder: Path) -> None:
    path = folder / "blob"
    with stocked.open() as session:
        set_blob(session, "ssh:work", BLOB)
        assert download_blob(session, "ssh:work", path) == len(BLOB)
        assert path.read_bytes() == BLOB
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.write_bytes(b"mine")
        with pytest.raises(WouldOverwrite):
            download_blob(session, "ssh:work", path)
        assert path.read_bytes() == b"mine"
        assert download_blob(session, "ssh:work", path, force=True) == len(BLOB)
        assert path.read_bytes() == BLOB


def test_a_file_in_the_way_is_seen_before_the_pin_is_asked(stocked: Desk, folder: Path) -> None:
    (folder / "blob").touch()
    asked = len(stocked.person.asked)
    with stocked.open() as session, pytest.raises(WouldOverwrite):
        download_blob(session, "ssh:work", folder / "blob")
    assert len(stocked.person.asked) == asked


def test_a_key_made_without(desk: Desk, folder: Path) -> None:
    key(desk, folder / "plain", large_blob=False)
    with desk.open() as session, pytest.raises(Unsupported):
        set_blob(session, "ssh:work", BLOB)


@pytest.fixture
def unlisting(folder: Path) -> Iterator[Desk]:
    """A token that keeps blobs and cannot list its keys."""
    desk = Desk()
    desk.plug(
        "U", VirtualToken(profile=CTAP_2_1.with_options(credMgmt=None, credentialMgmtPreview=None))
    )
    with desk.open() as session:
        set_pin(session, PinCode.parse(PIN))
    key(desk, folder / "work")
    yield desk
    desk.close()


def test_by_key_file(unlisting: Desk, folder: Path) -> None:
    asked: list[Path] = []

    def passphrase(path: Path) -> bytes:
        asked.append(path)
        return b"secret"

    name = str(folder / "work")
    with unlisting.open() as session:
        set_blob(session, name, BLOB, passphrase=passphrase)
        assert get_blob(session, name, passphrase=passphrase) == BLOB
        with pytest.raises(PassphraseWrong):
            get_blob(session, name, passphrase=lambda _: b"wrong")
        with pytest.raises(UsageError, match="not a private key file"):
            get_blob(session, "ssh:work")
        with pytest.raises(Unsupported):
            list_blobs(session)
        delete_blobs(session, [name], passphrase=passphrase)
        with pytest.raises(NotStored):
            get_blob(session, name, passphrase=passphrase)
    assert set(asked) == {folder / "work"}


@pytest.mark.parametrize("profile", ["u2f", "ctap2.0"])
def test_tokens_without(profile: str) -> None:
    desk = Desk()
    desk.plug("P", VirtualToken(profile=profile))
    with desk.open() as session:
        for use in (
            lambda: list_blobs(session),
            lambda: get_blob(session, "ssh:"),
            lambda: set_blob(session, "ssh:", b""),
            lambda: delete_blobs(session, ["ssh:"]),
            lambda: delete_orphaned_blobs(session),
            lambda: delete_all_blobs(session),
        ):
            with pytest.raises(Unsupported) as caught:
                use()
            assert caught.value.hint
    assert desk.person.asked == []
    desk.close()
