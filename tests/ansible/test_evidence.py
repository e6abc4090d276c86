"""What the controller reads and judges: files, addresses, attestations."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.support.agent_host import sk_key
from tests.support.ansible_site import HERE, Controller, Target

pytestmark = [
    pytest.mark.interop,
    pytest.mark.root,
    pytest.mark.parametrize("site", [HERE], indirect=True),
]
FILE = "/home/alice/.ssh/authorized_keys"


@pytest.fixture(autouse=True)
def empty(web: Target) -> None:
    web.run("rm", "-rf", "/home/alice/.ssh")


@pytest.fixture
def evidence(site: Controller) -> dict[str, Any]:
    """A key that the token made, and what proves it."""
    home = site.files
    made = {name: f"{home}/attested.{name}" for name in ("attestation", "challenge")}
    if not Path(made["attestation"]).exists():
        Path(made["challenge"]).write_bytes(b"challenge of the administrator")
        files = (f"challenge={made['challenge']}", f"write-attestation={made['attestation']}")
        words = [word for file in files for word in ("-O", file)]
        sk_key(site.host, "attested", "-t", "ed25519-sk", *words)
    return {"evidence": [made], "certified": False}


def attempt(site: Controller, key: str, attested: dict[str, Any], code: int = 0) -> dict[str, Any]:
    given = {"user": "alice", "src": [f"{site.files}/{key}.pub"], "attested": attested}
    return site.task("authorized_key", code=code, **given).result


def test_a_new_key_needs_evidence(site: Controller, web: Target, evidence: dict[str, Any]) -> None:
    refused = attempt(site, "plain", evidence, code=2)
    assert "nothing attests that a token made it" in refused["msg"]
    assert web.read(FILE) == ""
    assert attempt(site, "attested", evidence)["changed"] is True
    assert web.read(FILE) == (site.files / "attested.pub").read_text()
    # a key that is there already stays, and needs none
    web.write(FILE, (site.files / "plain.pub").read_text(), "alice")
    assert attempt(site, "plain", {"evidence": []})["changed"] is False


def test_evidence_of_a_self_made_token_is_not_a_certified_models(
    site: Controller, web: Target, evidence: dict[str, Any]
) -> None:
    for narrower in ({"certified": True}, {"models": ["2fc0579f-8113-47ea-b116-bb5a8db9202a"]}):
        wish = {**evidence, **narrower}
        assert "nothing attests" in attempt(site, "attested", wish, code=2)["msg"]
    other = Path(evidence["evidence"][0]["challenge"]).with_name("other.challenge")
    other.write_bytes(b"another challenge")
    wish = {**evidence, "evidence": [{**evidence["evidence"][0], "challenge": str(other)}]}
    assert "nothing attests" in attempt(site, "attested", wish, code=2)["msg"]
    missing = {**evidence, "program": "/nowhere/fidokit"}
    assert "install fidokit on the controller" in attempt(site, "attested", missing, code=2)["msg"]
    assert web.read(FILE) == ""


@pytest.fixture
def address(site: Controller) -> Iterator[str]:
    """A site on this machine that publishes a key, with an option that widens."""
    line = (site.files / "plain.pub").read_bytes()

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"no-touch-required,no-pty " + line)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/keys"
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_a_site_publishes_is_narrowed(site: Controller, web: Target, address: str) -> None:
    done = site.task("authorized_key", user="alice", key=[address])
    assert "left out no-touch-required" in done.told
    assert web.read(FILE) == "no-pty " + (site.files / "plain.pub").read_text()
    assert site.task("authorized_key", user="alice", key=[address]).result["changed"] is False
    unsafe = site.task("authorized_key", user="alice", key=["http://example.org/keys"], code=2)
    assert "use an https address" in unsafe.told


def test_a_private_key_never_leaves_the_controller(site: Controller, web: Target) -> None:
    given = {"user": "alice", "src": [str(site.files / "plain")]}
    done = site.task("authorized_key", code=2, **given)
    assert "is a private key" in done.told
    assert web.read(FILE) == ""
