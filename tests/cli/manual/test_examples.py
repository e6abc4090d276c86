"""Every example of every verb works as it is shown, in a home that has what it names."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from pathlib import Path

import pyotp
import pytest
from tests.cli.commands.conftest import PIN
from tests.fleet.planning import audits
from tests.fleet.policy.policies import print_of
from tests.lab.recording.sessions import recorded_token
from tests.support.children import popen
from tests.support.sandbox import SRC, Sandbox, environment
from tests.support.warm import Warm

from fidokit.cli.app import GROUPS, TOP
from fidokit.cli.manual.examples import EXAMPLES
from fidokit.errors import TokenGone
from fidokit.lab.bay import Bay
from fidokit.lab.control import ControlSocket, control_path
from fidokit.lab.named_tokens import serve_virtual
from fidokit.lab.recording.recorder import RecordFile
from fidokit.prompt import questions
from fidokit.virtual.recorded import Recording
from fidokit.virtual.token import VirtualToken

Run = Callable[..., int]
PLAIN = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN9YUD3tX7vyCEzCGVPG3NWTvX3CBVoJoFEZjeMJ2aRJ someone\n"

SERVES = ("agent serve", "virtual serve")
ACTS = ("virtual touch", "virtual refuse", "virtual finger", "virtual unplug", "virtual insert",
        "virtual power-cycle", "virtual fault", "virtual set", "virtual state",
        "virtual wait-for-touch")  # fmt: skip
"""Verbs that act on a token that another process serves."""
STOCK = ("agent add", "agent list", "agent session", "agent units", "provider path",
         "provider install", "ssh-config", "token record", "virtual run")  # fmt: skip
AS_ROOT = ("fleet apply", "fleet check", "server authorize", "server check", "server harden",
           "server revoke-list", "server trust-ca", "udev install")  # fmt: skip
"""Verbs whose examples run programs of other packages, or change files of root."""
MAY_END: Mapping[str, set[int]] = {
    "doctor": {0, 1},
    "server check": {0, 10},
    "key publish": {0, 1},
    "fleet apply": {0, 10},
    "fleet check": {0, 10},
}
"""Exit statuses besides success: what such a command finds is no failure of it."""
TOKENS = {
    "pin set": "fresh",
    "config enterprise-attestation": "managed",
    "token reset": "spare",
}
"""Which virtual token is plugged in; `everyday` is, for all others."""
NEW_KEY = "key generate --no-passphrase --pin-file pin.txt -f"
MADE: tuple[str, ...] = (
    "virtual create everyday",
    "virtual create spare",
    "virtual create fresh",
    "virtual create managed --profile ctap2.3-enterprise",
    "pin set --new-pin-file pin.txt",
    "--token virtual:spare pin set --new-pin-file pin.txt",
    "--token virtual:managed pin set --new-pin-file pin.txt",
    "key generate -f .ssh/id_ed25519_sk --no-passphrase",
    f"{NEW_KEY} .ssh/id_work -O resident -O application=ssh:work -O user=me --large-blob",
    f"{NEW_KEY} .ssh/id_notes -O resident -O application=ssh:notes --large-blob",
    f"{NEW_KEY} .ssh/id_attested -O challenge=random.bin -O write-attestation=made.bin",
    "blob set notes letter --pin-file pin.txt",
    "cert sign -s .ssh/id_ed25519_sk -I me -n me -V +1w .ssh/id_work.pub",
    "key sign -f .ssh/id_ed25519_sk letter",
    "secret create disk.cred --pin-file pin.txt",
    "bio enroll --name left_thumb --pin-file pin.txt",
    "bio rename left_thumb 'left thumb' --pin-file pin.txt",
    "virtual export spare exported.token",
    "virtual export-credentials everyday exported.json",
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, warm: Warm | None) -> Path:
    """A home with all that the examples name."""
    home = tmp_path_factory.mktemp("prepared")
    sandbox = Sandbox(home, environment(home) | {"FIDOKIT_TOKEN": "virtual:everyday"}, warm)
    (home / "pin.txt").write_text(f"{PIN}\n")
    (home / "letter").write_text("hello\n")
    (home / "hosts").write_text("web1\nweb2\n")
    (home / "answers.toml").write_text('[key]\nuse = "~/.ssh/id_work"\n[git]\nsign = false\n')
    (home / "random.bin").write_bytes(bytes(range(32)))
    (home / ".ssh").mkdir(mode=0o700)
    (home / "audits").mkdir()
    admitted = audits.account("root", [audits.key_line(print_of("alice"), comment="alice@x")])
    (home / "audits" / "web1.json").write_text(json.dumps(audits.document([admitted])))
    for name in ("eve", "lost", "ca"):
        (home / f"{name}.pub").write_text(PLAIN)
    for command in MADE:
        done = sandbox.run(*shlex.split(command))
        assert done.code == 0, (command, done.err)
    with RecordFile(home / "recorded.session", Recording(5, "virtual", "a token")) as kept:
        recorded_token(VirtualToken(), kept).link().cbor(b"\x04", lambda _: None, lambda: False)
    signer = (home / ".ssh" / "id_ed25519_sk.pub").read_text()
    shutil.copy(home / ".ssh" / "id_attested.pub", home / "attested.pub")
    (home / "allowed_signers").write_text(f"alice {signer}")
    begun = sandbox.run("fleet", "init", "--from-audit", "audits")
    assert begun.code == 0, begun.err
    with (home / "policy.toml").open("a") as policy:
        policy.write(
            f'[token-rules]\nmin-pin-length = 4\n[audit-log]\nsigners = ["{signer.strip()}"]\n'
        )
    return home


@pytest.fixture
def home(prepared: Path, sandbox: Sandbox) -> Sandbox:
    """A copy of it that a test may change."""
    shutil.copytree(prepared, sandbox.home, symlinks=True, dirs_exist_ok=True)
    sandbox.env["PATH"] = os.environ["PATH"]
    return sandbox


def clear_the_way(home: Sandbox, name: str) -> None:
    """Take away what is in the way of this verb's examples, or give what they lack."""
    if name == "key generate":
        for file in (home.home / ".ssh").iterdir():
            file.unlink()
    if name == "fleet init":
        (home.home / "policy.toml").unlink()
    if name == "key sign":
        (home.home / "letter.sig").unlink()
    if name == "key download":
        (home.home / "recovered").mkdir()
    if name in {"otp verify", "otp recover"}:
        assert home.run("otp", "enroll", "--no-confirm", "--qr", "none").code == 0
    if name == "cert store":
        home.run("blob", "delete", "work", "-y", "--pin-file", "pin.txt")


@pytest.fixture
def user(
    home: Sandbox,
    in_process: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs fidokit for a user at a terminal, who knows the answers."""

    def asked(prompt: str, *, hidden: bool) -> bytes:
        if "code" in prompt.lower():
            return code_of(home.home, capsys.readouterr().out).encode()
        if "PIN" in prompt:
            return PIN.encode()
        if "[y/N]" in prompt:
            return b"y"
        if "to go on" in prompt:
            return b"spare"
        return b""

    monkeypatch.setattr(questions, "_asked", asked)
    monkeypatch.setattr(questions, "has_terminal", lambda: True)
    monkeypatch.setenv("SHELL", "/bin/bash")
    return in_process


def code_of(home: Path, shown: str) -> str:
    """What the app shows: of a secret that is there, or of the one on the screen."""
    file = home / ".google_authenticator"
    if file.exists():
        return pyotp.TOTP(file.read_text().splitlines()[0]).now()
    found = re.search(r"cannot scan: ([A-Z2-7 ]+)\n", shown)
    assert found
    secret = found[1].replace(" ", "")
    return pyotp.TOTP(secret).now()


def words(command: str, home: Sandbox) -> list[str]:
    """The words of an example behind the program's name."""
    program, *given = shlex.split(command.removeprefix("sudo "))
    assert program == "fidokit"
    return [re.sub(r"^~", str(home.home), word) for word in given]


def cases(names: object) -> list[object]:
    return [
        pytest.param(name, command, id=command.removeprefix("fidokit "))
        for name, commands in EXAMPLES.items()
        for command in commands
        if name in names  # type: ignore[operator]
    ]


HERE = set(EXAMPLES) - {*SERVES, *ACTS, *STOCK, *AS_ROOT}


def test_every_verb_has_an_example_that_is_of_it() -> None:
    verbs = {f"{group} {verb}" for group, section in GROUPS.items() for verb in section.verbs}
    assert set(EXAMPLES) == verbs | set(TOP)
    for name, commands in EXAMPLES.items():
        assert commands
        for command in commands:
            assert f"{command} ".removeprefix("sudo ").startswith(f"fidokit {name} ")
            assert len(command) <= 78, command  # it fits behind the margin of a help text


@pytest.mark.parametrize(("name", "command"), cases(HERE))
def test_it_works(user: Run, home: Sandbox, name: str, command: str) -> None:
    clear_the_way(home, name)
    token = TOKENS.get(name, "everyday")
    assert user("--token", f"virtual:{token}", *words(command, home)) in MAY_END.get(name, {0})


@pytest.fixture
def spare_served(home: Sandbox) -> Iterator[None]:
    """The token that the examples name is served, and asks for a touch that it can wait for."""
    with ExitStack() as stack:
        plug = partial(serve_virtual, "spare", presence="script")
        bay = stack.enter_context(Bay("virtual:spare", plug, lambda _: nullcontext()))
        stack.enter_context(ControlSocket(bay, control_path("spare")))
        link = bay.token.link()

        def select() -> None:
            with suppress(TokenGone):
                link.cbor(b"\x0b")

        asking = threading.Thread(target=select)
        asking.start()
        yield
        bay.unplug()
        asking.join(60)


@pytest.mark.parametrize(("name", "command"), cases(ACTS))
def test_it_acts(user: Run, spare_served: None, home: Sandbox, name: str, command: str) -> None:
    assert user(*words(command, home)) == 0


@pytest.mark.parametrize(("name", "command"), cases(SERVES))
def test_it_serves_until_it_is_ended(home: Sandbox, name: str, command: str) -> None:
    env = home.env | {"TMPDIR": str(home.home), "FIDOKIT_TOKEN": "virtual:everyday"}
    with popen(
        [sys.executable, "-m", "fidokit", *words(command, home)],
        env=env,
        cwd=home.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout
        first = process.stdout.readline().decode()
        process.terminate()
    assert first.startswith(("SSH_AUTH_SOCK=", "virtual:spare is plugged in")), first


@pytest.mark.interop
@pytest.mark.compiled
@pytest.mark.parametrize(("name", "command"), cases(STOCK))
def test_it_works_with_stock_programs(home: Sandbox, name: str, command: str) -> None:
    tools = home.home / "tools"
    tools.mkdir()
    (tools / "systemctl").write_text("#!/bin/sh\nexit 0\n")
    (tools / "systemctl").chmod(0o755)
    env = home.env | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "FIDOKIT_TOKEN": "virtual:everyday",
        "SSH_SK_PROVIDER": "internal",
        "TMPDIR": str(home.home),
    }
    askpass = home.home / "askpass"
    askpass.write_text(f"#!/bin/sh\necho {PIN}\n")
    askpass.chmod(0o755)
    asked = {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
    inner = [sys.executable, "-m", "fidokit", *words(command, home)]
    done = subprocess.run(
        ["ssh-agent", *inner],
        env=env | asked,
        cwd=home.home,
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.interop
@pytest.mark.root
@pytest.mark.parametrize(("name", "command"), cases(AS_ROOT))
def test_it_works_for_root(home: Sandbox, name: str, command: str) -> None:
    """In a mount namespace where root's home is the sandbox and /etc's folders are empty."""
    passwd = home.home / "passwd"
    passwd.write_text(
        f"root:x:0:0:root:{home.home}:/bin/sh\nsshd:x:105:65534::/run/sshd:/usr/sbin/nologin\n"
    )
    (home.home / "rules").mkdir()
    if name.startswith("fleet "):  # every host is this one; others log in by the real ssh
        ssh = home.home / "ssh"
        ssh.write_text('#!/bin/sh\nfor last; do :; done\neval "$last"\n')
        ssh.chmod(0o755)
        home.env["PATH"] = f"{home.home}:{home.env['PATH']}"
    home.home.chmod(0o755)
    (home.home / ".ssh" / "authorized_keys").write_text(
        (home.home / ".ssh" / "id_ed25519_sk.pub").read_text()
    )
    enter = (
        "mount --bind passwd /etc/passwd && mkdir -p /etc/udev/rules.d && "
        'mount --bind rules /etc/udev/rules.d && exec "$@"'
    )
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", enter, "sh",
         sys.executable, "-m", "fidokit", *words(command, home)],
        env=home.env | {"FIDOKIT_TOKEN": "virtual:everyday", "PYTHONPATH": str(SRC)},
        cwd=home.home,
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
        check=False,
    )  # fmt: skip
    assert done.returncode in MAY_END.get(name, {0}), done.stderr + done.stdout
