"""What might shut somebody out, or seem to: names of files, modes, lists, Match, PAM, methods."""

from __future__ import annotations

from collections.abc import Callable

from tests.interop.oracle.forms import STACKS
from tests.interop.oracle.maker import Maker
from tests.interop.oracle.site import HASH, SHADOW_REST, File

Change = Callable[[Maker], None]


def keys_file(maker: Maker) -> None:
    maker.first.append(
        "AuthorizedKeysFile "
        + maker.one(
            [
                ".ssh/authorized_keys",
                ".ssh/authorized_keys .ssh/authorized_keys2",
                "none",
                '".ssh/my keys"',
                "'.ssh/my keys'",
                "keys .ssh/authorized_keys",
                "%h/keys",
                "/home/%u/keys",
                "/etc/ssh/keys/%u",
                '"/srv/my keys/%u" .ssh/authorized_keys',
                "/etc/ssh/authorized_keys",
                "/srv/k/x%u",
                "Keys/%u",
                "k%%",
                "k1 k2",
                "/etc/ssh/keys/*",
                ".ssh/author*",
                "k?",
                "%h/k[0-9]",
                "/home/%U/keys none",
                "none .ssh/authorized_keys",
                "/etc/ssh/keys/%u none",
            ]
        )
    )


def modes(maker: Maker) -> None:
    user = maker.user
    rng = maker.rng
    home, who = user.home, user.owner.partition(":")[0]
    if rng.random() < 0.6:
        for path, file in maker.site.files.items():
            if path.startswith(home + "/"):
                file.mode = rng.choice(
                    [0o644, 0o640, 0o660, 0o664, 0o666, 0o620, 0o602, 0o000, 0o400]
                )
                file.owner = rng.choice(
                    [user.owner] * 5 + ["root", "nobody:nogroup", f"{who}:root", f"{who}:users"]
                )
    if rng.random() < 0.5:
        user.home_mode = rng.choice([0o775, 0o777, 0o770, 0o711, 0o700, 0o757, 0o1777])
        user.home_owner = rng.choice(
            [user.owner, user.owner, "root", "nobody:nogroup", f"{who}:users"]
        )
    if rng.random() < 0.5:
        maker.site.folders[f"{home}/.ssh"] = (
            rng.choice([0o775, 0o777, 0o755, 0o770, 0o000]),
            user.owner,
        )
    if rng.random() < 0.5:
        maker.site.groups[user.name if user.uid else "root"] = maker.rng.choice(
            [["daemon"], [user.name], ["nobody"]]
        )
    if rng.random() < 0.2:
        maker.first.append("StrictModes no")


def links(maker: Maker) -> None:
    user = maker.user
    path = f"{user.home}/.ssh/authorized_keys"
    target = maker.one(
        [
            "/srv/elsewhere",
            "../keys",
            "/tmp/keys",
            "/home/bob/.ssh/authorized_keys",
            "/dev/zero",
            "/nowhere",
        ]
    )
    maker.site.files[path] = File(target, link=True)
    real = {"../keys": f"{user.home}/keys"}.get(target, target)
    if real.startswith(("/srv", "/tmp", user.home)):
        owner = maker.one(["root", user.name, "nobody:nogroup"])
        maker.site.files[real] = File(
            "<plain>\n", maker.rng.choice([0o644, 0o600, 0o666, 0o664]), owner
        )


PATTERNS = (
    "alice",
    "bob",
    "*",
    "al*",
    "a?ice",
    "ALICE",
    "!alice,*",
    "alice@127.0.0.1",
    "alice@127.0.0.*",
    "*@10.0.0.0/8",
    "alice@192.0.2.0/24,10.0.0.0/8",
    "*@inside.example",
    "alice@!10.0.0.5,10.*",
    "alice@::1",
    "nobody alice",
    "*@*",
    "alice@",
    "!bob",
    "alice@10.0.0.5 bob",
    "root",
    "alice,bob",
    "*$",
    "DOM\\*",
    "alice@127.0.0.1,10.0.0.5",
)


def lists(maker: Maker) -> None:
    keyword = maker.one(["AllowUsers", "AllowUsers", "DenyUsers", "AllowGroups", "DenyGroups"])
    if keyword.endswith("Users"):
        maker.first.append(f"{keyword} {maker.one(PATTERNS)}")
    else:
        groups = ["staff", "alice", "al*", "users", "*", "!staff,*", "staff bob", "root"]
        maker.first.append(f"{keyword} {maker.one(groups)}")
        maker.site.groups.setdefault(maker.one(["staff", "users"]), []).append(maker.user.name)


def accounts(maker: Maker) -> None:
    user = maker.user
    maker.first.append("UsePAM " + maker.one(["yes", "no"]))
    day = maker.days
    if maker.rng.random() < 0.6:
        expiry = maker.one(
            [f"{day}", f"{day - 1}", f"{day + 1}", "1", "0", "-1", "", "99999999", " 5"]
        )
        field = (user.shadow or "*").partition(":")[0] or maker.one(["*", "!", "!!", "!" + HASH])
        change = maker.one(
            ["20000:0:99999:7:", "0:0:99999:7:", "10000:0:30:7:5", ":::::", f"{day}:0:30:7:"]
        )
        user.shadow = f"{field}:{change}:{expiry}:".replace("::::::", ":::::", 1)
    else:
        user.shadow = maker.one(["!", "!!", "*", "!*", "*!", "!" + HASH, "", "x"]) + SHADOW_REST


def shells(maker: Maker) -> None:
    maker.user.shell = maker.one(
        ["/bin/false", "/usr/sbin/nologin", "", "/no/shell", "/etc/passwd", "/bin", "/bin/bash"]
    )
    if maker.rng.random() < 0.2:
        maker.first.append("ChrootDirectory " + maker.one(["/srv", "none", "/home/%u"]))


def match_block(maker: Maker) -> None:
    if maker.rng.random() < 0.15:
        maker.first.append("UseDNS yes")
    settings = [
        "PasswordAuthentication yes",
        "PasswordAuthentication no",
        "PubkeyAuthentication no",
        "KbdInteractiveAuthentication yes",
        "AuthorizedKeysFile keys",
        "AuthorizedKeysFile none",
        "AuthorizedKeysFile .ssh/authorized_keys2",
        "AuthenticationMethods publickey",
        "AuthenticationMethods password",
        "AuthenticationMethods any",
        "PermitEmptyPasswords yes",
        "PermitRootLogin yes",
        "AllowUsers alice",
        "DenyUsers alice",
        "AllowUsers alice@10.0.0.0/8",
        "PubkeyAuthOptions none",
        "PubkeyAcceptedKeyTypes sk-ssh-ed25519@openssh.com",
        "MaxAuthTries 50",
        "X11Forwarding no",
        "TrustedUserCAKeys /etc/ssh/ca.pub",
    ]
    if maker.version >= (9, 9):
        settings.append("RefuseConnection yes")
    if maker.rng.random() < 0.6:
        maker.first.append("PasswordAuthentication no")
    maker.add_match(*(f"  {line}" for line in maker.rng.sample(settings, maker.rng.choice([1, 2]))))
    if maker.rng.random() < 0.4:
        maker.add_match(f"  {maker.one(settings)}")


def methods(maker: Maker) -> None:
    maker.first.append(
        "AuthenticationMethods "
        + maker.one(
            [
                "any",
                "publickey",
                "password",
                "none",
                "publickey,publickey",
                "publickey,password",
                "password,publickey",
                "publickey,keyboard-interactive",
                "publickey,keyboard-interactive:pam",
                "keyboard-interactive",
                "keyboard-interactive:pam",
                "publickey password",
                "hostbased,publickey",
                "publickey,password keyboard-interactive",
                "password,keyboard-interactive",
                "hostbased",
                "publickey,publickey,publickey publickey,password",
                "keyboard-interactive:bsdauth",
            ]
        )
    )
    maker.first.append("KbdInteractiveAuthentication " + maker.one(["yes", "yes", "no"]))
    if maker.rng.random() < 0.3:
        maker.first.append("PermitEmptyPasswords yes")


def switches(maker: Maker) -> None:
    maker.first += maker.rng.sample(
        [
            "PasswordAuthentication no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication yes",
            "UsePAM no",
            "PermitEmptyPasswords yes",
            "PubkeyAuthentication no",
            "PermitRootLogin yes",
            "PermitRootLogin no",
            "ChallengeResponseAuthentication yes",
            "DSAAuthentication yes",
            "PubkeyAuthOptions none",
            "PubkeyAuthOptions touch-required",
        ],
        2,
    )


def algorithms(maker: Maker) -> None:
    name = "PubkeyAcceptedAlgorithms" if maker.version >= (8, 5) else "PubkeyAcceptedKeyTypes"
    maker.first.append(
        f"{name} "
        + maker.one(
            [
                "sk-*",
                "sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com",
                "ssh-ed25519",
                "-ssh-ed25519",
                "+ssh-rsa",
                "^sk-ssh-ed25519@openssh.com",
                "*",
                "rsa-sha2-512",
                "+ssh-dss",
                "ssh-ed25519-cert-v01@openssh.com",
                "-ssh-ed25519,ecdsa*,rsa*",
                "*cert*",
                "ssh-*",
            ]
        )
    )
    if maker.version >= (9, 1) and maker.rng.random() < 0.3:
        maker.first.append(f"RequiredRSASize {maker.one(['1024', '2048', '3072'])}")


SECRET = """\
AAAAAAAAAAAAAAAAAAAAAAAAAA
" DISALLOW_REUSE
" TOTP_AUTH
12345678
23456789
34567890
45678901
"""


def pam(maker: Maker) -> None:
    service = maker.one(["sshd"] * 6 + ["other", "own"])
    maker.site.files[f"/etc/pam.d/{service}"] = File(maker.one(STACKS))
    if service == "sshd" and maker.rng.random() < 0.15:
        text = maker.site.files.pop("/etc/pam.d/sshd").text
        maker.site.files["/usr/lib/pam.d/sshd"] = File(text)
        maker.site.files["/etc/pam.d/sshd"] = File(maker.one(["/dev/null", ""]), link=True)
        if maker.rng.random() < 0.5:
            maker.site.files["/etc/pam.conf"] = File("sshd auth required pam_permit.so\n")
    maker.site.files["/srv/access"] = File(maker.one(["+:alice:ALL\n", "-:ALL:ALL\n"]))
    if service == "other":
        maker.site.files["/etc/pam.d/sshd"] = File("account required pam_permit.so\n")
    if service == "own" and maker.version >= (9, 8):
        maker.first.append("PAMServiceName own")
    maker.site.files["/srv/secret"] = File(SECRET, 0o600)
    maker.site.files["/srv/listed"] = File(maker.one(["alice\n", "bob\n", "nobody\n"]), 0o600)
    maker.first.append("KbdInteractiveAuthentication " + maker.one(["yes", "yes", "no"]))
    if maker.rng.random() < 0.4:
        maker.first.append("PasswordAuthentication no")
    if maker.rng.random() < 0.3:
        maker.first.append("PermitEmptyPasswords yes")


def revoked(maker: Maker) -> None:
    text = maker.one(
        [
            "<plain>\n",
            "<token>\n",
            "<certified>\n",
            "<ca>\n",
            "",
            "<plain> comment\n<rsa>\n",
            "junk\n",
            "<krl plain>",
            "<krl token>",
            "<krl ca>",
            "<krl rsa certified>",
        ]
    )
    maker.site.files["/etc/ssh/revoked"] = File(text, maker.rng.choice([0o644, 0o600, 0o000]))
    maker.first.append(
        "RevokedKeys " + maker.one(["/etc/ssh/revoked"] * 4 + ["none", "/etc/ssh/absent"])
    )


def other_ways(maker: Maker) -> None:
    maker.first.append(
        maker.one(
            [
                "HostbasedAuthentication yes",
                "GSSAPIAuthentication yes",
                "KerberosAuthentication yes",
                "IgnoreRhosts no",
                "DisableForwarding yes",
                "ForceCommand true",
                "PermitTTY no",
            ]
        )
    )


def listeners(maker: Maker) -> None:
    maker.first += ["ListenAddress 127.0.0.1:22", "ListenAddress 127.0.0.9:2222"]
    maker.site.targets = [("127.0.0.1", 22), ("127.0.0.9", 2222)]
    maker.last += [
        maker.one(["Match LocalPort 2222", "Match LocalAddress 127.0.0.9", "Match LocalPort 22"]),
        maker.one(OPENING),
    ]
    maker.first.append("PasswordAuthentication no")


OPENING = (
    "PasswordAuthentication yes",
    "AuthorizedKeysFile keys",
    "PubkeyAuthOptions none",
    "AuthenticationMethods any",
    "PubkeyAuthentication no",
    "AuthorizedKeysFile none",
    "DenyUsers alice",
)
"""Settings by which two places, or two sshds, may differ."""


def second_sshd(maker: Maker) -> None:
    site, name = maker.site, "/etc/ssh/second_config"
    lines = ["HostKey /run/keys/host", "PidFile /run/second.pid", "Port 2222", maker.one(OPENING)]
    lines += ["PerSourcePenalties no"] * (maker.version >= (9, 8))
    lines += [maker.one([*OPENING, "UsePAM yes"]), "PasswordAuthentication no"]
    site.files[name] = File("\n".join(lines) + "\n")
    site.others = [["-f", name]]
    site.targets.append(("127.0.0.1", 2222))
    maker.first.append(maker.one(["PasswordAuthentication no", *OPENING]))


def changed_since(maker: Maker) -> None:
    folder = "/etc/ssh/sshd_config.d"
    name = maker.one([f"{folder}/00-0.conf", f"{folder}/00-1.conf", "/etc/ssh/more/later.conf"])
    if not name.startswith(folder):
        maker.first.append(f"Include {name}")
    before, after = maker.rng.sample(OPENING, 2)
    if maker.rng.random() < 0.7:
        maker.site.files[name] = File(f"{before}\n")
    maker.site.later[name] = File(f"{after}\n")


def arguments(maker: Maker) -> None:
    maker.site.arguments += maker.one(
        [
            "-oPasswordAuthentication=yes",
            "-oUsePAM=no",
            "-oAuthorizedKeysFile=keys",
            "-4",
            "-oPermitEmptyPasswords=yes",
            "-oStrictModes=no",
            "-oKbdInteractiveAuthentication=yes",
            "-oAuthenticationMethods=any",
            "-f /etc/ssh/./sshd_config",
            "-u0",
            "-oPubkeyAuthOptions=none",
            "-o PermitRootLogin=yes",
        ]
    ).split()
    maker.first.append("PasswordAuthentication no")


GUARDS: tuple[Change, ...] = (
    keys_file,
    modes,
    modes,
    links,
    lists,
    lists,
    accounts,
    shells,
    match_block,
    match_block,
    match_block,
    methods,
    methods,
    switches,
    algorithms,
    pam,
    pam,
    pam,
    revoked,
    other_ways,
    arguments,
    listeners,
    second_sshd,
    changed_since,
)
