"""What a hardening and a revocation come to: changed or not, in force or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.errors import FidokitError
from fidokit.server.authorize.revocation_list import RevocationList
from fidokit.server.desired.hardening import HardeningReached
from fidokit.server.desired.revocation import RevocationReached, _drop_in, _list_edit
from fidokit.server.harden.levels import Directive
from fidokit.server.harden.plan import HardeningPlan, HardeningTarget
from fidokit.server.sshd.drop_in import Edit

EDIT = Edit(Path("/f"), b"", b"new")
WANTED = Directive("RevokedKeys", "/etc/ssh/revoked_keys")


@pytest.mark.parametrize(
    ("edits", "stale", "reload", "changed"),
    [
        ((), (), True, False),
        ((EDIT,), (), True, True),
        ((EDIT,), (), False, True),
        ((), ("not read",), True, True),
        ((), ("not read",), False, False),
    ],
)
def test_a_hardening_changes_files_or_what_sshd_has_read(
    edits: tuple[Edit, ...], stale: tuple[str, ...], reload: bool, changed: bool
) -> None:
    plan = HardeningPlan(HardeningTarget(), "touch", edits, warnings=("of the plan",))
    reached = HardeningReached(plan, stale, ("left",), reload=reload)
    assert reached.is_changed is changed
    assert reached.edits == edits
    assert reached.warnings == ("of the plan", "left")


def test_a_list_is_shown_as_fingerprints() -> None:
    added = RevocationList(Path("/l"), "krl", ("SHA256:b", "SHA256:a"), added=("SHA256:b",))
    assert _list_edit(added) == Edit(Path("/l"), b"SHA256:a\n", b"SHA256:a\nSHA256:b\n")
    planned = RevocationList(Path("/l"), "krl", ("SHA256:a",), added=("SHA256:b",))
    assert _list_edit(planned) == _list_edit(added)
    back = RevocationList(Path("/l"), "krl", ("SHA256:a",), removed=("SHA256:b",))
    assert _list_edit(back) == Edit(Path("/l"), b"SHA256:a\nSHA256:b\n", b"SHA256:a\n")
    same = RevocationReached(back, [_list_edit(RevocationList(Path("/l"), "krl", ("SHA256:a",)))])
    assert not same.is_changed
    same.stale = ("not read",)
    assert same.is_changed


def test_the_list_is_named_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "sshd_config.d").mkdir()
    config = tmp_path / "sshd_config"
    config.write_text(f"Include {tmp_path}/sshd_config.d/*.conf\n")
    edit = _drop_in(config, WANTED)
    assert edit.path == tmp_path / "sshd_config.d/0-fidokit-revoked.conf"
    assert edit.before is None
    assert edit.after is not None
    assert f"`rm {edit.path}` takes this block out" in edit.after.decode()
    assert b"\nRevokedKeys /etc/ssh/revoked_keys\n" in edit.after


def test_without_a_folder_the_task_says_what_to_add(tmp_path: Path) -> None:
    config = tmp_path / "sshd_config"
    config.write_text("Match User ana\nPermitTTY no\n")
    with pytest.raises(FidokitError) as raised:
        _drop_in(config, WANTED)
    assert raised.value.hint == f"begin it with: Include {tmp_path}/sshd_config.d/*.conf"
