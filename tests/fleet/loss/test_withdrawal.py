"""Keys taken out of GitHub and GitLab: what the stand-ins have afterwards, and what is said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.samples import OTHER, TOKEN
from tests.support.key_site import ACCOUNT, StandIn, key_site

from fidokit.errors import FidokitError, UsageError
from fidokit.fleet.loss.withdrawal import Withdrawal, Withdrawn, withdraw_key

BOTH = ("admin:public_key", "admin:ssh_signing_key")


@pytest.fixture(params=["gh", "gl"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StandIn]:
    with key_site(tmp_path, request.param) as made:
        made.log_in(ACCOUNT, *BOTH)
        for line in (OTHER, TOKEN):
            made.put("authentication", line.encode())
        yield made


def withdraw(site: StandIn, account: str = ACCOUNT, *, signing: bool = False) -> Withdrawal:
    prefix = "gh" if site.variable == "GH_HOST" else "gl"
    environ = site.environ(os.environ["PATH"])
    where = f"{prefix}:{account}"
    return withdraw_key(where, TOKEN.key, signing=signing, environ=environ)


def test_removed_and_then_absent(site: StandIn) -> None:
    assert withdraw(site).state is Withdrawn.REMOVED
    assert site.keys("authentication") == [OTHER.encode()]
    calls = len(site.calls())
    assert withdraw(site).state is Withdrawn.ABSENT
    assert len(site.calls()) == calls, "the public list is enough"


def test_for_signatures(site: StandIn) -> None:
    if site.variable == "GH_HOST":
        site.put("signing", TOKEN.encode())
        assert withdraw(site, signing=True).state is Withdrawn.REMOVED
        assert site.keys("signing") == []
        assert TOKEN.encode() in site.keys("authentication"), "logins are another list"
    else:
        assert withdraw(site, signing=True).state is Withdrawn.REMOVED
        assert site.keys("authentication") == [OTHER.encode()]


def test_not_logged_in(site: StandIn) -> None:
    (site.folder / "account").unlink()
    done = withdraw(site)
    program = "gh" if site.variable == "GH_HOST" else "glab"
    assert done.state is Withdrawn.LISTED
    assert done.why.startswith(f"{program} is not logged in")
    assert done.command == f"{program} auth login"
    assert done.page.startswith(site.host)
    assert done.page.endswith("keys")
    assert TOKEN.encode() in site.keys("authentication")


def test_another_account(site: StandIn) -> None:
    site.log_in("bob", *BOTH)
    done = withdraw(site)
    assert done.state is Withdrawn.UNKNOWN, "the stand-in shows the list of bob alone"
    assert "is logged in as bob, not as alice" in done.why
    assert TOKEN.encode() in site.keys("authentication")


def test_without_the_scope(tmp_path: Path) -> None:
    with key_site(tmp_path, "gh") as site:
        site.log_in(ACCOUNT)
        site.put("authentication", TOKEN.encode())
        done = withdraw(site)
        assert done.state is Withdrawn.LISTED
        host = site.host.removeprefix("http://")
        assert done.command == f"gh auth refresh -h {host} -s admin:public_key"


def test_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    def broken(_address: str) -> bytes:
        raise FidokitError("no network")

    with key_site(tmp_path, "gh") as site:
        site.log_in(ACCOUNT, *BOTH)
        site.put("authentication", TOKEN.encode())
        environ = site.environ(os.environ["PATH"])
        done = withdraw_key(f"gh:{ACCOUNT}", TOKEN.key, environ=environ, fetch=broken)
        assert done.state is Withdrawn.UNKNOWN
        assert site.keys("authentication") == [], "it was taken out, which nobody can see"


@pytest.mark.parametrize(
    ("page", "state"),
    [(b"", Withdrawn.ABSENT), (b" \n", Withdrawn.ABSENT), (b"<html>", Withdrawn.UNKNOWN)],
)
def test_what_the_public_list_may_be(tmp_path: Path, page: bytes, state: Withdrawn) -> None:
    with key_site(tmp_path, "gh", installed=False) as site:
        environ = {"PATH": str(site.bin), "GH_HOST": site.host}
        done = withdraw_key(
            f"gh:{ACCOUNT}", TOKEN.key, environ=environ, fetch=lambda _address: page
        )
        assert done.state is state


def test_what_is_not_an_account() -> None:
    for where in ("gh:../x", "lp:alice"):
        with pytest.raises(UsageError):
            withdraw_key(where, TOKEN.key)
