"""One contract, both stores: what `core.ports.Store` promises to the authenticator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from tests.virtual.conftest import IDENTITY, STATE, credential

from fidokit.types import CredentialId, UserId
from fidokit.virtual.core.ports import LargeBlob, RelyingParty, Store, Template
from fidokit.virtual.store.memory import MemoryStore
from fidokit.virtual.store.sqlite import SqliteStore

CHANGED = replace(
    STATE,
    pin_hash=b"p" * 16,
    pin_length=6,
    pin_retries=3,
    uv_retries=2,
    uv_enrolled=True,
    force_pin_change=True,
    always_uv=True,
    min_pin_length=63,
    min_pin_rp_ids=("ssh:", 'a "quoted" ü', ""),
    pin_complexity=True,
    large_blob_array=bytes(range(256)) * 16,
    templates=(Template(b"\0\xff", "thümb"), Template(b"2")),
    enterprise_attestation=True,
    long_touch_for_reset=True,
    persistent_token=b"p" * 32,
    uv_count=2**40,
)


def test_a_new_store_holds_the_state_it_was_made_with(store: Store) -> None:
    assert store.load() == STATE
    assert store.count() == 0
    assert list(store.relying_parties()) == []


def test_save_replaces_every_member_and_load_gives_the_same_types(store: Store) -> None:
    store.save(CHANGED)
    loaded = store.load()
    assert loaded == CHANGED
    assert type(loaded.always_uv) is bool
    assert type(loaded.min_pin_rp_ids) is tuple


def test_put_and_find_give_back_every_member(store: Store) -> None:
    given_one = credential(1)
    store.put(given_one)
    found = store.find(given_one.id)
    assert found is not None
    assert replace(found, created=0) == given_one
    assert type(found.alg) is type(given_one.alg)
    assert type(found.cred_protect) is type(given_one.cred_protect)


@pytest.mark.parametrize("stranger", [b"", b"id", credential(2).id, bytes(5000)])
def test_find_does_not_know_other_ids(store: Store, stranger: bytes) -> None:
    store.put(credential(1))
    assert store.find(CredentialId(stranger)) is None
    assert not store.delete(CredentialId(stranger))
    assert not store.update_user(CredentialId(stranger), "a", "b")
    assert not store.update_large_blob(CredentialId(stranger), LargeBlob(b"x", 1))


def test_of_rp_is_newest_first_and_of_one_rp_alone(store: Store) -> None:
    for number, rp in [(1, "ssh:"), (2, "ssh:x"), (3, "ssh:"), (4, "ssh:")]:
        store.put(credential(number, rp))
    ours = store.of_rp(credential(1).rp_id_hash)
    assert [c.id for c in ours] == [credential(n).id for n in (4, 3, 1)]
    assert [c.created for c in ours] == sorted((c.created for c in ours), reverse=True)
    assert list(store.of_rp(bytes(32))) == []


def test_what_is_known_by_its_id_alone_is_not_listed(store: Store) -> None:
    hidden = replace(credential(2), discoverable=False)
    for one in (credential(1), hidden):
        store.put(one)
    found = store.find(hidden.id)
    assert found is not None
    assert not found.discoverable
    assert [c.id for c in store.of_rp(hidden.rp_id_hash)] == [credential(1).id]
    assert store.count() == 1
    assert [c.id for c in store.all_credentials()] == [credential(1).id, hidden.id]
    assert store.delete(credential(1).id)
    assert list(store.relying_parties()) == []
    store.wipe(store.load())
    assert list(store.all_credentials()) == []
    assert store.count() == 0


@pytest.mark.parametrize("number", [0, 5])
def test_a_counter_is_raised_and_never_falls(store: Store, number: int) -> None:
    store.next_counter(number)
    store.raise_counter(number, 5000)
    assert store.next_counter(number) == 5001
    store.raise_counter(number, 17)
    assert store.next_counter(number) == 5002


def test_the_same_user_is_replaced_and_becomes_the_newest(store: Store) -> None:
    store.put(credential(1, user=b"u"))
    store.put(credential(2, user=b"v"))
    store.put(credential(3, user=b"u"))
    assert store.count() == 2
    assert store.find(credential(1).id) is None
    ids = [c.id for c in store.of_rp(credential(1).rp_id_hash)]
    assert ids == [credential(3).id, credential(2).id]


def test_the_same_user_id_under_another_rp_is_another_user(store: Store) -> None:
    store.put(credential(1, "ssh:", user=b"u"))
    store.put(credential(2, "ssh:x", user=b"u"))
    assert store.count() == 2


@pytest.mark.parametrize("user", [b"", b"u", b"u" * 64])
def test_of_user(store: Store, user: bytes) -> None:
    store.put(credential(1, user=user))
    found = store.of_user(credential(1).rp_id_hash, UserId(user))
    assert found is not None
    assert found.id == credential(1).id
    assert store.of_user(credential(1).rp_id_hash, UserId(user + b"\0")) is None
    assert store.of_user(credential(1, "ssh:x").rp_id_hash, UserId(user)) is None


def test_delete(store: Store) -> None:
    store.put(credential(1))
    store.put(credential(2))
    assert store.delete(credential(1).id)
    assert not store.delete(credential(1).id)
    assert store.count() == 1
    assert store.find(credential(1).id) is None


@pytest.mark.parametrize(
    ("name", "display_name"), [("n", "d"), (None, "ü" * 32), ("n", None), (None, None)]
)
def test_update_user_changes_the_names_and_nothing_else(
    store: Store, name: str | None, display_name: str | None
) -> None:
    store.put(credential(1))
    before = store.find(credential(1).id)
    store.put(credential(2))
    assert before is not None
    assert store.update_user(before.id, name, display_name)
    expected = replace(before, user_name=name, user_display_name=display_name)
    assert store.find(before.id) == expected
    assert store.of_rp(before.rp_id_hash)[-1] == expected


def test_a_large_blob_is_replaced_and_goes_with_its_credential(store: Store) -> None:
    store.put(credential(1))
    before = store.find(credential(1).id)
    store.put(credential(2))
    assert before is not None
    for blob in (LargeBlob(b"first", 2**64 - 1), LargeBlob(b"", 0), LargeBlob(b"x" * 5000, 1)):
        assert store.update_large_blob(before.id, blob)
        assert store.of_rp(before.rp_id_hash)[-1] == replace(before, large_blob=blob)
    store.put(credential(1))
    again = store.find(before.id)
    assert again is not None
    assert again.large_blob is None


def test_relying_parties_come_once_in_the_order_of_their_oldest(store: Store) -> None:
    for number, rp in [(1, "ssh:b"), (2, "ssh:a"), (3, "ssh:b"), (4, "ssh:c")]:
        store.put(credential(number, rp))
    expected = [
        RelyingParty(rp, credential(1, rp).rp_id_hash) for rp in ("ssh:b", "ssh:a", "ssh:c")
    ]
    assert list(store.relying_parties()) == expected
    store.delete(credential(1).id)
    assert [rp.id for rp in store.relying_parties()] == ["ssh:a", "ssh:b", "ssh:c"]
    store.delete(credential(2).id)
    assert [rp.id for rp in store.relying_parties()] == ["ssh:b", "ssh:c"]


def test_wipe_drops_credentials_and_keeps_the_counter_and_the_order(store: Store) -> None:
    store.put(credential(1))
    store.put(credential(2))
    newest = store.of_rp(credential(1).rp_id_hash)[0].created
    counter = store.next_counter()
    store.wipe(CHANGED)
    assert store.load() == CHANGED
    assert store.count() == 0
    assert store.find(credential(1).id) is None
    assert list(store.relying_parties()) == []
    assert store.next_counter() > counter
    store.put(credential(1))
    assert store.of_rp(credential(1).rp_id_hash)[0].created > newest


@pytest.mark.parametrize("number", [0, 1, 65536])
def test_a_counter_starts_at_one_and_rises_by_one(store: Store, number: int) -> None:
    assert [store.next_counter(number) for _ in range(350)] == list(range(1, 351))


def test_counters_rise_apart_from_each_other(store: Store) -> None:
    drawn = [store.next_counter(number) for number in (0, 1, 2, 1, 1, 0, 2)]
    assert drawn == [1, 1, 1, 2, 3, 2, 2]
    store.wipe(CHANGED)
    assert [store.next_counter(number) for number in (0, 1, 2, 3)] == [3, 4, 3, 1]


NAMES = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


class BothStores(RuleBasedStateMachine):
    """Whatever is done to both, both answer the same."""

    made = 0
    folder: Any = None

    def __init__(self) -> None:
        super().__init__()
        type(self).made += 1
        path = self.folder / f"{self.made}.sqlite"
        self.file = SqliteStore.create(path, IDENTITY, STATE)
        self.memory = MemoryStore(STATE)

    def both(self, method: str, *arguments: object) -> None:
        answers = [getattr(s, method)(*arguments) for s in (self.file, self.memory)]
        assert answers[0] == answers[1]

    numbers = st.integers(1, 6)
    rps = st.sampled_from(["ssh:", "ssh:x", "example.org"])

    @rule(number=numbers, rp=rps, user=st.sampled_from([b"", b"a", b"b"]))
    def put(self, number: int, rp: str, user: bytes) -> None:
        self.both("put", credential(number, rp, user))

    @rule(number=numbers)
    def delete(self, number: int) -> None:
        self.both("delete", credential(number).id)

    @rule(number=numbers, name=NAMES, display_name=NAMES)
    def update(self, number: int, name: str | None, display_name: str | None) -> None:
        self.both("update_user", credential(number).id, name, display_name)

    @rule(number=numbers, data=st.binary(max_size=9), size=st.integers(0, 99))
    def write_blob(self, number: int, data: bytes, size: int) -> None:
        self.both("update_large_blob", credential(number).id, LargeBlob(data, size))

    @rule()
    def wipe(self) -> None:
        self.both("wipe", CHANGED)

    @rule()
    def power_cycle(self) -> None:
        self.file.close()
        self.file = SqliteStore.open(self.file.path)

    @rule(number=numbers, rp=rps)
    def look(self, number: int, rp: str) -> None:
        self.both("find", credential(number).id)
        self.both("of_rp", credential(1, rp).rp_id_hash)
        self.both("of_user", credential(1, rp).rp_id_hash, b"a")
        self.both("relying_parties")
        self.both("count")
        self.both("load")

    def teardown(self) -> None:
        self.file.close()


def test_both_stores_agree_whatever_is_done(tmp_path_factory: pytest.TempPathFactory) -> None:
    BothStores.folder = tmp_path_factory.mktemp("both")
    run_state_machine_as_test(BothStores, settings=settings(deadline=None, max_examples=20))


def test_the_revision_follows_the_credentials_alone(store: Store) -> None:
    seen = [store.revision()]

    def risen() -> bool:
        seen.append(store.revision())
        return seen[-1] > seen[-2]

    store.put(credential(1))
    assert risen()
    store.put(replace(credential(2), user_id=credential(1).user_id))
    assert risen()
    assert store.update_user(credential(2).id, "new", None)
    assert risen()
    assert store.delete(credential(2).id)
    assert risen()
    store.put(credential(3))
    assert risen()
    store.save(CHANGED)
    store.next_counter()
    store.delete(credential(1).id)
    store.update_user(credential(1).id, "nobody", None)
    store.update_large_blob(credential(3).id, LargeBlob(b"blob", 4))
    assert not risen()
    store.wipe(STATE)
    assert risen()
