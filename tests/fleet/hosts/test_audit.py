"""What became of a host."""

from __future__ import annotations

import pytest

from fidokit.fleet.hosts.audit import HostAudit, HostState


@pytest.mark.parametrize("state", HostState)
def test_each_state_has_a_meaning_of_its_own(state: HostState) -> None:
    assert state.meaning
    assert [one for one in HostState if one.meaning == state.meaning] == [state]


def test_a_document_does_not_print() -> None:
    audit = HostAudit("web1", HostState.CHECKED, {"users": ["x" * 1000]})
    assert "xxx" not in repr(audit)
