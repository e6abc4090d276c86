"""What the steps of setup share: who answers, how tokens are opened, and what was done so far."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fidokit.keys.publication import Run
from fidokit.prompt import questions
from fidokit.server.authorize.sources import Fetch
from fidokit.signing.git_config import Git
from fidokit.types import PassphraseSource, Word

if TYPE_CHECKING:
    from fidokit.client.ports import Interaction
    from fidokit.client.session import Session
    from fidokit.guide.setup.answers import Asker


class StepOutcome(Word):
    """How a step of setup ended."""

    FOUND = "found"
    DONE = "done"
    PRESENT = "was so"
    SKIPPED = "skipped"
    OPEN = "left to do"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepReport:
    """What came of a step, or of a part of one.

    Attributes:
        name: of the step.
        outcome: see `StepOutcome`.
        sentence: what was done or found; may hold hostile text.
        commands: those that do the same.
        hint: what to do next; empty for nothing.
        paste: a text to be copied whole; empty for none.
    """

    name: str
    outcome: StepOutcome
    sentence: str
    commands: tuple[str, ...] = ()
    hint: str = ""
    paste: str = ""


OpenToken = Callable[[str | None], "AbstractContextManager[Session]"]


@dataclass(frozen=True)
class SetupDesk:
    """Whom the steps ask, and what they work with.

    Attributes:
        asker: answers questions.
        interaction: asks for PINs and touches.
        open_token: opens the token of a selector, or the one that the user chooses.
        open_backup: opens the one for the backup, whose PIN is another.
        new_passphrase, old_passphrase: of key files.
        begin: shows a step's title, and a line that explains it.
        report: shows what came of a step.
        ssh: the user's ssh and its options.
        selector: the token that was named; None for none.
        git: the user's git.
        environ: the environment.
        run: calls gh and glab; a test's own.
        fetch: gets an address's text; a test's own.
        rounds: of bcrypt, for passphrases of key files.
    """

    asker: Asker
    interaction: Interaction
    open_token: OpenToken
    open_backup: OpenToken
    new_passphrase: PassphraseSource
    old_passphrase: PassphraseSource
    begin: Callable[[str, str], None]
    report: Callable[[StepReport], None]
    ssh: Sequence[str] = ("ssh",)
    selector: str | None = None
    git: Git = field(default_factory=Git)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    run: Run | None = None
    fetch: Fetch | None = None
    rounds: int = 24


@dataclass
class SetupState:
    """What was done so far.

    Attributes:
        desk: see `SetupDesk`.
        steps: what came of the steps.
        key: the private file; None as long as there is no key.
        fingerprint: of the key.
        touch_required: whether it wants a touch at each use; None if that is not known.
        verify_required: whether it wants the PIN at each use; None if that is not known, as for
            a file under a passphrase.
        servers: where it lets in now, as destinations.
        configured: whether ssh's own configuration names the key for them.
        proved: whether a login or a commit proved it.
        selector: what names the token in commands; None if it is the only one.
    """

    desk: SetupDesk
    steps: list[StepReport] = field(default_factory=list)
    key: Path | None = None
    fingerprint: str = ""
    touch_required: bool | None = None
    verify_required: bool | None = None
    servers: list[str] = field(default_factory=list)
    configured: bool = False
    proved: bool = False
    selector: str | None = None

    def __post_init__(self) -> None:
        """Name the token in commands as the user named it."""
        self.selector = self.desk.selector

    @property
    def private(self) -> Path:
        """The private file of the key that there is."""
        assert self.key is not None  # noqa: S101  steps after the one for the key
        return self.key

    @property
    def public(self) -> Path:
        """The public file of the key."""
        return self.private.with_name(f"{self.private.name}.pub")

    @property
    def is_mute(self) -> bool:
        """Whether other programs would ask for a PIN or passphrase, and have nobody to ask."""
        terminal = questions.has_terminal()
        asks = self.verify_required is not False
        program = questions.askpass_program(self.desk.environ, terminal=terminal)
        return asks and not terminal and program is None

    def note(
        self,
        name: str,
        outcome: StepOutcome,
        sentence: str,
        *commands: Sequence[str],
        hint: str = "",
        paste: str = "",
    ) -> None:
        """Keep and show what came of a step.

        Args:
            name, outcome, sentence, hint, paste: as of `StepReport`.
            commands: each as words.
        """
        typed = tuple(" ".join(map(_typed, words)) for words in commands)
        made = StepReport(name, outcome, sentence, typed, hint, paste)
        self.steps.append(made)
        self.desk.report(made)

    def with_token(self, *words: str) -> list[str]:
        """A command of ours for the token, which is named if there are several."""
        named = ["--token", self.selector] if self.selector else []
        return ["fidokit", *named, *words]


def shown(path: Path) -> str:
    """A path as people write it: from ~ on, if it is below the home folder."""
    absolute = path.absolute()
    if absolute.is_relative_to(Path.home()):
        return f"~/{absolute.relative_to(Path.home())}"
    return str(absolute)


def _typed(word: str) -> str:
    """A word as it is typed into a shell; ~ stays outside of the quotes."""
    if word.startswith("~/"):
        return f"~/{shlex.quote(word[2:])}"
    return shlex.quote(word)
