"""What a password field says, and that no hash gets out."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.server import shadow
from fidokit.server.shadow import Entry, Password

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
    assert shadow.state_of(field) is state


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "shadow"
    path.write_bytes(
        f"alice:{HASH}:20000:0:99999:7:::\nbob:*:1::::::\n".encode()
        + b"carol:!:1:::::3:\n\ndave\n:x:\n\xff\xfe:*:1\nerin::1:::::junk:\n"
    )
    found = shadow.read(path)
    assert found is not None
    assert found["alice"] == Entry(Password.SET)
    assert found["bob"] == Entry(Password.NONE)
    assert found["carol"] == Entry(Password.LOCKED, 3 * 86400)
    assert found["erin"] == Entry(Password.EMPTY)
    assert "dave" not in found
    assert HASH not in repr(found)


def test_who_may_not_look_knows_nothing(tmp_path: Path) -> None:
    assert shadow.read(tmp_path / "none") is None
    assert shadow.entry_of("alice", "x", None).password is Password.UNKNOWN


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
    assert shadow.entry_of("alice", field, {}).password is state
    assert shadow.entry_of("alice", field, {"alice": Entry(Password.NONE)}).password is (
        Password.NONE
    )
