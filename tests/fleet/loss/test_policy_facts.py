"""What a policy adds to the inventory of a loss."""

from __future__ import annotations

from tests.fleet.policy.policies import policy, print_in, token_line

from fidokit.fleet.loss.policy_facts import policy_places, with_policy
from fidokit.fleet.loss.subject import find_subject
from fidokit.inventory.kept import Inventory, KnownKey, KnownPlace, KnownToken, PlaceKind

WORK, HOME, DRAWER, LOOSE = (token_line(n) for n in range(1, 5))
TEXT = f"""
[people.alice]
keys = ["{LOOSE}"]

[people.alice.tokens.blue]
serial = "77"
keys = ["{WORK}", "{HOME}"]

[people.alice.tokens.drawer]
backup-of = "blue"
keys = ["{DRAWER}"]

[people.bob]
keys = []

[[hosts]]
match = ["web1", "web2"]
let-in = {{ root = ["alice"], deploy = ["bob"] }}

[[hosts]]
match = ["db*"]
let-in = {{ root = ["alice"] }}
"""


def test_tokens_backups_and_hosts() -> None:
    found = policy(TEXT)
    known = with_policy(Inventory(), found)
    subject = find_subject(known, ["blue"])
    assert subject.tokens == (KnownToken("usb:77", "", "blue"),)
    standbys = [one.standby.line if one.standby else "" for one in subject.keys]
    assert [one.key.line for one in subject.keys] == [WORK, HOME]
    assert standbys == [DRAWER, ""]
    (loose,) = find_subject(known, [print_in(LOOSE)]).keys
    assert loose.standby is None
    places = list(policy_places(known, found, [print_in(WORK)], ("ssh",)))
    assert [place.where for place in places] == ["root@web1", "root@web2"]
    assert {place.account for place in places} == {"root"}


def test_what_was_seen_wins() -> None:
    found = policy(TEXT)
    seen = KnownPlace(PlaceKind.HOST, print_in(WORK), "admin@web1", "root", "", ("ssh",), "/k")
    kept = Inventory(
        (KnownToken("virtual:main", "", "seen"),),
        (KnownKey(print_in(WORK), token="virtual:main", file="/f"),),
        (seen,),
    )
    known = with_policy(kept, found)
    token = known.token("virtual:main")
    assert token is not None
    assert token.name == "blue"
    key = known.key(print_in(WORK))
    assert key is not None
    assert (key.token, key.file, key.line) == ("virtual:main", "/f", WORK)
    assert {one.key.fingerprint for one in find_subject(known, ["blue"]).keys} == {
        print_in(WORK), print_in(HOME)
    }  # fmt: skip
    places = list(policy_places(known, found, [print_in(WORK)], ("ssh",)))
    assert [place.where for place in places] == ["root@web2"], "web1 is known"
