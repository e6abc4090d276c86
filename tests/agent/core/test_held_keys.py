"""The keyring: order, replacement, expiry, and keys that were found on tokens."""

from __future__ import annotations

import pytest
from tests.support import agent_keys
from tests.support.signers import certificate

from fidokit.agent.core.held_keys import LOOK_S, HeldKey, Keyring
from fidokit.openssh.certificates.certificate import FOREVER

ONE = HeldKey(agent_keys.ed25519(2).read(), "one")
TWO = HeldKey(agent_keys.ed25519(3).read(), "two")
FOUND = HeldKey(agent_keys.sk(), "found", token="usb:1")
NOW = 1_700_000_000.0
ALSO = HeldKey(agent_keys.sk("ecdsa"), "also", token="usb:1")


def comments(keys: Keyring) -> list[str]:
    return [entry.comment for entry in keys]


def test_keys_keep_their_order() -> None:
    keys = Keyring()
    for entry in (ONE, TWO, FOUND):
        assert keys.add(entry)
    keys.add(HeldKey(ONE.private, "one again"))
    assert comments(keys) == ["one again", "two", "found"]
    assert len(keys) == 3


def test_every_change_is_a_new_version() -> None:
    keys = Keyring()
    versions = [keys.version]
    for change in (
        lambda: keys.add(ONE),
        lambda: keys.remove(ONE.blob),
        lambda: keys.found_on("usb:1", [FOUND]),
        keys.clear,
    ):
        change()
        versions.append(keys.version)
    assert len(set(versions)) == len(versions)


def test_expiry() -> None:
    keys = Keyring()
    keys.add(HeldKey(ONE.private, "one", expires=10.0))
    keys.add(HeldKey(TWO.private, "two", expires=20.0))
    keys.add(FOUND)
    assert keys.next_expiry(0.0, NOW) == 10.0
    version = keys.version
    keys.expire(9.9, NOW)
    assert keys.version == version
    keys.expire(10.0, NOW)
    assert comments(keys) == ["two", "found"]
    keys.expire(100.0, NOW)
    assert keys.next_expiry(100.0, NOW) is None


def test_certificates_end_by_the_wall_clock() -> None:
    made = certificate(ONE.private.public, agent_keys.AUTHORITY, valid_before=int(NOW) + 60)
    held = agent_keys.certified(agent_keys.ed25519(2), made).read()
    keys = Keyring()
    keys.add(HeldKey(held, "one"))
    keys.add(ONE)
    assert keys.next_expiry(5.0, NOW) == 65.0
    assert keys.expire(1000.0, NOW + 59) == []
    assert [entry.comment for entry in keys.expire(5.0, NOW + 60)] == ["one"]
    assert [entry.blob for entry in keys] == [ONE.blob]
    assert keys.next_expiry(5.0, NOW) is None


def test_the_wall_clock_is_looked_at_again() -> None:
    made = certificate(ONE.private.public, agent_keys.AUTHORITY, valid_before=FOREVER - 1)
    keys = Keyring()
    keys.add(HeldKey(agent_keys.certified(agent_keys.ed25519(2), made).read(), "one"))
    assert keys.next_expiry(5.0, NOW) == 5.0 + LOOK_S
    forever = agent_keys.certified(agent_keys.ed25519(2)).read()
    keys.clear()
    keys.add(HeldKey(forever, "one"))
    assert keys.next_expiry(5.0, NOW) is None


def test_keys_of_a_token_come_and_go_together() -> None:
    keys = Keyring()
    keys.add(ONE)
    keys.found_on("usb:1", [FOUND, ALSO])
    keys.found_on("usb:2", [])
    assert comments(keys) == ["one", "found", "also"]
    keys.found_on("usb:1", [ALSO])
    assert comments(keys) == ["one", "also"]
    keys.found_on("usb:1", [])
    assert comments(keys) == ["one"]


def test_a_key_that_was_added_stays_as_it_was_added() -> None:
    keys = Keyring()
    keys.add(HeldKey(FOUND.private, "added", confirm=True))
    keys.found_on("usb:1", [FOUND])
    assert comments(keys) == ["added"]
    keys.found_on("usb:1", [])
    assert comments(keys) == ["added"]


def test_there_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fidokit.agent.core.held_keys.MOST_KEYS", 1)
    keys = Keyring()
    assert keys.add(ONE)
    assert not keys.add(TWO)
    keys.found_on("usb:1", [FOUND])
    assert comments(keys) == ["one"]


def test_what_an_entry_says_of_itself() -> None:
    assert FOUND.on_token
    assert not ONE.on_token
    assert ONE.called.startswith("one (SHA256:")
