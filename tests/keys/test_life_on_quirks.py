"""The whole life of a key on every quirk and every preset: what fails is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.fake_link import Person, SteeredClock, session_on

from fidokit.client import tolerance
from fidokit.client.blobs import large_blobs
from fidokit.client.owner import config, pin
from fidokit.client.owner.proofs import Permission
from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.errors import NotTaken, PinAuthBlocked, PinError, Unsupported
from fidokit.keys import resident_keys
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.keys.holder import open_key_file
from fidokit.types import KeyType
from fidokit.virtual.quirks.catalog import PRESETS, QUIRKS
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")

PIN = "246810"  # digits, and six: what the strictest policy takes
LONG = "ssh:an-application-whose-name-is-longer-than-48-bytes"
SHOWN = {
    "unsorted-options": tolerance.CBOR_ORDER,
    "algorithms-untold": tolerance.ALGORITHMS_UNTOLD,
    "info-refused": tolerance.GET_INFO_REFUSED,
    "empty-list-is-ok": tolerance.EMPTY_LIST,
    "deletion-ends-pin-token": tolerance.PROOF_DIED,
    "listing-ends-pin-token": tolerance.PROOF_DIED,
    "lasting-power-cycle-state": tolerance.PIN_LOCK_KEPT,
    "always-uv-not-enforced": tolerance.ALWAYS_UV_IDLE,
    "rp-ids-cut-at-32": tolerance.RP_ID_CUT,
    "rp-ids-cut-at-48": tolerance.RP_ID_CUT,
    "touch-notice-when-silent": tolerance.TOUCH_NOTICE,
    "large-blob-key-unlisted": tolerance.BLOB_KEY_UNLISTED,
    "deleted-keys-sign": tolerance.DELETED_KEY_SIGNS,
    "made-up-assertion": tolerance.MADE_UP_ASSERTION,
}
"""What a user is told of each quirk that has to be told."""


class Life:
    """One token from its first PIN to its reset; each step has a session of its own."""

    def __init__(self, token: VirtualToken, folder: Path) -> None:
        self.token = token
        self.quirks = {quirk for name in token.quirks for quirk in PRESETS.get(name, (name,))}
        self.folder = folder
        self.departures: set[str] = set()
        self._open: list[Session] = []

    def session(self, *pins: str) -> Session:
        self.end()
        patience = SteeredClock().patience(sleep=lambda _seconds: None)
        self._open.append(session_on(self.token.link(), Person(*(pins or (PIN,))), patience))
        return self._open[-1]

    def end(self) -> None:
        for session in self._open:
            self.departures |= set(session.departures)
            session.close()
        self._open.clear()

    def make(self, application: str, *, resident: bool = True, blob: bool = False) -> Path:
        path = self.folder / application.replace(":", "_")
        session = self.session()
        kinds = (KeyType.ED25519_SK, KeyType.ECDSA_SK)
        offered = [kind for kind in kinds if session.info.supports(kind) is not False]
        request = GenerateRequest(
            offered[0],
            path,
            application=application,
            resident=resident,
            comment="a comment that is longer than 32 bytes",
            or_types=tuple(offered[1:]),
            large_blob=blob,
        )
        made = generate_key(session, request)
        assert made.key_type in offered
        return path

    def sign(self, path: Path) -> None:
        key = open_key_file(path).key
        from fidokit.client.credentials.signature import sign

        sign(self.session(), key, b"message")

    def rows(self, **more: str) -> list[resident_keys.KeyRow]:
        return resident_keys.list_keys(self.session(), only_token=True, search_home=False, **more)  # type: ignore[arg-type]


def live(life: Life) -> None:
    if life.session().info.is_u2f_only:
        life.sign(life.make("ssh:", resident=False))
        return
    pin.set_pin(life.session(), PinCode.parse(PIN))
    assert life.rows() == []
    life.sign(life.make("ssh:file", resident=False))
    for name in ("ssh:a", "ssh:b", "ssh:c", LONG):
        life.sign(life.make(name))
    assert len(life.rows()) == 4
    whole = life.rows(application=LONG)
    assert [row.application for row in whole] == [LONG]
    assert whole[0].key_type is not None
    saved = resident_keys.download_keys(life.session(), life.folder, application=LONG)
    assert [result.error for result in saved] == [None]
    rename(life)
    blob(life)
    delete(life)
    life.token.power_cycle()
    life.sign(life.folder / "ssh_file")
    lock(life)
    switch(life)
    life.sign(life.folder / "ssh_file")
    life.token.power_cycle()
    life.session().reset()
    assert pin.pin_status(life.session()).set is False


def rename(life: Life) -> None:
    session = life.session()
    row = next(
        row
        for row in resident_keys.list_keys(session, only_token=True, search_home=False)
        if row.application == "ssh:a"
    )
    try:
        resident_keys.rename_key(session, row, comment="another, also longer than 32 bytes")
    except Unsupported:
        assert "no-user-update" in life.quirks
    except NotTaken:
        assert life.quirks & {"display-name-dropped", "long-display-names-lost"}


def blob(life: Life) -> None:
    if not life.session().info.has_large_blobs:
        return
    life.make("ssh:blob", blob=True)
    session = life.session()
    both = Permission.CREDENTIAL_MANAGEMENT | Permission.LARGE_BLOB_WRITE
    session.owner.authorize(both, None, "changing the blob")
    rows = resident_keys.list_keys(session, only_token=True, search_home=False)
    held = next(row.credential for row in rows if row.application == "ssh:blob")
    assert held is not None
    large_blobs.put(session, held, b"a certificate")
    assert large_blobs.get(session, held) == b"a certificate"


def delete(life: Life) -> None:
    session = life.session()
    rows = resident_keys.list_keys(session, only_token=True, search_home=False)
    done = list(resident_keys.delete_keys(session, rows))
    assert [result.error for result in done] == [None] * len(rows)
    # of an application that the token cut, nobody can ask
    signing = {result.still_signs for result in done if not result.row.application_cut}
    assert signing == {"deleted-keys-sign" in life.quirks}
    assert life.rows() == []


def lock(life: Life) -> None:
    with pytest.raises((PinAuthBlocked, PinError)):
        pin.verify_pin(life.session("wrong-1", "wrong-2", "wrong-3", PIN))
    life.token.power_cycle()
    pin.verify_pin(life.session())


def switch(life: Life) -> None:
    now = life.session().info.options.get("alwaysUv")
    if now is None:
        return
    try:
        config.set_always_uv(life.session(), not now)
    except NotTaken:
        assert "always-uv-toggle-ignored" in life.quirks
    else:
        assert life.session().info.always_uv is not now
        assert "always-uv-toggle-ignored" not in life.quirks


@pytest.mark.parametrize("name", [*QUIRKS, *PRESETS])
def test_the_life_of_a_key(name: str, folder: Path) -> None:
    with VirtualToken(presence="auto", quirks=[name]) as token:
        life = Life(token, folder)
        live(life)
        life.end()
        told = {SHOWN[quirk] for quirk in life.quirks if quirk in SHOWN}
        if "no-user-update" in life.quirks:  # no name is ever read back
            told -= {tolerance.NAMES_CUT}
        if {"made-up-assertion", "init-is-power-up"} <= life.quirks:  # each session begins without
            told -= {tolerance.ALWAYS_UV_IDLE}
        assert life.departures == told


def test_every_quirk_that_is_told_is_one() -> None:
    assert set(SHOWN) <= set(QUIRKS)
    assert set(SHOWN.values()) <= set(tolerance.DEPARTURES)
