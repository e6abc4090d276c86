"""A token that moves is the same token there: keys, PIN, tries, and counters that go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.virtual.core.client import HASH, Platform, check_signature
from tests.virtual.store.kill_worker import LinkBench

from fidokit.errors import (
    MalformedFile,
    PassphraseRequired,
    PassphraseWrong,
    TokenBusy,
    TokenNotFound,
    UsageError,
    WouldOverwrite,
)
from fidokit.types import CtapStatus
from fidokit.virtual import registry
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transfer import export_token, import_token


@pytest.fixture(autouse=True)
def home(state_home: Path) -> Path:
    return state_home


def words() -> bytes:
    return b"words"


def test_keys_pin_tries_and_counters_move() -> None:
    registry.create("here")
    with VirtualToken("here") as token:
        bench = LinkBench(token)
        made = bench.make(rk=True)
        platform = Platform(bench)
        platform.set_pin("the right one")
        assert platform.try_pin("a wrong one") == CtapStatus.PIN_INVALID
        last = bench.get()
    entry = import_token(export_token("here"), "there")
    assert registry.list_tokens()[1] == entry
    assert entry.identity == registry.list_tokens()[0].identity
    with VirtualToken("there") as token:
        bench = LinkBench(token)
        after = bench.get()
        check_signature(made.data.key, after[3], after[2] + HASH)
        assert counter(after[2]) > counter(last[2])
        assert token._store.load().pin_retries == 7
        assert Platform(bench).try_pin("the right one") == CtapStatus.OK


def test_counters_of_single_credentials_move_too() -> None:
    registry.create("here")
    with VirtualToken("here") as token:
        last = [token._store.next_counter(7) for _ in range(3)][-1]
    import_token(export_token("here"), "there")
    with VirtualToken("there") as token:
        assert token._store.next_counter(7) > last
        assert token._store.next_counter(8) == 1


def counter(auth_data: bytes) -> int:
    return int.from_bytes(auth_data[33:37])


def test_a_sealed_export_of_a_plain_token_makes_a_sealed_one() -> None:
    registry.create("here")
    data = export_token("here", seal=b"words")
    with pytest.raises(PassphraseRequired):
        import_token(data, "there")
    with pytest.raises(PassphraseWrong):
        import_token(data, "there", passphrase=lambda: b"wrong")
    assert len(registry.list_tokens()) == 1
    assert import_token(data, "there", passphrase=words).sealed
    with pytest.raises(PassphraseRequired):
        VirtualToken("there")
    VirtualToken("there", passphrase=words).close()


def test_a_sealed_token_stays_sealed_on_its_way() -> None:
    registry.create("here", passphrase=b"words")
    with pytest.raises(PassphraseRequired):
        export_token("here")
    data = export_token("here", passphrase=words)
    assert import_token(data, "there", passphrase=words).sealed


def test_a_plugged_in_token_does_not_move() -> None:
    registry.create("here")
    with VirtualToken("here"), pytest.raises(TokenBusy):
        export_token("here")
    export_token("here")


def test_nothing_is_overwritten(home: Path) -> None:
    registry.create("here")
    registry.create("there")
    before = (home / "there.sqlite").read_bytes()
    with pytest.raises(WouldOverwrite, match="named 'there' already") as caught:
        import_token(export_token("here"), "there")
    assert caught.value.hint
    assert (home / "there.sqlite").read_bytes() == before


def test_what_is_not_there_and_what_is_no_name() -> None:
    with pytest.raises(TokenNotFound):
        export_token("none")
    with pytest.raises(UsageError):
        import_token(b"", "../x")
    with pytest.raises(MalformedFile):
        import_token(b"rubbish", "there")
    assert registry.list_tokens() == []
