"""`fidokit key publish`: what is shown, and the exit status, with a stand-in on loopback."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.server.samples import TOKEN, text
from tests.support.key_site import ACCOUNT, StandIn, key_site
from tests.support.sandbox import Sandbox

Run = Callable[..., int]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(params=["gh", "gl"])
def site(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[StandIn]:
    with key_site(tmp_path, request.param) as made:
        for name, value in made.environ(os.environ["PATH"]).items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def key(sandbox: Sandbox) -> str:
    (sandbox.home / "id.pub").write_bytes(text(TOKEN))
    return "id.pub"


def prefix(site: StandIn) -> str:
    return "gh:" if site.variable == "GH_HOST" else "gl:"


def test_added_then_there(in_process: Run, site: StandIn, key: str, capsys: Capture) -> None:
    site.log_in(ACCOUNT, "admin:public_key")
    name = {"gh:": "GitHub", "gl:": "GitLab"}[prefix(site)]
    assert in_process("key", "publish", prefix(site), key, "--title", "my key") == 0
    assert capsys.readouterr().out == f"added  token to {name} ({ACCOUNT})\n"
    assert site.keys()[0].endswith(" my key")
    assert in_process("key", "publish", f"{prefix(site)}{ACCOUNT}", key, "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["published"]
    assert (found["state"], found["account"], found["page"]) == ("was there", ACCOUNT, "")


def test_by_hand(in_process: Run, site: StandIn, key: str, capsys: Capture) -> None:
    assert in_process("key", "publish", prefix(site), key, "--signing") == 1
    shown = capsys.readouterr().out
    assert "by hand for signatures (" in shown
    assert f"  page   {site.host}/" in shown
    assert f"  key    {TOKEN.encode()}\n" in shown
    assert ("  type   Signing Key\n" in shown) is (prefix(site) == "gh:")
    assert in_process("key", "publish", prefix(site), key, "--json") == 1
    (found,) = json.loads(capsys.readouterr().out)["published"]
    assert (found["state"], found["text"]) == ("to be added by hand", TOKEN.encode())


def test_refused(in_process: Run, site: StandIn, key: str, capsys: Capture) -> None:
    site.log_in(ACCOUNT, "admin:public_key")
    site.put("others", TOKEN.encode())
    assert in_process("key", "publish", prefix(site), key) == 1
    assert "does not take the key token" in capsys.readouterr().err
    (site.folder / "others").unlink()
    (site.folder / "hidden").touch()
    assert in_process("key", "publish", prefix(site), key) == 0
    assert "its public list does not show it yet" in capsys.readouterr().out


def test_a_key_without_touch(
    in_process: Run, site: StandIn, sandbox: Sandbox, capsys: Capture
) -> None:
    site.log_in(ACCOUNT, "admin:public_key")
    assert in_process("virtual", "create", "t") == 0
    made = ("key", "generate", "-q", "-f", "id", "--no-passphrase", "-O", "no-touch-required")
    assert in_process(*made) == 0
    capsys.readouterr()
    assert in_process("key", "publish", prefix(site), "id.pub") == 0
    assert "refuse keys that sign without a touch" in capsys.readouterr().err


def test_usage(in_process: Run, sandbox: Sandbox, key: str, capsys: Capture) -> None:
    assert in_process("key", "publish", "gh:") == 2
    assert in_process("key", "publish", "lp:", key) == 2
    assert "say gh: or gl:" in capsys.readouterr().err
