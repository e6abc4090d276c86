"""Passphrases: where they come from, that they are asked once, and what stands for none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest

from fidokit.cli.passphrase import MOST_ROUNDS, new_passphrase, old_passphrase
from fidokit.errors import Malformed, PassphraseRequired
from fidokit.openssh.keys.container import MAX_ROUNDS
from fidokit.prompt import questions

Script = Callable[..., list[str]]
KEY = Path("/keys/id")


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Script:
    def install(*answers: str | None) -> list[str]:
        prompts: list[str] = []
        left = list(answers)

        def answer(prompt: str) -> bytes | None:
            prompts.append(prompt)
            typed = left.pop(0)
            return None if typed is None else typed.encode()

        monkeypatch.setattr(questions, "ask_passphrase", answer)
        return prompts

    return install


def test_new_one_is_asked_twice_and_then_kept(typed: Script) -> None:
    prompts = typed("words", "words")
    secret = new_passphrase(None, none=False)
    assert [secret(KEY), secret(Path("/keys/other"))] == [b"words", b"words"]
    assert prompts == ["New passphrase for /keys/id (empty for none): ", "New passphrase again: "]


def test_new_one_is_asked_until_both_agree(
    typed: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("words", "wards", "words", "words")
    assert new_passphrase(None, none=False)(KEY) == b"words"
    assert capsys.readouterr().err == "The two are not the same.\n"


def test_empty_means_none_where_a_person_types_it(typed: Script) -> None:
    typed("", "")
    assert new_passphrase(None, none=False)(KEY) == b""


@pytest.mark.parametrize("text", ["\n", "\nwords\n"])
def test_an_empty_line_in_a_file_protects_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "empty").write_text(text)
    with pytest.raises(PassphraseRequired, match="empty line") as caught:
        new_passphrase(str(tmp_path / "empty"), none=False)(KEY)
    assert "--no-passphrase" in caught.value.hint


def test_no_passphrase_asks_nobody(typed: Script) -> None:
    prompts = typed()
    assert new_passphrase(None, none=True)(KEY) == b""
    assert prompts == []


def test_file_is_read_once_for_many_keys(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("gr\u00fc\u00dfe\n")
    secret = new_passphrase(str(tmp_path / "secret"), none=False)
    assert secret(KEY) == "gr\u00fc\u00dfe".encode()
    (tmp_path / "secret").unlink()
    assert secret(KEY) == "gr\u00fc\u00dfe".encode()


def test_a_passphrase_is_bytes(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"gr\xfc\xdfe\n")
    assert new_passphrase(str(tmp_path / "secret"), none=False)(KEY) == b"gr\xfc\xdfe"
    assert old_passphrase(str(tmp_path / "secret"))(KEY) == b"gr\xfc\xdfe"


def test_file_that_is_empty_is_a_mistake_and_not_none(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"")
    with pytest.raises(Malformed):
        new_passphrase(str(tmp_path / "secret"), none=False)(KEY)


def test_both_options_exclude_each_other() -> None:
    with pytest.raises(click.UsageError):
        new_passphrase("file", none=True)


def test_nobody_to_choose_one(typed: Script) -> None:
    typed(None)
    with pytest.raises(PassphraseRequired) as caught:
        new_passphrase(None, none=False)(KEY)
    assert "--no-passphrase" in caught.value.hint


def test_old_one_from_a_file_or_the_person(typed: Script, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("old\n")
    assert old_passphrase(str(tmp_path / "secret"))(KEY) == b"old"
    prompts = typed("older")
    assert old_passphrase(None)(KEY) == b"older"
    assert prompts == ["Passphrase to open /keys/id: "]


def test_nobody_knows_the_old_one(typed: Script) -> None:
    typed(None)
    with pytest.raises(PassphraseRequired) as caught:
        old_passphrase(None)(KEY)
    assert "--passphrase-file" in caught.value.hint


def test_no_more_rounds_are_promised_than_are_taken() -> None:
    assert MOST_ROUNDS == MAX_ROUNDS
