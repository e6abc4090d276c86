"""Stock ssh-add against our agent: every option, ordinary keys, keys on a virtual token."""

from __future__ import annotations

import os
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.agent_host import PIN, Host, lines, make_host, serving, sk_key, virtual_token
from tests.support.children import popen

pytestmark = pytest.mark.interop

KINDS = (("ed25519", "256"), ("rsa", "2048"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, stock: Callable[[str], str]) -> Host:
    """A home with keys of all types; made once, for keys and tokens take time."""
    for program in ("ssh-add", "ssh-keygen", "ssh-agent"):
        stock(program)
    host = make_host(tmp_path_factory.mktemp("agent") / "home")
    for kind, bits in KINDS:
        name = f"{kind}{bits}"
        host.keygen("-t", kind, "-b", bits, "-N", "", "-f", name, "-C", name)
    host.keygen("-t", "ed25519", "-N", "words", "-f", "locked", "-C", "locked")
    host.keygen("-t", "ed25519", "-N", "", "-f", "ca", "-C", "ca")
    host.keygen("-s", "ca", "-I", "an id", "-n", "me", "ed25519256.pub")
    virtual_token(host)
    sk_key(host, "sk", "-t", "ed25519-sk")
    sk_key(host, "skec", "-t", "ecdsa-sk")
    sk_key(host, "uv", "-t", "ed25519-sk", "-O", "verify-required")
    sk_key(host, "res", "-t", "ed25519-sk", "-O", "resident", "-O", "application=ssh:one")
    both = ("-O", "resident", "-O", "verify-required", "-O", "application=ssh:two")
    sk_key(host, "resuv", "-t", "ecdsa-sk", *both)
    return host


@pytest.fixture
def host(machine: Host) -> Iterator[Host]:
    """The agent, empty."""
    machine.answers(PIN)
    (machine.home / "asked").unlink(missing_ok=True)
    (machine.home / "yes").unlink(missing_ok=True)
    with serving(machine):
        yield machine


def comments(host: Host) -> list[str]:
    return [line.split()[2] for line in lines(host.add("-l", code=None)) if "SHA256:" in line]


@pytest.mark.parametrize(("kind", "bits"), KINDS)
def test_ordinary_keys(host: Host, kind: str, bits: str) -> None:
    name = f"{kind}{bits}"
    host.add(name)
    assert name in comments(host)
    public = (host.home / f"{name}.pub").read_text()
    assert public.split()[1] in host.add("-L")
    host.add("-T", f"{name}.pub")
    host.add("-d", name)
    assert name not in comments(host)
    host.add("-T", f"{name}.pub", code=1)


def test_a_certificate_comes_with_its_key(host: Host) -> None:
    assert "Certificate added" in host.add("ed25519256")
    assert comments(host) == ["ed25519256", "ed25519256"]
    assert "CERT" in host.add("-l")
    host.add("-d", "ed25519256")
    assert comments(host) == []


def test_keys_alone_without_certificates(host: Host) -> None:
    host.add("-k", "ed25519256")
    assert "CERT" not in host.add("-l")


def test_removing_all(host: Host) -> None:
    host.add("ed25519256", "rsa2048")
    host.add("-D")
    assert comments(host) == []


def test_removing_what_standard_input_names(host: Host) -> None:
    host.add("ed25519256", "rsa2048")
    host.add("-d", "-", stdin=(host.home / "rsa2048.pub").read_bytes())
    assert "rsa2048" not in comments(host)


def test_adding_from_standard_input(host: Host) -> None:
    host.add("-", stdin=(host.home / "rsa2048").read_bytes())
    assert "rsa2048" in comments(host)


def test_a_passphrase_is_ssh_adds_business(host: Host) -> None:
    host.answers("words")
    host.add("locked")
    assert comments(host) == ["locked"]


def test_lifetime(host: Host) -> None:
    host.add("-t", "1h", "ed25519256")
    host.add("-t", "1", "rsa2048")
    assert "rsa2048" in comments(host)
    deadline = subprocess.run(["sleep", "1.1"], check=True)  # ssh-add counts whole seconds
    assert deadline.returncode == 0
    assert "rsa2048" not in comments(host)
    assert "ed25519256" in comments(host)


def test_confirmation(host: Host) -> None:
    host.add("-c", "rsa2048")
    host.add("-T", "rsa2048.pub", code=1)
    (host.home / "yes").touch()
    host.add("-T", "rsa2048.pub")
    assert len(host.asked()) == 2
    assert host.asked()[0].startswith("confirm Allow use of key rsa2048 (SHA256:")


def test_locking(host: Host) -> None:
    host.add("ed25519256")
    host.answers("secret words")
    host.add("-x")
    assert comments(host) == []
    host.add("-T", "ed25519256.pub", code=1)
    host.answers("wrong words")
    host.add("-X", code=1)
    host.answers("secret words")
    host.add("-X")
    assert len(comments(host)) == 2


def test_hashes_of_fingerprints_and_verbosity(host: Host) -> None:
    host.add("-q", "ed25519256")
    assert "MD5:" in host.add("-E", "md5", "-l")
    assert host.add("-v", "-l")


def test_smartcards_are_refused(host: Host) -> None:
    assert "refused" in host.add("-s", "/usr/lib/libnone.so", code=1)
    host.add("-e", "/usr/lib/libnone.so", code=1)
    assert "PKCS#11" in host.said()


# --- keys on a token -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sk", "skec"])
def test_a_key_on_a_token_needs_a_touch_and_no_pin(host: Host, name: str) -> None:
    host.add(name)
    host.add("-T", f"{name}.pub")
    assert host.asked() == []
    assert "Touch your security key" in host.said()


def test_a_provider_that_is_not_ours_is_refused(host: Host) -> None:
    host.add("-S", "/usr/lib/libother.so", "sk", code=1)
    assert "not ours" in host.said()


def test_the_pin_is_asked_for_each_time(host: Host) -> None:
    host.add("uv")
    host.add("-T", "uv.pub")
    host.add("-T", "uv.pub")
    assert len(host.asked()) == 2
    question = host.asked()[0]
    for part in ("virtual:t", "key uv (SHA256:", "8 tries left"):
        assert part in question
    assert PIN not in host.said()


def test_a_wrong_pin_is_asked_for_again_and_the_last_try_is_never_spent(host: Host) -> None:
    host.add("uv")
    host.answers("1111", PIN)
    host.add("-T", "uv.pub")
    assert "7 tries left" in host.asked()[1]
    assert "wrong" in host.asked()[1]
    host.answers("1111")
    host.add("-T", "uv.pub", code=1)
    assert len(host.asked()) <= 5


def test_a_kept_pin_is_asked_for_once_until_the_agent_is_locked(machine: Host) -> None:
    (machine.home / "asked").unlink(missing_ok=True)
    machine.answers(PIN)
    with serving(machine, "--pin-cache", "10m") as host:
        host.add("uv")
        for _ in range(3):
            host.add("-T", "uv.pub")
        assert len(host.asked()) == 1
        host.answers("lock")
        host.add("-x")
        host.add("-X")
        host.answers(PIN)
        host.add("-T", "uv.pub")
        assert len([line for line in host.asked() if "PIN of" in line]) == 2


def test_a_pin_that_was_changed_is_tried_once_and_asked_for(machine: Host) -> None:
    """A kept PIN that is wrong costs one try, and is never tried twice."""
    host = machine
    token = virtual_token(host, "changing")
    sk_key(host, "uv2", "-t", "ed25519-sk", "-O", "verify-required", token=token)
    (host.home / "asked").unlink(missing_ok=True)
    (host.home / "new").write_text("another-pin\n")
    with serving(host, "--token", token, "--pin-cache", "10m"):
        host.add("uv2")
        host.answers(PIN)
        host.add("-T", "uv2.pub")
        files = ("--pin-file", str(host.home / "pin"), "--new-pin-file", str(host.home / "new"))
        host.fidokit("--token", token, "pin", "change", *files)
        host.answers("another-pin")
        host.add("-T", "uv2.pub")
        host.add("-T", "uv2.pub")
        assert len(host.asked()) == 2
        assert "7 tries left" in host.asked()[1]
    host.fidokit("virtual", "delete", "changing", "--yes")


def test_resident_keys_without_files(machine: Host) -> None:
    (machine.home / "asked").unlink(missing_ok=True)
    machine.answers(PIN)
    with serving(machine, "--resident") as host:
        assert comments(host) == ["res", "resuv"]
        assert len(host.asked()) == 1
        for _ in range(3):
            host.add("-l")
        assert len(host.asked()) == 1
        host.add("-T", "res.pub")
        assert len(host.asked()) == 1
        host.add("-T", "resuv.pub")
        assert len(host.asked()) == 2


def test_a_right_to_list_that_was_kept_needs_no_pin(machine: Host) -> None:
    for count in (1, 0):
        (machine.home / "asked").unlink(missing_ok=True)
        machine.answers(PIN)
        with serving(machine, "--resident", "--remember") as host:
            assert comments(host) == ["res", "resuv"]
            assert len(host.asked()) == count
    machine.fidokit("token", "forget", "--all")


def test_stock_resident_keys_into_our_agent(host: Host) -> None:
    """ssh-add -K asks libfido2, which sees no virtual token: it says so, and adds nothing."""
    host.add("-K", code=None)
    assert comments(host) == []


def test_key_files_from_the_command_line(machine: Host) -> None:
    machine.answers("words")
    files = ("sk", "rsa2048", "locked")
    with serving(machine, *(machine.home / name for name in files)) as host:
        assert comments(host) == list(files)
        host.add("-T", "rsa2048.pub")
        host.add("-T", "sk.pub")


# --- how it is started ---------------------------------------------------------------------


def test_in_the_background_as_ssh_agent(machine: Host) -> None:
    shell = f"""
    eval "$({shlex.quote(sys.executable)} -m fidokit agent serve --background)" >/dev/null
    ssh-add -q ed25519256 && ssh-add -l
    echo "$SSH_AUTH_SOCK"
    ssh-agent -k >/dev/null
    while kill -0 $SSH_AGENT_PID_WAS 2>/dev/null; do :; done
    """.replace("echo", 'SSH_AGENT_PID_WAS="$SSH_AGENT_PID"; echo', 1)
    done = machine.run("sh", "-c", shell)
    out = done.stdout.decode().splitlines()
    assert "ed25519256" in out[0]
    assert not Path(out[-1]).exists()
    assert not Path(out[-1]).parent.exists()


def test_a_failure_in_the_background_is_told(machine: Host) -> None:
    arguments = ("agent", "serve", "--background", "/none")
    done = machine.run(sys.executable, "-m", "fidokit", *arguments, code=None)
    assert done.returncode != 0
    assert b"/none" in done.stderr
    assert done.stdout == b""


def test_by_socket_activation(machine: Host) -> None:
    """As systemd starts it: the socket is there before the agent is, and stays after it."""
    import socket

    path = machine.home / "activated"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        program = (
            f"import os; os.dup2({server.fileno()}, 3);"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
            f"os.execv({sys.executable!r}, [{sys.executable!r}, '-m', 'fidokit', 'agent', 'serve'])"
        )
        process = popen(
            [sys.executable, "-c", program],
            env=machine.env,
            cwd=machine.home,
            pass_fds=(server.fileno(),),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            machine.socket = str(path)
            machine.add("ed25519256")
            assert len(comments(machine)) == 2
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        assert path.exists()
    path.unlink()


def test_its_socket_is_private(host: Host) -> None:
    path = Path(host.socket)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.root
def test_another_user_is_turned_away(host: Host) -> None:
    path = Path(host.socket)
    path.chmod(0o777)
    for folder in (path.parent, *path.parents[1:]):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "ssh-add", "-l"],
        env={"SSH_AUTH_SOCK": str(path), "PATH": os.environ["PATH"]},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "another user was turned away" in host.said()


def test_read_only(machine: Host) -> None:
    with serving(machine, "--read-only", machine.home / "rsa2048") as host:
        assert comments(host) == ["rsa2048"]
        host.add("ed25519256", code=1)
        host.add("-D", code=1)
        host.add("-T", "rsa2048.pub")


def test_in_front_of_the_desktops_agent(machine: Host) -> None:
    """As Debian 13's unit has it; it may come later, and go."""
    path = machine.home / "openssh_agent"
    where = {"XDG_RUNTIME_DIR": str(machine.home), "SSH_AUTH_SOCK": ""}
    with serving(machine, "--upstream", "auto", **where) as host:
        assert "no other agent is there yet" in host.said()
        host.add("ecdsa256")
        with popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE) as theirs:
            assert theirs.stdout
            theirs.stdout.readline()
            try:
                host.add("rsa2048", "sk")
                assert comments(host) == ["ecdsa256", "sk", "rsa2048"]
                behind = host.run("ssh-add", "-l", SSH_AUTH_SOCK=str(path)).stdout
                assert b"rsa2048" in behind
                assert behind.count(b"\n") == 1
                host.add("-T", "rsa2048.pub", "ecdsa256.pub")
            finally:
                theirs.terminate()
        assert comments(host) == ["ecdsa256", "sk"]
    with popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE) as theirs:
        assert theirs.stdout
        theirs.stdout.readline()
        try:
            with serving(machine, "--upstream", "auto", **where) as host:
                assert f"in front of the agent at {path}" in host.said()
        finally:
            theirs.terminate()


def test_in_front_of_ssh_agent(machine: Host) -> None:
    path = machine.home / "stock.sock"
    with popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE) as theirs:
        assert theirs.stdout
        theirs.stdout.readline()
        try:
            with serving(machine, "--upstream", path) as host:
                host.add("rsa2048", "sk")
                assert comments(host) == ["sk", "rsa2048"]
                behind = host.run("ssh-add", "-l", SSH_AUTH_SOCK=str(path)).stdout
                assert b"rsa2048" in behind
                assert b"SK" not in behind
                host.add("-T", "rsa2048.pub")
                host.add("-T", "sk.pub")
                host.add("-D")
                assert comments(host) == []
        finally:
            theirs.terminate()
