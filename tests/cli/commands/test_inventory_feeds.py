"""What commands note in the inventory; none fails because of it; it can be switched off."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.commands.conftest import Bench
from tests.support.key_site import key_site
from tests.support.keygen import line
from tests.support.signers import ed25519_key

from fidokit.inventory.kept import Inventory, KnownPlace, PlaceKind
from fidokit.inventory.store import kept_counters, kept_inventory
from fidokit.keys import bookkeeping


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bookkeeping, "_warned", [])


def known() -> Inventory:
    return kept_inventory().read()


def test_a_key_and_its_backup(bench: Bench) -> None:
    bench.plug("other")
    made = bench.json(*bench.with_pin(
        *("key", "generate", "-f", str(bench.home / "id"), "--no-passphrase", "-C", "me@laptop"),
        *("--also", "virtual:other"),
    ))  # fmt: skip
    first, backup = known().keys
    assert first.fingerprint == made["key"]["fingerprint"]
    assert (first.application, first.token, first.backup_of) == ("ssh:", "virtual:t", "")
    assert first.line == (bench.home / "id.pub").read_text().strip()
    assert first.file == str(bench.home / "id")
    assert (backup.token, backup.backup_of) == ("virtual:other", first.fingerprint)
    assert [(one.id, bool(one.name)) for one in known().tokens] == [
        ("virtual:t", True),
        ("virtual:other", True),
    ]


def test_a_list_finds_tokens_and_whose_backup_a_key_is(bench: Bench) -> None:
    bench.generate("id", "-O", "resident", "-C", "me@laptop")
    bench.generate("id_backup", "-O", "resident", "-O", "user=b", "-C", "me@laptop (backup)")
    kept_inventory().path.unlink()
    bench.ok(*bench.with_pin("key", "list"))
    kept = {key.comment: key for key in known().keys}
    assert {key.token for key in kept.values()} == {"virtual:t"}
    first = kept["me@laptop"]
    assert kept["me@laptop (backup)"].backup_of == first.fingerprint
    bench.ok("key", "list", "--no-token")  # which tells less, and takes nothing away
    assert known().key(first.fingerprint) == first


@pytest.mark.parametrize("prefix", ["gh", "gl"])
def test_accounts(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    key = bench.generate("id")
    with key_site(tmp_path, prefix) as site:
        site.log_in("alice", "admin:public_key", "admin:ssh_signing_key")
        for name, value in site.environ(os.environ["PATH"]).items():
            monkeypatch.setenv(name, value)
        bench.ok("key", "publish", f"{prefix}:", str(bench.home / "id.pub"))
        bench.ok("key", "publish", f"{prefix}:", str(bench.home / "id.pub"), "--signing")
    (key_print,) = {place.key for place in known().places}
    assert key_print == key["fingerprint"]
    assert [(place.where, place.account, place.use) for place in known().places] == [
        (prefix, "alice", "login"),
        (prefix, "alice", "signing"),
    ]


def test_certificates_and_signers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    authority = bench.generate("ca")
    (bench.home / "user.pub").write_bytes(line(ed25519_key(5).public, "").lstrip())
    bench.ok("cert", "sign", "-s", "ca", "-I", "an id", "-n", "a", "-z", "7", "user.pub")
    (place,) = known().places
    assert (place.kind, place.serial, place.account) == (PlaceKind.CERTIFICATE, 7, "an id")
    assert place.authority == authority["fingerprint"]
    text = (bench.home / "user-cert.pub").read_text().split()
    assert place.line.split() == text[:2]
    bench.ok("git", "setup", "-f", "ca", "--principal", "me@example.org", "--dry-run")
    assert len(known().places) == 1
    bench.ok("git", "setup", "-f", "ca", "--principal", "me@example.org", "--program", "p")
    signers = known().places[1]
    file = str(bench.home / ".ssh/allowed_signers")
    assert signers == KnownPlace(
        PlaceKind.SIGNERS, authority["fingerprint"], file, "me@example.org", seen=signers.seen
    )


def test_nothing_fails_and_it_is_said_once(bench: Bench) -> None:
    folder = kept_inventory().path.parent
    folder.parent.mkdir(exist_ok=True)
    folder.write_bytes(b"in the way")
    done = bench.run("key", "generate", "-f", "id", "--no-passphrase")
    assert done.code == 0
    assert done.err.count("warning: not noted in the inventory") == 1
    assert (bench.home / "id").exists()
    assert "not noted" not in bench.run("key", "list", "--no-token").err


def test_switched_off(bench: Bench) -> None:
    config = Path(bench.sandbox.env["XDG_CONFIG_HOME"], "fidokit/config.toml")
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("inventory = false\n")
    bench.generate("id")
    (bench.home / "text").write_text("x")
    bench.ok("key", "sign", "-f", "id", "-n", "file", "text")
    assert not kept_inventory().path.parent.exists()
    config.write_text("inventory = 1\n")
    done = bench.run("key", "list", "--no-token")
    assert done.code == 0
    assert "`inventory` is neither true nor false; write: inventory = false" in done.err


def report(lines: object) -> dict[str, object]:
    return {"schema": 1, "users": [
        {"user": "bob", "files": [{"path": "/home/bob/.ssh/authorized_keys", "lines": lines}]}
    ]}  # fmt: skip


def test_a_report_of_a_host(bench: Bench) -> None:
    good, bad = "SHA256:" + "A" * 43, "SHA256:" + "B" * 43
    lines = [{"fingerprint": good, "refused": []}, {"fingerprint": bad, "refused": ["why"]}]
    assert bench.home.exists()
    bookkeeping.record_host_audit("root@web", report(lines), ssh=("ssh", "-p", "22"))
    (place,) = known().places
    assert (place.key, place.where, place.account) == (good, "root@web", "bob")
    assert (place.ssh, place.path) == (("ssh", "-p", "22"), "/home/bob/.ssh/authorized_keys")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"users": 1},
        {"users": [1, {"user": 1, "files": [{"path": "/x", "lines": [{}]}]}]},
        report({"fingerprint": "x"}),
        report([1, {"fingerprint": 1}, {"fingerprint": "SHA256:../../x"}, {"unreadable": "x"}]),
        json.loads('{"users": [{"user": "a\\u0000b", "files": [{"path": "/x", "lines": [{}]}]}]}'),
    ],
)
def test_a_report_of_a_hostile_host(bench: Bench, document: dict[str, object]) -> None:
    said: list[str] = []
    bookkeeping.record_host_audit("web", document, say=said.append)
    assert (known(), said) == (Inventory(), [])
    assert bench.home.exists()


def test_a_report_of_a_host_with_too_many_keys(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.home.exists()
    monkeypatch.setattr(bookkeeping, "MOST_OF_HOST", 3)
    lines = [{"fingerprint": f"SHA256:{number:043}", "refused": []} for number in range(9)]
    said: list[str] = []
    bookkeeping.record_host_audit("web", report(lines), say=said.append)
    assert len(known().places) == 3
    assert said == ["warning: web has more keys than are noted: 3"]


# --- counters --------------------------------------------------------------------------------


def sign(bench: Bench, token: str, code: int = 0) -> str:
    """A signature by the key on this token; what was said."""
    (bench.home / "text.sig").unlink(missing_ok=True)
    done = bench.run("--token", token, "key", "sign", "-f", "id", "-n", "file", "text")
    assert done.code == code, done.err
    return done.err


def test_a_clone_is_an_alarm_and_doctor_shows_it(bench: Bench) -> None:
    key = bench.generate("id")["fingerprint"]
    (bench.home / "text").write_text("x")
    assert "suspected" not in sign(bench, "virtual:t")
    bench.ok("virtual", "export", "t", "t.state")
    assert "suspected" not in sign(bench, "virtual:t") + sign(bench, "virtual:t")
    bench.ok("virtual", "import", "t.state", "clone")
    said = sign(bench, "virtual:clone")
    assert f"WARNING: clone suspected: the signature counter of {key} went back from" in said
    alarm = kept_counters().read().alarms[key]
    assert alarm.value < alarm.before
    assert "suspected" not in sign(bench, "virtual:clone")  # the first alarm counts, and stays
    found = [one for one in bench.json("doctor", code=1)["findings"] if one["id"] == "FK555"]
    assert [one["status"] for one in found] == ["fail"]
    dismiss, revoke = (f"fidokit lost {word}{key}" for word in ("--not-cloned ", ""))
    assert f"`{dismiss}`" in found[0]["hint"]
    assert f"`{revoke}`" in found[0]["hint"]
    done = bench.run(*revoke.split()[1:], "--yes", "--krl", str(bench.home / "krl"))
    assert (done.code, done.err) == (
        10,
        "",
    )  # there is no ssh-keygen that would find it on the list
    bench.ok(*dismiss.split()[1:])
    assert "FK555" not in [one["id"] for one in bench.json("doctor", code=1)["findings"]]


def test_doctor_with_odd_counters(bench: Bench, in_process: Callable[..., int]) -> None:
    assert callable(in_process)
    assert "FK555" not in [one["id"] for one in bench.json("doctor", code=1)["findings"]]
    path = kept_counters().path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"odd")
    found = [one for one in bench.json("doctor", code=1)["findings"] if one["id"] == "FK555"]
    assert [one["status"] for one in found] == ["warn"]
