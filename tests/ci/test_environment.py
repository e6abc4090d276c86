"""What the caller's shell has set must not reach the set-up, except where packages come from."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ci.conftest import Machine

SHOW = '#!/usr/bin/env bash\ncd "$(dirname "$0")"\n. .ci/environment\nenv\n'


def seen(machine: Machine, **variables: Any) -> dict[str, str]:
    script = machine.clone / "show"
    script.write_text(SHOW)
    script.chmod(0o755)
    done = machine.run("show", **variables)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


@pytest.mark.parametrize(
    "name",
    [
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONWARNINGS",
        "PYTHONSTARTUP",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_REQUIRE_HASHES",
        "PIP_NO_DEPS",
        "PIP_CONSTRAINT",
        "CDPATH",
    ],
)
def test_dropped(machine: Machine, name: str) -> None:
    assert name not in seen(machine, **{name: "/elsewhere"})


@pytest.mark.parametrize(
    "name",
    [
        *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"),
        *("PIP_CONFIG_FILE", "PIP_TRUSTED_HOST", "UV_INDEX", "UV_INDEX_URL", "UV_DEFAULT_INDEX"),
    ],
)
def test_no_variable_says_where_packages_come_from(machine: Machine, name: str) -> None:
    """The machine's own files do, and the hashes say which packages those are."""
    assert name not in seen(machine, **{name: "/elsewhere"})


@pytest.mark.parametrize("name", ["PIP_CERT", "PIP_PROXY", "PIP_CACHE_DIR"])
def test_how_to_reach_the_index_is_kept(machine: Machine, name: str) -> None:
    assert seen(machine, **{name: "/elsewhere"})[name] == "/elsewhere"


def test_installing_for_the_user_is_switched_off(machine: Machine) -> None:
    assert seen(machine, PIP_USER="1")["PIP_USER"] == "0"


def test_active_environment_leaves_the_path(machine: Machine) -> None:
    path = f"/some/env/bin:{machine.programs}:{machine.clone}/.venv/bin"
    found = seen(machine, VIRTUAL_ENV="/some/env", PATH=path)
    assert "VIRTUAL_ENV" not in found
    assert found["PATH"] == str(machine.programs)
