"""Keys that live on the token: made, listed, recovered, renamed, deleted; others' left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hwtests.desk import Desk

from fidokit.client.session import Session
from fidokit.errors import CredentialInTheWay, CredentialNotFound, NotTaken, Unsupported
from fidokit.keys.holder import open_key_file
from fidokit.keys.resident_keys import delete_key, download_keys, list_keys, rename_key
from fidokit.types import KeyType, SkFlag
from hwtests import keys

Differs = Callable[[str], None]

pytestmark = pytest.mark.needs("ctap2", "pin", "resident", "listing")


@pytest.fixture(autouse=True)
def _nothing_stays(desk: Desk) -> Iterator[None]:
    """What an earlier run left goes before, what this test made after; other keys stay as many."""
    with desk.open() as session:
        keys.clear(session)
        before = len(list_keys(session, any_rp=True, only_token=True, search_home=False))
    yield
    with desk.open() as session:
        keys.clear(session)
        after = len(list_keys(session, any_rp=True, only_token=True, search_home=False))
    assert after == before


def test_made_and_listed(desk: Desk, token: Session, tmp_path: Path, differs: Differs) -> None:
    made = keys.make(token, tmp_path / "id", keys.best_type(desk), resident=True, user="alice")
    (row,) = keys.ours(token)
    assert (row.fingerprint, row.user) == (made.fingerprint, "alice")
    if row.comment != "hwtests":
        differs("it drops or shortens display names, and with them comments")
        assert "hwtests".startswith(row.comment)
    assert keys.use(token, made.path).touched


@pytest.mark.parametrize("verify_required", [False, True], ids=["touch", "touch and PIN"])
def test_recovered(
    desk: Desk, token: Session, tmp_path: Path, verify_required: bool, differs: Differs
) -> None:
    kind = keys.best_type(desk)
    made = keys.make(token, tmp_path / "id", kind, resident=True, verify_required=verify_required)
    original = open_key_file(made.path).key
    made.path.unlink()
    with desk.open() as again:
        (saved,) = download_keys(again, tmp_path, selectors=[made.fingerprint])
        assert saved.error is None
        recovered = open_key_file(saved.path).key
        # A token may list an id in another form than it gave; the key it stands for is the same.
        assert recovered.public == original.public
        if recovered.flags == original.flags & ~SkFlag.USER_VERIFICATION_REQUIRED != original.flags:
            differs("it lists a key as less protected than it is; recovered, it lacks the flag")
            return
        assert recovered.flags == original.flags
        signed = keys.use(again, saved.path)
    assert (signed.fingerprint, signed.verified) == (made.fingerprint, verify_required)


def test_not_replaced_unasked(desk: Desk, token: Session, tmp_path: Path) -> None:
    kind = keys.best_type(desk)
    made = keys.make(token, tmp_path / "one", kind, resident=True)
    with pytest.raises(CredentialInTheWay):
        keys.make(token, tmp_path / "two", kind, resident=True)
    assert [row.fingerprint for row in keys.ours(token)] == [made.fingerprint]
    assert not (tmp_path / "two").exists()


@pytest.mark.needs("renaming")
def test_renamed(desk: Desk, token: Session, tmp_path: Path, differs: Differs) -> None:
    made = keys.make(token, tmp_path / "id", keys.best_type(desk), resident=True)
    (row,) = keys.ours(token)
    try:
        rename_key(token, row, comment="another name")
    except (NotTaken, Unsupported) as refused:
        differs(f"it does not rename keys although it lists credMgmt: {refused.message}")
        assert keys.use(token, made.path).touched
        return
    (row,) = keys.ours(token)
    assert (row.comment, row.fingerprint) == ("another name", made.fingerprint)


def test_deleted(desk: Desk, token: Session, tmp_path: Path, differs: Differs) -> None:
    made = keys.make(token, tmp_path / "id", keys.best_type(desk), resident=True)
    (row,) = keys.ours(token)
    still_signs = delete_key(token, row)
    assert keys.ours(token) == []
    if still_signs:
        differs("it still signs with the file of a key that was deleted from it")
        assert keys.use(token, made.path).touched
        return
    with pytest.raises(CredentialNotFound):
        keys.use(token, made.path)


@pytest.mark.needs("ed25519")
def test_two_types_and_users_side_by_side(token: Session, tmp_path: Path) -> None:
    try:
        one = keys.make(token, tmp_path / "1", KeyType.ED25519_SK, resident=True, user="one")
    except Unsupported as error:  # a token of CTAP 2.0 lists no algorithms
        if token.info.algorithms:
            raise
        pytest.skip(error.message)
    two = keys.make(token, tmp_path / "2", KeyType.ECDSA_SK, resident=True, user="two")
    listed = {row.user: row.fingerprint for row in keys.ours(token)}
    assert listed == {"one": one.fingerprint, "two": two.fingerprint}
