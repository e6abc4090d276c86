"""Which keys are lost, and which take their place, by the words of a user."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.inventory.samples import key_of, line_of

from fidokit.errors import CredentialNotFound, UsageError
from fidokit.fleet.loss.subject import find_subject
from fidokit.inventory.kept import Inventory, KnownKey, KnownLoss, KnownToken

FIRST = key_of(1, "me@laptop", token="usb:1", file="/keys/id")
BACKUP = key_of(2, "me@laptop (backup)", token="usb:2", backup_of=FIRST.fingerprint)
THIRD = key_of(3, "me@laptop (backup 2)", token="usb:3", backup_of=FIRST.fingerprint)
ALONE = key_of(4, "alone", token="usb:1")
TOKENS = (KnownToken("usb:1", "", "The blue one"), KnownToken("usb:2"), KnownToken("usb:3"))
KEPT = Inventory(TOKENS, (BACKUP, THIRD, FIRST, ALONE))


def standbys(kept: Inventory, *words: str) -> dict[str, str]:
    """Comments of the lost keys, and of the keys that take their place."""
    return {
        one.key.comment: one.standby.comment if one.standby else ""
        for one in find_subject(kept, words).keys
    }


@pytest.mark.parametrize("word", ["usb:1", "The blue one"])
def test_a_token(word: str) -> None:
    assert standbys(KEPT, word) == {"me@laptop": "me@laptop (backup)", "alone": ""}
    assert find_subject(KEPT, [word]).tokens == TOKENS[:1]


@pytest.mark.parametrize(
    "word", [FIRST.fingerprint, FIRST.fingerprint[:12], FIRST.fingerprint[7:14], "/keys/id",
             "/keys/id.pub", "/keys/../keys/id", "me@laptop"],
)  # fmt: skip
def test_a_key(word: str) -> None:
    assert standbys(KEPT, word) == {"me@laptop": "me@laptop (backup)"}
    assert find_subject(KEPT, [word]).tokens == ()


def test_a_lost_backup_leaves_its_first_key() -> None:
    assert standbys(KEPT, "usb:2") == {"me@laptop (backup)": "me@laptop"}


def test_the_next_backup_takes_the_place_of_two() -> None:
    found = {"me@laptop": "me@laptop (backup 2)", "me@laptop (backup)": "me@laptop (backup 2)"}
    assert standbys(KEPT, "usb:1", "usb:2") == {**found, "alone": ""}
    before = replace(KEPT, losses=(KnownLoss(FIRST.fingerprint, 1),))
    assert standbys(before, "usb:2") == {"me@laptop (backup)": "me@laptop (backup 2)"}


def test_a_backup_of_which_only_the_fingerprint_is_known_takes_no_place() -> None:
    kept = Inventory((), (FIRST, KnownKey(BACKUP.fingerprint, backup_of=FIRST.fingerprint)))
    assert standbys(kept, "me@laptop") == {"me@laptop": ""}


def test_keys_of_which_it_is_not_known_where_they_are() -> None:
    odd = key_of(5, "odd", file="/keys/odd")
    kept = Inventory(TOKENS, (*KEPT.keys, odd, KnownKey(key_of(6).fingerprint)))
    assert find_subject(kept, ["usb:1"]).doubtful == (odd,)
    assert find_subject(kept, ["usb:1", "odd"]).doubtful == ()
    assert find_subject(kept, ["me@laptop"]).doubtful == ()


def test_a_key_that_the_inventory_does_not_know(tmp_path: Path) -> None:
    file = tmp_path / "id.pub"
    file.write_text(line_of(7, "stranger") + "\n")
    (one,) = find_subject(KEPT, [str(file)]).keys
    assert (one.key.comment, one.key.application, one.key.file) == ("stranger", "ssh:", str(file))
    print_ = key_of(8).fingerprint
    (one,) = find_subject(KEPT, [print_]).keys
    assert one.key == KnownKey(print_)


def test_a_file_of_a_known_key_is_that_key(tmp_path: Path) -> None:
    file = tmp_path / "copy.pub"
    file.write_text(FIRST.line)
    assert standbys(KEPT, str(file)) == {"me@laptop": "me@laptop (backup)"}


@pytest.mark.parametrize("word", ["", "nothing", "\0", "~nobody/x", "SHA256:", "abc"])
def test_what_fits_nothing(word: str) -> None:
    with pytest.raises(CredentialNotFound, match="fits") as error:
        find_subject(KEPT, [word])
    assert "tokens in it: usb:1, usb:2, usb:3" in error.value.hint


def test_what_fits_several() -> None:
    with pytest.raises(UsageError, match="'ssh:' fits 4 keys: "):
        find_subject(KEPT, ["ssh:"])


def test_a_token_without_known_keys() -> None:
    with pytest.raises(CredentialNotFound, match="no key is known to be on usb:9"):
        find_subject(Inventory((KnownToken("usb:9"),)), ["usb:9"])
