"""A sealed file: nothing in it can be read, and nothing in it can be changed unnoticed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.virtual.conftest import (
    IDENTITY,
    PASSPHRASE,
    STATE,
    credential,
    file_size_limit,
    make_sealed,
)

from fidokit.errors import (
    PassphraseRequired,
    PassphraseWrong,
    StateUnusable,
    TokenBusy,
    UsageError,
)
from fidokit.types import UserId
from fidokit.virtual import registry
from fidokit.virtual.core.ports import LargeBlob
from fidokit.virtual.shared import open_link
from fidokit.virtual.store import SealedStore, SqliteStore, look, read_identity
from fidokit.virtual.token import VirtualToken

GET_INFO = b"\x04"


def opened(path: Path, passphrase: bytes = PASSPHRASE) -> SealedStore:
    file = SqliteStore.open(path)
    try:
        assert file.seal is not None
        return SealedStore(file, file.seal.unlock(passphrase, IDENTITY.serial))
    except BaseException:
        file.close()
        raise


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SealedStore]:
    store = make_sealed(tmp_path)
    store.put(credential(1))
    store.put(credential(2))
    yield store
    store.close()


def reopened(store: SealedStore) -> SealedStore:
    store.close()
    return opened(store.path)


def test_everything_survives_closing(store: SealedStore) -> None:
    store.save(replace(STATE, pin_retries=3, min_pin_rp_ids=("ssh:",)))
    store.update_user(credential(1).id, "new name", "shown")
    store.update_large_blob(credential(2).id, LargeBlob(b"blob", 9))
    store.put(credential(3, user=credential(1).user_id))
    store.delete(credential(2).id)
    store.put(credential(4))
    before = store.revision(), store.next_counter()
    store = reopened(store)
    assert store.load() == replace(STATE, pin_retries=3, min_pin_rp_ids=("ssh:",))
    assert [c.id for c in store.of_rp(credential(1).rp_id_hash)] == [
        credential(4).id,
        credential(3).id,
    ]
    assert store.revision() == before[0] == 7
    assert store.next_counter() > before[1]
    store.close()


def test_a_credential_with_new_names_stays_where_it_was(store: SealedStore) -> None:
    store.update_user(credential(1).id, "new name", None)
    store.update_large_blob(credential(1).id, LargeBlob(b"blob", 9))
    store = reopened(store)
    newest_first = store.of_rp(credential(1).rp_id_hash)
    assert [c.id for c in newest_first] == [credential(2).id, credential(1).id]
    assert newest_first[1].user_name == "new name"
    assert newest_first[1].large_blob == LargeBlob(b"blob", 9)
    store.close()


def test_a_reset_survives_closing(store: SealedStore) -> None:
    store.wipe(replace(STATE, pin_retries=8))
    assert store.revision() == 4
    store = reopened(store)
    assert store.count() == 0
    store.put(credential(5))
    store = reopened(store)
    assert store.find(credential(5).id) is not None
    store.close()


SECRETS = {
    "a key": b"a very secret key of 32 bytes...",
    "a name": b"alice.liddell",
    "a site": b"wonderland.example",
    "a user": b"user handle of alice",
    "a PIN": b"sixteen bytes...",
    "a wrapping key": b"w" * 32,
    "an id": credential(7).id,
}


def test_nothing_is_in_plain_in_any_file_at_any_time(tmp_path: Path) -> None:
    store = make_sealed(tmp_path)
    told = replace(
        credential(7, SECRETS["a site"].decode(), SECRETS["a user"]),
        secret=SECRETS["a key"],
        user_name=SECRETS["a name"].decode(),
    )
    for act in (
        lambda: store.put(told),
        lambda: store.save(replace(STATE, pin_hash=SECRETS["a PIN"])),
        lambda: store.update_user(told.id, SECRETS["a name"].decode(), None),
        store.close,
    ):
        act()
        everything = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert [name for name, secret in SECRETS.items() if secret in everything] == []


def test_the_same_without_a_seal_would_be_seen(tmp_path: Path) -> None:
    store = SqliteStore.create(tmp_path / "token.sqlite", IDENTITY, STATE)
    store.put(replace(credential(7), secret=SECRETS["a key"]))
    assert any(SECRETS["a key"] in path.read_bytes() for path in tmp_path.iterdir())
    store.close()


def test_what_it_is_can_be_seen_without_a_passphrase(store: SealedStore) -> None:
    assert look(store.path) == (IDENTITY, True)
    assert read_identity(store.path) == IDENTITY
    assert store.identity == IDENTITY


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sealed SET record = zeroblob(100) WHERE number = 0",
        "UPDATE sealed SET record = zeroblob(3) WHERE number = 1",
        "UPDATE sealed SET number = number + 5 WHERE number = 2",
        "UPDATE sealed SET record = (SELECT record FROM sealed WHERE number = 1) WHERE number = 2",
        "DELETE FROM sealed WHERE number = 0",
        "DELETE FROM sealed",
        "UPDATE seal SET cost = 31",
        "UPDATE seal SET salt = x'00'",
        "UPDATE identity SET profile = 'ctap2.3', serial = 'FK-9999'",
    ],
)
def test_a_change_from_outside_is_noticed(store: SealedStore, statement: str) -> None:
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute(statement)
    connection.close()
    for _ in range(2):
        if "identity" in statement:
            with pytest.raises(PassphraseWrong), VirtualToken(store.path, passphrase=words):
                pytest.fail("its seal belongs to another token")
        else:
            with pytest.raises(StateUnusable) as caught:
                VirtualToken(store.path, passphrase=words)
            assert caught.value.hint


def words(_path: Path) -> bytes:
    return PASSPHRASE


WRITES = {
    "save": lambda store: store.save(replace(STATE, pin_retries=1)),
    "put": lambda store: store.put(credential(7)),
    "put in place": lambda store: store.put(credential(7, user=credential(1).user_id)),
    "delete": lambda store: store.delete(credential(1).id),
    "update_user": lambda store: store.update_user(credential(1).id, "x" * 64, None),
    "update_large_blob": lambda store: store.update_large_blob(
        credential(1).id, LargeBlob(b"x", 1)
    ),
    "wipe": lambda store: store.wipe(replace(STATE, pin_retries=1)),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_what_cannot_be_written_does_not_seem_to_be_there(
    store: SealedStore, write: object
) -> None:
    assert callable(write)
    before = contents(store)
    with file_size_limit(0), pytest.raises(StateUnusable):
        write(store)
    assert contents(store) == before
    write(store)
    after = contents(store)
    assert after != before
    store = reopened(store)
    assert contents(store) == after
    store.close()


def contents(store: SealedStore) -> object:
    found = store.of_rp(credential(1).rp_id_hash)
    return store.load(), store.revision(), [replace(c, created=0) for c in found]


def test_a_passphrase_that_is_wrong_leaves_the_token_to_others(store: SealedStore) -> None:
    store.close()
    for _ in range(2):
        with pytest.raises(PassphraseWrong):
            VirtualToken(store.path, passphrase=lambda _: b"wrong")
    with pytest.raises(PassphraseRequired, match="'token' is sealed") as caught:
        VirtualToken(store.path)
    assert "fidokit virtual serve token" in caught.value.hint
    VirtualToken(store.path, passphrase=words).close()


def test_a_registered_one_is_unsealed_once_for_all(state_home: Path) -> None:
    made = registry.create("work", passphrase=PASSPHRASE)
    assert made.sealed
    assert registry.list_tokens() == [made]
    with pytest.raises(PassphraseRequired):
        open_link("work")
    with registry.open_token("work", passphrase=words):
        link = open_link("work")
        assert link.cbor(GET_INFO, lambda _: None, lambda: False)[:1] == b"\0"
        link.close()
    link = open_link("work", passphrase=words)
    with pytest.raises(TokenBusy):
        registry.delete("work")
    link.close()
    registry.delete("work")
    assert list(state_home.iterdir()) == []


def test_an_empty_passphrase_seals_nothing(state_home: Path) -> None:
    with pytest.raises(UsageError):
        registry.create("work", passphrase=b"")
    assert list(state_home.iterdir()) == []


def test_a_plain_token_asks_for_no_passphrase(state_home: Path) -> None:
    assert not registry.create("work").sealed

    def nobody(_path: Path) -> bytes:
        pytest.fail("it is not sealed")

    registry.open_token("work", passphrase=nobody).close()


def test_an_unknown_user_has_nothing(store: SealedStore) -> None:
    assert store.of_user(credential(1).rp_id_hash, UserId(b"nobody")) is None
    assert not store.delete(credential(9).id)
    assert not store.update_user(credential(9).id, None, None)
    assert store.revision() == 2
