from __future__ import annotations

import pytest
from tests.support.fake_link import FakeLink, candidate

from fidokit.client.ports import QUIET, several_tokens
from fidokit.errors import PinRequired, SeveralTokens


def test_quiet_asks_nobody_and_says_what_to_do() -> None:
    with pytest.raises(PinRequired, match="listing the keys needs the PIN of it") as caught:
        QUIET.ask_pin("it", 8, "listing the keys", False)
    assert "--pin-file" in caught.value.hint
    with pytest.raises(PinRequired) as caught:
        QUIET.ask_new_pin("it", 4, 63)
    assert "--new-pin-file" in caught.value.hint
    with pytest.raises(SeveralTokens):
        QUIET.choose_token([candidate("a", FakeLink()), candidate("b", FakeLink())])


def test_quiet_is_silent_about_touches(capsys: pytest.CaptureFixture[str]) -> None:
    QUIET.touch_wanted("it", "signing")
    QUIET.touch_over()
    assert capsys.readouterr() == ("", "")


def test_several_lists_selectors() -> None:
    error = several_tokens([candidate("a", FakeLink()), candidate("b", FakeLink())])
    assert "virtual:a, virtual:b" in error.hint


def test_a_candidate_shows_nothing_of_its_link() -> None:
    assert "open" not in repr(candidate("a", FakeLink()))
