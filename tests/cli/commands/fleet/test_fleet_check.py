"""`fidokit fleet check` in a process of its own, with a program in the place of ssh."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.fleet.planning.audits import account, document, finding, key_line
from tests.fleet.report.fleets import ANA, BOB, HERS, HOSTILE
from tests.support.sandbox import Done, Sandbox

SSH = """#!/bin/sh
for last; do host=$before before=$last; done
nonce=$(head -c 4096 | grep -ao '[0-9a-f]\\{32\\}' | head -n 1)
[ -e @DOCS@/$host.slow ] && { echo $$ >>@DOCS@/pids; exec sleep 1000; }
[ -e @DOCS@/$host ] || { echo "ssh: Could not resolve hostname $host" >&2; exit 255; }
printf '\\n%s document\\n' "$nonce"
cat @DOCS@/$host
printf '\\n%s end\\n' "$nonce"
"""
POLICY = f"""
schema = 1
[people.ana.tokens.blue]
keys = ["{ANA}"]
[[hosts]]
match = ["web1", "web2"]
let-in = {{ root = ["ana"] }}
"""


class Fleet:
    """Hosts that are files."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.docs = sandbox.home / "docs"
        self.docs.mkdir()
        program = sandbox.home / "ssh-there"
        program.write_text(SSH.replace("@DOCS@", str(self.docs)))
        program.chmod(0o755)
        self.program = str(program)
        ana, bob = key_line(ANA, comment="ana@laptop"), key_line(BOB, hardware=False, comment="bob")
        self.has("web1", document([account("root", [ana]), account("bob", [bob])]))
        self.has("web2", document([account("root", [ana])]))

    def has(self, name: str, data: Mapping[str, object]) -> None:
        """What a host answers."""
        (self.docs / name).write_text(json.dumps(data))

    def check(self, *words: str) -> Done:
        """Run it without a terminal."""
        return self.sandbox.run("fleet", "check", "--ssh", self.program, *words)

    def json(self, *words: str, code: int = 0) -> dict[str, object]:
        """Its JSON."""
        done = self.check("--json", *words)
        assert done.code == code, done
        found: dict[str, object] = json.loads(done.out)["fleet"]
        return found


@pytest.fixture
def fleet(sandbox: Sandbox) -> Fleet:
    return Fleet(sandbox)


def test_a_host_that_is_down_is_a_row(fleet: Fleet) -> None:
    done = fleet.check("web1", "web2", "web3")
    assert done.code == 0
    assert "2 of 3 hosts checked" in done.out
    assert "web3  down: ssh: Could not resolve hostname web3" in done.out
    assert '* "ana@laptop"' in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_no_host_at_all(fleet: Fleet) -> None:
    assert fleet.check("web3").code == 1
    done = fleet.check()
    assert done.code == 2
    assert "no host is named" in done.err
    assert "-oProxyCommand" in fleet.check("--", "-oProxyCommand=evil").err


def test_an_inventory_and_words_together(fleet: Fleet) -> None:
    (fleet.sandbox.home / "hosts").write_text("web1  # first\nweb2\n")
    found = fleet.json("--inventory", "hosts", "web1")
    assert [host["host"] for host in found["hosts"]] == ["web1", "web2"]  # type: ignore[attr-defined]


def test_what_changed_since_the_last_time(fleet: Fleet) -> None:
    first = fleet.check("web1", "web2", "--json")
    report = fleet.sandbox.home / "first.json"
    report.write_text(first.out)
    assert "Nothing changed" in fleet.check("web1", "web2").out
    fleet.has("web2", document([account("root", [key_line(HERS, comment=HOSTILE)])]))
    done = fleet.check("web1", "web2", "--no-keep")
    assert "+ root@web2 token-key" in done.out
    assert "- root@web2 token-key" in done.out
    assert "\x1b[2J" not in done.out
    assert "+ root@web2" in fleet.check("web1", "web2").out
    assert "Nothing changed" in fleet.check("web1", "web2").out
    assert "+ root@web2" in fleet.check("web1", "web2", "--since", "first.json").out
    assert fleet.check("web1", "--since", "nothing").code == 2


def test_a_policy_names_keys_and_hosts(fleet: Fleet) -> None:
    (fleet.sandbox.home / "policy.toml").write_text(POLICY)
    done = fleet.check("--policy", "policy.toml")
    assert done.code == 10
    assert "Keys that the policy does not know (1)" in done.out
    assert "ED25519 " + BOB[:19] in done.out
    assert "ana: 2 of 2 accounts, such as root@web" in done.out
    assert "ana, blue" in done.out
    assert "does not hold: 1 key that the policy does not know" in done.err


def test_rules(fleet: Fleet) -> None:
    broken = [finding("a key in a file", "hardware", user="bob")]
    users = [account("bob", [key_line(BOB, hardware=False)])]
    fleet.has("web1", document(users, require=["hardware"], findings=broken))
    good = document([account("root", [key_line(ANA)])], require=["hardware"])
    fleet.has("web2", good)
    assert fleet.check("web2", "--require", "hardware").code == 0
    done = fleet.check("web1", "web2", "web3", "--require", "hardware")
    assert done.code == 10
    assert "does not hold: 2 of 3 hosts" in done.err
    assert "hardware: does not hold" in done.out
    fleet.has("web2", {**good, "policy": {"require": [], "holds": True, "violations": []}})
    assert fleet.check("web2", "--require", "hardware").code == 10
    assert fleet.check("web2", "--require", "nonsense").code == 2


def test_files_beside_the_text(fleet: Fleet) -> None:
    home = fleet.sandbox.home
    names = ("r.json", "r.html", "r.sarif", "r.prom")
    done = fleet.check("web1", *(word for name in names for word in ("--write", name)))
    assert "1 host checked" in done.out
    assert json.loads((home / "r.json").read_text())["fleet"]["hosts"][0]["host"] == "web1"
    assert json.loads((home / "r.sarif").read_text())["version"] == "2.1.0"
    assert (home / "r.html").read_text().startswith("<!DOCTYPE html>")
    assert (home / "r.prom").read_text().endswith("# EOF\n")
    done = fleet.check("web1", "--write", "r.doc")
    assert (done.code, ".html" in done.err) == (2, True)


@pytest.mark.parametrize("kind", ["json", "html", "sarif", "openmetrics"])
def test_formats(fleet: Fleet, kind: str) -> None:
    done = fleet.check("web1", "web2", "web3", "--format", kind)
    assert done.code == 0
    assert "web3" in done.out


def test_long(fleet: Fleet) -> None:
    done = fleet.check("web1", "--long")
    assert f"  root             token-key  ED25519-SK  {ANA}  ana@laptop" in done.out


def test_who_knows_a_key_is_kept_for_the_day_it_is_lost(fleet: Fleet) -> None:
    fleet.check("web1", "web2")
    state = fleet.sandbox.home / "state/fidokit/inventory/inventory.json"
    kept = json.loads(state.read_text())
    places = {(one["where"], one["account"], one["key"]) for one in kept["places"]}
    assert places == {("web1", "root", ANA), ("web1", "bob", BOB), ("web2", "root", ANA)}


def test_ctrl_c_ends_it_and_leaves_nothing(fleet: Fleet) -> None:
    (fleet.docs / "web2.slow").touch()
    done = fleet.sandbox.talk(
        *("fleet", "check", "--ssh", fleet.program, "web1", "web2"),
        answers=[("1 of 2", signal.SIGINT)],
    )
    assert done.code == 130
    assert "Traceback" not in done.out
    for number in (fleet.docs / "pids").read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(number), 0)
    kept = fleet.sandbox.home / "state/fidokit/fleet/hosts.json"
    assert '"host": "web1"' in kept.read_text()


def test_time_is_limited(fleet: Fleet) -> None:
    (fleet.docs / "web2.slow").touch()
    done = fleet.check("web1", "web2", "--timeout", "1")
    assert "web2  timed-out: no report within 1 s" in done.out
    assert "1 of 2 hosts checked" in done.out


def test_output_is_limited(fleet: Fleet) -> None:
    fleet.has("web2", {"x": "y" * (2 << 20)})
    found = fleet.json("web1", "web2", "--max-output", "1")
    assert [host["state"] for host in found["hosts"]] == ["checked", "hostile"]  # type: ignore[attr-defined]


def test_where_it_is_kept_cannot_be_written(fleet: Fleet, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    fleet.sandbox.env["XDG_STATE_HOME"] = str(blocked)
    done = fleet.check("web1")
    assert done.code == 0
    assert "1 host checked" in done.out
    assert "warning: what was found is not kept" in done.err
