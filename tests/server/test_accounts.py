"""What a password field says, and that no hash gets out."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.errors import NoPermission
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


REST = "20000:0:99999:7:::"


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "shadow"
    path.write_bytes(
        f"alice:{HASH}:{REST}\nbob:*:1::::::\n".encode()
        + b"carol:!:1:::::3:\n\ndave\n:x:\n\xff\xfe:*:1\nerin::1:::::junk:\n"
    )
    found = accounts.read_shadow(path)
    assert found is not None
    assert found["alice"] == ShadowEntry(Password.SET)
    assert found["bob"] == ShadowEntry(Password.NONE)
    assert found["carol"] == ShadowEntry(Password.LOCKED, 4 * 86400)  # the day itself is open
    assert found["erin"] == ShadowEntry(Password.EMPTY)
    assert "dave" not in found
    assert HASH not in repr(found)


@pytest.mark.parametrize(
    ("lines", "entry"),
    [
        (["*", HASH], ShadowEntry(Password.SET)),
        ([HASH, "*"], ShadowEntry(Password.SET)),
        (["!", "*"], ShadowEntry(Password.NONE)),
        (["!", "!" + HASH], ShadowEntry(Password.LOCKED)),
        (["", "*"], ShadowEntry(Password.EMPTY)),
    ],
)
def test_of_several_lines_the_one_counts_that_shuts_least(
    lines: list[str], entry: ShadowEntry
) -> None:
    found = accounts.parse_shadow("".join(f"alice:{field}:{REST}\n" for field in lines))
    assert found == {"alice": entry}


def test_of_several_days_the_last_one_counts() -> None:
    text = "alice:*:1:::::3:\nalice:*:1:::::5:\nbob:*:1:::::3:\nbob:*:1::::::\n"
    found = accounts.parse_shadow(text)
    assert found["alice"].expires == 6 * 86400
    assert found["bob"].expires is None


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        (f" alice:{HASH}:{REST}", ShadowEntry(Password.SET)),  # as the C library reads it
        (f"alice:{HASH}", ShadowEntry(Password.SET)),
        ("alice:!", ShadowEntry(Password.NONE)),  # it may pass over this one, and its lock
        ("alice:!:junk::::::", ShadowEntry(Password.NONE)),
        ("alice:*:1:::::-1:", ShadowEntry(Password.NONE)),
        ("alice:*:1:::::1:\x0b", ShadowEntry(Password.NONE)),
    ],
)
def test_odd_lines(line: str, entry: ShadowEntry) -> None:
    assert accounts.parse_shadow(line) == {"alice": entry}


def test_who_may_not_look_knows_nothing(tmp_path: Path) -> None:
    assert accounts.read_shadow(tmp_path / "none") is None
    assert accounts.shadow_entry("alice", "x", None).password is Password.UNKNOWN


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    ("field", "state"),
    [
        ("x", None),
        ("*", None),
        ("", Password.EMPTY),
        (HASH, Password.SET),
    ],
)
def test_users_that_shadow_does_not_list(
    field: str, state: Password | None, complete: bool
) -> None:
    found = accounts.shadow_entry("alice", field, {}, complete=complete).password
    assert found is (state or (Password.NONE if complete else Password.UNKNOWN))
    # PAM looks at the field first
    listed = {"alice": ShadowEntry(Password.NONE)}
    assert accounts.shadow_entry("alice", field, listed).password is (state or Password.NONE)
    closed = {"alice": ShadowEntry(Password.LOCKED, 10)}
    entry = accounts.shadow_entry("alice", field, closed, complete=complete)
    assert entry.expires == (10 if complete else None)
    assert entry.bypassed is (field != "x")


@pytest.mark.parametrize(
    ("switch", "alice", "bob"),
    [
        ("passwd: files\n", Password.NONE, Password.NONE),
        ("passwd: files sss\n", Password.NONE, Password.UNKNOWN),
        ("passwd: files sss\nshadow: files\n", Password.NONE, Password.NONE),
        ("shadow: sss files\n", Password.UNKNOWN, Password.UNKNOWN),
    ],
)
def test_passwords_by_source(tmp_path: Path, switch: str, alice: Password, bob: Password) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/shadow").write_text(f"alice:*:{REST}\n")
    (tmp_path / "etc/passwd").write_text("alice:x:1:1::/:/bin/sh\n")
    (tmp_path / "etc/nsswitch.conf").write_text(switch)
    known = accounts.local_passwords(tmp_path)
    assert known("alice", "x").password is alice
    assert known("bob", "x").password is bob


@pytest.mark.parametrize(
    ("name", "uid", "said"),
    [("root", 0, "only root may do this"), ("bob", 1002, "only bob and root may do this")],
)
def test_whose_rights_are_missing_is_said_once(
    monkeypatch: pytest.MonkeyPatch, name: str, uid: int, said: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1001)
    account = accounts.Account(name, uid, uid, Path("/nowhere"))
    with pytest.raises(NoPermission) as caught, accounts.acting_as(account):
        pytest.fail("done with rights that are missing")
    assert (caught.value.message, caught.value.hint) == (said, "repeat it with sudo")
