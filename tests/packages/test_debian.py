"""The Debian package of each release: lintian, a fresh machine, and the tests in debian/tests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.packages.conftest import RELEASES, Fresh

Make = Callable[..., Fresh]
Build = Callable[[str], Path]


def hints(machine: Fresh) -> dict[str, str]:
    """What doctor says about each check that fails."""
    said = machine.run("sh", "-c", "fidokit doctor --json || true", user="ana")
    found = json.JSONDecoder().raw_decode(said[said.index("{") :])[0]["findings"]
    return {one["check"]: one["hint"] for one in found if one["status"] == "fail"}


@pytest.mark.parametrize("release", RELEASES)
def test_lintian_has_nothing_to_say(release: str, fresh: Make, debian_package: Build) -> None:
    machine = fresh(release, "workshop", made=debian_package(release))
    changes = next(debian_package(release).glob("*.changes")).name
    said = machine.run("lintian", "--allow-root", "--fail-on=error,warning", f"/made/{changes}")
    assert re.findall("^[EW]: .*", said, re.MULTILINE) == []


@pytest.mark.parametrize("release", RELEASES)
def test_its_own_tests(release: str, fresh: Make, debian_package: Build) -> None:
    """autopkgtest installs the package and runs debian/tests: the life of a key, the rule under
    udevadm, a login by stock ssh through the provider."""
    machine = fresh(release, "workshop", made=debian_package(release))
    package = next(debian_package(release).glob("fidokit_*.deb")).name
    source = next(debian_package(release).glob("*.dsc")).name
    said = machine.run("autopkgtest", f"/made/{source}", f"/made/{package}", "--", "null")
    results = dict(re.findall(r"^([\w-]+) +(PASS|FAIL|SKIP)\b", said, re.MULTILINE))
    tests = {"installed", "life-of-a-key", "provider-login", "udev-rule"}
    assert results == dict.fromkeys(tests, "PASS")


@pytest.mark.parametrize("release", RELEASES)
def test_on_a_fresh_machine(release: str, fresh: Make, debian_package: Build) -> None:
    machine = fresh(release, made=debian_package(release))
    package = next(debian_package(release).glob("fidokit_*.deb")).name
    machine.install(f"/made/{package}", "man-db")
    assert "fidokit 0." in machine.run("fidokit", "--version", user="ana")
    assert "FIDO" in machine.run("man", "fidokit", user="ana", MANPAGER="cat")
    machine.run("fidokit", "virtual", "create", "test", user="ana")
    assert "virtual:test" in machine.run("fidokit", "token", "list", user="ana")
    # no agent is switched on for anybody, and no daemon was started
    wants = machine.run("find", "/etc/systemd/user", "-name", "fidokit*")
    assert wants == ""
    # what hints name is what works: here, by ana's administrator
    assert "openssh" in hints(machine)
    command = re.search("`sudo apt install (.*?)`", hints(machine)["openssh"])
    assert command
    machine.install(*command[1].split())
    assert "openssh" not in hints(machine)
    # an ordinary user's programs see a token, by the library that the package brings
    machine.install("fido2-tools", "pamu2fcfg")
    for program in (
        "fido2-token -L",
        "pamu2fcfg -u ana",
        "ssh-keygen -q -t ed25519-sk -N '' -f id",
    ):
        machine.run("fidokit", "virtual", "run", "--", "sh", "-c", program, user="ana")
    assert "sk-ssh-ed25519" in machine.run("cat", "id.pub", user="ana")
    said = machine.run("fidokit", "virtual", "models", user="ana", code=8)
    command = re.search(r"sudo (apt install .*?) && sudo (python3 -m pip .*)", said)
    assert command, said
    machine.install(*command[1].split()[2:])
    machine.run(*command[2].split())
    assert "YubiKey" in machine.run("fidokit", "virtual", "models", user="ana")
    # removing leaves nothing of ours
    machine.run("apt-get", "-q", "-y", "purge", "fidokit", DEBIAN_FRONTEND="noninteractive")
    assert machine.run("find", "/usr/lib/fidokit", "/usr/bin/fidokit", code=1).count("No such") == 2
