"""How users stand after a change, in an administrator's words, and what finds out the rest."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from fidokit.server.harden.lock_out import Proof, is_authority, locked_out, name_of, unproved
from fidokit.server.harden.plan import HardeningPlan
from fidokit.types import Word


class Standing(Word):
    """How a user stands after the change, in an administrator's words."""

    IN = "would get in"
    OUT = "would be locked out"
    UNKNOWN = "cannot be known without a login"


def standings(plan: HardeningPlan) -> Iterator[tuple[str, Standing, str]]:
    """Each user of a plan who matters, how they stand, and why."""
    out = {proof.user for proof in locked_out(plan.proofs, plan.losing)}
    codes = {code.user: code for code in plan.codes}
    for proof in plan.proofs:
        code = codes.get(proof.user)
        if proof.user in out:
            yield proof.user, Standing.OUT, "sshd takes none of their keys"
        elif code is not None and code.works is False:
            yield proof.user, Standing.OUT, code.why
        elif not proof.is_refused:
            sure = proof.is_proved and (code is None or code.works)
            yield proof.user, Standing.IN if sure else Standing.UNKNOWN, ""
    for name in plan.outside:
        by_password = name in plan.losing
        yield name, Standing.OUT, "by a password now" if by_password else "not among --user"


def ways_to_find_out(plan: HardeningPlan) -> Iterator[tuple[str, str]]:
    """Users of whom it cannot be known without a login, each with a command that finds out."""
    for proof in unproved(plan.proofs):
        keys = [key.line for key in proof.keys if key.proof is Proof.UNPROVED]
        known = next((line for line in keys if not is_authority(line)), None)
        which = name_of(known) if known else "FILE"
        user = shlex.quote(proof.user)
        yield proof.user, f"fidokit server harden {plan.level} --user {user} --login-with {which}"
    for code in plan.codes:
        if code.works is None:
            yield code.user, f"fidokit otp verify --user {shlex.quote(code.user)}"
