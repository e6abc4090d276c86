from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.fake_link import FakeLink, candidate

from fidokit.client.ports import QUIET, PinCode, several_tokens
from fidokit.errors import PinPolicy, PinRequired, SeveralTokens


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


def test_decomposed_and_composed_are_one_pin() -> None:
    assert PinCode.parse("e\u0301abc") == PinCode.parse("\u00e9abc")
    assert PinCode.parse("e\u0301abc").utf8() == "\u00e9abc".encode()


@pytest.mark.parametrize("text", ["", "1", "123", "e\u0301ab"])
def test_fewer_than_four_code_points(text: str) -> None:
    with pytest.raises(PinPolicy, match="too short"):
        PinCode.parse(text)


def test_four_code_points_of_any_script_are_enough() -> None:
    assert PinCode.parse("\N{GRINNING FACE}" * 4).utf8() == "\N{GRINNING FACE}".encode() * 4


@pytest.mark.parametrize(("text", "fits"), [("1" * 63, True), ("1" * 64, False)])
def test_63_bytes_fit(text: str, fits: bool) -> None:
    if fits:
        assert len(PinCode.parse(text).utf8()) == 63
    else:
        with pytest.raises(PinPolicy, match="too long"):
            PinCode.parse(text)


def test_bytes_count_not_characters() -> None:
    with pytest.raises(PinPolicy, match="63 bytes"):
        PinCode.parse("\u00e9" * 32)


def test_the_tokens_minimum_counts() -> None:
    with pytest.raises(PinPolicy, match="at least 8"):
        PinCode.parse("1234567", min_code_points=8)
    assert PinCode.parse("12345678", min_code_points=8)


def test_the_tokens_maximum_counts() -> None:
    with pytest.raises(PinPolicy, match="at most 8"):
        PinCode.parse("123456789").check_length(4, 8)


@pytest.mark.parametrize("text", ["12\x0034", "123\ud800"])
def test_what_no_token_can_store(text: str) -> None:
    with pytest.raises(PinPolicy):
        PinCode.parse(text)


def test_padding_is_64_bytes() -> None:
    assert PinCode.parse("1234").padded() == b"1234" + bytes(60)
    assert PinCode.parse("1" * 63).padded() == b"1" * 63 + b"\0"


@pytest.mark.parametrize("show", [repr, str, "{}".format, "%s".__mod__])
def test_it_never_prints(show: object) -> None:
    assert "geheim" not in show(PinCode.parse("geheim"))  # type: ignore[operator]


@given(st.text())
def test_any_text_is_a_pin_or_a_policy_error(text: str) -> None:
    try:
        pin = PinCode.parse(text)
    except PinPolicy:
        return
    assert 4 <= len(pin.utf8().decode()) <= 63
    assert len(pin.padded()) == 64


def test_the_error_does_not_show_the_pin() -> None:
    with pytest.raises(PinPolicy) as caught:
        PinCode.parse("geheim" * 20)
    assert "geheim" not in f"{caught.value} {caught.value.hint}"
