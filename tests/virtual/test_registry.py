"""Named virtual tokens: made, listed, opened and deleted by name; taken to another machine."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from tests.virtual.core.client import HASH, Platform, check_signature
from tests.virtual.store.kill_worker import LinkBench

from fidokit.errors import (
    MalformedFile,
    PassphraseRequired,
    PassphraseWrong,
    StateUnusable,
    TokenBusy,
    TokenNotFound,
    UsageError,
    WouldOverwrite,
)
from fidokit.types import CtapStatus
from fidokit.virtual import places, registry
from fidokit.virtual.registry import export_token, import_token
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.world import SeededRng


def test_create_list_open_delete(state_home: Path) -> None:
    made = registry.create("work", profile="ctap2.1", presence="delay 5", uv_enrolled=True)
    assert made.identity is not None
    assert made.identity.profile == "ctap2.1"
    assert made.identity.presence == "delay:5"
    assert made.identity.serial.startswith("FK")
    assert made.identity.created > 1_700_000_000
    assert registry.list_tokens() == [made]
    with registry.open_token("work") as token:
        assert token.identity == made.identity
    registry.delete("work")
    assert registry.list_tokens() == []
    assert list(state_home.iterdir()) == []


def test_nothing_made_is_an_empty_list(state_home: Path) -> None:
    assert registry.list_tokens() == []
    assert not state_home.exists()


def test_folder_and_file_are_private(state_home: Path) -> None:
    entry = registry.create("work")
    assert entry.path.parent == state_home
    assert stat.S_IMODE(state_home.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry.path.stat().st_mode) == 0o600


def test_a_folder_that_was_open_is_closed(state_home: Path) -> None:
    state_home.mkdir(parents=True)
    state_home.chmod(0o755)
    registry.create("work")
    assert stat.S_IMODE(state_home.stat().st_mode) == 0o700


def test_serials_differ(state_home: Path) -> None:
    serials = {registry.create(f"t{n}").identity for n in range(5)}
    assert len(serials) == 5


def test_an_existing_name_is_left_alone(state_home: Path) -> None:
    entry = registry.create("work")
    before = entry.path.read_bytes()
    with pytest.raises(WouldOverwrite, match="named 'work' already") as caught:
        registry.create("work")
    assert "fidokit virtual delete work" in caught.value.hint
    assert entry.path.read_bytes() == before


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "a.sqlite", "x" * 64, "-", "9"])
def test_good_names(state_home: Path, name: str) -> None:
    registry.create(name)
    assert [entry.name for entry in registry.list_tokens()] == [name]
    registry.delete(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "../x", "a b", "ü", "a\n", "x" * 65, "a\0b"]
)
def test_bad_names(state_home: Path, name: str) -> None:
    for use in (registry.create, registry.open_token, registry.delete):
        with pytest.raises(UsageError, match="cannot be a virtual token's name"):
            use(name)
    assert not state_home.exists()


@pytest.mark.parametrize("wrong", [{"profile": "none"}, {"presence": "never"}, {"presence": ""}])
def test_senseless_profiles_and_policies_make_nothing(
    state_home: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        registry.create("work", **wrong)
    assert registry.list_tokens() == []


@pytest.mark.parametrize("use", [registry.open_token, registry.delete])
def test_a_missing_token_is_named_with_those_that_exist(state_home: Path, use: object) -> None:
    assert callable(use)
    with pytest.raises(TokenNotFound) as caught:
        use("work")
    assert caught.value.hint == "make it: fidokit virtual create work"
    registry.create("play")
    with pytest.raises(TokenNotFound) as caught:
        use("work")
    assert caught.value.hint == "there are: play"


def test_a_plugged_in_token_is_listed_and_neither_opened_nor_deleted(state_home: Path) -> None:
    entry = registry.create("work")
    with registry.open_token("work"):
        assert registry.list_tokens() == [entry]
        with pytest.raises(TokenBusy, match="'work' is plugged in already"):
            registry.open_token("work")
        with pytest.raises(TokenBusy):
            registry.delete("work")
    registry.delete("work")


def test_an_unusable_token_is_listed_with_its_problem_and_can_be_deleted(state_home: Path) -> None:
    good, bad = registry.create("good"), registry.create("bad")
    bad.path.write_bytes(b"rubbish")
    listed = {entry.name: entry for entry in registry.list_tokens()}
    assert listed["good"] == good
    assert isinstance(listed["bad"].problem, StateUnusable)
    assert listed["bad"].identity is None
    with pytest.raises(StateUnusable):
        registry.open_token("bad")
    registry.delete("bad")
    assert [entry.name for entry in registry.list_tokens()] == ["good"]


def test_files_of_others_are_not_listed(state_home: Path) -> None:
    registry.create("work")
    for name in ("readme.txt", ".hidden.sqlite", "with space.sqlite", "draft.sqlite.new"):
        (state_home / name).write_text("x")
    assert [entry.name for entry in registry.list_tokens()] == ["work"]


@pytest.mark.parametrize("given", [None, "", "relative/path"])
def test_the_default_place(
    given: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    if given is None:
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_STATE_HOME", given)
    assert places.folder() == tmp_path / ".local/state/fidokit/virtual"


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(StateUnusable, match="cannot be made") as caught:
        registry.create("work")
    assert "XDG_STATE_HOME" in caught.value.hint
    with pytest.raises(StateUnusable, match="cannot be read"):
        registry.list_tokens()


def test_a_seeded_token_repeats_itself(state_home: Path) -> None:
    serials = set()
    for _ in range(2):
        entry = registry.create("work", rng=SeededRng(b"x"))
        assert entry.identity is not None
        serials.add(entry.identity.serial)
        registry.delete("work")
    assert len(serials) == 1


def test_what_is_made_is_closed_to_others_from_our_own_folder_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    registry.create("t")
    for folder in ("state/fidokit", "state/fidokit/virtual"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700


@pytest.fixture(autouse=True)
def home(state_home: Path) -> Path:
    return state_home


def words(_path: Path) -> bytes:
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
        import_token(data, "there", passphrase=lambda _: b"wrong")
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
