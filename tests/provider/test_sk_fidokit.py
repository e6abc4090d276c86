"""sk_fidokit.c under the sanitizers: what it reads from replies, and that no reply breaks it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from tests.support.agent_host import stock
from tests.support.mutate import fuzz_count, mutants
from tests.support.sanitized import SOURCE, compiled, preload

from fidokit.provider import abi, library

pytestmark = pytest.mark.compiled

ENROLLED = abi.EnrollReply(0x21, b"k" * 65, b"handle", b"sig", b"", b"\x58\x02ab")
SIGNED = abi.SignReply(0x05, 0x01020304, b"r" * 32, b"s" * 31)
LOADED = abi.LoadReply(
    [
        abi.ResidentKey(1, "ssh:", 0x21, b"\0" * 32, b"e" * 32, b"one"),
        abi.ResidentKey(0, "ssh:two", 0x25, b"user", b"q" * 65, b"two"),
    ]
)
HONEST = [ENROLLED.encode(), SIGNED.encode(), LOADED.encode(), abi.LoadReply([]).encode()]


def read_by(driver: Path, replies: Iterable[bytes]) -> list[list[str]]:
    """What the readers of enrollments, signatures and resident keys return for each reply."""
    fed = b"".join(len(reply).to_bytes(4, "big") + reply for reply in replies)
    done = subprocess.run([driver], input=fed, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return [line.split("; ") for line in done.stdout.decode().splitlines()]


def test_what_honest_replies_hold(driver: Path) -> None:
    enrolled, signed, loaded, none = read_by(driver, HONEST)
    assert enrolled[0] == (
        f"0 flags=21 key={(b'k' * 65).hex()} handle={b'handle'.hex()} signature={b'sig'.hex()} "
        f"certificate= authdata=58026162"
    )
    assert signed[1] == (
        f"0 flags=05 counter={0x01020304} r={(b'r' * 32).hex()} s={(b's' * 31).hex()}"
    )
    assert loaded[2] == (
        f"0 slot=0 alg=1 flags=21 application={b'ssh:'.hex()} user={bytes(32).hex()} "
        f"key={(b'e' * 32).hex()} handle={b'one'.hex()} "
        f"slot=1 alg=0 flags=25 application={b'ssh:two'.hex()} user={b'user'.hex()} "
        f"key={(b'q' * 65).hex()} handle={b'two'.hex()}"
    )
    assert none[2] == "0"


def test_a_reply_to_another_call_is_an_error(driver: Path) -> None:
    enrolled, signed, loaded, _ = read_by(driver, HONEST)
    assert [enrolled[1], enrolled[2], signed[0], signed[2], loaded[0], loaded[1]] == ["-1"] * 6


@pytest.mark.parametrize("error", abi.SkError)
def test_errors(driver: Path, error: abi.SkError) -> None:
    assert read_by(driver, [abi.ErrorReply(error).encode()]) == [[str(-error)] * 3]


def test_errors_that_sk_api_does_not_have(driver: Path) -> None:
    assert read_by(driver, [b"\x06", b"\x7f", b"\x80", b"\xff", b""]) == [["-1"] * 3] * 5


@pytest.mark.parametrize("honest", HONEST[:3], ids=["enrolled", "signed", "loaded"])
def test_cut_off_or_followed_by_something(driver: Path, honest: bytes) -> None:
    bad = [honest[:cut] for cut in range(1, len(honest))] + [honest + b"\0"]
    for statuses in read_by(driver, bad):
        assert statuses == ["-1"] * 3


@pytest.mark.parametrize(
    "reply",
    [
        b"\0\xff\xff\xff\xff",  # four thousand million keys
        b"\0" + (4097).to_bytes(4, "big"),
        b"\0\0\xff\xff\xff\xff",
        b"\0\0\0\0\0\0" + b"\x7f\xff\xff\xff",
        HONEST[2].replace(b"ssh:two", b"ssh:\0wo"),  # what a C string would cut off
    ],
)
def test_impossible_sizes(driver: Path, reply: bytes) -> None:
    assert read_by(driver, [reply]) == [["-1"] * 3]


def test_fuzz_replies(driver: Path) -> None:
    count = fuzz_count(20000)
    seen = read_by(driver, mutants(HONEST, count))
    assert len(seen) == count
    refused = [statuses for statuses in seen if statuses == ["-1"] * 3]
    assert count // 4 < len(refused) < count


@pytest.mark.parametrize(("api", "number"), [(10, 0x000A0000), (9, 0x00090000)])
def test_both_versions_say_which_they_are(tmp_path: Path, api: int, number: int) -> None:
    main = tmp_path / "main.c"
    main.write_text('#include "sk_fidokit.c"\nint main(void) { printf("%u", sk_api_version()); }\n')
    include = (f"-DFIDOKIT_SK_API={api}", f"-I{SOURCE.parent}", "-Wno-unused-function")
    program = compiled(tmp_path / "main", *include, main)
    assert int(subprocess.check_output([program])) == number


def test_it_exports_sk_api_and_nothing_else(strict_library: Path) -> None:
    listed = subprocess.check_output([stock("nm"), "-D", "--defined-only", strict_library])
    names = {line.split()[-1] for line in listed.decode().splitlines()}
    ours = {name for name in names if not name.startswith(("__", "_"))}
    assert ours == {"sk_api_version", "sk_enroll", "sk_sign", "sk_load_resident_keys"}


# --- the whole library in a stock program, whatever answers -------------------------------------

SERVICES = {
    "ends at once": "exit 0",
    "fails": "echo oops >&2; exit 3",
    "reads and says nothing": "cat >/dev/null",
    "does not read": "printf '\\000'",
    "answers junk": "cat >/dev/null; head -c 3000 /dev/urandom",
    "answers without end": "exec cat /dev/zero",
    "is killed": "kill -9 $$",
    "closes both ends and stays": "exec <&- >&-; exec sleep 0.2",
    "is cut off": "cat >/dev/null; printf '\\000\\041\\000\\000\\000\\101abc'",
    "is impossible": "cat >/dev/null; printf '\\000\\041\\377\\377\\377\\377abc'",
}


@pytest.mark.interop
@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_ssh_keygen_survives_a_service_that(
    tmp_path: Path, strict_library: Path, service: str
) -> None:
    """The sanitizers run in ssh-sk-helper, and would be heard."""
    program = tmp_path / "service"
    program.write_text(f"#!/bin/sh\n{service}\n")
    program.chmod(0o755)
    note = strict_library.with_name("sk_fidokit.so.python")
    note.write_text(f"{program}\n")
    for command in (["-t", "ed25519-sk", "-N", "", "-f", "key"], ["-K", "-N", ""]):
        said = _keygen(tmp_path, strict_library, command)
        assert "invalid format" in said
        assert "Sanitizer" not in said
        assert "runtime error" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["askpass", "service"]


def _keygen(folder: Path, library: Path, command: Sequence[str]) -> str:
    askpass = folder / "askpass"
    askpass.write_text("#!/bin/sh\necho 1234\n")
    askpass.chmod(0o755)
    done = subprocess.run(
        [stock("ssh-keygen"), "-w", library, *command],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "SSH_ASKPASS": str(askpass),
            "SSH_ASKPASS_REQUIRE": "force",
        }
        | preload(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode not in {0, -6, -11}
    return (done.stdout + done.stderr).decode(errors="replace")


# --- what the library asks ----------------------------------------------------------------------

CALLER = """
#include "sk_fidokit.c"

int main(int count, char **words)
{
	struct sk_option user = { "user", "alice", 1 }, *options[] = { &user, NULL };
	const uint8_t *text = (const uint8_t *)"what is signed", *handle = (const uint8_t *)"handle";
	struct sk_enroll_response *made;
	struct sk_sign_response *signature;
	struct sk_resident_key **keys;
	size_t many;
	switch (count > 1 ? words[1][0] : 0) {
	case 'e':
		return -sk_enroll(1, text, 14, "ssh:", 0x21, NULL, options, &made);
	case 's':
		return -sk_sign(0, text, 14, "ssh:x", handle, 6, 0x05, "1234", NULL, &signature);
	case 'l':
		return -sk_load_resident_keys("", options, &keys, &many);
	}
	return 99;
}
"""
USER = (abi.SkOption("user", "alice", True),)


@pytest.mark.parametrize("api", abi.API_VERSIONS)
def test_what_it_asks(tmp_path: Path, api: int) -> None:
    (tmp_path / "caller.c").write_text(CALLER)
    include = (f"-DFIDOKIT_SK_API={api}", f"-I{SOURCE.parent}", "-rdynamic")
    program = compiled(tmp_path / "caller", *include, tmp_path / "caller.c")
    service = tmp_path / "service"
    service.write_text(f"#!/bin/sh\ncat >'{tmp_path}/request'; printf '\\003'\n")
    service.chmod(0o755)
    (tmp_path / "caller.python").write_text(f"{service}\n")
    asked = []
    for call in "esl":
        done = subprocess.run([program, call], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (abi.SkError.PIN_REQUIRED, "")
        asked.append(abi.parse_request((tmp_path / "request").read_bytes()))
    text = b"what is signed"
    assert asked == [
        abi.Request(api, abi.Operation.ENROLL, 0x21, None, USER, 1, "ssh:", text),
        abi.Request(*(api, abi.Operation.SIGN, 0x05, "1234", (), 0, "ssh:x", text, b"handle")),
        abi.Request(api, abi.Operation.LOAD_RESIDENT_KEYS, 0, "", USER),
    ]


def test_no_python_is_known(tmp_path: Path) -> None:
    (tmp_path / "caller.c").write_text(CALLER)
    program = compiled(tmp_path / "caller", f"-I{SOURCE.parent}", tmp_path / "caller.c")
    done = subprocess.run([program, "l"], capture_output=True, text=True, check=False)
    assert done.returncode == abi.SkError.GENERAL
    assert done.stderr == f"fidokit: {program}.python is missing; run: fidokit provider path\n"
    Path(f"{program}.python").write_text("/nonexistent/python\n")
    done = subprocess.run([program, "l"], capture_output=True, text=True, check=False)
    assert "cannot run /nonexistent/python: No such file" in done.stderr


# --- what it is built with, and what it believes -------------------------------------------


@pytest.mark.parametrize("api", library.FILES)
def test_it_is_hardened(api: int) -> None:
    command = ["readelf", "-W", "--dynamic", "--segments", "--dyn-syms", str(library.built(api))]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "BIND_NOW" in said
    assert "GNU_RELRO" in said
    assert "__snprintf_chk" in said
    assert "__stack_chk_fail" in said


CALL = """
import ctypes, sys
keys, count = ctypes.c_void_p(), ctypes.c_size_t()
load = ctypes.CDLL(sys.argv[1]).sk_load_resident_keys
print(load(None, None, ctypes.byref(keys), ctypes.byref(count)))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the library, in a folder of a folder; the Python that it names says that it ran."""
    (tmp_path / "up/here").mkdir(parents=True)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n: >{tmp_path}/ran\n")
    program.chmod(0o755)
    return library.install(library.built(10), tmp_path / "up/here", str(program))


def called(copy: Path) -> tuple[bool, str]:
    """Whether the Python ran, and what the library says."""
    ran = copy.parents[2] / "ran"
    ran.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, "-c", CALL, copy], capture_output=True, check=True)
    assert done.stdout == b"-1\n"
    return ran.exists(), done.stderr.decode()


def test_the_file_that_names_its_python_is_believed(copy: Path) -> None:
    assert called(copy) == (True, "")
    link = copy.parents[1] / "link"
    link.symlink_to(copy.parent)
    assert called(link / copy.name)[0]


@pytest.mark.parametrize("place", ["up/here/sk_fidokit.so.python", "up/here", "up"])
@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_not_where_others_may_change_it(copy: Path, place: str, mode: int) -> None:
    changed = copy.parents[2] / place
    changed.chmod(mode)
    ran, said = called(copy)
    assert not ran
    advice = said.strip().partition("; run: ")[2]
    assert advice == f"chmod go-w {changed}"
    subprocess.run(advice.split(), check=True)
    assert called(copy) == (True, "")


@pytest.mark.root
def test_nor_where_another_user_or_group_may(copy: Path) -> None:
    note = copy.with_name(copy.name + ".python")
    os.chown(note, 1, 0)
    assert not called(copy)[0]
    os.chown(note, 0, 1)
    note.chmod(0o664)
    assert not called(copy)[0]
    note.chmod(0o644)
    assert called(copy)[0]


def test_a_sticky_folder_is_no_harm(copy: Path) -> None:
    copy.parents[1].chmod(0o1777)
    assert called(copy)[0]


def test_without_the_file(copy: Path) -> None:
    copy.with_name(copy.name + ".python").unlink()
    ran, said = called(copy)
    assert not ran
    assert "is missing; run: fidokit provider path" in said
