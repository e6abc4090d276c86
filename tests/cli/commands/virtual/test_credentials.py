"""`fidokit virtual export-credentials` and `import-credentials`."""

from __future__ import annotations

import json

import pytest
from tests.cli.commands.conftest import PIN
from tests.support.sandbox import Sandbox


@pytest.fixture(autouse=True)
def tokens(sandbox: Sandbox) -> None:
    """One with a resident key, an empty one, and a passphrase in a file."""
    (sandbox.home / "pin").write_text(f"{PIN}\n")
    (sandbox.home / "words").write_text("open sesame\n")
    for name in ("one", "two"):
        assert sandbox.run("virtual", "create", name).code == 0
        pin = sandbox.run("--token", f"virtual:{name}", "pin", "set", "--new-pin-file", "pin")
        assert pin.code == 0
    key = ("key", "generate", "--no-passphrase", "--pin-file", "pin", "-f", "id", "-O", "resident")
    assert sandbox.run("--token", "virtual:one", *key).code == 0


def keys(sandbox: Sandbox, name: str) -> list[str]:
    done = sandbox.run("--token", f"virtual:{name}", "key", "list", "--pin-file", "pin", "--json")
    return [key["fingerprint"] for key in json.loads(done.out)["keys"]]


def test_a_key_goes_from_one_token_to_another(sandbox: Sandbox) -> None:
    out = sandbox.run("virtual", "export-credentials", "one", "keys.json")
    assert out.out == "Wrote 1 credential of virtual:one to keys.json.\n"
    file = sandbox.home / "keys.json"
    assert file.stat().st_mode & 0o777 == 0o600
    (written,) = json.loads(file.read_text())
    assert written["rpId"] == "ssh:"
    assert sandbox.run("virtual", "export-credentials", "one", "keys.json").code == 9
    back = sandbox.run("virtual", "import-credentials", "two", "keys.json", "--json")
    assert json.loads(back.out) == {
        "schema": 1,
        "token": "virtual:two",
        "credentials": [written["credentialId"]],
    }
    assert keys(sandbox, "two") == keys(sandbox, "one") != []
    again = sandbox.run("virtual", "import-credentials", "two", "keys.json")
    assert again.out == "Put 1 credential onto virtual:two.\n"


def test_json_of_an_export(sandbox: Sandbox) -> None:
    out = json.loads(sandbox.run("virtual", "export-credentials", "one", "k", "--json").out)
    (written,) = json.loads((sandbox.home / "k").read_text())
    assert out["exported"] == "k"
    assert (out["credentials"], out["left_out"]) == ([written["credentialId"]], [])
    assert written["privateKey"] not in json.dumps(out)


def test_a_sealed_token_opens_by_its_passphrase(sandbox: Sandbox) -> None:
    seal = ("--passphrase-file", "words")
    assert sandbox.run("virtual", "create", "shut", "--seal", *seal).code == 0
    assert sandbox.run("virtual", "export-credentials", "one", "k").code == 0
    assert sandbox.run("virtual", "import-credentials", "shut", "k").code == 1
    assert sandbox.run("virtual", "import-credentials", "shut", "k", *seal).code == 0
    assert sandbox.run("virtual", "export-credentials", "shut", "l", *seal).code == 0
    (moved,) = json.loads((sandbox.home / "l").read_text())
    (written,) = json.loads((sandbox.home / "k").read_text())
    assert moved["privateKey"] == written["privateKey"]


@pytest.mark.parametrize(("text", "code"), [("{", 4), ("[5]", 4), ("[]", 0)])
def test_other_files(sandbox: Sandbox, text: str, code: int) -> None:
    (sandbox.home / "k").write_text(text)
    done = sandbox.run("virtual", "import-credentials", "two", "k")
    assert done.code == code
    assert sandbox.run("virtual", "import-credentials", "two", "missing").code == 1


def test_there_is_no_such_token(sandbox: Sandbox) -> None:
    (sandbox.home / "k").write_text("[]")
    assert sandbox.run("virtual", "import-credentials", "none", "k").code == 3
    assert sandbox.run("virtual", "export-credentials", "none", "l").code == 3
    assert not (sandbox.home / "l").exists()
