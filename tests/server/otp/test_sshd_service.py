"""The PAM service that codes are for: as the sshds of the machine say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from fidokit.errors import SshdMissing, UsageError
from fidokit.server.otp.pam import MODULE
from fidokit.server.otp.sshd_service import service_of_sshd
from fidokit.server.sshd.instances import SshdInstance
from fidokit.server.sshd.query import Ran, Sshd

SAYS = "pubkeyauthentication yes\nusepam {pam}\n{more}"


def one(version: str, said: str | None, program: str = "/usr/sbin/sshd") -> SshdInstance:
    """An sshd that says this of itself; None: it says nothing to this user."""

    def run(argv: Sequence[str]) -> Ran:
        if argv[1] == "-V":
            return Ran(1, "", f"unknown option -- V\nOpenSSH_{version}, OpenSSL 3.5\n")
        if said is None:
            return Ran(1, "", "sshd: no hostkeys available -- exiting.\n")
        return Ran(0, said, "")

    return SshdInstance(Sshd(program, run=run), pid=7)


def named(name: str) -> SshdInstance:
    return one("10.6", SAYS.format(pam="yes", more=f"PAMServiceName {name}\n"))


@pytest.fixture
def services(tmp_path: Path) -> Path:
    (tmp_path / "sshd").write_text("auth required pam_unix.so\n")
    (tmp_path / "codes").write_text(f"auth required {MODULE}\n")
    (tmp_path / "others").write_text(f"auth required {MODULE} secret=/x/${{USER}} user=root\n")
    return tmp_path


def of(services: Path, *sshds: SshdInstance) -> str:
    found = service_of_sshd(lambda: sshds, services)
    assert found.doubt == ""
    return found.path.name


def test_it_is_the_one_that_sshd_names(services: Path) -> None:
    assert of(services, named("codes")) == "codes"
    assert of(services, named("none-there")) == "none-there"


def test_before_that_setting_the_programs_name_decides(services: Path) -> None:
    old = SAYS.format(pam="yes", more="")
    assert of(services, one("9.2p1", old)) == "sshd"
    assert of(services, one("9.2p1", old, "/usr/sbin/codes")) == "codes"
    assert of(services, one("9.2p1", None, "/usr/sbin/codes")) == "codes"


def test_of_several_the_one_that_asks_for_codes(services: Path) -> None:
    without = one("10.6", SAYS.format(pam="no", more="PAMServiceName others\n"))
    assert of(services, named("sshd"), without, named("codes")) == "codes"
    with pytest.raises(UsageError, match="different places"):
        service_of_sshd(lambda: [named("codes"), named("others")], services)


def test_one_that_does_not_tell_is_a_doubt(services: Path) -> None:
    found = service_of_sshd(lambda: [one("10.6", None)], services)
    assert found.path == services / "sshd"
    assert "process 7 (/usr/sbin/sshd) could not be asked for its PAM service" in found.doubt


def test_without_sshd_it_is_the_usual_one(services: Path) -> None:
    def none() -> list[SshdInstance]:
        raise SshdMissing("sshd is not installed here")

    assert service_of_sshd(none, services).path == services / "sshd"
