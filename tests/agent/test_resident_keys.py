"""Resident keys on tokens that are plugged in, listed for the agent; tokens are scripted."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import Mock

import pytest
from tests.support import agent_keys
from tests.support.desk import Desk
from tests.support.signers import certificate, ed25519_key

from fidokit.agent.core.held_keys import HeldKey
from fidokit.agent.notices import Notices
from fidokit.agent.pin.cache import PinCache
from fidokit.agent.pin.child import Children
from fidokit.agent.served_files import CertificateFolders
from fidokit.agent.token_desk import Residents, TokenDesk
from fidokit.keys.stored_certificates import certificate_line
from fidokit.openssh.certificates.certificate import Certificate

pytestmark = pytest.mark.usefixtures("home")

LISTING_CHILD = """
import base64, json, os, sys
order = json.loads(sys.stdin.readline())
with open({log!r}, "a") as log:
    print(order["token"], order["remember"], file=log)
if order["token"] == "usb:LOCKED":
    print(json.dumps(dict(error="PinRequired", message="nobody answered", hint="")))
else:
    rows = [dict(key=key, comment="on " + order["token"]) for key in {keys!r}]
    print(json.dumps(dict(keys=rows, problems={problems!r})))
"""


def _child(log: Path, keys: Sequence[str], problems: Sequence[str]) -> str:
    return LISTING_CHILD.format(log=str(log), keys=list(keys), problems=list(problems))


class ResidentBench:
    def __init__(
        self,
        desk: Desk,
        folder: Path,
        *,
        remember: bool = False,
        certificates: Sequence[Certificate] = (),
        problems: Sequence[str] = (),
        folders: Sequence[Path] = (),
    ) -> None:
        from base64 import b64encode

        private = agent_keys.sk()
        held = [private, *(private._replace(certificate=one) for one in certificates)]
        keys = [b64encode(key.encode()).decode() for key in held]
        self.blobs: dict[str, list[bytes]] = {}
        self.log = folder / "children"
        self.found: dict[str, list[str]] = {}
        self.lines: list[str] = []
        command = [sys.executable, "-c", _child(self.log, keys, problems)]
        signer = TokenDesk(
            lambda *, watched: list(desk.candidates()),
            Children(command, threading.Lock()),
            Notices(self.lines.append),
            PinCache(0, lambda: 0.0),
            lambda: 0.0,
        )
        self.residents = Residents(
            signer,
            self.note,
            self.lines.append,
            remember=remember,
            folders=CertificateFolders(folders, self.lines.append),
        )

    def note(self, selector: str, entries: Sequence[HeldKey]) -> None:
        self.found[selector] = [entry.comment for entry in entries]
        self.blobs[selector] = [entry.blob for entry in entries]

    def look(self) -> None:
        self.residents.look()
        self.residents.wait()

    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def make(desk: Desk, folder: Path) -> Callable[..., ResidentBench]:
    return lambda **how: ResidentBench(desk, folder, **how)


def test_each_token_is_listed_once(make: Callable[..., ResidentBench], desk: Desk) -> None:
    bench = make()
    for _ in range(3):
        bench.look()
    assert bench.asked() == ["usb:ONE None"]
    assert bench.found == {"usb:ONE": ["on usb:ONE"]}


def test_one_that_is_plugged_in_later(make: Callable[..., ResidentBench], desk: Desk) -> None:
    bench = make()
    bench.look()
    desk.plug("TWO")
    bench.look()
    assert bench.found == {"usb:ONE": ["on usb:ONE"], "usb:TWO": ["on usb:TWO"]}


def test_unplugging_takes_its_keys_away_and_plugging_lists_again(
    make: Callable[..., ResidentBench], desk: Desk
) -> None:
    bench = make()
    bench.look()
    desk.plugged.clear()
    bench.look()
    assert bench.found == {"usb:ONE": []}
    desk.plugged.add("ONE")
    bench.look()
    assert bench.found == {"usb:ONE": ["on usb:ONE"]}
    assert len(bench.asked()) == 2


def test_an_owner_who_does_not_answer_is_not_asked_again(
    make: Callable[..., ResidentBench], desk: Desk
) -> None:
    desk.plug("LOCKED")
    bench = make()
    for _ in range(3):
        bench.look()
    assert bench.found == {"usb:ONE": ["on usb:ONE"]}
    assert len(bench.asked()) == 2
    assert any("nobody answered" in line for line in bench.lines)


def test_a_defect_while_listing_is_logged_and_the_token_listed_again(
    make: Callable[..., ResidentBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make()
    with monkeypatch.context() as patch:
        patch.setattr(TokenDesk, "by_child", Mock(side_effect=ValueError("a mistake of ours")))
        for tries in (1, 2, 3, 3, 3):
            bench.look()
            assert len(bench.lines) == tries
    assert "ValueError: a mistake of ours" in bench.lines[0]
    assert not bench.found


def test_a_defect_that_passes_leaves_nothing_behind(
    make: Callable[..., ResidentBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make()
    with monkeypatch.context() as patch:
        patch.setattr(TokenDesk, "by_child", Mock(side_effect=OSError("no process")))
        bench.look()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError("no thread")))
        with pytest.raises(RuntimeError, match="no thread"):
            bench.look()
    bench.look()
    assert bench.found == {"usb:ONE": ["on usb:ONE"]}


def test_the_right_to_list_is_kept_where_that_is_wanted(make: Callable[..., ResidentBench]) -> None:
    bench = make(remember=True)
    bench.look()
    assert bench.asked() == ["usb:ONE True"]


ON_TOKEN = certificate(agent_keys.sk().public, ed25519_key(9), serial=1)
IN_FOLDER = certificate(agent_keys.sk().public, ed25519_key(9), serial=2)


def test_certificates_of_the_token_and_of_a_folder(
    make: Callable[..., ResidentBench], tmp_path: Path
) -> None:
    key = agent_keys.sk().public.blob()
    path = tmp_path / "k-cert.pub"
    path.write_bytes(certificate_line(IN_FOLDER, "me"))
    bench = make(certificates=[ON_TOKEN], problems=["a broken one"], folders=[tmp_path])
    bench.look()
    assert bench.blobs == {"usb:ONE": [key, IN_FOLDER.blob(), ON_TOKEN.blob()]}
    assert "not served from usb:ONE: a broken one" in bench.lines
    assert "serving 1 key and 1 certificate on usb:ONE" in bench.lines
    path.unlink()
    bench.look()
    assert bench.blobs == {"usb:ONE": [key, ON_TOKEN.blob()]}
    assert len(bench.asked()) == 1  # the token was asked for nothing more
