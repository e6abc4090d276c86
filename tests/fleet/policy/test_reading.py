"""What policy.toml says becomes values; whatever is wrong with it is reported with its line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fleet.policy.policies import (
    file_line,
    many_keys,
    policy,
    print_in,
    print_of,
    token_line,
)

from fidokit.errors import ExitCode, FidokitError, MalformedFile
from fidokit.fleet.policy.checked import MAX_FAULTS
from fidokit.fleet.policy.reading import MAX_SIZE, parse_policy, read_policy
from fidokit.fleet.policy.values import FleetPolicy, HostRules
from fidokit.metadata.certification import CertificationLevel
from fidokit.server.check.policy import BreakGlass, CheckRule

A, B, C, GLASS = map(print_of, ("a", "b", "c", "glass"))
YUBIKEY = "2fc0579f-8113-47ea-b116-bb5a8db9202a"

WHOLE = f"""
schema = 1

[people.alice]
keys = ["{A}"]

[people.alice.tokens.blue]
serial = "123"
models = ["{YUBIKEY.upper()}"]
keys = ["{token_line(1, "alice@blue")}"]

[people.alice.tokens.drawer]
backup-of = "blue"
keys = [{{ key = "{B}=", expires = 2027-06-30 }}]

[people.bob]
keys = [{{ key = "{C}", attestation = "bob/att", challenge = "bob/challenge" }}]
attested = {{ folder = "proofs/bob", models = ["{YUBIKEY}"] }}

[groups]
admins = ["alice"]
everybody = ["@admins", "bob"]

[[hosts]]
match = ["*", "!test*"]
require = ["no-password", "hardware"]
break-glass = ["root:{GLASS}"]
let-in = {{ root = ["@admins"] }}

[[hosts]]
match = ["DB1", "db2"]
require = ["verify"]
models = ["{YUBIKEY}"]
level = "L2"
expires = 2027-01-01
exclusive = true
authorities = ["{A}"]
let-in = {{ root = ["bob"], postgres = ["@everybody"] }}

[token-rules]
min-pin-length = 8
always-uv = true
enterprise-attestation = false
no-advisories = true
level = "L1+"

[audit-log]
signers = ["{token_line(9, "audit")}"]
"""


@pytest.fixture(scope="module")
def whole() -> FleetPolicy:
    return policy(WHOLE)


def test_people_and_keys(whole: FleetPolicy) -> None:
    alice, bob = whole.people["alice"], whole.people["bob"]
    on_blue = print_in(token_line(1))
    assert [key.fingerprint for key in alice.keys] == [on_blue, B, A]
    assert [(key.token, key.backup) for key in alice.keys] == [
        ("blue", False),
        ("drawer", True),
        ("", False),
    ]
    assert alice.keys[0].comment == "alice@blue"
    assert [key.hardware for key in alice.keys] == [True, None, None]
    assert alice.keys[1].expires == date(2027, 6, 30)
    assert alice.groups == ("admins", "everybody")
    assert bob.groups == ("everybody",)
    assert bob.keys[0].attestation == "bob/att"
    assert bob.attested
    assert bob.attested.models == {YUBIKEY}


def test_owners_and_tokens(whole: FleetPolicy) -> None:
    assert whole.owner(B) is whole.owner(f"{B}=") is whole.people["alice"]
    assert whole.owner(GLASS) is None
    assert whole.key(C) is whole.people["bob"].keys[0]
    blue, drawer = whole.token("blue"), whole.token("drawer")
    assert blue
    assert blue.models == {YUBIKEY}
    assert drawer
    assert (drawer.owner, drawer.backup_of, len(drawer.keys)) == ("alice", "blue", 1)
    assert whole.token("red") is None


def test_groups_name_all_their_members(whole: FleetPolicy) -> None:
    assert whole.groups == {"admins": ("alice",), "everybody": ("alice", "bob")}
    assert [one.name for one in whole.members("@everybody")] == ["alice", "bob"]
    assert [one.name for one in whole.members("bob")] == ["bob"]
    assert whole.members("@bob") == whole.members("admins") == ()


def test_blocks_that_match_are_joined(whole: FleetPolicy) -> None:
    assert whole.rules_for("test1") is None
    web = whole.rules_for("web")
    assert web is whole.hosts[0]
    assert web.require == (CheckRule.HARDWARE, CheckRule.NO_PASSWORD)
    assert web.break_glass == (BreakGlass(GLASS, "root"),)
    joined = whole.rules_for("db1")
    assert joined is whole.rules_for("DB2")
    assert joined == HostRules(
        patterns=("*", "!test*", "db1", "db2"),
        let_in={"root": ("@admins", "bob"), "postgres": ("@everybody",)},
        require=(CheckRule.HARDWARE, CheckRule.NO_PASSWORD, CheckRule.VERIFY),
        break_glass=(BreakGlass(GLASS, "root"),),
        models=frozenset({YUBIKEY}),
        level=CertificationLevel.L2,
        expires=date(2027, 1, 1),
        exclusive=True,
        authorities=(A,),
    )


def test_joined_demands_are_the_stricter_ones() -> None:
    one = HostRules(("a",), models=frozenset("xy"), level=CertificationLevel.L1)
    other = HostRules(
        ("b",), models=frozenset("yz"), level=CertificationLevel.L2, expires=date(2027, 1, 1)
    )
    for joined in (one & other, other & one):
        assert joined.models == {"y"}
        assert joined.level == CertificationLevel.L2
        assert joined.expires == date(2027, 1, 1)
    assert (one & HostRules(("c",), models=frozenset("z"))).models == frozenset()
    nothing_left = one & HostRules(("c",), models=frozenset("z")) & HostRules(("d",))
    assert nothing_left.models == frozenset()


def test_the_rest(whole: FleetPolicy) -> None:
    rules = whole.token_rules
    assert (rules.min_pin_length, rules.always_uv, rules.enterprise_attestation) == (8, True, False)
    assert (rules.no_advisories, rules.models, rules.level) == (True, None, "L1+")
    assert [key.comment for key in whole.signers] == ["audit"]


def test_nothing_is_a_policy() -> None:
    assert policy("").rules_for("web") is None
    assert policy("# only a comment\r\n").people == {}


HOSTS = '[people.al]\nkeys = []\n[groups]\nops = ["al"]\n[[hosts]]\nmatch = ["*"]\n'
"""What stands before a wrong line 7."""

WRONG = [
    ("a = 1\na = 2", 2, "not valid TOML: cannot overwrite a value"),
    ("a = ", 1, "not valid TOML: invalid value"),
    ("[people.al]\nkeys = [", 2, "not valid TOML"),
    ("peeple = 1", 1, "there is no setting 'peeple'; did you mean 'people'?"),
    ("schema = 2", 1, "schema is 2, not a number from 1 to 1"),
    ("people = 1", 1, "people is a number, not a table"),
    ("[people]\nal = []", 2, "'al' is a list, not a table"),
    ('[people]\n"al\\nb" = {}', 2, "'al\\nb' cannot be a name"),
    ("[people.al]\nkey = []", 2, "there is no setting 'key'; did you mean 'keys'?"),
    ('[people.al]\nkeys = "x"', 2, "keys is text, not a list"),
    ("[people.al]\nkeys = [\n 1\n]", 3, "an element of keys is a number, not a table"),
    ('[people.al]\nkeys = ["SHA256:abc"]', 2, "'SHA256:abc' is not a SHA256 fingerprint"),
    ('[people.al]\nkeys = ["ssh-ed25519 AAAA"]', 2, "'ssh-ed25519 AAAA' is not a key"),
    (f'[people.al]\nkeys = ["{A}",\n"{A}="]', 3, f"the key {A} is listed twice"),
    (
        f'[people.al]\nkeys = ["{A}"]\n[people.bo]\nkeys = ["{A}"]',
        4,
        f"the key {A} is al's as well",
    ),
    (
        f'[people.al]\nkeys = [{{ key = "{A}", expires = "soon" }}]',
        2,
        "expires is text, not a date",
    ),
    (
        f'[people.al]\nkeys = [{{ key = "{A}", expires = 2027-01-01T00:00:00 }}]',
        2,
        "expires is a date with a time",
    ),
    ("[people.al]\nkeys = [{ expires = 2027-01-01 }]", 2, "there is no `key`"),
    (f'[people.al]\nkeys = [{{ key = "{A}", attestation = "a" }}]', 2, "stand together"),
    (
        f'[people.al]\nkeys = [{{ key = "{A}", attestation = "../a", challenge = "c" }}]',
        2,
        "attestation is '../a', not a path below",
    ),
    ('[people.al]\nattested = { folder = "x" }', 2, "attested names no models"),
    ("[people.al.tokens.t]\nserial = 12", 2, "serial is a number, not text in quotes"),
    (
        '[people.al.tokens.t]\nbackup-of = "blu"\n[people.al.tokens.blue]',
        2,
        "al has no token 'blu'",
    ),
    ('[people.al.tokens.t]\nbackup-of = "t"', 2, "token t cannot be its own backup"),
    ("[people.al.tokens.t]\n[people.bo.tokens.t]", 2, "token t is al's as well"),
    (
        '[people.al.tokens.t]\nmodels = ["YubiKee 5"]',
        2,
        "there is no model 'YubiKee 5' in the FIDO",
    ),
    ('[groups]\nops = ["al"]', 2, "there is no person 'al'"),
    ('[people.al]\n[groups]\nops = ["al", "al"]', 3, "'al' is in ops twice"),
    ('[people.al]\n[groups]\nops = ["al"]\nall = ["ops"]', 4, "no person 'ops'; @ops is a group"),
    ('[groups]\na = ["@b"]\nb = ["@a"]', 3, "group a contains itself"),
    ("[[hosts]]\nrequire = []", 1, "there is no `match`"),
    ("[hosts]\nmatch = []", 1, "hosts is a table, not a list"),
    ('[[hosts]]\nmatch = ["!a"]', 2, "no pattern says which hosts are meant"),
    ('[[hosts]]\nmatch = ["a b"]', 2, "'a b' is not a pattern of hosts"),
    (HOSTS + 'require = ["hardwre"]', 7, "there is no rule 'hardwre'; did you mean 'hardware'?"),
    (HOSTS + 'require = ["break-glass=x"]', 7, "break-glass is a setting of its own"),
    (HOSTS + 'require = ["hardware", "hardware-or-certified"]', 7, "contradict each other"),
    (HOSTS + 'let-in = { root = ["@opps"] }', 7, "there is no group 'opps'; did you mean 'ops'?"),
    (HOSTS + 'let-in = { root = ["all"] }', 7, "there is no person 'all'; did you mean 'al'?"),
    (HOSTS + 'let-in = { "a b" = ["al"] }', 7, "'a b' is not the name of an account"),
    (HOSTS + 'break-glass = ["root:SHA256:x"]', 7, "'root:SHA256:x' is not [USER:]SHA256:..."),
    (HOSTS + 'level = "L9"', 7, "there is no level 'L9'; the levels are L1, L1+, L2, L2+, L3, L3+"),
    (HOSTS + 'exclusive = "yes"', 7, "exclusive is text, not true or false"),
    (HOSTS + "exclusive = true", 7, "exclusive lets nobody in"),
    (HOSTS + 'authorities = ["x"]', 7, "'x' is not a fingerprint"),
    (
        (
            f'[people.al]\nkeys = ["{file_line(1)}"]\n[[hosts]]\nmatch = ["*"]\n'
            f'require = ["hardware"]\nbreak-glass = ["{print_in(file_line(1))}"]'
        ),
        6,
        "this key is in a file, and hardware is required",
    ),
    (
        (
            f'[people.al]\nkeys = [{{ key = "{A}", expires = 2027-01-01 }}]\n[[hosts]]\n'
            f'match = ["*"]\nbreak-glass = ["{A}"]'
        ),
        5,
        "the break-glass key expires on 2027-01-01",
    ),
    ("[token-rules]\nmin-pin-length = 3", 2, "min-pin-length is 3, not a number from 4 to 63"),
    ("[token-rules]\nalways-uv = 1", 2, "always-uv is a number, not true or false"),
    ("[audit-log]\nsigners = []", 2, "signers names no key that signs the log"),
]


@pytest.mark.parametrize(("text", "line", "said"), WRONG)
def test_what_is_wrong_has_its_line(text: str, line: int, said: str) -> None:
    with pytest.raises(MalformedFile) as caught:
        policy(text)
    first = caught.value.message
    assert first.startswith(f"policy.toml:{line}: ")
    assert said in first
    assert caught.value.exit_code is ExitCode.MALFORMED


def report(error: MalformedFile) -> list[str]:
    """All the faults that an error names."""
    assert "\n" not in error.message
    return [error.message, *error.hint.splitlines()[:-1]]


def test_all_is_reported_in_the_order_of_the_lines() -> None:
    with pytest.raises(MalformedFile) as caught:
        policy('schema = 7\n[groups]\nops = ["x"]\n[token-rules]\nalways-uv = 3\n')
    lines = [line.split(": ")[0] for line in report(caught.value)]
    assert lines == ["policy.toml:1", "policy.toml:3", "policy.toml:5"]


def test_the_report_is_bounded() -> None:
    with pytest.raises(MalformedFile) as caught:
        policy("".join(f"x{number} = 1\n" for number in range(5000)))
    *named, last = report(caught.value)
    assert len(named) == MAX_FAULTS
    assert last == f"and {5000 - MAX_FAULTS:,} more"


def test_values_in_messages_are_bounded() -> None:
    with pytest.raises(MalformedFile) as caught:
        policy(f'[people.al]\nkeys = ["{"x" * 100_000}"]')
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a = 1\n# \xff\n", "policy.toml:2: this is not UTF-8"),
        (b"a = " + b"[" * 100_000, "policy.toml"),
        (b"a = " + b"9" * 5000, "policy.toml"),
        (b"#" * (MAX_SIZE + 1), "policy.toml has more than 64 MiB"),
    ],
)
def test_hostile_input(data: bytes, said: str) -> None:
    with pytest.raises(MalformedFile) as caught:
        parse_policy(data, "policy.toml")
    assert caught.value.message.startswith(said)


@pytest.mark.parametrize("cut", range(0, len(WHOLE), 7))
def test_cut_anywhere(cut: int) -> None:
    said: list[str] = []
    try:
        policy(WHOLE[:cut])
    except MalformedFile as error:
        said = report(error)
    assert all(line.startswith("policy.toml:") for line in said)


def test_groups_in_a_long_chain() -> None:
    chain = "".join(f'g{number} = ["@g{number + 1}"]\n' for number in range(5000))
    with pytest.raises(MalformedFile, match="nested over 32 deep"):
        policy(f"[groups]\n{chain}g5000 = []\n")


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(WHOLE)
    assert read_policy(path).people.keys() == {"alice", "bob"}
    with pytest.raises(FidokitError, match="there is no policy"):
        read_policy(tmp_path / "none.toml")
    with pytest.raises(FidokitError, match="is a folder"):
        read_policy(tmp_path)
    path.write_text("schema = 3")
    with pytest.raises(MalformedFile, match=rf"^{path}:1: "):
        read_policy(path)


def test_many_keys_are_indexed() -> None:
    read = policy("".join(many_keys(500, 10)))
    owner = read.owner(print_of("499.9"))
    assert owner
    assert owner.name == "p499"


def test_a_block_for_each_host() -> None:
    read = policy("".join(f'[[hosts]]\nmatch = ["h{n}"]\nlevel = "L1"\n' for n in range(500)))
    assert read.rules_for("H77") is read.hosts[77]
    assert read.rules_for("h500") is None


PATTERNS = st.lists(st.text(st.sampled_from("aB*?!"), min_size=1, max_size=4), max_size=3)


@given(st.lists(PATTERNS, max_size=4), st.text(st.sampled_from("abAB"), min_size=1, max_size=4))
def test_blocks_are_found_as_their_patterns_say(blocks: list[list[str]], host: str) -> None:
    rules = tuple(
        HostRules(tuple(word.lower() for word in patterns), let_in={f"user{at}": ()})
        for at, patterns in enumerate(blocks)
    )
    found = FleetPolicy(hosts=rules).rules_for(host)
    expected = [f"user{at}" for at, block in enumerate(rules) if block.fits(host)]
    assert list(found.let_in if found else ()) == expected
