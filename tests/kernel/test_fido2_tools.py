"""Stock libfido2's programs on a token in the kernel: every option of fido2-token and its kin."""

from __future__ import annotations

import base64
import os

import pytest
from tests.kernel.conftest import PIN, Plugged

CDH = base64.b64encode(bytes(range(32))).decode()
CREDENTIAL = f"printf '%s\\n' {CDH} example.org alice {base64.b64encode(b'alice').decode()}"
OTHER = f"printf '%s\\n' {CDH} example.org bob {base64.b64encode(b'bob').decode()}"


def test_list_and_info(token: Plugged) -> None:
    listed = token.machine.run("fido2-token -L").ok()
    assert f"{token.node}: vendor=0x1209, product=0x0001" in listed
    info = token.machine.run(f"fido2-token -I {token.node}").ok()
    assert "version strings: " in info
    assert "FIDO_2_3" in info
    assert "pin retries: 8" in info


def test_set_and_change_the_pin(owned: Plugged) -> None:
    answers = [("current PIN", PIN), ("new PIN", "271828"), ("again", "271828")]
    owned.machine.typed(f"fido2-token -C {owned.node}", *answers).ok()
    assert "clientPin" in owned.machine.run(f"fido2-token -I {owned.node}").ok()
    wrong = [("current PIN", PIN), ("new PIN", "111111"), ("again", "111111")]
    refused = owned.machine.typed(f"fido2-token -C {owned.node}", *wrong)
    assert refused.code != 0
    assert "FIDO_ERR_PIN_INVALID" in refused.out
    assert "pin retries: 7" in owned.machine.run(f"fido2-token -I {owned.node}").ok()


def test_wink_is_no_error_and_reset_erases(owned: Plugged) -> None:
    """Within ten seconds of power, which a slow machine may have used up: either is an answer."""
    done = owned.machine.run(f"fido2-token -R {owned.node}")
    info = owned.machine.run(f"fido2-token -I {owned.node}").ok()
    if done.code == 0:
        assert "noclientPin" in info
    else:
        assert "FIDO_ERR_NOT_ALLOWED" in done.err
        assert ", clientPin" in info


@pytest.mark.parametrize("kind", ["es256", "eddsa"])
def test_make_verify_and_assert(token: Plugged, kind: str) -> None:
    """fido2-cred -M, -V; fido2-assert -G, -V: made, proved, used, proved."""
    token.machine.run(
        f"cd {token.path} && {CREDENTIAL} | fido2-cred -M {token.node} {kind} >made && "
        f"fido2-cred -V -i made {kind} >proved && head -n 1 proved >id && "
        f"tail -n +2 proved >key.pem && {{ printf '%s\\n' {CDH} example.org; cat id; }} | "
        f"fido2-assert -G {token.node} >said && fido2-assert -V -p -i said key.pem {kind}"
    ).ok()


def test_verification_by_pin(owned: Plugged) -> None:
    """-t pin=true: the assertion says that its owner was verified."""
    owned.machine.run(f"cd {owned.path} && {CREDENTIAL} >param").ok()
    owned.machine.typed(
        f"cd {owned.path} && fido2-cred -M -v -i param {owned.node} es256 >made", ("PIN", PIN)
    ).ok()
    owned.machine.run(
        f"cd {owned.path} && fido2-cred -V -v -i made es256 >proved && "
        f"tail -n +2 proved >key.pem && {{ printf '%s\\n' {CDH} example.org; head -n 1 proved; }}"
        " >want"
    ).ok()
    owned.machine.typed(
        f"cd {owned.path} && fido2-assert -G -t pin=true -i want {owned.node} >said", ("PIN", PIN)
    ).ok()
    owned.machine.run(f"cd {owned.path} && fido2-assert -V -v -i said key.pem es256").ok()


def test_hmac_secret(token: Plugged) -> None:
    """-h: the same salt gives the same secret, twice."""
    salt = base64.b64encode(os.urandom(64)).decode()
    token.machine.run(
        f"cd {token.path} && {CREDENTIAL} | fido2-cred -M -h {token.node} es256 >made && "
        "fido2-cred -V -h -i made es256 | head -n 1 >id"
    ).ok()
    said = token.machine.run(
        f"cd {token.path} && for i in 1 2; do {{ printf '%s\\n' {CDH} example.org; cat id; "
        f"echo {salt}; }} | fido2-assert -G -h {token.node} | tail -n 1; done"
    ).ok()
    first, second = said.split()
    assert first == second
    assert len(base64.b64decode(first)) in {32, 64}


def test_resident_keys_listed_and_deleted(owned: Plugged) -> None:
    """-L -r, -L -k, -I -c, -D -i: what is stored, and what is not any more."""
    run, typed = owned.machine.run, owned.machine.typed
    for who, line in (("alice", CREDENTIAL), ("bob", OTHER)):
        run(f"cd {owned.path} && {line} >{who}").ok()
        typed(
            f"cd {owned.path} && fido2-cred -M -r -i {who} {owned.node} es256 >{who}.made",
            ("PIN", PIN),
        ).ok()
    rps = typed(f"fido2-token -L -r {owned.node}", ("PIN", PIN)).ok()
    assert "example.org" in rps
    keys = typed(f"fido2-token -L -k example.org {owned.node}", ("PIN", PIN)).ok()
    alice, bob = (base64.b64encode(who).decode() for who in (b"alice", b"bob"))
    assert alice in keys
    assert bob in keys
    gone = next(line for line in keys.splitlines() if alice in line).split()[1]
    counted = typed(f"fido2-token -I -c {owned.node}", ("PIN", PIN)).ok()
    assert "existing rk(s): 2" in counted
    typed(f"fido2-token -D -i {gone} {owned.node}", ("PIN", PIN)).ok()
    left = typed(f"fido2-token -L -k example.org {owned.node}", ("PIN", PIN)).ok()
    assert alice not in left
    assert bob in left


def test_minimum_length_forced_change_and_always_uv(owned: Plugged) -> None:
    """-S -l, -S -u, -D -u, -S -f: settings, seen by -I."""
    run, typed = owned.machine.run, owned.machine.typed
    typed(f"fido2-token -S -l 6 {owned.node}", ("PIN", PIN)).ok()
    assert "minpinlen: 6" in run(f"fido2-token -I {owned.node}").ok()
    typed(f"fido2-token -S -u {owned.node}", ("PIN", PIN)).ok()
    assert ", alwaysUv" in run(f"fido2-token -I {owned.node}").ok()
    typed(f"fido2-token -D -u {owned.node}", ("PIN", PIN)).ok()
    assert "noalwaysUv" in run(f"fido2-token -I {owned.node}").ok()
    typed(f"fido2-token -S -f {owned.node}", ("PIN", PIN)).ok()
    assert "pin change required: true" in run(f"fido2-token -I {owned.node}").ok()


def test_large_blobs(owned: Plugged) -> None:
    """fido2-cred -b, fido2-token -S -b, -G -b, -L -b, -D -b: a blob beside a resident key.

    libfido2 1.12 fails at blobs that it compresses to less than 16 bytes, before it asks a token.
    """
    run, typed = owned.machine.run, owned.machine.typed
    run(f"cd {owned.path} && {CREDENTIAL} >param && head -c 100 /dev/urandom >blob").ok()
    typed(
        f"cd {owned.path} && fido2-cred -M -r -b -i param {owned.node} es256 >made", ("PIN", PIN)
    ).ok()
    run(f"cd {owned.path} && fido2-cred -V -i made es256 | head -n 1 >id").ok()
    on = "-n example.org"
    typed(f"cd {owned.path} && fido2-token -S -b {on} blob {owned.node}", ("PIN", PIN)).ok()
    assert "00:  " in typed(f"fido2-token -L -b {owned.node}", ("PIN", PIN)).ok()
    typed(f"cd {owned.path} && fido2-token -G -b {on} back {owned.node}", ("PIN", PIN)).ok()
    run(f"cmp {owned.path}/blob {owned.path}/back").ok()
    typed(f"cd {owned.path} && fido2-token -D -b {on} {owned.node}", ("PIN", PIN)).ok()
    assert "00:  " not in typed(f"fido2-token -L -b {owned.node}", ("PIN", PIN)).ok()


def test_pamu2fcfg(token: Plugged) -> None:
    """Registers for pam_u2f: a line of user, handle, key, type and flags."""
    line = token.machine.run("pamu2fcfg -u charlie -o pam://fidokit -i pam://fidokit").ok()
    user, registration = line.strip().split(":", 1)
    assert user == "charlie"
    assert registration.split(",")[2:] == ["es256", "+presence"]
