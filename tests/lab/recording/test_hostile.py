"""A recording of anything: it is explained, captured and replayed without an exception."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest
from tests.lab.recording.sessions import session

from fidokit.errors import MalformedFile
from fidokit.lab.recording.blanking import blanked_answer, blanked_request
from fidokit.lab.recording.capture import pcapng
from fidokit.lab.recording.explanation import explained_session
from fidokit.lab.recording.recorder import read_recording
from fidokit.virtual.recorded import KINDS, Recording, decode
from fidokit.virtual.replay import ReplayingAuthenticator
from fidokit.virtual.world import ManualClock


def mutated(chance: random.Random, data: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(made) + 1)
        match chance.randrange(4):
            case 0:
                made[at:at] = chance.randbytes(chance.randrange(5))
            case 1:
                del made[at : at + chance.randrange(6)]
            case 2 if made:
                made[min(at, len(made) - 1)] = chance.randrange(256)
            case _:
                del made[at:]
    return bytes(made)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    path: Path = tmp_path_factory.mktemp("recorded") / "r"
    session(path)
    return read_recording(path)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_messages(recording: Recording, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(150):
        kept = chance.choice(recording.exchanges)
        request, answer = mutated(chance, kept.request), mutated(chance, kept.answer)
        said = ((1, chance.randrange(256)),)
        exchange = kept._replace(
            request=request, answer=answer, kind=chance.choice(KINDS), keepalives=said
        )
        damaged = recording._replace(exchanges=(exchange,))
        (told,) = explained_session(damaged)
        shown = [*told.request.values(), *told.answer.values(), told.name, told.status]
        assert all(text.isascii() and text.isprintable() for text in shown)
        assert len(pcapng(damaged)) % 4 == 0
        assert len(blanked_request(request)) == len(request)
        assert len(blanked_answer(request[0] if request else -1, answer)) == len(answer)
        replaying = ReplayingAuthenticator(damaged.encode().decode(), ManualClock())
        replaying.begin(mutated(chance, request))
        replaying.begin_msg(mutated(chance, request))
        with suppress(MalformedFile):
            decode(mutated(chance, damaged.encode()))
