"""Deciding lines: as sshd names them, or nobody knows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.server.settings import settings

from fidokit.errors import SshdNotAsked
from fidokit.server.check.findings.finding import DecidingSetting
from fidokit.server.check.findings.setting_origins import MOST_USERS, AskedLogin, SettingOrigins
from fidokit.server.sshd.query import LoginOrigin
from fidokit.server.sshd.settings import ConfigPlace, ConfigReading, SshdSettings

MAIN = "/etc/ssh/sshd_config"
SWITCH = "PasswordAuthentication"


class Explained:
    """Says where settings come from, and who asked."""

    def __init__(self, matches: tuple[str, ...] = (), files: tuple[str, ...] = (MAIN,)) -> None:
        self.matches, self.files = matches, files
        self.asked: list[str | None] = []
        self.lines: dict[str | None, int] = {}

    def __call__(self, asked: AskedLogin) -> SshdSettings:
        self.asked.append(asked.user)
        line = self.lines.get(asked.user)
        places = {} if line is None else {SWITCH.lower(): ConfigPlace(MAIN, line)}
        return replace(settings(), reading=ConfigReading(places, self.files, self.matches))


def test_a_line_and_a_default() -> None:
    explain = Explained()
    explain.lines[None] = 5
    found = SettingOrigins(explain).of(settings(), (SWITCH, "UsePAM"), AskedLogin("alice"))
    assert found == (
        DecidingSetting(SWITCH, "yes", MAIN, 5, config=MAIN),
        DecidingSetting("UsePAM", "yes", why="by default, no line sets it", config=MAIN),
    )


def test_one_question_without_match_blocks() -> None:
    explain = Explained()
    origins = SettingOrigins(explain)
    for user in ("alice", "bob", "carol"):
        origins.of(settings(), (SWITCH,), AskedLogin(user))
    assert explain.asked == [None]


def test_users_have_lines_of_their_own_where_there_are_match_blocks() -> None:
    explain = Explained(("User bob",))
    explain.lines = {None: 1, "alice": 1, "bob": 7}
    origins = SettingOrigins(explain)
    found = {
        u: origins.of(settings(), (SWITCH,), AskedLogin(u))[0].line for u in ("alice", "bob", "bob")
    }
    assert found == {"alice": 1, "bob": 7}
    assert explain.asked == [None, "alice", "bob"]


def test_so_many_users_are_asked_about_and_the_rest_is_told() -> None:
    explain = Explained(("User bob",))
    origins = SettingOrigins(explain)
    found = [
        origins.of(settings(), (SWITCH,), AskedLogin(f"u{n}"))[0] for n in range(MOST_USERS + 50)
    ]
    assert len(explain.asked) <= MOST_USERS + 1
    assert "--user" in found[-1].why
    assert found[-1].path == ""


@pytest.mark.parametrize("files", [(), (MAIN,)])
def test_silence_is_not_a_default(files: tuple[str, ...]) -> None:
    def silent(_asked: AskedLogin) -> SshdSettings:
        raise SshdNotAsked("no")

    explain = Explained(files=()) if not files else silent
    (found,) = SettingOrigins(explain).of(settings(), (SWITCH,))
    assert found == DecidingSetting(SWITCH, "yes", why="by a line that sshd does not name")


def test_the_command_line() -> None:
    def explain(_asked: AskedLogin) -> SshdSettings:
        places = {SWITCH.lower(): ConfigPlace("sshd's command line", 0)}
        return replace(settings(), reading=ConfigReading(places, (MAIN,)))

    (found,) = SettingOrigins(explain).of(settings(), (SWITCH,))
    assert (found.path, found.line) == ("sshd's command line", None)


def test_a_line_that_says_something_else_is_not_named() -> None:
    """sshd was asked about another login than the one in the report, or changed meanwhile."""
    explain = Explained()
    explain.lines[None] = 5
    (found,) = SettingOrigins(explain).of(settings(passwordauthentication="no"), (SWITCH,))
    assert (found.value, found.line) == ("no", None)
    assert found.why == "by a line that sshd does not name"


def test_each_place_has_lines_of_its_own() -> None:
    explain = Explained(("Address 10.0.0.0/8",))
    origins = SettingOrigins(explain)
    for addr in ("10.0.0.1", "192.0.2.1", "10.0.0.1"):
        origins.of(settings(), (SWITCH,), AskedLogin("alice", None, LoginOrigin(addr=addr)))
    assert explain.asked == [None, "alice", "alice"]
