"""`fidokit server harden second-factor` on real servers: a key, then what PAM asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.agent_host import Host, make_host, serving
from tests.support.hardened import SSHD, USER, Machine, line, machine

from fidokit.errors import FidokitError
from fidokit.server.harden.code_trial import CodeProof
from fidokit.server.harden.plan import CodeJudge

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory, stock: Callable[[str], str]) -> Iterator[Host]:
    """An agent with a key."""
    stock(SSHD)
    host = make_host(tmp_path_factory.mktemp("harden") / "home")
    host.keygen("-t", "ed25519", "-N", "", "-f", "plain", "-C", "plain")
    with serving(host):
        host.add(host.home / "plain")
        yield host


def judged(*, works: bool = True) -> CodeJudge:
    """Real logins by codes are tried elsewhere (test_server_second_factor_login)."""
    return lambda users: [CodeProof(user.name, works, "" if works else "not yet") for user in users]


@pytest.fixture
def with_pam(keys: Host, tmp_path: Path) -> Iterator[Machine]:
    """A server with a PAM service of its own, which its sshd does not ask."""
    with machine(tmp_path / "etc", keys, "PermitRootLogin yes") as it:
        it.pam.write_text("@include common-auth\n")
        for module in ("pam_google_authenticator.so", "pam_exec.so"):
            (it.server.folder / module).touch()
        it.authorize(line(keys, "plain"))
        yield it


def test_second_factor_names_users_without_a_secret_and_stops(with_pam: Machine) -> None:
    before = with_pam.files()
    with pytest.raises(FidokitError, match=rf"no code lets them in: {USER} \(not yet\)"):
        with_pam.harden("second-factor", code_judge=judged(works=False))
    assert with_pam.files() == before


def test_second_factor_wants_the_module(with_pam: Machine) -> None:
    (with_pam.server.folder / "pam_google_authenticator.so").unlink()
    with pytest.raises(FidokitError, match="is not installed"):
        with_pam.harden("second-factor", code_judge=judged())


@pytest.mark.root
def test_root_may_give_no_code_unless_the_configuration_says_so(with_pam: Machine) -> None:
    config = with_pam.server.config
    config.write_text(config.read_text().replace("PermitRootLogin yes", "#"))
    with pytest.raises(FidokitError, match="root would be locked out: PermitRootLogin"):
        with_pam.harden("second-factor", code_judge=judged())


@pytest.mark.root
def test_second_factor_asks_for_both(with_pam: Machine) -> None:
    before = with_pam.files()
    plan = with_pam.harden("second-factor", code_judge=judged())
    assert any("together are not recommended" in warning for warning in plan.warnings)
    pam = with_pam.pam.read_text()
    assert "\nauth requisite pam_google_authenticator.so\n" in pam
    assert pam.endswith("\n@include common-auth\n")
    said = with_pam.says("plain")
    assert 'Authenticated using "publickey" with partial success' in said
    assert "Permission denied (keyboard-interactive)" in said
    with_pam.undo()
    assert with_pam.files() == before
    assert with_pam.lets_in("plain")


def test_from_second_factor_to_another_level(with_pam: Machine) -> None:
    before = with_pam.pam.read_bytes()
    with_pam.harden("second-factor", code_judge=judged(), reload=False)
    with pytest.raises(FidokitError, match="still asks for codes until it is reloaded"):
        with_pam.harden("touch", reload=False)
    assert with_pam.pam.read_bytes() != before
    with_pam.harden("touch")
    assert with_pam.pam.read_bytes() == before
    text = (with_pam.folder / "0-fidokit.conf").read_text()
    assert "AuthenticationMethods" not in text
