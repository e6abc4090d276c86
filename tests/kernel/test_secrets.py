"""pam_u2f and systemd-cryptenroll judge the lines that we write, and we read theirs."""

from __future__ import annotations

import base64
import json

from tests.kernel.conftest import Plugged

ORIGIN = "pam://fidokit"
LOGIN = """\
cat >/etc/pam.d/fidokit-u2f <<'END'
auth required pam_u2f.so authfile={authfile} origin=pam://fidokit appid=pam://fidokit
account required pam_permit.so
END
pamtester fidokit-u2f {user} authenticate
"""


def login(token: Plugged, user: str, authfile: str) -> str:
    """What pamtester says of a login by pam_u2f."""
    done = token.machine.run(LOGIN.format(user=user, authfile=f"{token.path}/{authfile}"))
    return done.out + done.err


def test_pam_u2f_lets_in_by_our_line_and_by_no_other(token: Plugged) -> None:
    token.fidokit(f"secret create login.fido --application {ORIGIN} --no-verify").ok()
    token.fidokit("secret show --pam-u2f charlie login.fido >u2f_keys").ok()
    assert "successfully authenticated" in login(token, "charlie", "u2f_keys")
    assert "successfully authenticated" not in login(token, "root", "u2f_keys")
    line = token.machine.run(f"cat {token.path}/u2f_keys").ok()
    handle, rest = line.removeprefix("charlie:").split(",", 1)
    wrong = f"charlie:{base64.b64encode(bytes(66)).decode()},{rest}"
    assert len(handle) == 88
    token.machine.run(f"cat >{token.path}/wrong_keys", stdin=wrong).ok()
    assert "successfully authenticated" not in login(token, "charlie", "wrong_keys")


def test_a_line_of_pamu2fcfg_is_read(token: Plugged) -> None:
    """Its credential derives no secrets on every token; what the line says is the same for both."""
    token.machine.run(
        f"cd {token.path}; pamu2fcfg -u charlie -o {ORIGIN} -i {ORIGIN} >u2f_keys"
    ).ok()
    assert "successfully authenticated" in login(token, "charlie", "u2f_keys")
    shown = json.loads(token.fidokit(f"secret show u2f_keys --application {ORIGIN} --json").ok())
    handle = token.machine.run(f"cut -d: -f2 {token.path}/u2f_keys | cut -d, -f1").ok()
    assert shown["secret"]["credential_id"] == base64.b64decode(handle).hex()


def test_a_slot_of_systemd_cryptenroll_opens_by_us(token: Plugged) -> None:
    token.machine.run(
        f"cd {token.path}; truncate -s 20M disk.img; printf first >first; "
        "cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "
        "disk.img first; "
        f"PASSWORD=first systemd-cryptenroll --fido2-device={token.node} "
        "--fido2-with-client-pin=no --fido2-with-user-presence=yes disk.img"
    ).ok()
    token.machine.run(
        f"cd {token.path}; cryptsetup token export --token-id 0 disk.img >disk.fido"
    ).ok()
    token.fidokit("secret derive disk.fido --format base64 -o key").ok()
    token.machine.run(
        f'cd {token.path}; printf %s "$(cat key)" >bare; '
        "cryptsetup open --test-passphrase --key-slot 1 --key-file=bare disk.img"
    ).ok()
