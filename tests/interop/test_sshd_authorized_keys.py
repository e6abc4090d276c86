"""Stock sshd as the judge of authorized_keys: it passes over the lines that we call bad.

One login attempt makes sshd read a whole file and log what it thinks of each line. The key of
the login is in none of them, so that sshd never stops early, but of the same type as theirs: at
other types sshd does not look.
"""

from __future__ import annotations

import getpass
import os
import random
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.support.signers import ed25519_key

from fidokit.openssh.keys.public import PublicLine
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, parse_line
from fidokit.openssh.lines.options import FLAGS

pytestmark = pytest.mark.interop

SSHD = "/usr/sbin/sshd"
CONFIG = """\
HostKey {folder}/host
AuthorizedKeysFile {folder}/keys
StrictModes no
UsePAM yes
LogLevel DEBUG3
PidFile none
"""
Judge = Callable[[Sequence[bytes]], list[bool]]


def refused(log: str) -> set[int]:
    """The numbers of the lines whose options sshd did not take."""
    number, numbers = 0, set()
    for entry in log.splitlines():
        named = re.search(r"/keys:(\d+): ", entry)
        number = int(named.group(1)) if named else number
        if "bad key options" in entry or "invalid key option string" in entry:
            numbers.add(number)
    return numbers


@pytest.fixture
def sshd(stock: Callable[[str], str], tmp_path: Path) -> Judge:
    """Gives, for each line, whether sshd takes its options."""
    ssh, keygen = stock("ssh"), stock("ssh-keygen")
    stock(SSHD)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd run by root insists on it
    for name in ("host", "user"):
        make: list[str | Path] = [keygen, "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name]
        subprocess.run(make, check=True, timeout=60)
    (tmp_path / "config").write_text(CONFIG.format(folder=tmp_path))
    proxy = f"ProxyCommand={SSHD} -i -f {tmp_path}/config -E {tmp_path}/log"
    options = (
        proxy,
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "IdentitiesOnly=yes",
        "PreferredAuthentications=publickey",
        "BatchMode=yes",
    )
    login = [ssh, "-F", "none", "-i", str(tmp_path / "user"), f"{getpass.getuser()}@nowhere"]
    login[1:1] = [part for option in options for part in ("-o", option)]

    def judge(lines: Sequence[bytes]) -> list[bool]:
        (tmp_path / "keys").write_bytes(b"".join(line + b"\n" for line in lines))
        subprocess.run(login, check=False, capture_output=True, timeout=60)
        log = (tmp_path / "log").read_text(errors="replace")
        assert f"processed {len(lines)}/{len(lines)} lines" in log, log
        bad = refused(log)
        return [number not in bad for number in range(1, len(lines) + 1)]

    return judge


KEY = PublicLine(ed25519_key().public, "").encode().encode()
LISTS = [
    *sorted(FLAGS),
    *(name.upper() for name in sorted(FLAGS)),
    "no-restrict",
    "no-cert-authority",
    "frob",
    "pty,",
    ",pty",
    "pty,,restrict",
    ",",
    ",,",
    'pty="yes"',
    "pty=",
    "pty-x",
    "command",
    "command=",
    "command=x",
    'command=""',
    'COMMAND="x"',
    'command="a b"',
    'command="a \\" b"',
    'command="a \\\\ b"',
    'command="a \\n b"',
    'command="a',
    'command="a\\"',
    'command="a"b',
    'command="a","b"',
    'command="a",command="b"',
    'from="10.*",from="11.*"',
    'from=""',
    'principals="a,b"',
    'principals="a",principals="b"',
    'environment="A=b"',
    'environment="A"',
    'environment="=b"',
    'environment="A-B=c"',
    'environment="a_1="',
    'environment="A=b",environment="A=c"',
    'expiry-time="20300101"',
    'expiry-time="20300101Z"',
    'expiry-time="203001011200utc"',
    'expiry-time="2030010112"',
    'expiry-time="20301301"',
    'expiry-time="20300230"',
    'expiry-time="19700101Z"',
    'expiry-time="20300101",expiry-time="20310101"',
    'permitopen="localhost:80"',
    'permitopen="localhost:http"',
    'permitopen="localhost:0"',
    'permitopen="localhost:65535"',
    'permitopen="localhost:65536"',
    'permitopen="localhost:080"',
    'permitopen="localhost:-1"',
    'permitopen="localhost:*"',
    'permitopen="*:80"',
    'permitopen=":80"',
    'permitopen="80"',
    'permitopen="localhost"',
    'permitopen="localhost:"',
    'permitopen=""',
    'permitopen="[::1]:80"',
    'permitopen="[::1]80"',
    'permitopen="[::1:80"',
    'permitopen="::1:80"',
    'permitopen="a/80"',
    'permitopen="[a]/80"',
    'permitopen="a:80:81"',
    'permitopen="a:80 "',
    'permitlisten="8080"',
    'permitlisten="*"',
    'permitlisten="0"',
    'permitlisten="localhost:8080"',
    'permitlisten="localhost/8080"',
    'permitlisten="[::]:8080"',
    'permitlisten="http"',
    'permitlisten=""',
    'tunnel="0"',
    'tunnel="any"',
    'tunnel="ANY"',
    'tunnel="any:any"',
    'tunnel="-1"',
    'tunnel="2147483645"',
    'tunnel="2147483646"',
    'tunnel="2147483647"',
    'tunnel=""',
    'tunnel="x"',
    '"',
    "\\",
    "=",
    "é",
]


def ours(lines: Sequence[bytes]) -> list[bool]:
    return [isinstance(parse_line(line), AuthorizedKey) for line in lines]


def disagreements(lines: Sequence[bytes], theirs: list[bool]) -> list[tuple[bytes, bool, object]]:
    return [
        (line, verdict, parse_line(line))
        for line, verdict, own in zip(lines, theirs, ours(lines), strict=True)
        if verdict is not own
    ]


def test_every_option(sshd: Judge) -> None:
    lines = [text.encode() + b" " + KEY for text in LISTS]
    theirs = sshd(lines)
    assert disagreements(lines, theirs) == []
    assert 40 < sum(theirs) < len(lines) - 40


def test_lists_put_together_at_random(sshd: Judge) -> None:
    rng = random.Random(1)
    good = [text for text in LISTS if ours([text.encode() + b" " + KEY])[0]]
    lines = []
    for _ in range(1000):
        parts = rng.choices(good, k=rng.randrange(1, 5)) + rng.choices(LISTS, k=rng.random() < 0.3)
        lines.append(",".join(parts).encode() + rng.choice([b" ", b"\t", b"  "]) + KEY)
    theirs = sshd(lines)
    assert disagreements(lines, theirs) == []
    assert 100 < sum(theirs) < 900
