"""What `sshd -T` prints in each version, read as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.server.sshd.settings import (
    ConfigPlace,
    ConfigReading,
    SshdSettings,
    joined,
    parse_settings,
)

PRINTED = sorted((Path(__file__).parent / "printed").glob("*.txt"))
VERSIONS = ["8.4", "8.9", "9.2", "9.6", "10.0", "10.4", "10.5", "10.6"]


def of(path: Path) -> SshdSettings:
    return parse_settings(path.read_text())


def test_every_version_is_there() -> None:
    assert {path.stem for path in PRINTED} == set(VERSIONS)


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: path.stem)
def test_each_version_is_read_by_today_s_names(path: Path) -> None:
    settings = of(path)
    assert all(keyword == keyword.lower() for keyword in settings.values)
    assert settings.is_on("PubkeyAuthentication")
    assert settings.is_on("passwordauthentication")
    assert settings.first("kbdinteractiveauthentication") in {"yes", "no"}
    assert "sk-ssh-ed25519@openssh.com" in settings.listed("pubkeyacceptedalgorithms")
    assert settings.key_files[0] == ".ssh/authorized_keys"
    assert settings.first("authenticationmethods") == "any"
    assert settings.is_set("pidfile")
    assert not settings.is_set("TrustedUserCAKeys")


def test_lower_and_mixed_case_say_the_same() -> None:
    assert parse_settings("UsePAM yes\n").values == parse_settings("usepam yes\n").values


def test_a_default_is_not_invented() -> None:
    assert SshdSettings().first("x") == ""
    assert SshdSettings().first("x", "y") == "y"
    assert SshdSettings().all("pubkeyacceptedalgorithms") == ()
    assert SshdSettings().place("x") is None


def test_repeated_keywords_are_kept_in_order() -> None:
    assert parse_settings("allowusers a\nAllowUsers b@c\n").all("AllowUsers") == ("a", "b@c")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a", ()),
        ("/my keys/%u", ("/my keys/%u",)),
        ("a b c", ("a b", "a b c", "b c")),
        ("a  b", ("a  b",)),
        (" ".join("x" * 100), ()),
    ],
)
def test_names_with_blanks_are_printed_without_quotes(text: str, found: tuple[str, ...]) -> None:
    assert joined(text) == found
    settings = parse_settings(f"authorizedkeysfile {text}\n")
    assert settings.possible_key_files == (*text.split(), *found)


def test_places_read_as_people_write_them() -> None:
    assert str(ConfigPlace("/etc/x", 3)) == "/etc/x:3"
    assert str(ConfigPlace("-o", 0)) == "-o"


def test_files_that_sshd_reads_or_would_read() -> None:
    reading = ConfigReading({}, ("/etc/ssh/sshd_config",), patterns=("/etc/ssh/d/*.conf",))
    assert reading.includes(Path("/etc/ssh/sshd_config"))
    assert reading.includes(Path("/etc/ssh/d/0-new.conf"))
    assert not reading.includes(Path("/etc/ssh/d/e/0-new.conf"))
    assert not reading.includes(Path("/etc/ssh/d/0-new.txt"))
