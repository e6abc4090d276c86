"""The JSON of `setup`, `git setup`, `ssh-config` and `key publish`, as docs/json.md has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fidokit.cli.render import Json
from fidokit.cli.schema import members

if TYPE_CHECKING:
    from fidokit.guide.setup.desk import StepReport
    from fidokit.keys.publication import Publication
    from fidokit.keys.ssh_config import ConfigChange, InstalledBlock
    from fidokit.signing.git_config import SigningPlan, SigningUndone


def publication(made: Publication) -> Json:
    """A key that `key publish` put somewhere."""
    return members(
        made,
        "fingerprint site account signing state page title text why",
        site=made.site.prefix,
    )


def git_signing(plan: SigningPlan, scope: str, proved: str | None) -> Json:
    """What `git setup` set."""
    changes = [members(one, "name before after") for one in plan.settings]
    return members(
        plan,
        "scope settings present allowed_signers=signers lines known proved",
        scope=scope,
        settings=changes,
        proved=proved,
    )


def git_undone(undone: SigningUndone) -> Json:
    """What `git setup --undo` put back."""
    changes = [members(one, "name before after") for one in undone.restored]
    return members(undone, "restored left allowed_signers=signers lines", restored=changes)


def ssh_config(done: ConfigChange | None, blocks: Sequence[InstalledBlock]) -> Json:
    """What `ssh-config` made; without --install there is no file."""
    made = [members(one, "host text") for one in blocks]
    names = "file added removed present includes problems"
    changed = members(done, names) if done else dict.fromkeys(names.split())
    return {"blocks": made, **changed}


def setup(steps: Sequence[StepReport]) -> Json:
    """What came of the steps of `setup`."""
    return {"steps": [members(one, "name outcome sentence commands hint paste") for one in steps]}
