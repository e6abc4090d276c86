"""What a password field says, and that no hash gets out."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.server import accounts
from fidokit.server.accounts import Password, ShadowEntry

HASH = "$y$j9T$abcdefghijk$0123456789012345678901234567890123456789012"


@pytest.mark.parametrize(
    ("field", "state"),
    [
        (HASH, Password.SET),
        ("ab1234567890.", Password.SET),  # crypt(3)'s oldest form
        ("", Password.EMPTY),
        ("!", Password.LOCKED),
        ("!" + HASH, Password.LOCKED),
        ("!!", Password.LOCKED),
        ("*", Password.NONE),
        ("x", Password.NONE),
        ("*LK*" + HASH, Password.NONE),
    ],
)
def test_states(field: str, state: Password) -> None:
    assert accounts.password_state(field) is state


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "shadow"
    path.write_bytes(
        f"alice:{HASH}:20000:0:99999:7:::\nbob:*:1::::::\n".encode()
        + b"carol:!:1:::::3:\n\ndave\n:x:\n\xff\xfe:*:1\nerin::1:::::junk:\n"
    )
    found = accounts.read_shadow(path)
    assert found is not None
    assert found["alice"] == ShadowEntry(Password.SET)
    assert found["bob"] == ShadowEntry(Password.NONE)
    assert found["carol"] == ShadowEntry(Password.LOCKED, 3 * 86400)
    assert found["erin"] == ShadowEntry(Password.EMPTY)
    assert "dave" not in found
    assert HASH not in repr(found)


def test_who_may_not_look_knows_nothing(tmp_path: Path) -> None:
    assert accounts.read_shadow(tmp_path / "none") is None
    assert accounts.shadow_entry("alice", "x", None).password is Password.UNKNOWN


@pytest.mark.parametrize(
    ("field", "state"),
    [
        ("x", Password.UNKNOWN),  # of a directory, say: PAM decides
        ("*", Password.UNKNOWN),
        ("", Password.EMPTY),
        (HASH, Password.SET),
    ],
)
def test_users_that_shadow_does_not_list(field: str, state: Password) -> None:
    assert accounts.shadow_entry("alice", field, {}).password is state
    assert accounts.shadow_entry(
        "alice", field, {"alice": ShadowEntry(Password.NONE)}
    ).password is (Password.NONE)
