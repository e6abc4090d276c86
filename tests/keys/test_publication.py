"""Keys at GitHub and GitLab: programs and public lists of stand-ins, and what is made of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.server.samples import OTHER, PLAIN, TOKEN, text
from tests.support.key_site import ACCOUNT, StandIn, key_site

from fidokit.errors import FidokitError, MalformedKey, UsageError
from fidokit.keys.publication import (
    SITES,
    ProgramAnswer,
    Publication,
    Published,
    listed_keys,
    parse_site,
    publish_keys,
)

BOTH = ("admin:public_key", "admin:ssh_signing_key")


@pytest.fixture(params=["gh", "gl"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StandIn]:
    with key_site(tmp_path, request.param) as made:
        made.log_in(ACCOUNT, *BOTH)
        yield made


@pytest.fixture
def github(tmp_path: Path) -> Iterator[StandIn]:
    with key_site(tmp_path, "gh") as made:
        yield made


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[StandIn]:
    with key_site(tmp_path, "gl") as made:
        made.log_in(ACCOUNT)
        yield made


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "id_work.pub"
    path.write_bytes(text(TOKEN))
    return path


def prefix(site: StandIn) -> str:
    return "gh" if site.variable == "GH_HOST" else "gl"


def publish(site: StandIn, key: Path, account: str = "", *, signing: bool = False) -> Publication:
    environ = site.environ(os.environ["PATH"])
    where = f"{prefix(site)}:{account}"
    (done,) = publish_keys(where, [str(key)], signing=signing, environ=environ)
    return done


def test_a_key_is_added_and_seen(site: StandIn, key: Path) -> None:
    done = publish(site, key)
    assert (done.state, done.account) == (Published.ADDED, ACCOUNT)
    assert site.keys() == [TOKEN.encode()]
    assert publish(site, key).state == Published.PRESENT
    added = [call for call in site.calls() if call[1:3] == ["ssh-key", "add"]]
    assert len(added) == 1
    assert "--title=token" in added[0]


def test_names_of_the_account(site: StandIn, key: Path) -> None:
    assert publish(site, key, ACCOUNT.upper()).state == Published.ADDED
    with pytest.raises(UsageError, match=f"logged in as {ACCOUNT}, not as bob") as caught:
        publish(site, key, "bob")
    assert f"{prefix(site)}:{ACCOUNT}" in caught.value.hint


def test_logins_and_signatures_are_apart_at_github(github: StandIn, key: Path) -> None:
    github.log_in(ACCOUNT, *BOTH)
    assert publish(github, key).state == Published.ADDED
    assert publish(github, key, signing=True).state == Published.ADDED
    assert publish(github, key, signing=True).state == Published.PRESENT
    assert github.keys("signing") == github.keys("authentication") == [TOKEN.encode()]


def test_gitlab_has_one_list(gitlab: StandIn, key: Path) -> None:
    assert publish(gitlab, key, signing=True).state == Published.ADDED
    done = publish(gitlab, key, signing=True)
    assert (done.state, done.why) == (Published.PRESENT, "")
    (gitlab.folder / "usage").write_text("auth")
    assert publish(gitlab, key).state == Published.PRESENT
    with pytest.raises(FidokitError, match="for logins alone") as caught:
        publish(gitlab, key, signing=True)
    assert f"{gitlab.host}/-/user_settings/ssh_keys" in caught.value.hint
    (gitlab.folder / "usage").write_text("signing")
    with pytest.raises(FidokitError, match="for signatures alone"):
        publish(gitlab, key)


def test_the_list_of_gitlab_does_not_show_the_use(gitlab: StandIn, key: Path) -> None:
    gitlab.put("authentication", TOKEN.encode())
    (gitlab.bin / "glab").unlink()
    done = publish(gitlab, key, ACCOUNT)
    assert done.state == Published.PRESENT
    assert "for logins" in done.why


def test_nobody_is_logged_in(site: StandIn, key: Path) -> None:
    (site.folder / "account").unlink()
    done = publish(site, key)
    assert done.state == Published.BY_HAND
    assert done.why.startswith(("gh is not logged in", "glab is not logged in"))
    assert "auth login" in done.why
    assert done.page.startswith(site.host)
    assert done.text == TOKEN.encode()
    assert site.keys() == []


def test_without_the_program(site: StandIn, key: Path) -> None:
    for program in site.bin.iterdir():
        program.unlink()
    done = publish(site, key, ACCOUNT)
    assert (done.state, done.title) == (Published.BY_HAND, "token")
    assert done.why.endswith("is not installed")
    site.put("authentication", done.text)  # the user pastes it
    assert publish(site, key, ACCOUNT).state == Published.PRESENT


def test_the_usual_hosts() -> None:
    github, gitlab = SITES["gh"], SITES["gl"]
    assert github.page.format(github.base({})) == "https://github.com/settings/ssh/new"
    assert gitlab.page.format(gitlab.base({})) == "https://gitlab.com/-/user_settings/ssh_keys"
    assert github.base({"GH_HOST": "git.example.org"}) == "https://git.example.org"
    assert github.login({}) == "git@github.com"
    assert gitlab.login({"GITLAB_HOST": "https://git.example.org:8443"}) == "git@git.example.org"
    assert gitlab.base({"GL_HOST": "https://git.example.org/"}) == "https://git.example.org"


def test_addresses_of_lists() -> None:
    asked: list[str] = []

    def fetch(address: str) -> bytes:
        asked.append(address)
        return (
            text(PLAIN)
            if address.endswith(".keys")
            else json.dumps([{"key": PLAIN.encode()}]).encode()
        )

    for prefix, signing in (("gh", False), ("gh", True), ("gl", True)):
        (found,) = listed_keys(SITES[prefix], "bob", signing=signing, environ={}, fetch=fetch)
        assert found.key == PLAIN.key
    assert asked == [
        "https://github.com/bob.keys",
        "https://api.github.com/users/bob/ssh_signing_keys?per_page=100",
        "https://gitlab.com/bob.keys",
    ]


@pytest.mark.parametrize(
    "answer", [b"", b"{", b"{}x", b"[1]", b'[{"key": 1}]', b'{"message": "x"}', b"[" * 100_000]
)
def test_lists_that_are_not_what_is_documented(answer: bytes) -> None:
    with pytest.raises(FidokitError):
        listed_keys(SITES["gh"], "bob", signing=True, environ={}, fetch=lambda _: answer)


def test_a_scope_that_the_login_lacks(github: StandIn, key: Path) -> None:
    github.log_in(ACCOUNT, "admin:public_key")
    with pytest.raises(FidokitError, match="does not take the key token") as caught:
        publish(github, key, signing=True)
    host = github.host.partition("://")[2]
    assert f"`gh auth refresh -h {host} -s admin:ssh_signing_key`" in caught.value.hint


def test_a_key_of_another_account(site: StandIn, key: Path) -> None:
    site.put("others", TOKEN.encode())
    with pytest.raises(FidokitError, match=r"already (in use|been taken)") as caught:
        publish(site, key)
    assert "another account" in caught.value.hint


def test_a_list_that_cannot_be_read(site: StandIn, key: Path) -> None:
    (site.folder / "hidden").touch()
    assert publish(site, key).state == Published.UNSEEN
    assert site.keys() == [TOKEN.encode()]


def test_backups_go_along(site: StandIn, key: Path) -> None:
    backup = key.with_name("id_work_backup.pub")
    backup.write_bytes(text(OTHER))
    environ = site.environ(os.environ["PATH"])
    where = f"{prefix(site)}:"
    done = publish_keys(where, [str(key)], environ=environ)
    assert [one.key.key for one in done] == [TOKEN.key, OTHER.key]
    (alone,) = publish_keys(where, [str(key)], backups=False, environ=environ)
    assert alone.state == Published.PRESENT
    assert alone.fingerprint.startswith("SHA256:")


def test_only_the_key_is_published(site: StandIn, key: Path) -> None:
    """Options in front of it are no business of theirs, nor are signs that a title hides."""
    key.write_text(f'command="x" {" ".join(TOKEN.encode().split()[:2])} evil\x1b[2J\u202etitle\n')
    publish(site, key)
    (line,) = site.keys()
    assert line.startswith("sk-ssh-ed25519@openssh.com ")
    assert line.isprintable()


@pytest.mark.parametrize(
    ("where", "said"),
    [("lp:", "neither GitHub nor GitLab"), ("x", "neither"), ("gh:a b", "names no account")],
)
def test_sites_that_are_none(where: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_site(where)


def test_files_alone_are_published(key: Path) -> None:
    for source in ("gh:bob", "https://example.org/keys"):
        with pytest.raises(UsageError, match="from a file"):
            publish_keys("gh:", [source])
    key.write_text("nothing\n")
    with pytest.raises(FidokitError):
        publish_keys("gh:", [str(key)])


@pytest.mark.parametrize(
    "out", [b"", b"[]", b'{"login": 1}', b'{"login": "../x"}', b"\xff", b'{"login": "a b"}']
)
def test_programs_that_say_something_else(key: Path, out: bytes) -> None:
    def run(_words: Sequence[str]) -> ProgramAnswer:
        return ProgramAnswer(0, out, "\x1b[2J")

    def fetch(_address: str) -> bytes:
        raise MalformedKey("none")

    (done,) = publish_keys("gh:", [str(key)], environ={}, run=run, fetch=fetch)
    assert done.state in {Published.BY_HAND, Published.UNSEEN}
