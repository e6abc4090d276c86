"""One powered token for several processes: who opens it first owns it, the others reach it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from tests.support.children import popen
from tests.virtual.core.client import Platform
from tests.virtual.store.kill_worker import LinkBench

from fidokit.errors import FidokitError, TokenBusy, TokenGone, TokenNotFound, UsageError
from fidokit.types import CtapStatus
from fidokit.unix_socket import socket_path
from fidokit.virtual import registry, shared
from fidokit.virtual.shared import OwnedLink, open_link
from fidokit.virtual.store.ownership import Ownership
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.memory import TokenLink
from fidokit.virtual.transports.socket import SocketLink

ROOT = Path(__file__).parents[2]
GET_INFO = b"\x04"
SELECTION = b"\x0b"
OK = b"\x00"


def ignore(_: int) -> None:
    pass


def never() -> bool:
    return False


def works(link: TokenLink) -> bool:
    return link.cbor(GET_INFO, ignore, never)[:1] == OK


@pytest.fixture(autouse=True)
def work(state_home: Path) -> Path:
    """A registered token's file; none may be left plugged in."""
    return registry.create("work").path


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(20)
    assert shared._here == {}


# --- in one process -------------------------------------------------------------------------


def test_the_first_link_plugs_it_in_and_the_last_pulls_it_out(work: Path) -> None:
    first, second = open_link("work"), open_link("work")
    assert isinstance(first, OwnedLink)
    assert isinstance(second, OwnedLink)
    with pytest.raises(TokenBusy):
        VirtualToken("work")
    first.close()
    first.close()
    assert works(second)
    second.close()
    assert not socket_path(work).exists()
    VirtualToken("work").close()


def test_a_closed_link_is_closed_though_others_go_on() -> None:
    first, second = open_link("work"), open_link("work")
    first.close()
    with pytest.raises(TokenGone):
        works(first)
    second.wink()
    second.close()


def test_beside_a_token_that_was_opened_by_hand() -> None:
    with VirtualToken("work", presence="script") as token:
        link = open_link("work")
        assert isinstance(link, SocketLink)
        token.touch()
        assert link.cbor(SELECTION, ignore, never) == OK
        link.close()


def test_a_token_that_was_pulled_out_is_plugged_in_anew() -> None:
    first = open_link("work")
    (plugged,) = shared._here.values()
    plugged.token.unplug()
    second = open_link("work")
    first.close()
    assert works(second)
    second.close()


def test_the_policy_of_the_one_who_plugs_it_in_counts() -> None:
    first, second = open_link("work", presence="deny"), open_link("work", presence="auto")
    assert second.cbor(SELECTION, ignore, never) == bytes([CtapStatus.OPERATION_DENIED])
    first.close()
    second.close()


@pytest.mark.parametrize(("name", "error"), [("none", TokenNotFound), ("../x", UsageError)])
def test_what_cannot_be_opened(name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        open_link(name)


def test_an_owner_that_shares_with_nobody_is_waited_for_and_then_named(work: Path) -> None:
    slept: list[float] = []
    with Ownership.acquire(work), pytest.raises(TokenBusy, match="plugged in already"):
        open_link("work", pauses=(0.1, 0.2), sleep=slept.append)
    assert slept == [0.1, 0.2]


def test_an_owner_that_leaves_meanwhile_makes_room(work: Path) -> None:
    owner = Ownership.acquire(work)
    link = open_link("work", pauses=(0.1, 0.2), sleep=lambda _: owner.release())
    assert isinstance(link, OwnedLink)
    link.close()


def test_threads_that_open_it_at_once_share_it() -> None:
    links: list[TokenLink] = []
    threads = [threading.Thread(target=lambda: links.append(open_link("work"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(links) == 8
    assert all(works(link) for link in links)
    for link in links:
        link.close()


def test_others_may_finish_when_the_owner_is_done(work: Path) -> None:
    own = open_link("work", presence="script")
    (plugged,) = shared._here.values()
    other = open_link_of_another_process(work)
    own.close()
    plugged.token.touch()
    assert other.cbor(SELECTION, ignore, never) == OK
    assert not socket_path(work).exists()
    other.close()


def test_but_not_for_ever(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "LINGER_S", 0.0)
    own = open_link("work")
    other = open_link_of_another_process(work)
    own.close()
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join(20)
    with pytest.raises(TokenGone):
        works(other)
    other.close()


def open_link_of_another_process(work: Path) -> TokenLink:
    """What `open_link` gives to a process that does not own the token."""
    key, plugged = shared._here.popitem()
    try:
        link = open_link("work")
    finally:
        shared._here[key] = plugged
    assert isinstance(link, SocketLink)
    return link


# --- several processes ----------------------------------------------------------------------


@contextmanager
def process(code: str) -> Iterator[subprocess.Popen[str]]:
    """Python that runs `code`; it ends with its standard input."""
    with popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
    ) as child:
        try:
            yield child
        finally:
            out_of(child.stdin).close()


def out_of(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


OWNER = """
import sys
from fidokit.virtual.token import VirtualToken
with VirtualToken("work") as token:
    print("powered", flush=True)
    sys.stdin.read()
"""

GUESS = """
from tests.virtual.core.client import Platform
from tests.virtual.store.kill_worker import LinkBench
from fidokit.virtual.shared import open_link
link = open_link("work")
bench = LinkBench.__new__(LinkBench)
bench.link = link
print(type(link).__name__, int(Platform(bench).try_pin("a wrong one")), flush=True)
link.close()
"""


def platform(link: TokenLink) -> Platform:
    bench = LinkBench.__new__(LinkBench)
    bench.link = link
    return Platform(bench)


@contextmanager
def owner() -> Iterator[subprocess.Popen[str]]:
    with process(OWNER) as child:
        assert out_of(child.stdout).readline() == "powered\n"
        yield child


def guess() -> str:
    with process(GUESS) as child:
        return out_of(child.stdout).readline().rstrip()


@pytest.mark.check("PIN-25")
def test_three_wrong_pins_of_three_processes_lock_the_token() -> None:
    with owner():
        link = open_link("work")
        assert isinstance(link, SocketLink)
        platform(link).set_pin("the right one")
        assert [guess() for _ in range(4)] == [
            f"SocketLink {int(status)}"
            for status in (
                CtapStatus.PIN_INVALID,
                CtapStatus.PIN_INVALID,
                CtapStatus.PIN_AUTH_BLOCKED,
                CtapStatus.PIN_AUTH_BLOCKED,
            )
        ]
        assert platform(link).try_pin("the right one") == CtapStatus.PIN_AUTH_BLOCKED
        link.close()
    link = open_link("work")  # the owner ended: power went with it
    assert isinstance(link, OwnedLink)
    assert platform(link).try_pin("the right one") == CtapStatus.OK
    link.close()


@pytest.mark.parametrize("end", [signal.SIGKILL, None])
def test_whoever_comes_after_an_owner_owns_it(end: signal.Signals | None, work: Path) -> None:
    with owner() as child:
        link = open_link("work")
        assert works(link)
        if end:
            child.send_signal(end)
        out_of(child.stdin).close()
        child.wait()
    assert socket_path(work).exists() is bool(end)
    with pytest.raises(TokenGone):
        works(link)
    link.close()
    again = open_link("work")
    assert isinstance(again, OwnedLink)
    assert works(again)
    assert socket_path(work).is_socket()
    again.close()
    assert {p.name for p in work.parent.iterdir()} == {"work.sqlite", "work.sqlite.lock"}


def test_a_child_of_fork_owns_nothing_of_its_parents() -> None:
    link = open_link("work")
    with warnings.catch_warnings():
        # From 3.12 on Python warns of forking beside threads; the child of a shell does it anyway.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(_in_child())
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert works(link)
    link.close()


def _in_child() -> int:
    try:
        other = open_link("work")
        good = isinstance(other, SocketLink) and works(other)
        other.close()
    except FidokitError:
        return 2
    return 0 if good else 1


SIGN = """
import sys
from fidokit.virtual.shared import open_link
for _ in range(20):
    link = open_link("work")
    while (reply := link.cbor(b"\\x0b", lambda _: None, lambda: False)) == b"\\x06":
        pass
    assert reply == b"\\x00", reply
    link.close()
print("done", flush=True)
"""


def test_processes_that_come_and_go_never_lose_their_token(work: Path) -> None:
    with process(SIGN) as first, process(SIGN) as second, process(SIGN) as third:
        for child in (first, second, third):
            assert out_of(child.stdout).readline() == "done\n"
    assert {p.name for p in work.parent.iterdir()} == {"work.sqlite", "work.sqlite.lock"}


# --- the owner's end -----------------------------------------------------------------------------


def test_others_are_waited_for_whichever_thread_closes_the_last_link() -> None:
    """A command closes its session in a thread that watches it, and such threads are daemons."""
    owner = open_link("work")
    guest = SocketLink(_connected())
    closing = threading.Thread(target=owner.close, daemon=True)
    closing.start()
    closing.join(10)
    assert any(not t.daemon for t in threading.enumerate() if t is not threading.main_thread())
    assert works(guest)
    guest.close()


def _connected() -> socket.socket:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    channel.connect(str(socket_path(registry.list_tokens()[0].path)))
    return channel


TURN = """
import os, sys, threading
from fidokit.virtual.shared import open_link
for _ in range(2):
    link = open_link("work")
    done = [link.cbor(b"\\x04", lambda _: None, lambda: False)[:1] for _ in range(3)]
    closing = threading.Thread(target=link.close, daemon=True)
    closing.start(); closing.join()
    assert done == [b"\\0"] * 3
os.write(1, b"done\\n")
"""


@pytest.mark.long
def test_two_hundred_rounds_of_four_processes_at_once() -> None:
    code = (
        "import os, sys, threading, fidokit.virtual.shared, fidokit.virtual.token\n"
        f"TURN = {TURN!r}\n"
        "for _ in range(200):\n"
        "    start, go = os.pipe(); children = []\n"
        "    for _ in range(4):\n"
        "        if not (child := os.fork()):\n"
        "            os.close(go); os.read(start, 1)\n"
        "            try:\n"
        "                exec(TURN, {})\n"
        "            except BaseException as error:\n"
        "                print(repr(error)); sys.stdout.flush(); os._exit(1)\n"
        "            for t in threading.enumerate():\n"
        "                if t is not threading.current_thread() and not t.daemon: t.join()\n"
        "            sys.stdout.flush(); os._exit(0)\n"
        "        children.append(child)\n"
        "    os.close(start); os.close(go)\n"
        "    [os.waitpid(child, 0) for child in children]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=500
    )
    assert done.stdout.split("\n")[:-1] == ["done"] * 800
