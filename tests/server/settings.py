"""Effective settings of sshd for tests, by name."""

from __future__ import annotations

from fidokit.server.sshd.settings import SshdSettings, parse_settings

ALGORITHMS = (
    "ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,ssh-ed25519,"
    "ecdsa-sha2-nistp256,sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,"
    "rsa-sha2-512,rsa-sha2-256"
)
TOKENS = "sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com"
DEFAULTS = {
    "usepam": "yes",
    "requiredrsasize": "1024",
    "permitrootlogin": "without-password",
    "pubkeyauthentication": "yes",
    "passwordauthentication": "yes",
    "kbdinteractiveauthentication": "no",
    "strictmodes": "yes",
    "permitemptypasswords": "no",
    "chrootdirectory": "none",
    "trustedusercakeys": "none",
    "authorizedkeyscommand": "none",
    "casignaturealgorithms": "ssh-ed25519,sk-ssh-ed25519@openssh.com,rsa-sha2-512",
    "pubkeyacceptedalgorithms": ALGORITHMS,
    "authorizedkeysfile": ".ssh/authorized_keys",
    "authenticationmethods": "any",
    "pubkeyauthoptions": "none",
}


def printed(**changes: str) -> str:
    """What `sshd -T` prints, with some settings changed; a line break repeats the keyword."""
    values = DEFAULTS | changes
    return "".join(f"{k} {v}\n" for k, text in values.items() for v in text.split("\n"))


def settings(**changes: str) -> SshdSettings:
    """The same, parsed."""
    return parse_settings(printed(**changes))
