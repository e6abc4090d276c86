"""kill -9 of the process that has a token plugged in, while clients outside of it work with it."""

from __future__ import annotations

import random
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.virtual.core.client import Answer, AuthData, descriptor, encode, get_request
from tests.virtual.core.client import make_request as making
from tests.virtual.store.test_kill import KILLS, Worker, worker

from fidokit.errors import TokenGone
from fidokit.types import CtapStatus
from fidokit.virtual import registry
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.memory import TokenLink
from fidokit.virtual.transports.socket import connect

pytestmark = pytest.mark.long

__all__ = ["worker"]

CLIENTS = 3
USERS = 12
MAKE, GET = b"\x01", b"\x02"


def ask(link: TokenLink, request: bytes) -> Answer:
    """The answer, however often the token is busy with somebody else."""
    while True:
        answer = Answer.parse(link.cbor(request, lambda _: None, lambda: False))
        if answer.status != CtapStatus.CHANNEL_BUSY:
            return answer


@dataclass
class Client:
    """Somebody with a relying party of their own, and what the token acknowledged to them."""

    rp: str
    ids: dict[int, bytes] = field(default_factory=dict)
    counters: list[int] = field(default_factory=list)
    unsure: int | None = None
    """The user whose key was being made or replaced when the token went."""

    def work(self, link: TokenLink, told: threading.Semaphore, rng: random.Random) -> None:
        """Make keys and use them until the token is gone."""
        try:
            while True:
                user = rng.randrange(USERS)
                if user in self.ids and rng.randrange(3):
                    self.use(link, user)
                else:
                    self.make(link, user)
                told.release()
        except TokenGone:
            told.release()

    def make(self, link: TokenLink, user: int) -> None:
        self.unsure = user
        request = making({2: {"id": self.rp}, 3: {"id": bytes([user])}}, rk=True)
        answer = ask(link, MAKE + encode(request))
        assert answer.status == 0
        data = AuthData.parse(answer.body[2])
        self.ids[user] = data.credential_id
        self.counters.append(data.counter)
        self.unsure = None

    def use(self, link: TokenLink, user: int) -> int:
        """The status; a refusal is told, not raised."""
        request = get_request({1: self.rp, 3: [descriptor(self.ids[user])]})
        answer = ask(link, GET + encode(request))
        if answer.status == 0:
            self.counters.append(AuthData.parse(answer.body[2]).counter)
        return answer.status

    def judge(self, link: TokenLink) -> None:
        """Whatever was acknowledged is there; what was not, is there whole or not at all."""
        if self.unsure in self.ids and self.use(link, self.unsure) == CtapStatus.NO_CREDENTIALS:
            del self.ids[self.unsure]  # the new one took its place
        self.unsure = None
        assert {self.use(link, user) for user in self.ids} <= {0}


def work_until_killed(owner: Worker, path: Path, clients: list[Client], rng: random.Random) -> None:
    assert owner.line() == b"serving\n"
    told = threading.Semaphore(0)
    links = [connect(path) for _ in clients]
    threads = []
    for client, link in zip(clients, links, strict=True):
        assert link is not None
        args = (link, told, random.Random(rng.random()))
        threads.append(threading.Thread(target=client.work, args=args))
    for thread in threads:
        thread.start()
    for _ in range(rng.randint(1, 40)):
        assert told.acquire(timeout=60)
    assert owner.kill(rng, 100_000) == []
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    for link in filter(None, links):
        link.close()


def taken(clients: list[Client]) -> list[int]:
    """The counters that the clients were given since this was last asked."""
    counters = [counter for client in clients for counter in client.counters]
    for client in clients:
        client.counters.clear()
    return counters


def test_kill_of_the_owner_loses_nothing_that_its_clients_were_told(
    state_home: Path,  # before the worker, which takes it over
    worker: subprocess.Popen[bytes],
) -> None:
    path = registry.create("load").path
    rng = random.Random()
    clients = [Client(f"ssh:{number}") for number in range(CLIENTS)]
    highest = made = 0
    for _ in range(KILLS // 2):
        work_until_killed(Worker(worker, "serve 0 load"), path, clients, rng)
        given = taken(clients)
        with VirtualToken("load") as token:
            link = token.link()
            for client in clients:
                client.judge(link)
        judged = taken(clients)
        assert len({*given, *judged}) == len(given) + len(judged), "a counter was repeated"
        assert highest < min(given, default=highest + 1)
        highest = max(given, default=highest)
        assert highest < min(judged, default=highest + 1)
        highest = max(judged, default=highest)
        made += len(given)
    assert made > KILLS
    assert all(client.ids for client in clients)
