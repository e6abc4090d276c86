"""Sites by seed: what might let somebody in, what might shut them out, and forms that mislead.

A site begins as Debian ships one, with keys on tokens alone. Some temptations (a key in a file, a
password) and some guards (modes, lists, Match blocks, PAM, methods) are added: whether the guards
shut what the temptations open is for sshd to say.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from tests.interop.oracle.site import HASH, HASHES, SHADOW_REST, File, Person, Site

Version = tuple[int, int]
Change = Callable[["Maker"], None]

DEBIAN = """\
Include /etc/ssh/sshd_config.d/*.conf
KbdInteractiveAuthentication no
UsePAM yes
X11Forwarding yes
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
"""
DAY = 86400
PLACES = ("127.0.0.1", "10.0.0.5", "192.0.2.7", "198.51.100.9", "::1")


class Maker:
    """A site in the making."""

    def __init__(self, seed: int, version: Version) -> None:
        self.rng = random.Random(seed)
        self.version = version
        self.site = Site(f"seed {seed}", "")
        self.first: list[str] = []
        """Lines before Debian's, of which the first counts."""
        self.last: list[str] = []
        """Lines behind them: Match blocks."""
        self.days = int(time.time()) // DAY

    def one(self, choices: Sequence[str]) -> str:
        """One of them, `|` in a text keeps nothing apart."""
        return self.rng.choice(choices)

    @property
    def user(self) -> Person:
        """Somebody."""
        return self.rng.choice(self.site.people)

    def add_match(self, *lines: str) -> None:
        """A block."""
        self.last += [match_line(self), *lines]


def generate(seed: int, version: Version) -> Site:
    """The site of a number; the same one for the same version of sshd."""
    maker = Maker(seed, version)
    rng, site = maker.rng, maker.site
    site.people = [Person("alice", 1001)]
    if rng.random() < 0.5:
        site.people.append(Person("bob", 1002))
    if rng.random() < 0.2:
        site.people.append(Person("root", 0))
    for person in site.people:
        site.authorize(person.name, maker.one(["verify-required <token>"] * 2 + ["<token>", "<ectoken>"]))
    chosen = [rng.choice(TEMPTATIONS) for _ in range(rng.choice([1, 1, 1, 2]))]
    chosen += [rng.choice(GUARDS) for _ in range(rng.choice([1, 2, 2, 3]))]
    for change in chosen:
        change(maker)
        site.features.append(change.__name__)
    if rng.random() < 0.5:
        maker.first.append("PubkeyAuthOptions verify-required")
    _compose(maker)
    _places(maker)
    return site


def _compose(maker: Maker) -> None:
    """Where the lines go: into the main file or into drop-ins, by several forms of Include."""
    rng, site = maker.rng, maker.site
    lines = list(maker.first)
    rng.shuffle(lines)
    folder = "/etc/ssh/sshd_config.d"
    include = ""
    for number, line in enumerate(lines):
        style = rng.randrange(4)
        if style == 0:
            site.files[f"{folder}/{number}0-x.conf"] = File(line + "\n")
        elif style == 1:
            name = f"/etc/ssh/more/{number}.conf"
            site.files[name] = File(line + "\n")
            include += rng.choice(INCLUDES).format(path=name, number=number)
        else:
            include += spelled(maker, line) + "\n"
    site.config = include + DEBIAN + "\n".join(maker.last) + "\n"
    if maker.last and rng.random() < 0.3:
        kept = rng.choice(INCLUDES).format(path="/etc/ssh/more/m.conf", number="m")
        site.files["/etc/ssh/more/m.conf"] = File("\n".join(maker.last) + "\n")
        site.config = include + DEBIAN + kept


INCLUDES = (
    "Include {path}\n",
    'Include "{path}"\n',
    '"Include" {path}\n',
    "include={path}\n",
    "  INCLUDE\t{path}  \n",
    "Include more/{number}.conf\n",
    "Include /etc/ssh/nothing.conf {path}\n",
    "Include /etc/ssh/more/[[:alnum:]].conf\n",
    "Include /etc/ssh/more/{number}.con?\n",
    "Match all\nInclude {path}\nMatch all\n",
)


def spelled(maker: Maker, line: str) -> str:
    """The same line in another form."""
    keyword, _, value = line.partition(" ")
    forms = [
        line, line, line, f"{keyword.upper()} {value}", f"{keyword.lower()}={value}",
        f"\t{keyword}  {value}  ", f'"{keyword}" {value}', f"{keyword} = {value}",
    ]  # fmt: skip
    if " " not in value and '"' not in value and "," not in value:
        forms += [f'{keyword} "{value}"', f'{keyword}="{value}"']
        if maker.version >= (8, 7):
            forms += [f"{keyword} '{value}'", f"{keyword} {value} # said so"]
    return maker.one(forms)


def _places(maker: Maker) -> None:
    """Come from, and go to, what the configuration tells apart."""
    site = maker.site
    text = site.config + "".join(file.text for file in site.files.values())
    text += " ".join(" ".join(lines) for lines in site.lines.values())
    for mark, place in (("10.0", "10.0.0.5"), ("192.0.2", "192.0.2.7"), ("inside", "10.0.0.5"),
                        ("outside", "192.0.2.7"), ("::1", "::1"), ("!", "198.51.100.9"),
                        ("198.51", "198.51.100.9")):  # fmt: skip
        if mark in text and place not in site.sources:
            site.sources.append(place)
    if "2222" in text:
        site.config = "Port 22\nPort 2222\n" + site.config
        site.targets.append(("127.0.0.1", 2222))
    if "::1" in site.sources:
        site.targets.append(("::1", 22))
    if "LocalAddress" in text:
        site.targets.append(("127.0.0.9", 22))


# --- what might let somebody in ----------------------------------------------------------------


def key_in_a_file(maker: Maker) -> None:
    maker.site.authorize(maker.user.name, odd_line(maker, maker.one(["plain"] * 4 + ["ecdsa", "rsa", "rsa1024", "dsa", "mldsa"])))


def key_in_another_file(maker: Maker) -> None:
    name = maker.one([".ssh/authorized_keys2", "keys", ".ssh/my keys", "Keys/alice", "k1"])
    maker.site.authorize(maker.user.name, "<plain>", name=name)
    keys_file(maker)


def key_of_all(maker: Maker) -> None:
    path = maker.one(["/etc/ssh/keys/%s", "/srv/my keys/%s", "/etc/ssh/authorized_keys", "/srv/k/x%s"])
    user = maker.user
    path = path % user.name if "%s" in path else path
    modes = [0o644, 0o644, 0o600, 0o640, 0o664, 0o666]
    owners = ["root", "root", user.name, "nobody:nogroup"]
    maker.site.files[path] = File("<plain>\n", maker.rng.choice(modes), maker.one(owners))
    keys_file(maker)


def certificates(maker: Maker) -> None:
    if maker.rng.random() < 0.5:
        maker.site.files["/etc/ssh/ca.pub"] = File("# of ours\n<ca>\n")
        maker.first.append("TrustedUserCAKeys /etc/ssh/ca.pub")
        if maker.rng.random() < 0.5:
            maker.first.append("AuthorizedPrincipalsFile " + maker.one(["/etc/ssh/p/%u", ".ssh/principals"]))
            names = maker.one(["admin\n", "alice\n", "# admin\n", 'from="10.0.0.0/8" admin\n', "nobody\n"])
            maker.site.files["/etc/ssh/p/alice"] = File(names)
            maker.site.files["/home/alice/.ssh/principals"] = File(names, 0o600, "alice")
    else:
        options = maker.one(["", ',principals="admin"', ',principals="alice,nobody"', ',from="10.0.0.0/8"',
                             ',principals=""', ",verify-required", ",restrict"])
        maker.site.authorize(maker.user.name, f"cert-authority{options} <ca>")


def keys_by_command(maker: Maker) -> None:
    text = maker.one(["echo '<plain>'", "echo '<token>'", "exit 1", "[ $1 = alice ] && echo '<plain>'",
                      "echo 'restrict <plain>'", "cat /etc/ssh/none"])
    mode = maker.rng.choice([0o755, 0o755, 0o755, 0o775, 0o644])
    maker.site.files["/srv/keys"] = File(f"#!/bin/sh\n{text}\n", mode, maker.one(["root"] * 3 + ["nobody:nogroup"]))
    maker.first += [f"AuthorizedKeysCommand /srv/keys {maker.one(['', '%u', '%u %t'])}".rstrip(),
                    f"AuthorizedKeysCommandUser {maker.one(['nobody', 'root', 'alice', '%u'])}"]


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
        user.shadow = maker.one(["", "x", "!", "!" + fingerprint, "*" + fingerprint, "NP", "!!"]) + SHADOW_REST
        maker.first.append("PermitEmptyPasswords " + maker.one(["yes", "yes", "no"]))
    elif kind == 7:
        user.shadow = None
        user.field = maker.one(["x", "", fingerprint, "*", "!"])
        maker.first.append("PermitEmptyPasswords " + maker.one(["yes", "no"]))
    else:
        user.shadow = maker.one([f"{fingerprint}", f"{fingerprint}:junk:0:99999:7:::",
                                 f"{fingerprint}:20000", f"{fingerprint},A:20000:0:99999:7:::"])


def root_may_log_in(maker: Maker) -> None:
    people = {person.name: person for person in maker.site.people}
    root = people.get("root") or Person("root", 0)
    if "root" not in people:
        maker.site.people.append(root)
    maker.site.authorize("root", maker.one(["<plain>", 'command="true" <plain>', "<token>"]))
    root.shadow = maker.one([HASH, "*"]) + SHADOW_REST
    maker.first.append("PermitRootLogin " + maker.one(
        ["yes", "no", "prohibit-password", "without-password", "forced-commands-only"]))


def another_root(maker: Maker) -> None:
    maker.site.lines["passwd"] = ["toor:x:0:0::/root:/bin/sh"]
    maker.site.lines["shadow"] = [f"toor:{maker.one([HASH, '*'])}{SHADOW_REST}"]
    maker.site.people.append(Person("toor", 1010))
    maker.site.people.pop()


TEMPTATIONS: tuple[Change, ...] = (
    key_in_a_file, key_in_a_file, key_in_a_file, key_in_another_file, key_of_all,
    certificates, keys_by_command, password, password, password, root_may_log_in,
)  # fmt: skip


def odd_line(maker: Maker, key: str) -> str:
    """A line with a key, in a form that sshd may take or not."""
    ordinary = f"<{key}>"
    today = time.strftime("%Y%m%d", time.gmtime())
    forms = [
        ordinary, ordinary, f"  \t{ordinary}", f"{ordinary} a comment # of mine", f"# {ordinary}",
        f"restrict {ordinary}", f'command="echo \\"x\\"" {ordinary}', f"no-pty,{ordinary}",
        f"no-pty, {ordinary}", f"NO-PTY {ordinary}", f'from="10.0.0.0/8" {ordinary}',
        f'from="!10.0.0.5,10.0.0.*,192.0.2.7" {ordinary}', f'from="10.0.0.0/8,!*" {ordinary}',
        f'from="*.example" {ordinary}', f'from="inside.example" {ordinary}', f'from="" {ordinary}',
        f'from="127.0.0.0/8" {ordinary}', f'from="::1" {ordinary}', f'from="10.0.0.5/8" {ordinary}',
        f'expiry-time="20200101" {ordinary}', f'expiry-time="20991231" {ordinary}',
        f'expiry-time="{today}" {ordinary}', f'expiry-time="20200101Z" {ordinary}',
        f'expiry-time="20991231",expiry-time="20200101" {ordinary}', f'expiry-time="x" {ordinary}',
        f"verify-required {ordinary}", f"no-touch-required {ordinary}", f"touch-required {ordinary}",
        f'permitopen="h:22" {ordinary}', f'permitopen="h: 22" {ordinary}', f'permitopen="any" {ordinary}',
        f'permitopen="none" {ordinary}', f'permitlisten="22" {ordinary}', f'permitlisten="any" {ordinary}',
        f'permitlisten="h:x" {ordinary}', f'tunnel="0" {ordinary}', f'tunnel="x" {ordinary}',
        f'environment="A=b" {ordinary}', f'environment="A" {ordinary}', f"agent-forwarding {ordinary}",
        f'principals="alice" {ordinary}', f"cert-authority {ordinary}", f"unknown {ordinary}",
        f"no-unknown {ordinary}", f'command="a" command="b" {ordinary}', f'from="10.0.0.0/8 {ordinary}',
        f"{ordinary}\r", f"ssh-rsa <{key}:blob>", f"ssh-ed25519 <{key}:blob>",
        f"ssh-ed25519-cert-v01@openssh.com <{key}:blob>", f"<{key}:blob>", f"ssh-ed25519 \x0b<{key}:blob>",
        f"ssh-ed25519  <{key}:blob>==", f"ssh-ed25519 <{key}:blob>x", f'"ssh-ed25519" <{key}:blob>',
        f"\xef\xbb\xbf{ordinary}", f"\0{ordinary}", f"{ordinary}\0", f"\x0c{ordinary}", f"1 {ordinary}",
        f"256 {ordinary}", f'environment="{"A" * 9000}=b" {ordinary}', f"{'#' * 9000}\n{ordinary}",
        f"{ordinary} {'c' * 9000}", f"{' ' * 9000}{ordinary}", f'command="{"x" * 70000}" {ordinary}',
        f"restrict,pty,{ordinary}", f"X11-forwarding {ordinary}", f"user-rc,no-user-rc {ordinary}",
        f"\x0b{ordinary}", f'from="10.0.0.0/8"\t{ordinary}', f"@cert-authority {ordinary}",
        f"ecdsa-sha2-nistp256 <{key}:blob>", f"sk-ssh-ed25519@openssh.com <{key}:blob>", "<token>",
    ]  # fmt: skip
    return maker.one(forms)


# --- what might shut them out ------------------------------------------------------------------


def keys_file(maker: Maker) -> None:
    maker.first.append("AuthorizedKeysFile " + maker.one([
        ".ssh/authorized_keys", ".ssh/authorized_keys .ssh/authorized_keys2", "none",
        '".ssh/my keys"', "'.ssh/my keys'", "keys .ssh/authorized_keys", "%h/keys", "/home/%u/keys",
        "/etc/ssh/keys/%u", '"/srv/my keys/%u" .ssh/authorized_keys', "/etc/ssh/authorized_keys",
        "/srv/k/x%u", "Keys/%u", "k%%", "k1 k2", "/etc/ssh/keys/*", ".ssh/author*", "k?", "%h/k[0-9]",
        "/home/%U/keys none", "none .ssh/authorized_keys", "/etc/ssh/keys/%u none",
    ]))  # fmt: skip


def modes(maker: Maker) -> None:
    user = maker.user
    rng = maker.rng
    home = user.home
    if rng.random() < 0.6:
        for path, file in maker.site.files.items():
            if path.startswith(home + "/"):
                file.mode = rng.choice([0o644, 0o640, 0o660, 0o664, 0o666, 0o620, 0o602, 0o000, 0o400])
                file.owner = rng.choice([user.name] * 5 + ["root", "nobody:nogroup", f"{user.name}:root", f"{user.name}:users"])
    if rng.random() < 0.5:
        user.home_mode = rng.choice([0o775, 0o777, 0o770, 0o711, 0o700, 0o757, 0o1777])
        user.home_owner = rng.choice([user.name, user.name, "root", "nobody:nogroup", f"{user.name}:users"])
    if rng.random() < 0.5:
        maker.site.folders[f"{home}/.ssh"] = (rng.choice([0o775, 0o777, 0o755, 0o770, 0o000]), user.name)
    if rng.random() < 0.5:
        maker.site.groups[user.name if user.uid else "root"] = maker.rng.choice([["daemon"], [user.name], ["nobody"]])
    if rng.random() < 0.2:
        maker.first.append("StrictModes no")


def links(maker: Maker) -> None:
    user = maker.user
    path = f"{user.home}/.ssh/authorized_keys"
    target = maker.one(["/srv/elsewhere", "../keys", "/tmp/keys", "/home/bob/.ssh/authorized_keys", "/dev/zero", "/nowhere"])
    maker.site.files[path] = File(target, link=True)
    real = {"../keys": f"{user.home}/keys"}.get(target, target)
    if real.startswith(("/srv", "/tmp", user.home)):
        owner = maker.one(["root", user.name, "nobody:nogroup"])
        maker.site.files[real] = File("<plain>\n", maker.rng.choice([0o644, 0o600, 0o666, 0o664]), owner)


PATTERNS = (
    "alice", "bob", "*", "al*", "a?ice", "ALICE", "!alice,*", "alice@127.0.0.1", "alice@127.0.0.*",
    "*@10.0.0.0/8", "alice@192.0.2.0/24,10.0.0.0/8", "*@inside.example", "alice@!10.0.0.5,10.*",
    "alice@::1", "nobody alice", "*@*", "alice@", "!bob", "alice@10.0.0.5 bob", "root", "alice,bob",
)  # fmt: skip


def lists(maker: Maker) -> None:
    keyword = maker.one(["AllowUsers", "AllowUsers", "DenyUsers", "AllowGroups", "DenyGroups"])
    if keyword.endswith("Users"):
        maker.first.append(f"{keyword} {maker.one(PATTERNS)}")
    else:
        maker.first.append(f"{keyword} {maker.one(['staff', 'alice', 'al*', 'users', '*', '!staff,*', 'staff bob', 'root'])}")
        maker.site.groups.setdefault(maker.one(["staff", "users"]), []).append(maker.user.name)


def accounts(maker: Maker) -> None:
    user = maker.user
    maker.first.append("UsePAM " + maker.one(["yes", "no"]))
    day = maker.days
    if maker.rng.random() < 0.6:
        expiry = maker.one([f"{day}", f"{day - 1}", f"{day + 1}", "1", "0", "-1", "", "99999999", " 5"])
        field = (user.shadow or "*").partition(":")[0] or maker.one(["*", "!", "!!", "!" + HASH])
        change = maker.one(["20000:0:99999:7:", "0:0:99999:7:", "10000:0:30:7:5", ":::::", f"{day}:0:30:7:"])
        user.shadow = f"{field}:{change}:{expiry}:".replace("::::::", ":::::", 1)
    else:
        user.shadow = maker.one(["!", "!!", "*", "!*", "*!", "!" + HASH, "", "x"]) + SHADOW_REST


def shells(maker: Maker) -> None:
    maker.user.shell = maker.one(["/bin/false", "/usr/sbin/nologin", "", "/no/shell", "/etc/passwd", "/bin", "/bin/bash"])
    if maker.rng.random() < 0.2:
        maker.first.append("ChrootDirectory " + maker.one(["/srv", "none", "/home/%u"]))


def match_line(maker: Maker) -> str:
    """The head of a block."""
    criteria = maker.rng.sample([
        f"User {maker.one(['alice', 'al*', 'alice,bob', '!bob,*', 'bob', '*', 'nobody'])}",
        f"Group {maker.one(['alice', 'staff', 'users', '*', '!alice,*', 'root'])}",
        f"Address {maker.one(['127.0.0.0/8', '10.0.0.0/8', '192.0.2.7', '!10.0.0.5,*', '127.0.0.1,::1', '10.0.0.0/8,192.0.2.0/24', '::1/128'])}",
        f"Host {maker.one(['*', 'localhost', '127.*', 'inside.example', '10.0.0.*'])}",
        f"LocalPort {maker.one(['22', '2222'])}",
        f"LocalAddress {maker.one(['127.0.0.1', '127.0.0.9', '127.0.0.0/8'])}",
    ], maker.rng.choice([1, 1, 1, 2]))  # fmt: skip
    text = " ".join(criteria)
    forms = [f"Match {text}", f"Match {text}", f"match {text.lower()}" if "::" not in text else f"MATCH {text}",
             f'"Match" {text}', f"\tMatch\t{text}", f"Match={text}"]
    if len(criteria) == 1 and maker.rng.random() < 0.2:
        keyword, _, value = text.partition(" ")
        forms += [f'Match {keyword} "{value}"', f"Match {keyword}={value}"]
    if maker.rng.random() < 0.1:
        forms = ["Match all", "Match All"]
    if maker.rng.random() < 0.08 and maker.version >= (10, 0):
        forms = ["Match invalid-user", "Match version *", "Match version OpenSSH_1*"]
    return maker.one(forms)


def match_block(maker: Maker) -> None:
    if maker.rng.random() < 0.15:
        maker.first.append("UseDNS yes")
    settings = [
        "PasswordAuthentication yes", "PasswordAuthentication no", "PubkeyAuthentication no",
        "KbdInteractiveAuthentication yes", "AuthorizedKeysFile keys", "AuthorizedKeysFile none",
        "AuthorizedKeysFile .ssh/authorized_keys2", "AuthenticationMethods publickey",
        "AuthenticationMethods password", "AuthenticationMethods any", "PermitEmptyPasswords yes",
        "PermitRootLogin yes", "AllowUsers alice", "DenyUsers alice", "AllowUsers alice@10.0.0.0/8",
        "PubkeyAuthOptions none", "PubkeyAcceptedKeyTypes sk-ssh-ed25519@openssh.com",
        "MaxAuthTries 50", "X11Forwarding no", "TrustedUserCAKeys /etc/ssh/ca.pub",
    ]  # fmt: skip
    if maker.version >= (9, 9):
        settings.append("RefuseConnection yes")
    if maker.rng.random() < 0.6:
        maker.first.append("PasswordAuthentication no")
    maker.add_match(*(f"  {line}" for line in maker.rng.sample(settings, maker.rng.choice([1, 2]))))
    if maker.rng.random() < 0.4:
        maker.add_match(f"  {maker.one(settings)}")


def methods(maker: Maker) -> None:
    maker.first.append("AuthenticationMethods " + maker.one([
        "any", "publickey", "password", "none", "publickey,publickey", "publickey,password",
        "password,publickey", "publickey,keyboard-interactive", "publickey,keyboard-interactive:pam",
        "keyboard-interactive", "keyboard-interactive:pam", "publickey password", "hostbased,publickey",
        "publickey,password keyboard-interactive", "password,keyboard-interactive", "hostbased",
        "publickey,publickey,publickey publickey,password", "keyboard-interactive:bsdauth",
    ]))  # fmt: skip
    maker.first.append("KbdInteractiveAuthentication " + maker.one(["yes", "yes", "no"]))
    if maker.rng.random() < 0.3:
        maker.first.append("PermitEmptyPasswords yes")


def switches(maker: Maker) -> None:
    maker.first += maker.rng.sample([
        "PasswordAuthentication no", "PasswordAuthentication no", "KbdInteractiveAuthentication yes",
        "UsePAM no", "PermitEmptyPasswords yes", "PubkeyAuthentication no", "PermitRootLogin yes",
        "PermitRootLogin no", "ChallengeResponseAuthentication yes", "DSAAuthentication yes",
        "PubkeyAuthOptions none", "PubkeyAuthOptions touch-required",
    ], 2)  # fmt: skip


def algorithms(maker: Maker) -> None:
    name = "PubkeyAcceptedAlgorithms" if maker.version >= (8, 5) else "PubkeyAcceptedKeyTypes"
    maker.first.append(f"{name} " + maker.one([
        "sk-*", "sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com", "ssh-ed25519",
        "-ssh-ed25519", "+ssh-rsa", "^sk-ssh-ed25519@openssh.com", "*", "rsa-sha2-512", "+ssh-dss",
        "ssh-ed25519-cert-v01@openssh.com", "-ssh-ed25519,ecdsa*,rsa*", "*cert*", "ssh-*",
    ]))  # fmt: skip
    if maker.version >= (9, 1) and maker.rng.random() < 0.3:
        maker.first.append(f"RequiredRSASize {maker.one(['1024', '2048', '3072'])}")


PAM = (
    "@include common-auth\naccount required pam_permit.so\n",
    "auth required pam_permit.so\naccount required pam_permit.so\n",
    "auth required pam_deny.so\naccount required pam_permit.so\n",
    "auth sufficient pam_rootok.so\n@include common-auth\n@include common-account\n",
    "auth required pam_unix.so nodelay\naccount required pam_unix.so\n",
    "auth required pam_unix.so nodelay nullok\naccount required pam_unix.so\n",
    "auth sufficient pam_unix.so nodelay nullresetok\nauth required pam_deny.so\naccount required pam_unix.so\n",
    "auth [success=1 default=ignore] pam_unix.so nodelay\nauth requisite pam_deny.so\nauth required pam_permit.so\n"
    "auth optional pam_cap.so\naccount required pam_unix.so\n",
    "auth [success=1 default=1] pam_unix.so nodelay\nauth requisite pam_deny.so\nauth required pam_permit.so\naccount required pam_permit.so\n",
    "auth [default=2] pam_unix.so nodelay\nauth requisite pam_deny.so\nauth required pam_permit.so\naccount required pam_permit.so\n",
    "auth optional pam_unix.so nodelay\nauth required pam_permit.so\naccount required pam_permit.so\n",
    "auth optional pam_unix.so nodelay\naccount required pam_permit.so\n",
    "auth required pam_google_authenticator.so secret=/srv/secret user=root\naccount required pam_permit.so\n",
    "auth requisite pam_google_authenticator.so secret=/srv/secret user=root\nauth sufficient pam_permit.so\n@include common-auth\n@include common-account\n",
    "auth required pam_google_authenticator.so nullok\n@include common-auth\n@include common-account\n",
    "auth required pam_unix.so nodelay\nauth required pam_google_authenticator.so secret=/srv/secret user=root\naccount required pam_unix.so\n",
    "auth sufficient pam_succeed_if.so user = alice\n@include common-auth\n@include common-account\n",
    "auth sufficient pam_succeed_if.so quiet user = nobody\nauth required pam_deny.so\n@include common-account\n",
    "auth sufficient pam_localuser.so\nauth required pam_deny.so\naccount required pam_localuser.so\n",
    "auth required pam_faillock.so preauth\nauth sufficient pam_unix.so nodelay\nauth [default=die] pam_faillock.so authfail\n@include common-account\n",
    "auth substack common-auth\nauth required pam_permit.so\n@include common-account\n",
    "auth include common-auth\naccount include common-account\n",
    "-auth sufficient pam_sss.so\n@include common-auth\n@include common-account\n",
    "auth sufficient pam_exec.so quiet /bin/true\n@include common-auth\n@include common-account\n",
    "auth required pam_exec.so quiet /bin/false\n@include common-auth\n@include common-account\n",
    "account required pam_permit.so\n",
    "auth [success=ok default=bad] pam_unix.so nodelay \\\n  nullok # more\naccount required pam_permit.so\n",
    "auth [user_unknown=ok auth_err=done default=ignore] pam_unix.so nodelay\nauth required pam_permit.so\naccount required pam_permit.so\n",
    "auth required pam_unix.so nodelay\nauth required nonsense\naccount sufficient pam_localuser.so\n",
    "auth perhaps pam_permit.so\naccount required pam_permit.so\n",
    "@include nowhere\naccount required pam_permit.so\n",
    "auth sufficient pam_listfile.so item=user sense=allow file=/srv/listed onerr=fail\nauth required pam_deny.so\naccount required pam_permit.so\n",
    "auth sufficient pam_listfile.so item=user sense=deny file=/srv/listed onerr=succeed\nauth required pam_deny.so\naccount required pam_permit.so\n",
    "auth sufficient pam_rhosts.so\nauth required pam_deny.so\naccount required pam_permit.so\n",
    "auth sufficient pam_shells.so\nauth required pam_deny.so\naccount sufficient pam_shells.so\n",
    "auth required pam_warn.so\naccount required pam_warn.so\n",
    "auth sufficient pam_userdb.so db=/srv/none\n@include common-auth\n@include common-account\n",
    "auth required pam_env.so\naccount required pam_permit.so\n",
    "auth sufficient pam_faildelay.so delay=1\nauth required pam_deny.so\naccount required pam_permit.so\n",
    "auth [success=reset default=ok] pam_unix.so nodelay\nauth optional pam_permit.so\naccount required pam_permit.so\n",
)
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
    maker.site.files[f"/etc/pam.d/{service}"] = File(maker.one(PAM))
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
    text = maker.one(["<plain>\n", "<token>\n", "<certified>\n", "<ca>\n", "", "<plain> comment\n<rsa>\n", "junk\n"])
    maker.site.files["/etc/ssh/revoked"] = File(text, maker.rng.choice([0o644, 0o600, 0o000]))
    maker.first.append("RevokedKeys " + maker.one(["/etc/ssh/revoked"] * 4 + ["none", "/etc/ssh/absent"]))


def other_ways(maker: Maker) -> None:
    maker.first.append(maker.one(["HostbasedAuthentication yes", "GSSAPIAuthentication yes", "KerberosAuthentication yes",
                                  "IgnoreRhosts no", "DisableForwarding yes", "ForceCommand true", "PermitTTY no"]))


def arguments(maker: Maker) -> None:
    maker.site.arguments += maker.one(["-oPasswordAuthentication=yes", "-oUsePAM=no", "-oAuthorizedKeysFile=keys", "-4",
                                       "-oPermitEmptyPasswords=yes", "-oStrictModes=no", "-oKbdInteractiveAuthentication=yes"]).split()
    maker.first.append("PasswordAuthentication no")


GUARDS: tuple[Change, ...] = (
    keys_file, modes, modes, links, lists, lists, accounts, shells, match_block, match_block, match_block,
    methods, methods, switches, algorithms, pam, pam, pam, revoked, other_ways, arguments,
)  # fmt: skip
