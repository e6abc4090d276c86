"""`fidokit server authorize` on a machine with users: added lets in, removed does not."""

from __future__ import annotations

import re
import shlex
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.town import Town, found_town

VECTORS = Path(__file__).parents[1] / "vectors"

pytestmark = [pytest.mark.interop, pytest.mark.root]


@pytest.fixture
def town(tmp_path: Path, stock: Callable[[str], str]) -> Town:
    stock("ssh")
    return found_town(tmp_path, stock("/usr/sbin/sshd"))


def with_options(town: Town, options: str, name: str = "plain") -> Path:
    path = town.key(name).with_name(f"{name}.lines")
    path.write_text(f"{options} {town.key(name).read_text()}")
    return path


def authorized(town: Town, user: str) -> str:
    return (town.home(user) / ".ssh/authorized_keys").read_text()


# --- lines with their options ----------------------------------------------------------------


def test_a_files_options_are_kept(town: Town) -> None:
    with_options(town, 'restrict,command="echo only this"')
    said = town.authorize("--user", "bob", "plain.lines")
    assert "lets in: plain" in said
    with town.serving() as login:
        assert login.says("bob", town.key("plain"), "id") == "only this"


def test_an_authority_stays_one(town: Town) -> None:
    with_options(town, 'cert-authority,principals="ops"')
    said = town.authorize("--user", "bob", "plain.lines")
    assert "written, not proved: plain (only a certificate" in said
    assert authorized(town, "bob").startswith("cert-authority")
    with town.serving() as login:
        assert login.says("bob", town.key("plain")) == ""


@pytest.mark.parametrize(
    "option",
    [
        'from="127.0.0.1/8"',
        'from="127/8"',
        'from="192.0.2.1, 127.0.0.1"',
        'principals="bob"',
        'expiry-time="20200101"',
    ],
)
def test_what_lets_nobody_in_is_refused_and_sshd_agrees(town: Town, option: str) -> None:
    with_options(town, option)
    town.authorize("--user", "bob", "plain.lines", code=2)
    assert not town.home("bob").joinpath(".ssh").exists()
    name, _, value = option.replace('"', "").partition("=")
    town.authorize("--user", "bob", "plain.pub", "-O", f"{name}={value}", code=2)
    town.put("bob", with_options(town, option).read_text())
    said = town.authorize("--user", "bob", "plain.pub", code=None)
    assert "was there" in said
    assert "warning: /home/bob/.ssh/authorized_keys, line 1: " in said
    assert ("does not let in: plain" in said) is ("192" not in option)
    with town.serving() as login:
        assert login.says("bob", town.key("plain")) == ""


def test_times_with_z_are_written_where_sshd_reads_them(town: Town) -> None:
    line = with_options(town, 'expiry-time="20991231Z"').read_text()
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", town.run(town.sshd, "-V", code=None))
    assert found
    reads_it = (int(found[1]), int(found[2])) >= (9, 1)
    said = town.authorize("--user", "bob", "plain.lines", code=0 if reads_it else 2)
    assert ("lets in: plain" if reads_it else "does not support Z in times") in said
    town.put("bob", line)
    with town.serving() as login:
        assert login.says("bob", town.key("plain")) == ("bob" if reads_it else "")


def test_from_is_tried_from_where_it_allows(town: Town) -> None:
    town.key("plain")
    said = town.authorize("--user", "bob", "--from", "203.0.113.0/24", "plain.pub")
    assert "lets in: plain" in said
    with town.serving() as login:
        assert login.says("bob", town.key("plain")) == ""
    town.authorize("--user", "bob", "--from", "127.0.0.0/8", "plain.pub")
    with town.serving() as login:
        assert login.says("bob", town.key("plain")) == "bob"


def test_all_lines_of_a_key_are_narrowed(town: Town) -> None:
    line = town.key("plain").read_text()
    first = town.put("bob", f"no-pty {line}{line}")
    town.put("bob", line, "authorized_keys2")
    town.authorize("--user", "bob", "--command", "echo narrow", "plain.pub")
    with town.serving() as login:
        assert login.says("bob", town.key("plain"), "id") == "narrow"
        first.write_text(first.read_text().partition("\n")[2])
        assert login.says("bob", town.key("plain"), "id") == "narrow"
        first.write_text("")
        assert login.says("bob", town.key("plain"), "id") == "narrow"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("AllowUsers carol", "AllowUsers is set"),
        ("PubkeyAuthentication no", "PubkeyAuthentication is off"),
        ("PubkeyAcceptedKeyTypes ssh-rsa,rsa-sha2-512", "leaves out ssh-ed25519"),
        ("AuthenticationMethods publickey,password", "AuthenticationMethods"),
    ],
)
def test_what_is_in_the_way_is_named(town: Town, setting: str, said: str) -> None:
    town.key("plain")
    town.configure(setting)
    printed = town.authorize("--user", "bob", "plain.pub", code=None)
    assert said in printed
    assert "lets in: plain" not in printed.splitlines()
    with town.serving() as login:
        assert login.says("bob", town.key("plain")) == ""


def test_an_account_that_expired(town: Town) -> None:
    town.key("plain")
    shadow = town.etc / "shadow"
    line = "bob:*:19000:0:99999:7:"
    shadow.write_text(shadow.read_text().replace(f"{line}::", f"{line}:10:"))
    assert "has expired" in town.authorize("--user", "bob", "plain.pub", code=1)


def test_sshd_that_cannot_be_asked_is_never_taken_for_its_defaults(town: Town) -> None:
    town.key("plain")
    town.configure("NoSuchKeyword yes")
    said = town.authorize("--user", "bob", "plain.pub", code=4)
    assert "could not be asked" in said
    assert not town.home("bob").joinpath(".ssh").exists()
    town.authorize("--user", "bob", "--revoke", "plain.pub", code=4)


# --- types of keys ---------------------------------------------------------------------------


def test_a_type_that_only_newer_sshds_take(town: Town) -> None:
    """In and out where it is known; elsewhere it is said that it lets nobody in."""
    name = "ssh-mldsa44-ed25519"
    is_known = name in town.run("ssh", "-Q", "key").split()
    if is_known:
        key = town.key("pq", kind=name.removeprefix("ssh-"))
    else:
        key = town.folder / "keys/pq.pub"
        key.write_bytes((VECTORS / "ml_dsa/key.pub").read_bytes())
    said = town.authorize("--user", "bob", "pq.pub", code=0 if is_known else 1)
    assert ("lets in: " in said) is is_known
    assert (f"leaves out {name}" in said) is not is_known
    with town.serving() as login:
        assert login.says("bob", key) == ("bob" if is_known else "")
        said = town.authorize("--revoke", "--user", "bob", "pq.pub")
        assert "removed  SHA256:" in said
        assert ("Proved: sshd accepts none of them for bob now." in said) is is_known
        assert login.says("bob", key) == ""


# --- several sshds ---------------------------------------------------------------------------

OTHER = (
    "PidFile none\nUsePAM yes\nKbdInteractiveAuthentication no\nAuthorizedKeysFile /etc/keys/%u\n"
)


def advised(said: str) -> list[str]:
    """The options that let a key in at the other sshd, too."""
    found = re.search(r"to let it in there: (.*)", said)
    assert found, said
    return shlex.split(found[1])


@pytest.mark.parametrize(
    "other", [("-f", "/etc/ssh/other"), ("-o", "AuthorizedKeysFile=/etc/keys/%u")]
)
def test_another_sshd_that_reads_other_files(town: Town, other: tuple[str, str]) -> None:
    town.key("plain")
    (town.etc / "ssh/other").write_text(OTHER)
    with town.serving() as usual, town.serving(*other) as second:
        said = town.authorize("--user", "bob", "plain.pub")
        assert "lets in: plain" in said
        assert "is another sshd here, and reads /etc/keys/bob: plain is not there" in said
        assert usual.says("bob", town.key("plain")) == "bob"
        assert second.says("bob", town.key("plain")) == ""
        said = town.authorize("--user", "bob", "plain.pub", *advised(said))
        assert "File: /etc/keys/bob" in said
        assert "lets in: plain" in said
        assert second.says("bob", town.key("plain")) == "bob"
        assert "another sshd" not in town.authorize("--user", "bob", "plain.pub")
        said = town.authorize("--revoke", "--user", "bob", "plain.pub")
        assert said.count("removed  SHA256:") == 2
        assert "Proved: sshd accepts none of them for bob now." in said
        assert usual.says("bob", town.key("plain")) == second.says("bob", town.key("plain")) == ""


def test_an_sshd_that_cannot_be_asked_beside_the_usual_one(town: Town) -> None:
    town.key("plain")
    other = town.etc / "ssh/other"
    other.write_text(OTHER)
    with town.serving(), town.serving("-f", "/etc/ssh/other"):
        other.write_text("NoSuchKeyword yes\n")
        said = town.authorize("--user", "bob", "plain.pub")
        assert "lets in: plain" in said
        assert "is another sshd here: sshd could not be asked" in said
        said = town.authorize("--revoke", "--user", "bob", "plain.pub", code=1)
        assert "removed  SHA256:" in said
        assert "may still let in: sshd could not be asked" in said
        assert "Proved" not in said


# --- central folders -------------------------------------------------------------------------


def test_a_central_folder_is_roots_to_keep(town: Town) -> None:
    town.key("plain")
    town.configure("AuthorizedKeysFile /etc/authorized_keys/%u")
    assert "lets in" in town.authorize("--user", "alice", "plain.pub")
    path = town.etc / "authorized_keys/alice"
    found = path.stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (0, 0o644)
    assert path.parent.stat().st_uid == 0
    with town.serving() as login:
        assert login.says("alice", town.key("plain")) == "alice"
        assert "Proved" in town.authorize("--revoke", "--user", "alice", "plain.pub")
        assert login.says("alice", town.key("plain")) == ""


def test_a_central_file_that_sshd_could_not_read_is_made_readable(town: Town) -> None:
    town.configure("AuthorizedKeysFile /etc/authorized_keys/%u")
    path = town.etc / "authorized_keys/alice"
    path.parent.mkdir()
    path.write_text(town.key("other").read_text())
    path.chmod(0o600)
    town.key("plain")
    assert "lets in" in town.authorize("--user", "alice", "plain.pub")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    with town.serving() as login:
        assert login.says("alice", town.key("other")) == "alice"


def test_by_path_root_writes_what_sshd_can_read(town: Town) -> None:
    town.key("plain")
    town.configure("AuthorizedKeysFile /etc/authorized_keys/%u")
    (town.etc / "authorized_keys").mkdir()
    said = town.authorize("--path", "/etc/authorized_keys/alice", "plain.pub")
    assert "for root, sshd reads" in said
    assert "written, not proved" in said
    with town.serving() as login:
        assert login.says("alice", town.key("plain")) == "alice"


def test_a_folder_that_a_user_owns_is_not_written_to_as_root(town: Town) -> None:
    """No advice hands it to anybody, either."""
    town.key("plain")
    town.configure("AuthorizedKeysFile /etc/authorized_keys/%u")
    folder = town.etc / "authorized_keys"
    folder.mkdir()
    town.run("chown", "carol", "/etc/authorized_keys")
    said = town.authorize("--user", "alice", "plain.pub", code=1)
    assert "does not belong to alice" in said
    assert "chown" not in said
    assert list(folder.iterdir()) == []


def test_a_link_into_roots_folder_is_not_followed_as_root(town: Town) -> None:
    town.key("plain")
    (town.etc / "keys").mkdir()
    folder = town.put("bob", "").parent
    (folder / "authorized_keys").unlink()
    folder.rmdir()
    folder.symlink_to("/etc/keys")
    town.authorize("--user", "bob", "plain.pub", code=1)
    assert list((town.etc / "keys").iterdir()) == []


def test_a_file_that_all_users_share(town: Town) -> None:
    town.key("plain")
    town.configure("AuthorizedKeysFile /etc/ssh/shared")
    said = town.authorize("--user", "alice", "plain.pub", code=2)
    assert "read for every user" in said
    assert not (town.etc / "ssh/shared").exists()
    path = said.partition("--path ")[2].split()[0]
    assert "as everybody" in town.authorize("--user", "alice", "--path", path, "plain.pub")
    with town.serving() as login:
        assert login.says("carol", town.key("plain")) == "carol"
        town.authorize("--revoke", "--user", "alice", "plain.pub")
        assert login.says("carol", town.key("plain")) == ""


@pytest.mark.parametrize(
    "names", ['"/etc/ssh/my keys/%u" .ssh/authorized_keys', '"/etc/ssh/my keys/%u"']
)
def test_names_as_sshd_reads_them(town: Town, names: str) -> None:
    town.key("plain")
    town.configure(f"AuthorizedKeysFile {names}")
    assert "lets in" in town.authorize("--user", "alice", "plain.pub")
    with town.serving() as login:
        assert login.says("alice", town.key("plain")) == "alice"


def test_none_beside_a_name(town: Town) -> None:
    """Some versions of sshd take that, and newer ones refuse it."""
    town.key("plain")
    town.configure("AuthorizedKeysFile none .ssh/keys")
    if "must appear alone" in town.run(town.sshd, "-t", code=None):
        said = town.authorize("--user", "alice", "plain.pub", code=4)
        assert "must appear alone" in said
        return
    assert "lets in" in town.authorize("--user", "alice", "plain.pub")
    with town.serving() as login:
        assert login.says("alice", town.key("plain")) == "alice"


# --- only these ------------------------------------------------------------------------------


def test_exclusive(town: Town) -> None:
    town.put("alice", f"# mine\n{town.key('other').read_text()}junk\n")
    town.put("alice", town.key("rsa", kind="rsa").read_text(), "authorized_keys2")
    town.key("plain")
    town.authorize("--user", "alice", "--exclusive", "plain.pub")
    with town.serving() as login:
        assert login.says("alice", town.key("plain")) == "alice"
        assert login.says("alice", town.key("other")) == ""
        assert login.says("alice", town.key("rsa")) == ""
    assert authorized(town, "alice").startswith("# mine\nssh-ed25519 ")


def test_exclusive_takes_nobodys_last_way_in(town: Town) -> None:
    town.put("alice", town.key("other").read_text())
    town.key("plain")
    town.configure("PubkeyAcceptedKeyTypes rsa-sha2-512")
    said = town.authorize("--user", "alice", "--exclusive", "plain.pub", code=2)
    assert "the others stay" in said
    assert town.key("other").read_text() in authorized(town, "alice")
    town.authorize("--user", "alice", "--exclusive", "--yes-unproved", "plain.pub", code=1)
    assert town.key("other").read_text() not in authorized(town, "alice")


# --- many at once ----------------------------------------------------------------------------


def test_many_users_of_one_list(town: Town) -> None:
    for name in ("one", "two", "three"):
        town.key(name)
    lines = [
        "# everybody",
        'alice ./one.pub restrict,command="echo a b"',
        f"bob\trestrict {town.key('two').read_text().strip()}",
        "carol three.pub",
        "carol one.pub",
    ]
    (town.folder / "keys/list").write_text("\n".join(lines) + "\n")
    said = town.authorize("--from-file", "list")
    assert "line 2  alice: added" in said
    with town.serving() as login:
        assert login.says("alice", town.key("one"), "id") == "a b"
        assert login.says("bob", town.key("two")) == "bob"
        assert login.says("carol", town.key("three")) == "carol"
        assert login.says("carol", town.key("one")) == "carol"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nobody-here plain.pub", "no user"),
        ("alice", "no key stands"),
        ("alice none.pub", "nor the name of a file"),
        ("alice plain.pub no-such", "unknown to sshd"),
        ('alice plain.pub from="127/8"', "denies everybody"),
        ("alice {key} restrict", "options follow the key"),
        ("alice restrict,no-such {key}", "neither a key"),
    ],
)
def test_a_list_with_a_bad_line_changes_nothing(town: Town, line: str, said: str) -> None:
    key = " ".join(town.key("plain").read_text().split()[:2])
    (town.folder / "keys/list").write_text(f"bob plain.pub\n{line.format(key=key)}\n")
    printed = town.authorize("--from-file", "list", code=4)
    assert "line 2: " in printed
    assert said in printed
    assert not town.home("bob").joinpath(".ssh").exists()
