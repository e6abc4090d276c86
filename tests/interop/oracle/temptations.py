"""What might let somebody in: keys in files, certificates, passwords, root."""

from __future__ import annotations

from collections.abc import Callable

from tests.interop.oracle.forms import key_lines
from tests.interop.oracle.guards import keys_file
from tests.interop.oracle.maker import Maker
from tests.interop.oracle.site import GHOST, HASH, HASHES, SHADOW_REST, File, Person

Change = Callable[[Maker], None]


def key_in_a_file(maker: Maker) -> None:
    name = maker.one(["plain"] * 4 + ["ecdsa", "rsa", "rsa1024", "dsa", "mldsa"])
    maker.site.authorize(maker.user.name, maker.one(key_lines(name)))


def key_in_another_file(maker: Maker) -> None:
    name = maker.one([".ssh/authorized_keys2", "keys", ".ssh/my keys", "Keys/alice", "k1"])
    maker.site.authorize(maker.user.name, "<plain>", name=name)
    keys_file(maker)


def key_of_all(maker: Maker) -> None:
    path = maker.one(
        ["/etc/ssh/keys/%s", "/srv/my keys/%s", "/etc/ssh/authorized_keys", "/srv/k/x%s"]
    )
    user = maker.user
    path = path % user.name if "%s" in path else path
    modes = [0o644, 0o644, 0o600, 0o640, 0o664, 0o666]
    owners = ["root", "root", user.name, "nobody:nogroup"]
    maker.site.files[path] = File("<plain>\n", maker.rng.choice(modes), maker.one(owners))
    keys_file(maker)


def token_in_a_line(maker: Maker) -> None:
    name = maker.one(["quiet", "token", "ectoken", "verified"])
    maker.site.authorize(maker.user.name, maker.one(key_lines(name)))


def hidden_user(maker: Maker) -> None:
    sources = ["files hidden", "hidden files", "files [!UNAVAIL=return] hidden"]
    maker.site.switch["passwd"] = maker.one(sources)
    maker.site.people.append(Person(GHOST, 4711, listed=False))
    maker.site.authorize(GHOST, maker.one(["<plain>", "<token>", "verify-required <token>"]))


def certificates(maker: Maker) -> None:
    if maker.rng.random() < 0.5:
        maker.site.files["/etc/ssh/ca.pub"] = File("# of ours\n<ca>\n")
        maker.first.append("TrustedUserCAKeys /etc/ssh/ca.pub")
        if maker.rng.random() < 0.5:
            maker.first.append(
                "AuthorizedPrincipalsFile " + maker.one(["/etc/ssh/p/%u", ".ssh/principals"])
            )
            names = maker.one(
                ["admin\n", "alice\n", "# admin\n", 'from="10.0.0.0/8" admin\n', "nobody\n"]
            )
            maker.site.files["/etc/ssh/p/alice"] = File(names)
            maker.site.files["/home/alice/.ssh/principals"] = File(names, 0o600, "alice")
        elif maker.rng.random() < 0.5:
            text = maker.one(["echo admin", "exit 1", "echo $1", "[ $1 = bob ] && echo admin"])
            maker.site.files["/srv/principals"] = File(f"#!/bin/sh\n{text}\n", 0o755)
            maker.first += [
                f"AuthorizedPrincipalsCommand /srv/principals {maker.one(['%u', '%u %i', '%s'])}",
                "AuthorizedPrincipalsCommandUser nobody",
            ]
    else:
        options = maker.one(
            [
                "",
                ',principals="admin"',
                ',principals="alice,nobody"',
                ',from="10.0.0.0/8"',
                ',principals=""',
                ",verify-required",
                ",restrict",
            ]
        )
        maker.site.authorize(maker.user.name, f"cert-authority{options} <ca>")


def keys_by_command(maker: Maker) -> None:
    text = maker.one(
        [
            "echo '<plain>'",
            "echo '<token>'",
            "exit 1",
            "[ $1 = alice ] && echo '<plain>'",
            "echo 'restrict <plain>'",
            "cat /etc/ssh/none",
        ]
    )
    mode = maker.rng.choice([0o755, 0o755, 0o755, 0o775, 0o644])
    maker.site.files["/srv/keys"] = File(
        f"#!/bin/sh\n{text}\n", mode, maker.one(["root"] * 3 + ["nobody:nogroup"])
    )
    maker.first += [
        f"AuthorizedKeysCommand /srv/keys {maker.one(['', '%u', '%u %t'])}".rstrip(),
        f"AuthorizedKeysCommandUser {maker.one(['nobody', 'root', 'alice', '%u'])}",
    ]


def password(maker: Maker) -> None:
    user = maker.user
    kind = maker.rng.randrange(9)
    fingerprint = maker.one(HASHES)
    if kind < 4:
        user.shadow = fingerprint + SHADOW_REST
    elif kind == 4:
        user.field = fingerprint
    elif kind == 5:
        other = f"{user.name}:{fingerprint}{SHADOW_REST}"
        maker.site.lines["shadow"] = [other, f" {other}"][maker.rng.randrange(2) :]
        user.shadow = maker.one(["*", "!", fingerprint]) + SHADOW_REST
    elif kind == 6:
        user.shadow = (
            maker.one(["", "x", "!", "!" + fingerprint, "*" + fingerprint, "NP", "!!"])
            + SHADOW_REST
        )
        maker.first.append("PermitEmptyPasswords " + maker.one(["yes", "yes", "no"]))
    elif kind == 7:
        user.shadow = None
        user.field = maker.one(["x", "", fingerprint, "*", "!"])
        maker.first.append("PermitEmptyPasswords " + maker.one(["yes", "no"]))
    else:
        user.shadow = maker.one(
            [
                f"{fingerprint}",
                f"{fingerprint}:junk:0:99999:7:::",
                f"{fingerprint}:20000",
                f"{fingerprint},A:20000:0:99999:7:::",
            ]
        )


def root_may_log_in(maker: Maker) -> None:
    people = {person.name: person for person in maker.site.people}
    root = people.get("root") or Person("root", 0)
    if "root" not in people:
        maker.site.people.append(root)
    maker.site.authorize("root", maker.one(["<plain>", 'command="true" <plain>', "<token>"]))
    root.shadow = maker.one([HASH, "*"]) + SHADOW_REST
    maker.first.append(
        "PermitRootLogin "
        + maker.one(["yes", "no", "prohibit-password", "without-password", "forced-commands-only"])
    )


def another_root(maker: Maker) -> None:
    root_may_log_in(maker)
    maker.site.people.append(Person("toor", 0, maker.one([HASH, "*"]) + SHADOW_REST))


TEMPTATIONS: tuple[Change, ...] = (
    key_in_a_file,
    key_in_a_file,
    key_in_a_file,
    key_in_another_file,
    key_of_all,
    token_in_a_line,
    hidden_user,
    another_root,
    certificates,
    keys_by_command,
    password,
    password,
    password,
    root_may_log_in,
)
