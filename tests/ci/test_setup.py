"""The set-up on machines that lack this or that; python3, apt-get, sudo and id stand in."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tests.ci.conftest import APT_GET, PYTHON, Machine

KEEP_LISTS = """-mpip)
        for file in "$@"; do :; done
        case $* in *--require-hashes*) cat "$file" && echo -- ;; esac >>"$STATE/listed"
        """
LISTING = PYTHON.replace("-mpip)", KEEP_LISTS)
READY = ("ensurepip", "headers", "packages", "lists")


def named(listed: str) -> set[str]:
    """The packages of a list."""
    return set(re.findall(r"^([a-z0-9-]+)==", listed, re.MULTILINE))


def test_makes_an_environment_and_installs_by_hash(machine: Machine) -> None:
    machine.have(*READY)
    done = machine.run(".ci/setup", "run")
    assert (done.returncode, done.stdout) == (0, "")
    calls = machine.calls()
    assert "python -m venv --clear .venv" in calls
    *others, ours = [call for call in calls if "pip install" in call]
    assert len(others) == 2
    assert all("--require-hashes --no-build-isolation --requirement" in call for call in others)
    assert ours.endswith("--no-deps --no-index --no-build-isolation --editable .")


@pytest.mark.parametrize(
    ("level", "some", "without"),
    [
        ("run", "click", "pytest"),
        ("check", "mypy", "pyscard"),
        ("test", "pytest", "mypy"),
        ("site", "mkdocs-material", "pytest"),
        ("test-all", "pyscard", "atheris"),
        ("fuzz", "atheris", "mypy"),
        ("matrix", "pyscard", "atheris"),
        ("pyz", "click", "pytest"),
        ("release", "twine", "pytest"),
        ("lock", "uv", "pytest"),
    ],
)
def test_each_level_installs_what_is_listed_for_it(
    machine: Machine, level: str, some: str, without: str
) -> None:
    machine.have(*READY)
    machine.program("python3", LISTING)
    assert machine.run(".ci/setup", level).returncode == 0
    first, listed, *_ = (machine.state / "listed").read_text().split("--\n")
    assert named(first) == {"setuptools"}
    assert {some, "setuptools", "fido2", "cryptography"} <= named(listed)
    assert without not in named(listed)
    assert listed.count("--hash=sha256:") >= len(named(listed))


def test_each_long_step_is_told_before_it_is_taken(machine: Machine) -> None:
    machine.user(0)
    machine.have("lists", "packages")
    done = machine.run(".ci/setup", "test-all")
    said = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (0, "")
    assert said[0] == "setup: making the virtual environment .venv"
    assert said[1] == "setup: fetching pip from Debian's packages"
    assert said[2] == "setup: installing Debian packages: python3.11-dev"
    assert said[3:] == [
        "setup: installing Python packages",
        "setup: fetching what the one-file program carries",
    ]


def test_second_run_does_nothing_and_says_nothing(machine: Machine) -> None:
    machine.have(*READY)
    machine.run(".ci/setup", "test-all")
    machine.calls()
    again = machine.run(".ci/setup", "test-all")
    assert (again.returncode, again.stdout, again.stderr, machine.calls()) == (0, "", "", [])


def test_changed_requirements_are_installed(machine: Machine) -> None:
    machine.have(*READY)
    machine.run(".ci/setup", "run")
    machine.calls()
    with (machine.clone / "constraints.txt").open("a") as constraints:
        constraints.write("# changed\n")
    machine.run(".ci/setup", "run")
    calls = machine.calls()
    assert any("pip install" in call for call in calls)
    assert not any("-m venv" in call for call in calls)


def test_moved_clone_gets_a_new_environment(machine: Machine) -> None:
    machine.have(*READY)
    machine.run(".ci/setup", "run")
    machine.calls()
    moved = machine.clone.with_name("another place")
    shutil.move(machine.clone, moved)
    assert machine.run(".ci/setup", "run", top=moved).returncode == 0
    assert any("-m venv" in call for call in machine.calls())


def test_environment_whose_python_went_away_is_made_again(machine: Machine) -> None:
    machine.have(*READY)
    machine.run(".ci/setup", "run")
    machine.calls()
    (machine.clone / ".venv/bin/python").unlink()
    (machine.clone / ".venv/bin/python").symlink_to("/nowhere/python3")
    assert machine.run(".ci/setup", "run").returncode == 0
    assert any("-m venv" in call for call in machine.calls())


def test_environment_that_failed_half_way_is_completed(machine: Machine) -> None:
    machine.have(*READY)
    assert machine.run(".ci/setup", "run", PIP_BREAKS="1").returncode == 0, "PIP_* is dropped"
    broken = PYTHON.replace('[ -z "${PIP_BREAKS:-}" ] ||', "")
    machine.program("python3", broken)
    shutil.rmtree(machine.clone / ".venv")
    failed = machine.run(".ci/setup", "run")
    assert failed.returncode == 1
    assert failed.stderr.endswith(
        "no such wheel\nsetup: could not install what constraints.txt lists for run\n"
    )
    machine.program("python3", PYTHON)
    shutil.copy(machine.programs / "python3", machine.clone / ".venv/bin/python")
    assert machine.run(".ci/setup", "run").returncode == 0
    assert any("--editable" in call for call in machine.calls())


def test_no_suitable_python_is_one_message(machine: Machine) -> None:
    machine.program("python3", "#!/bin/sh\nexit 1\n")
    done = machine.run(".ci/setup", "run", FIDOKIT_PYTHON=str(machine.programs / "python3"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "not a Python of 3.11 or newer" in done.stderr


def test_another_interpreter_serves_where_python3_is_too_old(machine: Machine) -> None:
    machine.have(*READY)
    machine.program("python3", "#!/bin/sh\nexit 1\n")
    machine.program("python3.12", PYTHON)
    assert machine.run(".ci/setup", "run").returncode == 0
    assert "python -m venv --clear .venv" in machine.calls()


@pytest.mark.parametrize("user", [0, 1000])
def test_pip_comes_from_debians_packages_for_any_user(machine: Machine, user: int) -> None:
    """A minimal Debian has no ensurepip; nothing is installed on the machine."""
    machine.user(user)
    assert machine.run(".ci/setup", "run").returncode == 0
    calls = machine.calls()
    asked = [call for call in calls if call.startswith("apt-get")]
    assert [call.split()[-1] for call in asked] == ["update", "python3-pip-whl"]
    assert all("Dir::State=" in call and "Dir::Cache=" in call for call in asked)
    assert not any("install" in call for call in asked)
    assert not any(call.startswith("sudo") for call in calls)
    assert "python -m venv --clear --without-pip .venv" in calls
    assert any("-m pip install --quiet --no-index" in call for call in calls)


@pytest.mark.parametrize("missing", ["apt-get", "dpkg-deb"])
def test_pip_that_cannot_be_fetched_is_one_message(machine: Machine, missing: str) -> None:
    (machine.programs / missing).unlink()
    done = machine.run(".ci/setup", "run")
    assert done.returncode == 1
    assert 'as root, "apt-get install python3.11-venv"' in done.stderr.splitlines()[-1]


def test_a_package_that_the_release_does_not_have_is_named_and_left_out(machine: Machine) -> None:
    machine.have("ensurepip", "headers")
    machine.user(0)
    done = machine.run(".ci/setup", "test-all", UNKNOWN="usbip")
    assert done.returncode == 0, done.stderr
    assert "setup: this release has no package usbip: LEFT OUT" in done.stderr
    installs = [
        call for call in machine.calls() if call.startswith("apt-get") and "install" in call
    ]
    assert ["usbip" in call.split() for call in installs] == [True, False]
    assert (machine.clone / ".venv/.left-out").read_text() == "usbip\n"
    machine.program("dpkg-query", '#!/bin/sh\n[ "$4" = usbip ] || echo installed\n')
    again = machine.run(".ci/setup", "test-all", UNKNOWN="usbip")
    assert (again.returncode, again.stderr) == (0, "")
    assert not any("install" in call for call in machine.calls())


def test_lists_are_fetched_only_when_the_first_attempt_fails(machine: Machine) -> None:
    machine.user(0)
    machine.have("lists", "ensurepip")
    assert machine.run(".ci/setup", "test-all").returncode == 0
    assert not any("update" in call for call in machine.calls())


def test_ordinary_user_gets_packages_through_sudo(machine: Machine) -> None:
    machine.have("ensurepip", "headers", "lists", "sudoer")
    assert machine.run(".ci/setup", "test-all").returncode == 0
    installs = [call for call in machine.calls() if call.startswith("sudo") and "install" in call]
    assert len(installs) == 1
    quiet = f"{machine.clone}/.ci/without-daemons {machine.state}/policy-rc.d"
    begins = f"sudo -n {quiet} env DEBIAN_FRONTEND=noninteractive apt-get"
    assert installs[0].startswith(begins)
    assert "openssh-client" in installs[0]


@pytest.mark.parametrize("own", [False, True])
def test_no_daemon_is_started_by_what_is_installed(machine: Machine, own: bool) -> None:
    """Debian's packages ask policy-rc.d; a machine's own file is not touched."""
    machine.user(0)
    machine.have("ensurepip", "headers", "lists")
    policy = machine.state / "policy-rc.d"
    if own:
        policy.write_text("its own\n")
    asks = APT_GET.replace(
        "*install*)", '*install*)\n        cat "$STATE/policy-rc.d" >"$STATE/seen"'
    )
    machine.program("apt-get", asks)
    assert machine.run(".ci/setup", "test-all").returncode == 0
    assert (machine.state / "seen").read_text() == ("its own\n" if own else "#!/bin/sh\nexit 101\n")
    assert policy.exists() is own


def test_without_sudo_one_message_names_the_packages(machine: Machine) -> None:
    machine.have("ensurepip", "lists")
    done = machine.run(".ci/setup", "test-all")
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert said[:-1] == ["setup: making the virtual environment .venv"]
    assert said[-1].startswith("setup: make test-all needs from Debian: openssh-client")
    assert not any(call.startswith("apt-get") for call in machine.calls())


def test_without_apt_get_the_message_is_the_same(machine: Machine) -> None:
    machine.have("ensurepip")
    machine.user(0)
    (machine.programs / "apt-get").unlink()
    done = machine.run(".ci/setup", "test-all")
    assert done.returncode == 1
    assert "openssh-client" in done.stderr


def test_apt_get_that_fails_shows_its_log_and_the_message(machine: Machine) -> None:
    machine.have("ensurepip")
    machine.user(0)
    machine.program("apt-get", "#!/bin/sh\necho 'the mirror is down'\nexit 100\n")
    done = machine.run(".ci/setup", "test-all")
    assert done.returncode == 1
    assert "the mirror is down" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("setup: make test-all needs from Debian")


@pytest.mark.parametrize("level", ["test-all", "fuzz"])
def test_debian_packages_come_before_the_python_ones(machine: Machine, level: str) -> None:
    """pyscard is compiled against them, and against Python's headers."""
    machine.have("ensurepip", "lists")
    machine.user(0)
    assert machine.run(".ci/setup", level).returncode == 0
    calls = [call for call in machine.calls() if "apt-get" in call or "pip install" in call]
    words = ("libpcsclite-dev", "python3.11-dev", "--require-hashes", "--editable")
    kinds = [next(word for word in words if word in call) for call in calls]
    assert kinds == [*words[:3], *words[2:]]


def test_an_interpreter_without_headers_is_told_of(machine: Machine) -> None:
    machine.have("ensurepip", "packages")
    machine.program("python3", PYTHON.replace("echo /usr", "echo /opt/python"))
    done = machine.run(".ci/setup", "test-all")
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert len(said) == 2
    assert "Python.h" in said[-1]
    assert "FIDOKIT_PYTHON" in said[-1]
    assert not any("-m pip" in call for call in machine.calls())


def test_packages_can_be_left_to_the_user(machine: Machine) -> None:
    machine.have("ensurepip")
    assert machine.run(".ci/setup", "test-all", FIDOKIT_PACKAGES="skip").returncode == 0


@pytest.mark.parametrize("level", ["run", "check", "test", "site"])
def test_a_newcomer_needs_no_debian_packages(machine: Machine, level: str) -> None:
    """Neither apt-get nor root nor Python's headers are there, and nobody asks for them."""
    machine.have("ensurepip")
    (machine.programs / "apt-get").unlink()
    (machine.programs / "sudo").unlink()
    assert machine.run(".ci/setup", level).returncode == 0
    asked = machine.calls()
    assert not any("Python.h" in call or call.startswith("apt-get") for call in asked)


@pytest.mark.parametrize("level", ["", "everything"])
def test_unknown_level_is_refused(machine: Machine, level: str) -> None:
    done = machine.run(".ci/setup", level)
    assert done.returncode == 1
    assert (
        "venv, run, check, test, site, test-all, fuzz, matrix, pyz, release or lock" in done.stderr
    )


def test_command_runs_in_the_environment_from_the_top(machine: Machine) -> None:
    machine.have(*READY)
    done = machine.run(
        ".ci/in-venv",
        "run",
        "sh",
        "-c",
        'printf "%s\\n" "$PWD" "${PATH%%:*}" "$1"',
        "sh",
        "two words",
    )
    place = str(machine.clone)
    assert done.stdout.splitlines() == [place, f"{place}/.venv/bin", "two words"]


def test_command_does_not_run_when_the_set_up_fails(machine: Machine) -> None:
    machine.have("ensurepip")
    command = (".ci/in-venv", "test", "touch", str(machine.state / "ran"))
    done = machine.run(*command, FIDOKIT_PYTHON="nowhere")
    assert done.returncode == 1
    assert not (machine.state / "ran").exists()


def test_debian_packages_each_have_a_reason() -> None:
    lines = Path(".ci/debian-packages").read_text().splitlines()[1:]
    assert lines
    for line in lines:
        package, _, reason = line.partition("#")
        assert package.strip()
        assert " " not in package.strip()
        assert reason.strip()
