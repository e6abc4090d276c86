"""Random values before keys: our verdict against the acceptance of the installed sshd.

Each round has a file of lines, each with a key of its own; one connection asks about all of them,
from addresses that are ours alone in a network namespace.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from fidokit.openssh.keys.public import Ed25519Public, PublicLine
from fidokit.openssh.lines.admission import place_fits, problems
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, parse_line
from fidokit.server.authorize.local import find_local
from fidokit.server.authorize.wishes import SshdFacts, WantedKey, too_new
from fidokit.server.sshd.key_questions import KeyQuestion, PublicText
from fidokit.server.sshd.query import LoginOrigin, find_sshd
from fidokit.server.sshd.trial import Trial, bench, environment

pytestmark = [pytest.mark.interop, pytest.mark.root]

SEED, ROUNDS, LINES = 13, 6, 50
ADDRESSES = ("127.0.0.1", "192.0.2.7", "10.0.0.1", "2001:db8::7")
ITEMS = """
* ? 127.* 127.0.0.1 127.0.0.0/8 127.0.0.1/8 127.0.0.1/32 127/8 127.1 192.0.2.0/24 192.0.2.7/24
192.0.2.7/32 192.0.2.* 192.0.2.? 10.0.0.0/8 10.0/16 10/8 0.0.0.0/0 0.0.0.0/1 10.0.0.1/33 ::1 ::/0
2001:db8::/32 2001:db8::7 2001:DB8::7 2001:db8::7/64 2001:db8:* localhost *.example.org [::1]
a/8 /8 10.0.0.0/ 10.0.0.0/x 256.1.1.1 0x7f.1 127.0.0.1%lo - .
""".split()  # noqa: SIM905


def from_list(rng: random.Random) -> str:
    items = [rng.choice(("", "", "", "!")) + rng.choice(ITEMS) for _ in range(rng.randrange(1, 4))]
    items += [""] if rng.random() < 0.05 else []
    rng.shuffle(items)
    return rng.choice((",", ",", ",", ", ")).join(items)


def options(rng: random.Random) -> str:
    kinds = rng.random()
    if kinds < 0.6:
        return f'from="{from_list(rng)}"'
    day = rng.choice(("20200101", "20990101", "202001010000Z", "209901010000Z", "209913010000"))
    more = ["restrict", "no-pty", 'principals="root"', "cert-authority", f'expiry-time="{day}"']
    more += ['command="a"', 'environment="A=b"', "verify-required", "bogus", 'tunnel="x"']
    picked = rng.sample(more, rng.randrange(1, 3))
    return ",".join([*picked, *([f'from="{from_list(rng)}"'] if kinds > 0.9 else [])])


def some_key(rng: random.Random) -> PublicLine:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
    return PublicLine(Ed25519Public(private.public_key().public_bytes_raw()), "")


def admits(line: bytes, address: str, now: float, facts: SshdFacts) -> bool:
    """Our verdict."""
    read = parse_line(line)
    if not isinstance(read, AuthorizedKey) or read.is_authority or read.has("principals"):
        return False
    if too_new(WantedKey(read.key, options=read.options), facts):
        return False
    if any("is past" in why for why in problems(read.options, now=now)):
        return False
    places = read.value("from")
    return places is None or place_fits(places, address) is True


@contextmanager
def asking(folder: Path) -> Iterator[Trial]:
    keys = folder / "keys"
    with bench() as made:
        text = f"AuthorizedKeysFile {keys}\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
        config = made.stage_config("config", text.encode())
        yield Trial(made, find_sshd(), config, environment())


def test_random_lines(tmp_path: Path, stock: Callable[[str], str]) -> None:
    stock("/usr/sbin/sshd")
    rng = random.Random(SEED)
    tried = taken = futile = 0
    with asking(tmp_path) as trial:
        facts = SshdFacts(version=find_local(trial.sshd).version)
        assert facts.version
        for _ in range(ROUNDS):
            keys = [some_key(rng) for _ in range(LINES)]
            lines = [f"{options(rng)} {key.encode()}".encode() for key in keys]
            (tmp_path / "keys").write_bytes(b"".join(line + b"\n" for line in lines))
            address = rng.choice(ADDRESSES)
            question = KeyQuestion(
                "root", tuple(map(PublicText.of, keys)), LoginOrigin(address, address)
            )
            for line, answer in zip(lines, trial.ask(question), strict=True):
                ours = admits(line, address, time.time(), facts)
                assert answer.accepted is ours, (SEED, address, line, answer)
                tried, taken = tried + 1, taken + ours
                futile += denies_all(line)
                assert not (ours and denies_all(line)), line
    assert tried == ROUNDS * LINES
    assert taken > tried // 10
    assert futile > tried // 10


def denies_all(line: bytes) -> bool:
    """Whether we would refuse to write such a line, because it lets nobody in."""
    read = parse_line(line)
    said = problems(read.options) if isinstance(read, AuthorizedKey) else []
    return any("denies everybody" in why or "denies all" in why for why in said)
