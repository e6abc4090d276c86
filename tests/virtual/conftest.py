"""What the tests of the virtual authenticator's outside share."""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fidokit.types import Aaguid, CoseAlg, CredentialId, CredProtect, UserId
from fidokit.virtual.core.ports import DurableState, Store, StoredCredential
from fidokit.virtual.store import MemoryStore, SealedStore, SqliteStore, cipher
from fidokit.virtual.store.file import Contents
from fidokit.virtual.store.schema import TokenIdentity

STATE = DurableState(
    aaguid=Aaguid(bytes(range(16))),
    attestation_key=b"key",
    attestation_certificate=b"certificate",
    wrapping_key=b"w" * 32,
    hmac_secret_key=b"h" * 32,
    min_pin_length=4,
)
IDENTITY = TokenIdentity(
    serial="FK-1234", profile="ctap2.3", presence="auto", created=1_795_000_000
)


def credential(number: int = 1, rp: str = "ssh:", user: bytes | None = None) -> StoredCredential:
    """A resident credential that differs from others by `number`."""
    return StoredCredential(
        id=CredentialId(b"id" + number.to_bytes(30)),
        rp_id=rp,
        rp_id_hash=hashlib.sha256(rp.encode()).digest(),
        user_id=UserId(number.to_bytes(32) if user is None else user),
        user_name=f"user {number}",
        user_display_name=None,
        alg=CoseAlg.EDDSA,
        secret=number.to_bytes(32),
        cred_protect=CredProtect.UV_REQUIRED,
    )


def make_memory(_: Path) -> MemoryStore:
    return MemoryStore(STATE)


def make_sqlite(folder: Path) -> SqliteStore:
    return SqliteStore.create(folder / "token.sqlite", IDENTITY, STATE)


PASSPHRASE = b"correct horse"


def make_sealed(folder: Path) -> SealedStore:
    contents = Contents(IDENTITY, STATE)
    file = SqliteStore.create_with(folder / "token.sqlite", contents, PASSPHRASE)
    assert file.seal is not None
    return SealedStore(file, file.seal.unlock(PASSPHRASE, IDENTITY.serial))


@pytest.fixture(autouse=True)
def hasty_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 MiB in place of 32, a few milliseconds in place of a hundred."""
    monkeypatch.setattr(cipher, "COST", cipher.LEAST_COST)


@pytest.fixture(params=[make_memory, make_sqlite, make_sealed], ids=["memory", "sqlite", "sealed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each store in turn: one contract for all."""
    make: Callable[[Path], MemoryStore | SqliteStore | SealedStore] = request.param
    made = make(tmp_path)
    yield made
    made.close()


@pytest.fixture
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for registered tokens; returns the folder that will hold them."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "fidokit" / "virtual"


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Writing beyond `size` bytes of any file fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
