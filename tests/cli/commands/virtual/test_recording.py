"""`fidokit token record` and `token explain`, and a token that replays."""

from __future__ import annotations

import json
import sys

import pytest
from tests.support.sandbox import Sandbox

SCRIPT = """if True:
    from fido2.ctap2 import Ctap2, ClientPin
    from fido2.hid import CtapHidDevice
    (device,) = CtapHidDevice.list_devices()
    with device:
        ctap = Ctap2(device)
        if not ctap.info.options.get("clientPin"):
            ClientPin(ctap).set_pin("hunter42")
        pin = ClientPin(ctap)
        token = pin.get_pin_token("hunter42", 1, "example.org")
        made = ctap.make_credential(
            bytes(32),
            {"id": "example.org", "name": "x"},
            {"id": b"ada", "name": "ada"},
            [{"type": "public-key", "alg": -7}],
            pin_uv_param=pin.protocol.authenticate(token, bytes(32)),
            pin_uv_protocol=pin.protocol.VERSION,
        )
        print(made.auth_data.hex())
"""


@pytest.mark.compiled
def test_from_a_report_to_a_test(sandbox: Sandbox) -> None:
    sandbox.run("virtual", "create", "real", "--quirk", "opensk")
    command = (sys.executable, "-c", SCRIPT)
    done = sandbox.run("--token", "virtual:real", "token", "record", "kept", "--", *command)
    assert done.code == 0, done.err
    said, _, advice = done.err.rpartition(": ")
    assert said.startswith("Recorded ")
    assert advice.strip() == "fidokit token explain ~/kept" or advice.strip().endswith("kept")
    assert "hunter42" not in (sandbox.home / "kept").read_text()
    assert b"hunter42".hex() not in (sandbox.home / "kept").read_text()

    told = sandbox.run("token", "explain", "kept").out
    assert "authenticatorClientPIN, setPIN (6.5.5.5)" in told
    assert "authenticatorMakeCredential (6.1)" in told
    assert "secrets left out" in told
    assert max(map(len, told.splitlines())) < 1000
    document = json.loads(sandbox.run("--json", "token", "explain", "kept").out)
    assert document["messages"][0]["name"] == "authenticatorGetInfo"
    assert sandbox.run("token", "explain", "kept", "--pcapng", "kept.pcapng").code == 0
    assert (sandbox.home / "kept.pcapng").stat().st_size > 1000
    again = sandbox.run("token", "explain", "kept", "--pcapng", "kept.pcapng")
    assert again.code == 9

    made = sandbox.run("virtual", "create", "theirs", "--replay", "kept")
    assert made.code == 0, made.err
    replayed = sandbox.run("virtual", "run", "--token", "virtual:theirs", "--", *command)
    assert (replayed.code, replayed.out) == (0, done.out), replayed.err


@pytest.mark.compiled
def test_the_status_is_the_programs(sandbox: Sandbox) -> None:
    sandbox.run("virtual", "create", "t")
    words = ("--token", "virtual:t", "token", "record", "kept", "--")
    done = sandbox.run(*words, "sh", "-c", "exit 7")
    assert done.code == 7
    assert "Recorded 0 messages" in done.err
    assert sandbox.run("token", "explain", "kept").out == "Nothing was said to the token.\n"
    again = sandbox.run(*words, "true")
    assert again.code == 9
    assert "already exists" in again.err


@pytest.mark.compiled
def test_fidokits_commands_are_recorded_too(sandbox: Sandbox) -> None:
    sandbox.run("virtual", "create", "t")
    own = (sys.executable, "-m", "fidokit", "token", "info")
    done = sandbox.run("--token", "virtual:t", "token", "record", "kept", "--", *own)
    assert done.code == 0, done.err
    assert "authenticatorGetInfo" in sandbox.run("token", "explain", "kept").out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("explain", "absent"), 1, "absent"),
        (("explain", "bad"), 4, "not a recording"),
        (("record", "kept", "nowhere-to-be-found"), 3, "No security key"),
    ],
)
def test_what_cannot_be(sandbox: Sandbox, words: tuple[str, ...], code: int, said: str) -> None:
    (sandbox.home / "bad").write_text("{}\n")
    done = sandbox.run("--no-wait", "token", *words)
    assert (done.code, said.lower() in done.err.lower()) == (code, True), done.err
