"""Sites by seed: what might let somebody in, what might shut them out, and forms that mislead.

A site begins as Debian ships one, with keys on tokens alone. Some temptations (a key in a file, a
password) and some guards (modes, lists, Match blocks, PAM, methods) are added: whether the guards
shut what the temptations open is for sshd to say.
"""

from __future__ import annotations

from tests.interop.oracle.guards import GUARDS
from tests.interop.oracle.maker import Maker, Version
from tests.interop.oracle.site import File, Person, Site
from tests.interop.oracle.temptations import TEMPTATIONS

# The older name of KbdInteractiveAuthentication, which every version understands.
DEBIAN = """\
Include /etc/ssh/sshd_config.d/*.conf
ChallengeResponseAuthentication no
UsePAM yes
X11Forwarding yes
PrintMotd no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
"""

NAMES = ("bob", "bob", "bob", "bob", "bob", "host$", "DOM\\carol", "1234", "d.e-f_g")
"""Of the second user; hosts of a domain and its users have names such as these."""


def generate(seed: int, version: Version) -> Site:
    """The site of a number; the same one for the same version of sshd."""
    maker = Maker(seed, version)
    rng, site = maker.rng, maker.site
    site.people = [Person("alice", 1001)]
    if rng.random() < 0.5:
        site.people.append(Person(rng.choice(NAMES), 1002))
    if rng.random() < 0.2:
        site.people.append(Person("root", 0))
    for person in site.people:
        keys = ["verify-required <token>"] * 2 + ["<token>", "<ectoken>"]
        site.authorize(person.name, maker.one(keys))
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
    if maker.version < (8, 7):
        lines = [line.replace("KbdInteractive", "ChallengeResponse") for line in lines]
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
    if maker.last and rng.random() < 0.15:
        _chain(maker)
    elif maker.last and rng.random() < 0.3:
        kept = rng.choice(INCLUDES).format(path="/etc/ssh/more/m.conf", number="m")
        site.files["/etc/ssh/more/m.conf"] = File("\n".join(maker.last) + "\n")
        site.config = include + DEBIAN + kept


def _chain(maker: Maker) -> None:
    """The Match blocks in files that include each other, some of them from within a block."""
    site, rest = maker.site, "\n".join(maker.last) + "\n"
    first, second, third = (f"/etc/ssh/more/c{number}.conf" for number in (1, 2, 3))
    site.files[third] = File(rest)
    site.files[second] = File(maker.one(CHAINED).format(path=third))
    site.files[first] = File(maker.one(CHAINED).format(path=second))
    site.config = site.config.removesuffix(rest) + maker.one(CHAINED).format(path=first)


CHAINED = (
    "Include {path}\n",
    "Match User alice\n  Include {path}\nMatch all\n",
    "Match Address 127.0.0.0/8\n  Include {path}\n",
    "Match User nobody\nInclude {path}\nMatch all\nX11Forwarding no\n",
    "X11Forwarding yes\nMatch all\nInclude {path}\n",
    "Include /etc/ssh/none.conf {path}\n",
)
"""What a file of a chain does with the next."""

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
    if "2222" in text and not site.others and "ListenAddress" not in text:
        site.config = "Port 22\nPort 2222\n" + site.config
        site.targets.append(("127.0.0.1", 2222))
    if "::1" in site.sources:
        site.targets.append(("::1", 22))
    if "LocalAddress" in text:
        site.targets.append(("127.0.0.9", 22))
