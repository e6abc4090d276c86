"""The throw-away sshd: which keys it takes, by which line, from which place; and what stops it."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.support.agent_host import stock

from fidokit.errors import FidokitError
from fidokit.openssh.keys.public import parse_public_line
from fidokit.server.sshd import trial
from fidokit.server.sshd.key_questions import KeyQuestion, PublicText
from fidokit.server.sshd.query import LOOPBACK, LoginOrigin, Sshd
from fidokit.server.sshd.trial import Bench, Trial

pytestmark = pytest.mark.interop

ME = pwd.getpwuid(os.geteuid()).pw_name
KEYS = 8
DOCUMENTATION = LoginOrigin("203.0.113.9", "203.0.113.9", "203.0.113.1", "2222")
SIX = LoginOrigin("2001:db8::9", "2001:db8::9", "2001:db8::1", "22")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("keys")
    made = [folder / f"k{number}" for number in range(KEYS)]
    for path in made:
        kind = ("ecdsa", "ed25519", "rsa")[int(path.name[1:]) % 3]
        command = [stock("ssh-keygen"), "-q", "-t", kind, "-N", "", "-f", str(path)]
        subprocess.run(command, check=True)
    return made


@pytest.fixture
def bench() -> Iterator[Bench]:
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd's own demand
    with trial.bench() as made:
        yield made


def text_of(path: Path) -> PublicText:
    return PublicText.of(parse_public_line(path.with_suffix(".pub").read_bytes()))


def serving(bench: Bench, folder: Path, lines: Sequence[str], *settings: str) -> Trial:
    authorized = folder / "authorized"
    authorized.write_text("".join(f"{line}\n" for line in lines))
    config = folder / "sshd_config"
    own = [f"AuthorizedKeysFile {authorized}", "StrictModes no", "PermitRootLogin yes"]
    host_key = f"HostKey {bench.host_key}"
    config.write_text("\n".join([*own, host_key, *settings]) + "\n")
    sshd = Sshd("/usr/sbin/sshd", ("-f", str(config)))
    return Trial(bench, sshd.program, bench.stage_original("c", sshd), trial.environment())


def lines_of(keys: Sequence[Path], options: str = "") -> list[str]:
    return [options + text_of(path).text for path in keys]


def test_many_keys_of_a_connection_with_their_lines(
    bench: Bench, tmp_path: Path, keys: list[Path]
) -> None:
    """No Match block keeps it from being asked, nor from saying where a key stands."""
    block = (f"Match User {ME}", "MaxAuthTries 1", "LogLevel QUIET", "ForceCommand false")
    server = serving(bench, tmp_path, ["# first", *lines_of(keys[:3])], *block)
    answers = server.ask(KeyQuestion(ME, tuple(map(text_of, keys))))
    assert [answer.accepted for answer in answers] == [True] * 3 + [False] * (KEYS - 3)
    assert [str(answer.place) for answer in answers[:3]] == [
        f"{tmp_path}/authorized:{line}" for line in (2, 3, 4)
    ]


def test_many_users_at_once(bench: Bench, tmp_path: Path, keys: list[Path]) -> None:
    server = serving(bench, tmp_path, lines_of(keys[:1]))
    asked = [KeyQuestion(ME, (text_of(keys[n % 2]),)) for n in range(6)]
    done: list[int] = []
    found = list(server.ask_all(asked, workers=3, progress=done.append))
    assert [question for question, _ in found] == asked
    assert [answers[0].accepted for _, answers in found] == [True, False] * 3
    assert done == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("user", ["no-such-user", "DOMAIN\\x", "host$", "a b", "x@y", "-l"])
def test_users_of_any_name_are_asked_about(
    bench: Bench, tmp_path: Path, keys: list[Path], user: str
) -> None:
    server = serving(bench, tmp_path, lines_of(keys))
    (answer,) = server.ask(KeyQuestion(user, (text_of(keys[0]),)))
    assert answer.accepted is False


@pytest.mark.parametrize("user", ['a"b', "a\nb"])
def test_a_name_that_ssh_cannot_be_told_is_not_answered(
    bench: Bench, tmp_path: Path, keys: list[Path], user: str
) -> None:
    server = serving(bench, tmp_path, lines_of(keys))
    (answer,) = server.ask(KeyQuestion(user, (text_of(keys[0]),)))
    assert answer.accepted is None
    assert "cannot be asked" in answer.why
    with pytest.raises(FidokitError, match="could not be asked"):
        server.accepts(parse_public_line(keys[0].with_suffix(".pub").read_bytes()), user)


@pytest.mark.root
@pytest.mark.parametrize(
    "case",
    [
        ((), "", DOCUMENTATION, True),
        ((), "", SIX, True),
        ((), 'from="203.0.113.0/24" ', DOCUMENTATION, True),
        ((), 'from="203.0.113.0/24" ', LOOPBACK, False),
        ((), 'from="2001:db8::/32" ', SIX, True),
        (("Match Address 203.0.113.0/24", "PubkeyAuthentication no"), "", DOCUMENTATION, False),
        (("Match LocalPort 2222", "PubkeyAuthentication no"), "", DOCUMENTATION, False),
        (("Match LocalPort 2222", "PubkeyAuthentication no"), "", SIX, True),
        (("Match LocalAddress 203.0.113.1", "AllowUsers x"), "", DOCUMENTATION, False),
        ((f"AllowUsers {ME}@203.0.113.*",), "", DOCUMENTATION, True),
        ((f"AllowUsers {ME}@203.0.113.*",), "", LOOPBACK, False),
    ],
)
def test_logins_from_any_place(
    bench: Bench,
    tmp_path: Path,
    keys: list[Path],
    case: tuple[Sequence[str], str, LoginOrigin, bool],
) -> None:
    settings, options, origin, taken = case
    server = serving(bench, tmp_path, lines_of(keys[:1], options), *settings)
    (answer,) = server.ask(KeyQuestion(ME, (text_of(keys[0]),), origin))
    assert (answer.accepted, answer.why) == (taken, "")


def test_logins_by_keys_at_hand(bench: Bench, tmp_path: Path, keys: list[Path]) -> None:
    server = serving(bench, tmp_path, lines_of(keys[:1]))
    assert server.logs_in(keys[0], ME)
    assert not server.logs_in(keys[1], ME)


def test_a_server_that_does_not_start_is_no_refusal(
    bench: Bench, tmp_path: Path, keys: list[Path]
) -> None:
    server = serving(bench, tmp_path, lines_of(keys))
    broken = Trial(bench, server.sshd, bench.stage("broken", b"X\n"), server.environ)
    (answer,) = broken.ask(KeyQuestion(ME, (text_of(keys[0]),)))
    assert answer.accepted is None
    assert answer.why


@pytest.mark.root
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """In a mount namespace with a file system of its own, which has no room."""
    code = (
        "import sys; from fidokit.server.sshd import trial\n"
        "from fidokit.errors import FidokitError\n"
        "try:\n  with trial.bench(): pass\n"
        "except FidokitError as error: print(error.message, error.hint)"
    )
    script = f'mount -t tmpfs -o size=4k,nr_inodes=3 none {tmp_path} && exec "$@"'
    enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
    done = subprocess.run(
        [*enter, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=True,
    )
    assert "cannot hold the few files" in done.stdout, done
    assert "TMPDIR=" in done.stdout


@pytest.mark.parametrize("algorithms", ["rsa-sha2-256", "rsa-sha2-512", "ssh-ed25519,rsa-sha2-256"])
def test_an_rsa_key_is_asked_about_by_each_of_its_algorithms(
    bench: Bench, tmp_path: Path, algorithms: str
) -> None:
    path = tmp_path / "rsa"
    subprocess.run([stock("ssh-keygen"), "-qt", "rsa", "-N", "", "-f", str(path)], check=True)
    taking = f"PubkeyAcceptedKeyTypes {algorithms}"
    for settings, taken in ((taking, True), ("PubkeyAcceptedKeyTypes ssh-ed25519", False)):
        server = serving(bench, tmp_path, lines_of([path]), settings)
        (answer,) = server.ask(KeyQuestion(ME, (text_of(path),)))
        assert answer.accepted is taken
