"""Places that a configuration tells apart: one representative of each is found."""

from __future__ import annotations

import ipaddress
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.settings import settings

from fidokit.server.check.scope.places import MOST, Places, representatives
from fidokit.server.sshd.query import LoginOrigin

STRANGER = LoginOrigin()


def inside(address: str, network: str) -> bool:
    found = ipaddress.ip_address(address)
    return found in ipaddress.ip_network(network, strict=False)


@given(
    st.lists(
        st.builds(
            lambda base, size: f"{ipaddress.IPv4Address(base)}/{size}",
            st.integers(0, (1 << 32) - 1),
            st.integers(0, 32),
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, (1 << 32) - 1),
)
def test_every_address_has_one_like_it(networks: list[str], anybody: int) -> None:
    """Whatever address comes, some representative lies in the same networks."""
    address = str(ipaddress.IPv4Address(anybody))
    wanted = [inside(address, network) for network in networks]
    found = [one for one in representatives(networks, STRANGER.addr) if ":" not in one]
    assert wanted in [[inside(one, network) for network in networks] for one in found]


@pytest.mark.parametrize(
    "pattern", ["127.0.0.*", "10.*", "192.168.?.1", "*.1", "10.1.1.1", "2001:db8::*", "fe80:*"]
)
def test_a_pattern_gets_an_address_that_fits(pattern: str) -> None:
    found = representatives([pattern], STRANGER.addr)
    assert any(fnmatchcase(address, pattern) for address in found)


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ("User alice", Places()),
        ("Address 10.0.0.0/8,!10.1.0.0/16", Places(addresses={"10.0.0.0/8", "10.1.0.0/16"})),
        ("user x address=1.2.3.4", Places(addresses={"1.2.3.4"})),
        ("Host *.example LocalPort 22", Places(hosts={"*.example"}, ports={"22"})),
        ('LocalAddress "127.0.0.1"', Places(local_addresses={"127.0.0.1"})),
        ("RDomain blue", Places(rdomains={"blue"})),
    ],
)
def test_conditions_of_match(conditions: str, found: Places) -> None:
    places = Places()
    places.add_match(conditions)
    assert places == found


def test_lists_of_users() -> None:
    places = Places()
    places.add_users(
        settings(allowusers="alice@10.0.0.0/8,!10.0.0.1\nbob", denyusers="x@h.example")
    )
    assert places.addresses == {"10.0.0.0/8", "10.0.0.1", "h.example"}
    assert places.hosts == {"h.example"}


def test_the_usual_place_comes_first_and_names_only_where_they_are_looked_up() -> None:
    places = Places(hosts={"*.example"}, ports={"2222"})
    origins, complete = places.origins(STRANGER, use_dns=False)
    assert (origins[0], complete) == (STRANGER, True)
    assert {origin.lport for origin in origins} == {"22", "2222"}
    named, _ = places.origins(STRANGER, use_dns=True)
    assert "x.example" in {origin.host for origin in named}


def test_too_many_places_are_said_to_be_too_many() -> None:
    places = Places(addresses={f"10.{n}.0.0/16" for n in range(0, 100, 2)}, ports={"1", "2", "3"})
    origins, complete = places.origins(STRANGER, use_dns=False)
    assert not complete
    assert len(origins) <= MOST + 1
