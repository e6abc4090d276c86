"""Servers by name: those in which a verdict was once wrong, and those that must be said to hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from tests.interop.oracle.forms import STACKS
from tests.interop.oracle.generator import DEBIAN
from tests.interop.oracle.guards import SECRET
from tests.interop.oracle.site import GHOST, HASH, SHADOW_REST, File, Person, Site

VERIFIED = "verify-required <token>"


def _today() -> int:
    return (date.today() - date(1970, 1, 1)).days


def site(
    config: str = "",
    *lines: str,
    tail: str = "",
    user: Mapping[str, object] | None = None,
    mode: int = 0o600,
    **more: object,
) -> Site:
    """Alice's server, Debian's configuration with lines before and behind it.

    Args:
        config: lines that come first.
        lines: of her authorized_keys; a token's that verifies where there are none.
        tail: what comes last.
        user: fields of `Person` that are to differ.
        mode: of her authorized_keys.
        more: fields of `Site`.
    """
    person = Person("alice", 1001, **(user or {}))  # type: ignore[arg-type]
    found = Site("", f"{config}\n{DEBIAN}\n{tail}\n", [person], **more)  # type: ignore[arg-type]
    found.authorize("alice", *(lines or (VERIFIED,)))
    found.files["/home/alice/.ssh/authorized_keys"].mode = mode
    return found


def pam(text: str, config: str = "ChallengeResponseAuthentication yes", **more: object) -> Site:
    """With PAM's lines for sshd."""
    files = {"/etc/pam.d/sshd": File(text), "/srv/secret": File(SECRET, 0o600)}
    files["/srv/listed"] = File("alice\n")
    return site(config, files=files, **more)  # type: ignore[arg-type]


def hidden(config: str, tail: str = "") -> Site:
    """With a user of a source that lists nobody, who has a key in a file, and a password."""
    found = site(config, tail=tail, switch={"passwd": "files hidden"})
    found.people.append(Person(GHOST, 4711, listed=False))
    found.authorize(GHOST, "<plain>")
    return found


SECOND = """\
HostKey /run/keys/host
PidFile /run/second.pid
Port 2222
UsePAM yes
AuthorizedKeysFile none
PasswordAuthentication no
ChallengeResponseAuthentication no
"""
SET = {"shadow": HASH + SHADOW_REST}
EMPTY = {"shadow": SHADOW_REST}
INSIDE = ["127.0.0.1", "10.0.0.5", "192.0.2.7"]
CODE = "auth requisite pam_google_authenticator.so secret=/srv/secret user=root\n"
ACCOUNT = "account required pam_permit.so\n"

BROKEN: dict[str, Callable[[], Site]] = {
    "a file that the user's own group may write to": lambda: site("", "<plain>", mode=0o664),
    "a home that the user's own group may write to": lambda: site(
        "", "<plain>", user={"home_mode": 0o775}
    ),
    "a folder that the user's own group may write to": lambda: site(
        "", "<plain>", folders={"/home/alice/.ssh": (0o775, "alice")}
    ),
    "AllowUsers with an address": lambda: site("AllowUsers alice@127.0.0.1", "<plain>"),
    "AllowUsers with a pattern of addresses": lambda: site("AllowUsers alice@127.0.0.*", "<plain>"),
    "AllowUsers with networks": lambda: site(
        "AllowUsers alice@192.0.2.0/24,10.0.0.0/8", "<plain>", sources=INSIDE
    ),
    "DenyUsers but for one place": lambda: site(
        "DenyUsers alice@!10.0.0.5,*", "<plain>", sources=INSIDE
    ),
    "from= of one place": lambda: site("", 'from="10.0.0.0/8" <plain>', sources=INSIDE),
    "a quoted Match": lambda: site(
        "PasswordAuthentication no", tail='"Match" User alice\nPasswordAuthentication yes', user=SET
    ),
    "a quoted Include": lambda: site(
        'PasswordAuthentication no\n"Include" /etc/ssh/x.conf',
        user=SET,
        files={"/etc/ssh/x.conf": File("Match User alice\nPasswordAuthentication yes\n")},
    ),
    "a character class in an Include": lambda: site(
        "PasswordAuthentication no\nInclude d/[[:digit:]]*.conf\nMatch all",
        user=SET,
        files={"/etc/ssh/d/1.conf": File("Match User alice\nPasswordAuthentication yes\n")},
    ),
    "Match of addresses": lambda: site(
        "PasswordAuthentication no",
        tail="Match Address 127.0.0.0/8\nPasswordAuthentication yes",
        user=SET,
    ),
    "Match of another port": lambda: site(
        "Port 22\nPort 2222\nPasswordAuthentication no",
        tail="Match LocalPort 2222\nPasswordAuthentication yes",
        user=SET,
        targets=[("127.0.0.1", 22), ("127.0.0.1", 2222)],
    ),
    "a port of ListenAddress": lambda: site(
        "ListenAddress 127.0.0.1:22\nListenAddress 127.0.0.9:2222",
        "<plain>",
        tail="Match LocalPort 22\nAuthorizedKeysFile none",
        targets=[("127.0.0.9", 2222)],
    ),
    "Match of a group": lambda: site(
        "", tail="Match Group staff\nAuthorizedKeysFile keys",
        groups={"staff": ["alice"]},
        files={"/home/alice/keys": File("<plain>\n", 0o600, "alice")},
    ),
    "a name with a blank": lambda: site(
        'AuthorizedKeysFile "/etc/ssh/my keys/%u"',
        files={"/etc/ssh/my keys/alice": File("<plain>\n")},
    ),
    "the second name of two": lambda: site(
        files={"/home/alice/.ssh/authorized_keys2": File("<plain>\n", 0o600, "alice")}
    ),
    "a vertical tab within a line": lambda: site("", "ssh-ed25519 \x0b<plain:blob>"),
    "a blank before a port": lambda: site("", 'permitopen="h: 22" <plain>'),
    "an unknown type of key": lambda: site("", "<mldsa>"),
    "a hash in passwd beside * in shadow": lambda: site(user={"field": HASH}),
    "two lines in shadow": lambda: site(user=SET, lines={"shadow": ["alice:*" + SHADOW_REST]}),
    "a line in shadow behind a blank": lambda: site(
        user={"shadow": None}, lines={"shadow": [f" alice:{HASH}{SHADOW_REST}"]}
    ),
    "a module that lets everybody in": lambda: pam(STACKS[1]),
    "a module that looks at who asks": lambda: pam("auth sufficient pam_rootok.so\n" + ACCOUNT),
    "a one-time code alone": lambda: pam(f"{CODE}auth sufficient pam_permit.so\n{ACCOUNT}"),
    "a jump over what refuses": lambda: pam(STACKS[8]),
    "a service of another name": lambda: site(
        "PAMServiceName own", files={"/etc/pam.d/own": File(STACKS[1])}
    ),
    "no service but the others'": lambda: site(
        files={"/etc/pam.d/sshd": File(ACCOUNT), "/etc/pam.d/other": File(STACKS[1])}
    ),
    "an empty password": lambda: site("PermitEmptyPasswords yes", user=EMPTY),
    "methods none": lambda: site(
        "PermitEmptyPasswords yes\nAuthenticationMethods none", user=EMPTY
    ),
    "an account that expires today": lambda: site(
        "UsePAM no", "<plain>", user={"shadow": f"*:20000:0:99999:7::{_today()}:"}
    ),
    "an account that expired, but not for PAM": lambda: site(
        "", "<plain>", user={"shadow": "*:20000:0:99999:7::1:", "field": "*"}
    ),
    "started with methods of its own": lambda: site(
        "AuthenticationMethods publickey",
        "ssh-ed25519 \x0b<plain:blob>",
        arguments=["-oAuthenticationMethods=any"],
    ),
    "started with another setting": lambda: site(
        "PasswordAuthentication no", user=SET, arguments=["-oPasswordAuthentication=yes"]
    ),
    "keys by a command": lambda: site(
        "AuthorizedKeysCommand /srv/keys %u\nAuthorizedKeysCommandUser nobody",
        files={"/srv/keys": File("#!/bin/sh\necho '<plain>'\n", 0o755)},
    ),
    "an RSA key beside revoked ones": lambda: site(
        "RevokedKeys /etc/ssh/revoked", "<rsa>", files={"/etc/ssh/revoked": File("<plain>\n")}
    ),
    "a line that one of two sshds takes": lambda: site(
        "",
        "ssh-ed25519 \x0b<plain:blob>",
        files={"/etc/ssh/second_config": File(SECOND)},
        others=[["-f", "/etc/ssh/second_config"]],
    ),
    "certificates": lambda: site(
        "TrustedUserCAKeys /etc/ssh/ca.pub", files={"/etc/ssh/ca.pub": File("<ca>\n")}
    ),
    "a token that is not asked for its PIN": lambda: site("", "<token>"),
    "a user whom nothing lists": lambda: hidden("PermitRootLogin no"),
    "a user whom nothing lists, in a Match block": lambda: hidden(
        "PasswordAuthentication no\nAuthorizedKeysFile none",
        "Match Address 127.0.0.0/8\nPasswordAuthentication yes",
    ),
    "keys that the files turned off a moment after the start": lambda: site(
        "Include /etc/ssh/later.conf",
        "<plain>",
        files={"/etc/ssh/later.conf": File("")},
        later={"/etc/ssh/later.conf": File("PubkeyAuthentication no\n")},
    ),
}  # fmt: skip
"""A login breaks a rule, in the releases from `SINCE` on: it must not be said to hold."""

SINCE = {"an unknown type of key": (10, 6), "a service of another name": (9, 8)}

ODD: dict[str, Callable[[], Site]] = {
    "an RSA key with one algorithm": lambda: site(
        "RevokedKeys /etc/ssh/revoked\nPubkeyAcceptedKeyTypes rsa-sha2-256",
        "<rsa>",
        files={"/etc/ssh/revoked": File("<plain>\n")},
    ),
    "permitopen any": lambda: site("", 'permitopen="any" <plain>'),
    "permitlisten any": lambda: site("", 'permitlisten="any" <plain>'),
    "a jump too far": lambda: pam(STACKS[9]),
    "keyboard-interactive without PAM": lambda: site(
        "UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication yes", user=SET
    ),
    "several keys, of which one is in a file": lambda: site(
        "AuthenticationMethods publickey,publickey", "<plain>", VERIFIED
    ),
    "an account that expired": lambda: site(
        "", "<plain>", user={"shadow": "*:20000:0:99999:7::1:"}
    ),
    "an account that expires today, with PAM": lambda: site(
        "", "<plain>", user={"shadow": f"*:20000:0:99999:7::{_today()}:"}
    ),
    "a lock without PAM": lambda: site("UsePAM no", "<plain>", user={"shadow": "!" + SHADOW_REST}),
    "a user whom nothing lists, and whom nothing lets in": lambda: hidden(
        "PasswordAuthentication no\nPubkeyAcceptedKeyTypes sk-*\nPubkeyAuthOptions verify-required"
    ),
    "hosts as keys": lambda: site("HostbasedAuthentication yes"),
}  # fmt: skip
"""Whether a login breaks a rule is for sshd to say; it must not be said to hold where one does."""


FAILLOCK = """\
auth requisite pam_faillock.so preauth
auth [success=2 default=ignore] pam_unix.so nodelay nullok
auth [default=die] pam_faillock.so authfail
auth requisite pam_deny.so
auth required pam_permit.so
account required pam_permit.so
"""

HELD: dict[str, Callable[[], Site]] = {
    "as Debian ships it": site,
    "as Debian ships it, with questions": lambda: site("ChallengeResponseAuthentication yes"),
    "a locked password": lambda: site(user={"shadow": "!" + SHADOW_REST}),
    "with faillock": lambda: pam(FAILLOCK),
    "verify-required for all": lambda: site("PubkeyAuthOptions verify-required", "<token>"),
    "without PAM": lambda: site("UsePAM no"),
    "passwords that are off": lambda: site("PasswordAuthentication no", user=SET),
    "key and password": lambda: site("AuthenticationMethods publickey,password", user=SET),
    "several keys at once": lambda: site("AuthenticationMethods publickey,publickey"),
    "a key before a code": lambda: pam(
        f"{CODE}auth sufficient pam_permit.so\n{ACCOUNT}",
        "ChallengeResponseAuthentication yes\nAuthenticationMethods publickey,keyboard-interactive",
    ),
}
"""Nothing breaks a rule, and fidokit says so."""
