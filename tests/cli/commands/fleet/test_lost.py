"""`fidokit lost` without hosts: the plan, the question, signers, certificates, forges, the end.

tests/interop/test_lost.py has it with hosts, and the stock programs as judges.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands.conftest import Bench
from tests.support.key_site import key_site
from tests.support.signers import ed25519_token

from fidokit.inventory.kept import Inventory, KnownPlace, PlaceKind
from fidokit.inventory.store import kept_counters, kept_inventory
from fidokit.openssh.certificates.krl import parse_krl
from fidokit.openssh.keys.public import parse_public_line

WHO = "me@example.org"
JUDGE = "#!/bin/sh\necho REVOKED, or"


def with_judge(bench: Bench, monkeypatch: pytest.MonkeyPatch, *digests: str) -> None:
    """Something in the place of ssh-keygen, which tests/interop asks: it finds each key."""
    judge = bench.home / "bin" / "ssh-keygen"
    judge.parent.mkdir()
    judge.write_text(f"{JUDGE} {' '.join(digests)}\n")
    judge.chmod(0o755)
    monkeypatch.setenv("PATH", f"{judge.parent}:{os.environ['PATH']}")


@pytest.fixture
def home(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A key with a backup, for git."""
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    judge = (
        bench.home / "bin" / "ssh-keygen"
    )  # in the place of the stock one, which tests/interop asks
    judge.parent.mkdir()
    judge.write_text(JUDGE)
    judge.chmod(0o755)
    monkeypatch.setenv("PATH", f"{judge.parent}:{os.environ['PATH']}")
    bench.plug("other")
    bench.ok(*bench.with_pin(
        *("key", "generate", "-f", str(bench.home / "id"), "--no-passphrase", "-C", "me@laptop"),
        *("--also", "virtual:other"),
    ))  # fmt: skip
    bench.ok("git", "setup", "-f", str(bench.home / "id"), "--principal", WHO, "--program", "p")
    return bench


def lost(bench: Bench, *words: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = bench.json("lost", *words, "--yes", code=code)["lost"]
    return found


def row(found: dict[str, Any], kind: str) -> dict[str, Any]:
    (one,) = (one for one in found["verdict"] if one["kind"] == kind)
    assert isinstance(one, dict)
    return one


def test_an_empty_inventory(bench: Bench) -> None:
    done = bench.run("lost")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("The inventory is empty")
    assert bench.json("lost") == {"inventory": []}
    done = bench.run("lost", "virtual:t", "--dry-run")
    assert done.code == 3
    assert "no token and no key in the inventory fits 'virtual:t'" in done.err


def test_the_inventory(home: Bench) -> None:
    lines = home.ok("lost").splitlines()
    assert lines[0] == "KEY\tTOKEN\tBACKUP\tKNOWN-TO"
    assert lines[1:3] == [
        "me@laptop\tvirtual:t\tyes\t1",
        "me@laptop (backup)\tvirtual:other\tis one\t0",
    ]
    first, backup = home.json("lost")["inventory"]
    assert (first["backup"], backup["backup"]) == (backup["fingerprint"], first["fingerprint"])


def test_the_plan_changes_nothing_and_is_shown_before_the_question(home: Bench) -> None:
    before = {path: path.read_bytes() for path in home.home.rglob("*") if path.is_file()}
    done = home.run("lost", "virtual:t", "--dry-run")
    assert done.out.splitlines()[:2] == ["Lost: 1 key of virtual:t", "  me@laptop"]
    assert "backup: me@laptop (backup), on virtual:other" in done.out
    assert "  signers      ~/.ssh/allowed_signers\n" in done.out
    assert "  here         git, for signatures\n" in done.out
    found = home.json("lost", "virtual:t", "--dry-run")["lost"]
    assert (found["verdict"], found["proved"]) == (None, None)
    done = home.run("lost", "virtual:t")  # and there is nobody to ask
    assert done.code == 2
    assert done.out.startswith("Lost: 1 key of virtual:t\n")
    assert "--yes" in done.err
    after = {path: path.read_bytes() for path in home.home.rglob("*") if path.is_file()}
    assert after == before


def test_a_question_on_a_terminal(home: Bench) -> None:
    answers = [("[y/N]", "n\n")]
    done = home.sandbox.talk(
        "lost", "virtual:t", answers=answers, GIT_CONFIG_NOSYSTEM="1", PATH=os.environ["PATH"]
    )
    assert done.code != 0
    assert kept_inventory().read().losses == ()
    answers = [("[y/N]", "y\n")]
    done = home.sandbox.talk(
        "lost", "virtual:t", answers=answers, GIT_CONFIG_NOSYSTEM="1", PATH=os.environ["PATH"]
    )
    assert done.code == 0
    assert "Proved in all 3 places" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines() if "SHA256" not in line)


def test_signers_git_and_the_list(home: Bench) -> None:
    found = lost(home, "virtual:t")
    assert found["proved"] is True
    assert {one["kind"] for one in found["verdict"]} == {
        "revocation list", "signers", "this machine"
    }  # fmt: skip
    signers = (home.home / ".ssh/allowed_signers").read_text().splitlines()
    assert signers[0].startswith(f'{WHO} valid-before="')
    assert signers[1].startswith(f'{WHO} namespaces="git" sk-ssh-ed25519@openssh.com ')
    assert signers[1].endswith(" me@laptop (backup)")
    key = parse_public_line((home.home / "id.pub").read_bytes()).key
    assert parse_krl(Path(found["krl"]).read_bytes()).revocation(key)
    assert "id_backup" in (home.home / ".gitconfig").read_text()
    (loss,) = kept_inventory().read().losses
    assert loss.since == found["keys"][0]["since"]
    again = lost(home, "virtual:t")
    assert again["proved"] is True
    assert [one["done"] for one in again["verdict"]] == [[]] * len(again["verdict"])
    assert again["keys"][0]["since"] == loss.since
    assert (home.home / ".ssh/allowed_signers").read_text().splitlines() == signers


def test_since_when(home: Bench) -> None:
    lost(home, "me@laptop", "--since", "20240229120000Z", "--krl", str(home.home / "my list"))
    assert 'valid-before="20240229120000Z"' in (home.home / ".ssh/allowed_signers").read_text()
    assert (home.home / "my list").exists()
    assert home.run("lost", "me@laptop", "--since", "soon").code == 2


def test_a_key_without_a_backup(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with_judge(bench, monkeypatch)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    bench.generate("id")
    bench.ok("git", "setup", "-f", "id", "--principal", WHO, "--program", "p")
    found = lost(bench, "virtual:t", code=10)
    assert row(found, "signers")["backup"] == "no backup"
    assert row(found, "signers")["proved"] is True
    here = row(found, "this machine")
    assert here["by_hand"] == ["git config --global --unset user.signingKey"]
    done = bench.run("lost", "virtual:t", "--yes")
    assert "this machine: git: NOT PROVED" in done.out
    assert "To finish it: fidokit lost virtual:t" in done.out
    import subprocess

    subprocess.run(here["by_hand"][0].split(), check=True)
    assert lost(bench, "virtual:t")["proved"] is True


def test_a_certificate_that_no_host_was_asked_about(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_judge(bench, monkeypatch)
    bench.generate("ca")
    bench.plug("other")
    words = ("-f", "id", "--no-passphrase", "-C", "work")
    bench.ok("--token", "virtual:other", "key", "generate", *words)
    bench.ok("cert", "sign", "-s", "ca", "-I", "an id", "-n", "me", "-z", "9", "id.pub")
    found = lost(bench, "work", code=10)
    certificate = row(found, "certificate")
    assert certificate["place"] == "an id, serial 9"
    assert certificate["lost_key"] == "cannot be known"
    assert found["krl"] in certificate["why"][0]
    bench.ok("cert", "sign", "-s", "ca", "-I", "over", "-n", "me", "-z", "9", "--force",
             "-V", "20200101:20200102", "id.pub")  # fmt: skip
    kept = kept_inventory()
    kept.change(lambda old: Inventory(old.tokens, old.keys, old.places[1:]))
    assert row(lost(bench, "work"), "certificate")["why"] == ["it is out of date"]


def test_by_hand_at_a_forge(home: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with key_site(tmp_path, "gh") as site:
        for name, value in site.environ(os.environ["PATH"]).items():
            monkeypatch.setenv(name, value)
        site.log_in("alice", "admin:public_key")
        home.ok("key", "publish", "gh:", str(home.home / "id.pub"), "--no-backup")
        (site.folder / "account").rename(tmp_path / "account")
        found = lost(home, "virtual:t", code=10)
        forge = row(found, "forge")
        assert (forge["place"], forge["lost_key"]) == ("GitHub (alice)", "still lets in")
        assert any(f"{site.host}/settings/keys" in why for why in forge["why"])
        (tmp_path / "account").rename(site.folder / "account")
        forge = row(lost(home, "virtual:t"), "forge")
        assert forge["done"] == ["backup added", "taken out"]
        backup = (home.home / "id_backup.pub").read_text().split()[1]
        assert [line.split()[1] for line in site.keys("authentication")] == [backup]


def test_ssh_switches_to_the_backup(home: Bench, in_process: Callable[..., int]) -> None:
    from fidokit.keys.ssh_config import HostBlock, install_blocks, installed_blocks

    assert callable(in_process)
    install_blocks([HostBlock("web", home.home / "id", "me", 2222)], ssh=("true",))
    found = lost(home, "virtual:t")
    assert any(one["place"] == "this machine: ssh for web" for one in found["verdict"])
    (block,) = installed_blocks()
    assert "id_backup\n" in block.text
    assert "Port 2222\n" in block.text


def test_a_hostile_inventory(home: Bench) -> None:
    key = kept_inventory().read().keys[0].fingerprint
    place = KnownPlace(PlaceKind.SIGNERS, key, "/x/\x1b[31m", "a\nb")
    kept_inventory().change(lambda old: old.with_facts(places=[place]))
    done = home.run("lost", "virtual:t", "--dry-run")
    assert "\x1b" not in done.out
    found = lost(home, "virtual:t", code=10)
    assert any("does not exist" in str(one["why"]) for one in found["verdict"])
    path = kept_inventory().path
    document = json.loads(path.read_bytes())
    document["keys"][0]["line"] = "x"
    path.write_text(json.dumps(document))
    done = home.run("lost", "virtual:t")
    assert done.code == 4
    assert "`keys`, row 1" in done.err
    assert f"hint: to begin anew: mv {path}" in done.err.replace("\n", " ")


def test_without_an_inventory(home: Bench) -> None:
    """Switched off, it still does what the words name."""
    config = Path(home.sandbox.env["XDG_CONFIG_HOME"], "fidokit/config.toml")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("inventory = false\n")
    kept_inventory().path.unlink()
    found = lost(home, str(home.home / "id.pub"), code=10)
    key = parse_public_line((home.home / "id.pub").read_bytes()).key
    assert parse_krl(Path(found["krl"]).read_bytes()).revocation(key)
    assert not kept_inventory().path.exists()


def test_an_alarm_is_dismissed(home: Bench) -> None:
    from functools import partial

    from fidokit.inventory.counters import CounterHistory, CounterReading

    key = kept_inventory().read().keys[0].fingerprint
    for value, began in ((5, 1.0), (3, 3.0)):
        reading = CounterReading(key, value, began, began + 1, "a test")
        kept_counters().change(partial(CounterHistory.after, reading=reading))
    assert kept_counters().read().alarms
    dismissed = home.json("lost", "--not-cloned", "me@laptop")["dismissed"]
    assert [one["fingerprint"] for one in dismissed] == [key]
    assert kept_counters().read().alarms == {}


def test_only_a_fingerprint_is_known(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import base64
    import hashlib

    blob = ed25519_token(5).public.blob()
    digest = hashlib.sha256(blob).digest()
    name = f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
    found = lost(bench, name, code=10)  # nobody can be asked
    assert row(found, "revocation list")["lost_key"] == "cannot be known"
    with_judge(bench, monkeypatch, digest.hex())
    found = lost(bench, name)
    assert row(found, "revocation list")["lost_key"] == "kept out"
    krl = parse_krl(Path(found["krl"]).read_bytes())
    assert krl.revocation(ed25519_token(5).public)


def test_hosts_of_a_file_and_of_a_policy(home: Bench) -> None:
    """Nobody answers at this port, so that each is a row with what to do by hand."""
    line = (home.home / "id.pub").read_text().strip()
    backup = (home.home / "id_backup.pub").read_text().strip()
    (home.home / "policy.toml").write_text(f"""
[people.alice.tokens.blue]
keys = ["{line}"]
[people.alice.tokens.drawer]
backup-of = "blue"
keys = ["{backup}"]
[[hosts]]
match = ["127.0.0.1"]
let-in = {{ deploy = ["alice"] }}
""")
    (home.home / "hosts").write_text("# ours\nroot@127.0.0.1\nssh://me@127.0.0.1:1\n")
    named = ("--policy", "policy.toml", "--inventory", "hosts", "-e", "ssh -F none -p 1")
    done = home.run("lost", "blue", "--dry-run", *named)
    for name in ("deploy@127.0.0.1:1\n", "root@127.0.0.1:1\n", "me@127.0.0.1:1\n"):
        assert f"  host         {name}" in done.out
    found = home.json("lost", "blue", "--dry-run", *named)["lost"]
    assert found["tokens"][0]["id"] == "virtual:t"
    assert [place["kind"] for place in found["places"]].count("host") == 3
    (home.home / "hosts").write_text("-oProxyCommand=x\n")
    assert home.run("lost", "blue", "--dry-run", *named).code == 4
    (home.home / "policy.toml").write_text("[")
    assert home.run("lost", "me@laptop", "--policy", "policy.toml", "--yes").code == 4
