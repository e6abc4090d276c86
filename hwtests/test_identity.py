"""What the token says of itself; nothing is changed and nothing asked of the person."""

from __future__ import annotations

import pytest
from hwtests.desk import Desk

from fidokit.client.session import Session
from fidokit.errors import Unsupported
from fidokit.tokens.access import token_info

KNOWN_VERSIONS = {"U2F_V2", "FIDO_2_0", "FIDO_2_1_PRE", "FIDO_2_1", "FIDO_2_2", "FIDO_2_3"}


def test_it_is_seen_without_being_opened(desk: Desk) -> None:
    seen = desk.present()
    assert seen is not None
    assert seen.selector == desk.selector


def test_versions(token: Session) -> None:
    assert token.info.versions
    assert set(token.info.versions) <= KNOWN_VERSIONS


@pytest.mark.needs("ctap2")
def test_get_info_holds_together(token: Session) -> None:
    info = token.info
    assert any(version.startswith("FIDO_2") for version in info.versions)
    assert info.max_msg_size >= 1024
    assert 4 <= info.min_pin_length <= info.max_pin_length <= 63
    assert len(set(info.pin_protocols)) == len(info.pin_protocols)
    assert set(info.pin_protocols) or info.pin_set is None
    assert not info.has_cred_mgmt or info.has_resident


@pytest.mark.needs("ctap2")
def test_details_do_not_change_by_looking(desk: Desk, token: Session) -> None:
    first = token_info(token)
    with desk.open() as again:
        second = token_info(again)
    assert (second.pin, second.info.options) == (first.pin, first.info.options)


def test_wink(token: Session) -> None:
    try:
        token.wink()
    except Unsupported as error:
        pytest.skip(error.message)


@pytest.mark.needs("ctap2")
def test_selection_is_a_touch(desk: Desk, token: Session) -> None:
    if not token.info.has_selection:
        pytest.skip("the token has no selection")
    token.select()
    # the tap was the touch, or the finger was quicker than the first question after it
    assert desk.person.touches == 1 or (desk.contactless and desk.person.touches == 0)
