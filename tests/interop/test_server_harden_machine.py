"""`server harden` on a whole machine: odd names and lines, no room, other people's locks."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.support.booted import booted
from tests.support.openssh_version import openssh
from tests.support.ssh_machine import SshMachine, token_line

pytestmark = [pytest.mark.interop, pytest.mark.root]

HARDEN = ("server", "harden", "hardware-only", "--reload")


@pytest.fixture(scope="module")
def whole() -> Iterator[SshMachine]:
    with booted() as machine:
        machine.unit("ssh.service")
        it = SshMachine(machine)
        machine.run("systemctl", "start", "ssh.service")
        yield it


@pytest.fixture
def it(whole: SshMachine) -> Iterator[SshMachine]:
    """The machine, with no user but alice before and after the test."""
    kept = {name: whole.machine.path(f"/etc/{name}").read_text() for name in DATABASES}
    yield whole
    whole.done("server", "harden", "--undo", "--reload")
    for name, text in kept.items():
        whole.machine.write(f"/etc/{name}", text, 0o640 if name == "shadow" else 0o644)


DATABASES = ("passwd", "shadow", "group")


def refused(it: SshMachine, *words: str) -> str:
    done = it.fidokit(*words)
    assert done.returncode not in {0, 70}, done
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


# --- who would be locked out ---------------------------------------------------------------


def test_keys_that_only_sshd_can_read(it: SshMachine) -> None:
    """sshd passes over a vertical tab within the base64, and may know types that we do not."""
    kind, blob = it.plain.split()[:2]
    it.add_user("tabbed", 2001, f"{kind} {blob[:30]}\v{blob[30:]}\n")
    names = {"tabbed"}
    if openssh("sshd") >= (10, 6):
        key = "/root/mldsa"
        it.machine.run("ssh-keygen", "-q", "-t", "mldsa44-ed25519", "-N", "", "-f", key)
        it.add_user("newest", 2002, it.machine.path(f"{key}.pub").read_text())
        names.add("newest")
    said = refused(it, *HARDEN)
    found = re.search(r"fidokit: ([\w, ]+) would be locked out", said)
    assert found, said
    assert set(found[1].split(", ")) == names
    assert it.lets_in()
    done = it.fidokit(*HARDEN, "--user", "alice")
    assert done.returncode == 0, done
    said = " ".join(done.stderr.split())
    assert f"would be locked out besides: {', '.join(sorted(names))}" in said


def test_a_token_key_in_a_line_that_only_sshd_can_read_is_proved(it: SshMachine) -> None:
    kind, blob = it.token.split()
    it.add_user("tabbed", 2001, f"{kind} {blob[:30]}\v{blob[30:]}\n")
    said = it.done(*HARDEN)
    assert "would get in: alice, tabbed" in said


def test_names_of_domains_and_hosts(it: SshMachine) -> None:
    names = ["DOM\\carol", "host$", "1234", "a.b-c_d", "UPPER"]
    for number, name in enumerate(names, 2001):
        it.add_user(name, number, it.token)
    assert f"would get in: alice, {', '.join(names)}\n" in it.done(*HARDEN)
    it.done("server", "harden", "--undo", "--reload")
    assert "would get in: DOM\\carol\n" in it.done(*HARDEN, "--user", names[0])
    assert not it.lets_in()


def test_many_users_are_proved_with_all_their_keys(it: SshMachine) -> None:
    for number in range(10):
        it.add_user(f"u{number}", 3000 + number, *(token_line(number * 10 + n) for n in range(10)))
    done = it.fidokit("--json", *HARDEN)
    assert done.returncode == 0, done
    assert done.stdout.count('"query"') == 101  # alice's other key is not on a token


# --- no room -------------------------------------------------------------------------------


def fill(it: SshMachine, folder: str) -> None:
    """Put a file system over a folder that is full, with the files that were there."""
    keep = f"mkdir /root/kept && cp -a {folder}/. /root/kept"
    mount = f"mount -t tmpfs -o size=2m,mode=755 none {folder} && cp -a /root/kept/. {folder}"
    fill_it = f"dd if=/dev/zero of={folder}/full bs=1k 2>/dev/null; ! touch {folder}/x 2>/dev/null"
    it.machine.tried("sh", "-c", f"{keep}; {mount}; {fill_it}")
    assert it.machine.tried("sh", "-c", f"echo x >{folder}/more").returncode != 0


def empty(it: SshMachine, folder: str) -> None:
    it.machine.run("sh", "-c", f"umount {folder}; rm -rf /root/kept")


def test_a_full_tmp(it: SshMachine) -> None:
    fill(it, "/tmp")
    try:
        it.done(*HARDEN)
        assert not it.lets_in()
        assert it.holds()
        it.done("server", "harden", "--undo", "--reload")
        assert it.lets_in()
    finally:
        empty(it, "/tmp")


def test_a_full_etc(it: SshMachine) -> None:
    fill(it, "/etc/ssh")
    before = it.files()
    try:
        said = refused(it, *HARDEN)
        assert "there is no room on the disk for /etc/ssh/sshd_config.d/0-fidokit.conf" in said
        assert it.files() == before
        it.machine.run("sshd", "-t")
        assert it.lets_in()
    finally:
        empty(it, "/etc/ssh")
    it.done(*HARDEN)


def test_it_is_taken_back_where_there_is_no_room(it: SshMachine) -> None:
    before = it.files()
    it.done(*HARDEN)
    fill(it, "/etc/ssh")
    try:
        it.done("server", "harden", "--undo", "--reload")
        assert it.lets_in()
        assert {name: text for name, text in it.files().items() if name not in FILLED} == before
    finally:
        empty(it, "/etc/ssh")


FILLED = ("full", "x", "more")


# --- other people's locks --------------------------------------------------------------------


def test_nobody_elses_lock_stops_it(it: SshMachine) -> None:
    """Whoever may read a file may lock it."""
    it.machine.run("sh", "-c", "mkdir -p /run/fidokit && chmod 711 /run/fidokit")
    files = "/etc/ssh /etc/ssh/sshd_config /etc/ssh/sshd_config.d /run/fidokit /tmp /run/sshd"
    held = f"for f in {files}; do setpriv --reuid=1001 --clear-groups flock $f sleep 100 & done"
    locks = it.machine.tried("sh", "-c", f"({held}) >/dev/null 2>&1; sleep 0.5; cat /proc/locks")
    assert locks.stdout.count("FLOCK") >= 5, locks
    try:
        it.done(*HARDEN)
    finally:
        it.machine.tried("sh", "-c", "for p in $(pgrep -x sleep); do kill $p; done")
