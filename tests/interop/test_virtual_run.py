"""Stock programs under `fidokit virtual run`: they find the token by themselves, as a USB key."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.agent_host import PIN, Host, make_host, stock
from tests.support.sanitized import compiled, preload
from tests.support.ssh_network import network

import fidokit
from fidokit.lab import program
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.interop

SOURCE = Path(fidokit.__file__).parent / "lab" / "hidraw_nodes.c"


@pytest.fixture(scope="module", params=["plain", "sanitized"])
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A home; the second one's library ends the program at any misuse of memory."""
    folder = tmp_path_factory.mktemp(request.param)
    host = make_host(folder / "home")
    if request.param == "sanitized":
        more = ("-Wno-pedantic", "-Wno-conversion", "-Wno-sign-conversion", "-shared", "-fPIC")
        made = compiled(folder / "nodes.so", *more, "-fvisibility=hidden", SOURCE, "-ldl")
        asan = preload()
        host.env["ASAN_OPTIONS"] = asan["ASAN_OPTIONS"]
        host.env["STRICT"] = f"{asan['LD_PRELOAD']}:{made}"
    return host


@pytest.fixture
def under(machine: Host) -> Iterator[Host]:
    """The same home, where a token with a PIN is plugged in for whatever is started."""
    with VirtualToken() as token, program.plugged_in([token], machine.env) as environ:
        strict = machine.env.get("STRICT")
        made = replace(machine, env=environ | ({"LD_PRELOAD": strict} if strict else {}))
        made.answers(PIN)
        made.run(stock("fido2-token"), "-S", "/dev/hidraw90", stdin=f"{PIN}\n{PIN}\n".encode())
        yield made


def test_it_is_found_and_told_of(under: Host) -> None:
    listed = under.run(stock("fido2-token"), "-L").stdout.decode()
    assert (
        listed == "/dev/hidraw90: vendor=0x1209, product=0x0001 (fidokit fidokit virtual token)\n"
    )
    told = under.run(stock("fido2-token"), "-I", "/dev/hidraw90").stdout.decode()
    assert "FIDO_2_3" in told
    assert "clientPin" in told


def test_a_credential_is_made_and_used(under: Host) -> None:
    """As fido2-cred(1) and fido2-assert(1) show it."""
    digest, rp, node = "A" * 43 + "=", "relying.example", "/dev/hidraw90"
    (under.home / "cred").write_text(f"{digest}\n{rp}\nana\nAAAA\n")
    pin = f"{PIN}\n".encode()
    made = under.run(stock("fido2-cred"), "-M", "-i", "cred", node, stdin=pin)
    verified = under.run(stock("fido2-cred"), "-V", stdin=made.stdout).stdout.decode()
    identifier, key = verified.split("\n", 1)
    (under.home / "key.pem").write_text(key)
    (under.home / "assert").write_text(f"{digest}\n{rp}\n{identifier}\n")
    signed = under.run(stock("fido2-assert"), "-G", "-i", "assert", node, stdin=pin)
    under.run(stock("fido2-assert"), "-V", "key.pem", "es256", stdin=signed.stdout)


@pytest.mark.parametrize("kind", ["ed25519-sk", "ecdsa-sk"])
def test_a_key_is_made_recovered_and_logs_in(under: Host, kind: str) -> None:
    """Resident, with a PIN at each use; ssh-keygen -K finds it again, ssh logs in by it."""
    name = f"id_{kind}"
    options = ["resident", "verify-required", "application=ssh:work", "write-attestation=said"]
    given = [word for option in options for word in ("-O", option)]
    under.run(stock("ssh-keygen"), "-q", "-t", kind, "-N", "", "-f", name, *given)
    assert (under.home / "said").stat().st_size > 100
    (under.home / kind).mkdir()
    under.run("sh", "-c", f"cd {kind} && exec {stock('ssh-keygen')} -K -N ''")
    found = under.home / kind / f"id_{kind.replace('-', '_')}_rk_work.pub"
    public = (under.home / f"{name}.pub").read_text().split()[:2]
    assert found.read_text().split()[:2] == public
    with network(under, "plain.example") as net:
        net.authorize(" ".join(["verify-required", *public]))
        only = ["-oBatchMode=no", "-oIdentitiesOnly=yes", "-i", str(under.home / name)]
        assert net.ssh(*only, "plain.example", "echo", "hello") == "hello\n"


def test_an_agent_signs_by_its_own_means(under: Host, tmp_path: Path) -> None:
    """A copy of ssh-agent, without the group for which the system preloads nothing into it."""
    copy = tmp_path / "ssh-agent"
    shutil.copy(stock("ssh-agent"), copy)
    copy.chmod(0o755)
    under.run(stock("ssh-keygen"), "-q", "-t", "ed25519-sk", "-N", "", "-f", "by_agent")
    script = f"""
        eval "$({copy})" >&2 && {stock("ssh-add")} by_agent && echo text >text &&
        {stock("ssh-keygen")} -q -Y sign -n file -f by_agent.pub text && kill $SSH_AGENT_PID
    """
    under.run("sh", "-c", script)
    assert (under.home / "text.sig").read_text().startswith("-----BEGIN SSH SIGNATURE-----")


def test_a_token_that_goes_is_an_error_not_an_end(machine: Host) -> None:
    """Reading and writing a node whose token went; no signal ends the program."""
    script = """if True:
        import errno, os, sys
        file = os.open("/dev/hidraw90", os.O_RDWR)
        print("open", flush=True)
        sys.stdin.readline()
        for act in (lambda: os.read(file, 64), lambda: os.write(file, bytes(65))):
            try:
                act()
            except OSError as error:
                print(errno.errorcode[error.errno], flush=True)
    """
    with VirtualToken() as token, program.plugged_in([token], machine.env) as environ:
        child = subprocess.Popen(
            [sys.executable, "-c", script],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
    said, _ = child.communicate("go\n", timeout=60)
    assert said == "EIO\nENODEV\n"
    assert child.returncode == 0


@pytest.fixture
def without_pin(machine: Host) -> Iterator[Host]:
    """The same home, where a token without a PIN is plugged in."""
    with VirtualToken() as token, program.plugged_in([token], machine.env) as environ:
        strict = machine.env.get("STRICT")
        yield replace(machine, env=environ | ({"LD_PRELOAD": strict} if strict else {}))


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Host]:
    """For programs whose own libraries open files before a sanitizer is ready."""
    host = make_host(tmp_path / "home")
    with VirtualToken() as token, program.plugged_in([token], host.env) as environ:
        yield replace(host, env=environ)


HIDAPI = """if True:
    import os, hidraw
    (found,) = hidraw.enumerate()
    print(found["path"].decode(), hex(found["usage_page"]), found["product_string"])
    device = hidraw.device()
    device.open_path(found["path"])
    nonce = os.urandom(8)
    device.write(bytes.fromhex("00ffffffff860008") + nonce + bytes(49))
    print(bytes(device.read(64, 5000))[7:15] == nonce)
"""


def test_hidapi_finds_and_talks_to_it(without_pin: Host) -> None:
    """Its hidraw backend, which loads libudev for itself alone; by libusb it is out of reach."""
    said = without_pin.run("/usr/bin/python3", "-c", HIDAPI).stdout.decode()
    assert said == "/dev/hidraw90 0xf1d0 fidokit virtual token\nTrue\n"


def test_pamu2fcfg_registers(plain: Host) -> None:
    said = plain.run(stock("pamu2fcfg"), "-u", "ada").stdout.decode()
    assert said.startswith("ada:")
    assert said.endswith(",es256,+presence")


def test_systemd_cryptenroll_enrolls(plain: Host) -> None:
    """A LUKS volume in a file gets a slot that the token opens."""
    volume, words = plain.home / "volume", plain.home / "words"
    volume.write_bytes(bytes(32 << 20))
    words.write_text("words")
    fast = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]
    cryptsetup = stock("cryptsetup")
    plain.run(cryptsetup, "luksFormat", "-q", "--type", "luks2", *fast, "volume", "words")
    enroll = [stock("systemd-cryptenroll"), "--fido2-device=/dev/hidraw90"]
    owner = replace(plain, env=plain.env | {"PASSWORD": "words"})
    owner.run(*enroll, "--fido2-with-client-pin=no", "volume")
    dumped = plain.run(cryptsetup, "luksDump", "volume").stdout.decode()
    assert "systemd-fido2" in dumped


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_description_says(machine: Host, tmp_path: Path, seed: int) -> None:
    """300 damaged descriptions each, read by every way that programs have."""
    loaded = machine.env.get("STRICT") or str(program.library(machine.env))
    script = Path(__file__).with_name("nodes_fuzz.py")
    environ = machine.env | {"LD_PRELOAD": loaded, "FIDOKIT_NODES": str(tmp_path)}
    done = replace(machine, env=environ).run("/usr/bin/python3", str(script), str(seed), "300")
    assert done.stdout == b"done 1\n"
