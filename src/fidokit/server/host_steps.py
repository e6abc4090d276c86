"""Steps of a plan carried out on this machine, and taken back again.

Keys are let in and taken out, and sshd is hardened, by the same functions as by hand; a step that
they cannot prove counts as failed. What a step changed is remembered byte for byte, so that the
last step can be taken back first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Optional

from fidokit.errors import FidokitError
from fidokit.openssh.keys.public import parse_public_line
from fidokit.server.accounts import account
from fidokit.server.authorize import key_file
from fidokit.server.authorize.authorization import AuthorizeTarget, key_options, let_in, revoke_keys
from fidokit.server.authorize.lines import Change
from fidokit.server.authorize.local import files_of, local_sshd, prover, reader_of
from fidokit.server.authorize.outcome import Authorized, How
from fidokit.server.authorize.standing import WORDS, Admittance
from fidokit.server.authorize.wishes import WantedKey
from fidokit.server.harden.application import apply_hardening, levels_now, plan_hardening, restore
from fidokit.server.harden.levels import Level
from fidokit.server.harden.plan import HardeningRequest
from fidokit.server.sshd.drop_in import Edit
from fidokit.types import Word

KEEP: Final = "keep"
"""The word that makes steps last; without it they are taken back."""


class StepKind(Word):
    """What a step does."""

    AUTHORIZE = "authorize"
    REVOKE = "revoke"
    HARDEN = "harden"


@dataclass(frozen=True)
class HostStep:
    """One step.

    Attributes:
        kind: what it does.
        account: whose keys; empty for HARDEN.
        public_line: `type base64 comment` of the key to let in.
        fingerprint: of the key to take out.
        expires: `YYYYMMDD`, the day on which the key must not get in any longer; empty if it may.
        levels: of `server harden`, with spaces between; those in force stay.
        unproved: harden also where nothing proves that a user's key gets in, if nothing speaks
            against it.
    """

    kind: StepKind
    account: str = ""
    public_line: str = ""
    fingerprint: str = ""
    expires: str = ""
    levels: str = ""
    unproved: bool = False


@dataclass(frozen=True)
class ChangedFile:
    """What a step made of a file.

    Attributes:
        path: the file.
        account: whose keys are in it; empty for a file of sshd's configuration.
        before, after: the whole text; None if there was, or is, no file.
    """

    path: str
    account: str
    before: Optional[bytes]  # noqa: UP045  Python 3.9 evaluates it
    after: Optional[bytes]  # noqa: UP045  Python 3.9 evaluates it


@dataclass(frozen=True)
class CarriedOutStep:
    """What became of a step.

    Attributes:
        files: those that it changed; also if it failed.
        problem: why it is not done, one sentence; empty if it is done and proved.
    """

    files: tuple[ChangedFile, ...] = ()
    problem: str = ""


def carry_out(steps: Sequence[HostStep]) -> Iterator[CarriedOutStep]:
    """Carry out steps one after the other; one that fails is the last.

    Yields:
        What became of each.
    """
    for step in steps:
        try:
            done = _DOERS[step.kind](step)
        except FidokitError as error:
            done = CarriedOutStep(problem=error.message)
        except Exception as error:  # noqa: BLE001  the boundary: what was done is to be taken back
            done = CarriedOutStep(problem=f"fidokit failed on it: {type(error).__name__}: {error}")
        yield done
        if done.problem:
            return


def take_back(files: Sequence[ChangedFile]) -> list[str]:
    """Make files what they were before steps.

    Args:
        files: what the steps changed, in the order in which they did.

    Returns:
        What could not be restored, a sentence each.
    """
    problems = []
    sshd = [
        Edit(Path(one.path), one.after, one.before) for one in reversed(files) if not one.account
    ]
    ways: list[Callable[[], None]] = [lambda: restore(sshd, reload=True)] if sshd else []
    ways += [partial(_give_back, one) for one in reversed(files) if one.account]
    for way in ways:
        try:
            way()
        except FidokitError as error:
            problems.append(error.message)
        except Exception as error:  # noqa: BLE001  the boundary: the other files go back anyway
            problems.append(f"fidokit failed on it: {type(error).__name__}: {error}")
    return problems


def _give_back(file: ChangedFile) -> None:
    """Put the old text of a file of keys there again, if nobody changed it meanwhile."""

    def changed(text: bytes) -> Change:
        if text != (file.after or b""):
            raise FidokitError(f"{file.path} was changed since, and was left as it is")
        return Change(text, file.before or b"")

    key_file.edit(account(file.account), Path(file.path), changed)


# --- the steps -------------------------------------------------------------------------------


def _authorize(step: HostStep) -> CarriedOutStep:
    line = parse_public_line(step.public_line)
    options = key_options([f"expiry-time={step.expires}"] if step.expires else [])
    wanted = [WantedKey(line.key, line.comment, tuple(options), "the policy")]
    user = account(step.account)
    with local_sshd(None, None) as server, prover(server) as provers:
        asking = reader_of(provers, user, None)
        done = let_in(files_of(asking.server, user, None), wanted, How(), asking)
    good = {Admittance.LETS_IN, Admittance.ACCEPTED}
    bad = [one for one in done.standings if one.standing not in good]
    said = [f"{WORDS[one.standing]}{f' ({one.why})' if one.why else ''}" for one in bad]
    return CarriedOutStep(_changed(done, step.account), "; ".join([*said, *done.failures]))


def _revoke(step: HostStep) -> CarriedOutStep:
    done = revoke_keys([step.fingerprint], AuthorizeTarget(user=step.account))
    return CarriedOutStep(_changed(done, step.account), "; ".join(done.failures))


def _changed(done: Authorized, user: str) -> tuple[ChangedFile, ...]:
    return tuple(
        ChangedFile(file.where, file.user or user, file.change.before, file.change.after)
        for file in done.files
        if not file.change.is_empty
    )


def _harden(step: HostStep) -> CarriedOutStep:
    wanted = {*step.levels.split(), *levels_now()}
    levels = " ".join(one for one in Level if one in wanted)
    plan = plan_hardening(HardeningRequest(levels, yes_unproved=step.unproved))
    apply_hardening(plan, reload=True)
    edits = [edit for edit in plan.edits if not edit.is_empty]
    return CarriedOutStep(
        tuple(ChangedFile(str(edit.path), "", edit.before, edit.after) for edit in edits)
    )


_DOERS = {
    StepKind.AUTHORIZE: _authorize,
    StepKind.REVOKE: _revoke,
    StepKind.HARDEN: _harden,
}
