"""Reports of hosts: what no audit writes is refused, whatever else it is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fleet.planning.audits import account, document, finding, key_line
from tests.fleet.policy.policies import print_of

from fidokit.errors import Malformed
from fidokit.fleet.hosts.document import keys_of, read_document

GOOD = document(
    [
        account(
            "ana", [key_line(print_of(1), comment="ana"), key_line(print_of(2), hardware=False)]
        ),
        account(
            "bob", [key_line(print_of(3), authority=True), key_line(print_of(1), refused="no")]
        ),
        account("eve"),
    ],
    require=["hardware"],
    findings=[finding("a key in a file", "hardware", user="ana")],
)
Change = Callable[[dict[str, Any]], object]


def refused(data: bytes, rules: tuple[str, ...] = ("hardware",)) -> str:
    with pytest.raises(Malformed) as caught:
        read_document(data, rules)
    return caught.value.message


def test_a_good_one() -> None:
    found = read_document(json.dumps(GOOD).encode(), ["hardware"])
    assert found == GOOD
    assert [key["comment"] for key in keys_of(found["users"][0])] == ["ana", ""]


def first(data: dict[str, Any]) -> dict[str, Any]:
    line: dict[str, Any] = data["users"][0]["files"][0]["lines"][0]
    return line


LIES: list[Change] = [
    lambda d: d.update(schema=2),
    lambda d: d.pop("users"),
    lambda d: d.update(users={}),
    lambda d: d["users"].append(d["users"][0]),
    lambda d: d["users"].pop(),
    lambda d: d["users"][0].update(user=7),
    lambda d: d["users"][0].update(password_login=None),
    lambda d: d["users"][0]["files"][0].update(lines="none"),
    lambda d: d["users"][0]["files"][0]["lines"].append(7),
    lambda d: d["users"][0]["files"][0]["lines"].pop(),
    lambda d: first(d).update(fingerprint="SHA256:short"),
    lambda d: first(d).update(hardware="yes"),
    lambda d: first(d).update(type="ED25519"),
    lambda d: first(d).update(line=-1),
    lambda d: first(d).update(line=True),
    lambda d: first(d).update(line=1 << 80),
    lambda d: first(d).update(options=["from"]),
    lambda d: d["ways"]["token-key"].append("mallory"),
    lambda d: d["ways"]["token-key"].append("eve"),
    lambda d: d["ways"]["token-key"].remove("ana"),
    lambda d: d["ways"].pop("password"),
    lambda d: d["tally"].update(keys=5),
    lambda d: d["tally"].update(on_tokens=0),
    lambda d: d["policy"].update(holds=True),
    lambda d: d["policy"].update(require=[]),
    lambda d: d["policy"].update(violations=[]),
    lambda d: d["findings"].clear(),
    lambda d: d["findings"][0].update(id="FK999"),
    lambda d: d["findings"][0].update(severity="\x1b[2J"),
]


@pytest.mark.parametrize("lie", LIES)
def test_lies(lie: Change) -> None:
    data = copy.deepcopy(GOOD)
    lie(data)
    assert "its report" in refused(json.dumps(data).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b'{"schema": 1, "schema": 1}',
        b'{"schema": NaN}',
        b'{"schema": ' + b"9" * 5000 + b"}",
        b'{"schema": 1, "users": ' + b"[ " * 100_000,
        b"[" + b"[],                " * 100_000,
    ],
    ids=range(10),
)
def test_what_is_no_report(data: bytes) -> None:
    assert "its report" in refused(data)


def test_json_that_fills_memory_is_not_even_read() -> None:
    assert "fill memory" in refused(b"[" + b"[]," * 1_000_000)


def test_cut_at_every_byte() -> None:
    data = json.dumps(GOOD).encode()
    for cut in range(len(data)):
        refused(data[:cut])
    refused(data + b"}")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.data())
def test_any_member_may_be_anything(data: st.DataObject) -> None:
    """No member, however wrong, raises anything else, or changes what is read."""
    found = copy.deepcopy(GOOD)
    here: Any = found
    while isinstance(here, dict | list) and here:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        name = data.draw(st.sampled_from(keys))
        if not isinstance(here[name], dict | list) or data.draw(st.booleans()):
            here[name] = data.draw(values)
            break
        here = here[name]
    with suppress(Malformed):
        read_document(json.dumps(found).encode(), ["hardware"])
