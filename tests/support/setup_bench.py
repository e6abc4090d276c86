"""A desk on which setup runs in process, and somebody who answers its questions by heart."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.support.desk import Desk

from fidokit.client.session import Session
from fidokit.guide.setup import use_steps
from fidokit.guide.setup.answers import Asker
from fidokit.guide.setup.desk import SetupDesk, SetupState, StepOutcome, StepReport
from fidokit.guide.setup.path import run_setup

WHO = "alice@example.org"
DONE, PRESENT, SKIPPED = StepOutcome.DONE, StepOutcome.PRESENT, StepOutcome.SKIPPED
FOUND, OPEN, FAILED = StepOutcome.FOUND, StepOutcome.OPEN, StepOutcome.FAILED


@dataclass
class Alice:
    """Answers by the names of questions, several in a row where a list is given."""

    says: Mapping[str, object] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_person: bool = True

    def _answer(self, name: str, default: object) -> object:
        self.asked.append(name)
        found = self.says.get(name, default)
        return found.pop(0) if isinstance(found, list) and found else found

    def yes(self, name: str, question: str, *, default: bool) -> bool:
        assert question.endswith(("?", "."))
        return bool(self._answer(name, default))

    def text(self, name: str, question: str, default: str = "") -> str:
        assert question
        return str(self._answer(name, default))

    def texts(self, name: str, question: str) -> Iterator[str]:
        found = self._answer(name, "")
        return iter([str(found)] if found else [])

    def choice(self, name: str, question: str, options: Sequence[str], default: int = 0) -> int:
        self.asked.append(f"{name}: {', '.join(options)}")
        found = self.says.get(name, default)
        assert isinstance(found, int)
        return found

    def given(self, name: str) -> object:
        return None

    def wait(self, what: str) -> bool:
        return bool(self._answer("wait", default=False))


@dataclass
class Bench:
    """A desk of tokens, and what setup shows."""

    tokens: Desk
    home: Path
    titles: list[str] = field(default_factory=list)

    def run(self, asker: Asker, **more: object) -> dict[str, list[StepReport]]:
        state = self.state(asker, **more)
        found: dict[str, list[StepReport]] = {}
        for step in run_setup(state.desk).steps:
            assert step.sentence
            assert "\n" not in step.sentence
            found.setdefault(step.name, []).append(step)
        return found

    def state(self, asker: Asker, **more: object) -> SetupState:
        def open_token(selector: str | None) -> AbstractContextManager[Session]:
            return self.tokens.open(selector)

        desk = SetupDesk(
            asker=asker,
            interaction=self.tokens.person,
            open_token=open_token,
            open_backup=open_token,
            new_passphrase=lambda _: b"",
            old_passphrase=lambda _: b"",
            begin=lambda title, why: self.titles.append(title if why else ""),
            report=lambda _: None,
            environ={"PATH": os.environ["PATH"]},
        )
        return SetupState(replace(desk, **more))  # type: ignore[arg-type]


def made_bench(bare_desk: Desk, home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setattr(use_steps, "open_signer", _signer(bare_desk))
    return Bench(bare_desk, home)


def _signer(tokens: Desk) -> Callable[..., object]:
    """`open_signer` with the desk's tokens in place of this machine's."""
    from fidokit.signing.signers import open_signer

    def opened(path: Path, interaction: object, **how: object) -> object:
        return open_signer(path, tokens.person, backends=[tokens], agent=False)

    return opened


def outcomes(found: Mapping[str, list[StepReport]]) -> dict[str, list[StepOutcome]]:
    return {name: [step.outcome for step in steps] for name, steps in found.items()}
