"""What sshd logs of its configuration: files, Include lines, and the line that decides."""

from __future__ import annotations

import pytest

from fidokit.server.sshd.explanation import COMMAND_LINE, parse_debug
from fidokit.server.sshd.settings import ConfigPlace

DEBUG = """\
debug2: load_server_config: filename /etc/ssh/sshd_config
debug3: /etc/ssh/sshd_config:2 setting PasswordAuthentication no
debug2: load_server_config: filename /etc/ssh/sshd_config.d/a b.conf
debug3: /etc/ssh/sshd_config.d/a b.conf:1 setting PermitRootLogin no
debug3: /etc/ssh/sshd_config:4 setting PermitRootLogin yes
debug2: parse_server_config_depth: config reprocess config len 176
debug3: checking match for 'User root' user root host x addr 1.2.3.4 laddr 1.1.1.1 lport 22
debug3: reprocess config:7 setting passwordauthentication yes
debug3: reprocess config:9 setting PasswordAuthentication no
"""


def test_the_first_line_decides_and_a_match_block_overrules_it() -> None:
    reading = parse_debug(DEBUG)
    assert str(reading.places["passwordauthentication"]) == "/etc/ssh/sshd_config:7"
    assert str(reading.places["permitrootlogin"]) == "/etc/ssh/sshd_config.d/a b.conf:1"
    assert reading.files == ("/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/a b.conf")
    assert reading.matches == ("User root",)


def test_whatever_it_prints_is_read() -> None:
    assert parse_debug("").files == ()
    assert parse_debug("debug3: reprocess config:7 setting A b").places["a"].line == 7


@pytest.mark.parametrize(
    ("written", "keyword"),
    [
        ("ChallengeResponseAuthentication", "kbdinteractiveauthentication"),
        ("SKeyAuthentication", "kbdinteractiveauthentication"),
        ("DSAAuthentication", "pubkeyauthentication"),
        ("PubkeyAcceptedKeyTypes", "pubkeyacceptedalgorithms"),
    ],
)
def test_other_names_are_the_same_setting(written: str, keyword: str) -> None:
    text = f"debug3: /c:3 setting {written} no\ndebug3: /c:4 setting {keyword} yes\n"
    assert parse_debug(text).places == {keyword: ConfigPlace("/c", 3)}


def test_names_beyond_ascii_and_patterns() -> None:
    text = (
        "debug2: load_server_config: filename /etc/caf\\303\\251\n"
        "debug2: /etc/caf\\303\\251 line 1: new include /etc/a\\\\b/*.conf\n"
        "debug3: /etc/caf\\303\\251:2 setting UsePAM x:5 setting y\n"
    )
    reading = parse_debug(text)
    assert reading.files == ("/etc/caf\u00e9",)
    assert reading.patterns == ("/etc/a\\b/*.conf",)
    assert reading.places == {"usepam": ConfigPlace("/etc/caf\u00e9", 2)}


@pytest.mark.parametrize("option", ["PasswordAuthentication=yes", " passwordauthentication yes"])
def test_the_command_line_counts_before_files_and_after_match_blocks(option: str) -> None:
    place = parse_debug(DEBUG, [option]).places["passwordauthentication"]
    assert str(place) == "/etc/ssh/sshd_config:7"
    before = DEBUG.partition("debug2: parse_server_config_depth")[0]
    place = parse_debug(before, [option]).places["passwordauthentication"]
    assert place == ConfigPlace(COMMAND_LINE, 0)
