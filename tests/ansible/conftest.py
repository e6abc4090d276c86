"""A controller of either ansible-core, and hosts of each Debian release."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.agent_host import Host, make_host, serving, sk_key, virtual_token
from tests.support.ansible_site import HERE, Controller, Target, build, know, newest, oldest, target
from tests.support.children import place, popen
from tests.support.roots import elsewhere
from tests.support.suites import brings

SUITES = (
    HERE,
    *(pytest.param(suite, marks=pytest.mark.releases) for suite in elsewhere() if suite != HERE),
)


@pytest.fixture(scope="session")
@brings("interop")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of collections with ours."""
    return build(tmp_path_factory.mktemp("collections"))


@pytest.fixture(scope="session")
@brings("interop")
def token_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A home with a token that is touched at once; its agent has the key `root`."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ansible-", dir=place()) as folder:
        host = make_host(Path(folder) / "home")
        (host.home / "bin").mkdir()
        program = host.home / "bin/fidokit"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m fidokit "$@"\n')
        program.chmod(0o755)
        virtual_token(host)
        serve = [sys.executable, "-m", "fidokit", "virtual", "serve", "t"]
        with popen(serve, env=host.env, stdout=subprocess.PIPE) as token:
            assert token.stdout
            assert b"plugged in" in token.stdout.readline()
            host.env["FIDOKIT_TOKEN"] = "virtual:t"
            for name in ("root", "alice"):
                sk_key(host, name, "-t", "ed25519-sk")
            host.keygen("-t", "ed25519", "-N", "", "-f", "plain", "-C", "plain")
            with serving(host, *(host.home / name for name in ("root", "alice", "plain"))):
                yield host
            token.terminate()


@pytest.fixture(scope="module")
def root_line(token_host: Host) -> str:
    """The key by which Ansible logs in."""
    return (token_host.home / "root.pub").read_text()


@pytest.fixture(scope="module", params=SUITES)
@brings("root")
def site(
    request: pytest.FixtureRequest, token_host: Host, collections: Path, root_line: str
) -> Iterator[Controller]:
    """A controller with one host: this machine's own release with the old Ansible, each other
    release with the new one."""
    program = oldest() if request.param == HERE else newest()
    with target(request.param, root_line) as host:
        know(token_host, host)
        controller = Controller(token_host, collections, program, {"web": host})
        yield controller
        controller.hang_up()


@pytest.fixture
def web(site: Controller) -> Target:
    """The host."""
    return site.targets["web"]
