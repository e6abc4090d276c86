"""Levels: the directives they are, what of a stricter configuration stays, old names."""

from __future__ import annotations

import pytest

from fidokit.errors import FidokitError, Unsupported, UsageError
from fidokit.server.harden.levels import Directive, Level, Levels, all_directives, directives, unmet
from fidokit.server.sshd.settings import SshdSettings, parse_settings

HARDWARE = (
    "sk-ssh-ed25519@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,"
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"
)
BASE = parse_settings(
    "pubkeyauthoptions none\n"
    f"pubkeyacceptedalgorithms ssh-ed25519,rsa-sha2-512,{HARDWARE}\n"
    "kbdinteractiveauthentication no\n"
    "authenticationmethods any\n"
)


def settings(**more: str) -> SshdSettings:
    """BASE with other values; None takes one out."""
    values = {name: value[0] for name, value in BASE.values.items()} | more
    return parse_settings("".join(f"{name} {value}\n" for name, value in values.items()))


def lines(level: Level, base: SshdSettings = BASE) -> list[str]:
    return [str(directive) for directive in directives(level, base)]


def test_touch_and_verify() -> None:
    assert lines(Level.TOUCH) == ["PubkeyAuthOptions touch-required"]
    assert lines(Level.VERIFY) == ["PubkeyAuthOptions touch-required verify-required"]


@pytest.mark.parametrize(
    ("there", "touch"),
    [
        ("none", "touch-required"),
        ("verify-required", "touch-required verify-required"),
        ("touch-required", "touch-required"),
        ("max-pk-ok:20", "touch-required max-pk-ok:20"),
        ("verify-required max-pk-ok:20", "touch-required verify-required max-pk-ok:20"),
    ],
)
def test_words_that_are_there_stay(there: str, touch: str) -> None:
    base = settings(pubkeyauthoptions=there)
    assert lines(Level.TOUCH, base) == [f"PubkeyAuthOptions {touch}"]
    verify = lines(Level.VERIFY, base)[0].split()[1:]
    assert set(verify) == {*touch.split(), "verify-required"}


@pytest.mark.parametrize(
    ("keyword", "wanted", "said", "met"),
    [
        ("PubkeyAuthOptions", "touch-required", "verify-required touch-required", True),
        ("PubkeyAuthOptions", "touch-required", "verify-required", False),
        ("PubkeyAuthOptions", "touch-required", "none", False),
        ("PubkeyAcceptedAlgorithms", "sk-a,sk-b", "sk-b", True),
        ("PubkeyAcceptedAlgorithms", "sk-a,sk-b", "sk-*", True),
        ("PubkeyAcceptedAlgorithms", "sk-a,sk-b", "webauthn-sk-*,sk-b", True),
        ("PubkeyAcceptedAlgorithms", "sk-a,sk-b", "+rsa", False),
        ("PubkeyAcceptedAlgorithms", "sk-a,sk-b", "sk-a,rsa", False),
        ("PubkeyAcceptedAlgorithms", "sk-a,sk-b", "*", False),
        ("PubkeyAcceptedAlgorithms", "sk-a,sk-b", "", False),
        ("PasswordAuthentication", "no", "NO", True),
        ("PasswordAuthentication", "no", "yes", False),
        ("AuthenticationMethods", "publickey", "publickey,publickey", True),
        ("AuthenticationMethods", "publickey", "publickey none", False),
        ("AuthenticationMethods", "publickey", "any", False),
        ("AuthenticationMethods", "publickey,keyboard-interactive", "publickey", False),
    ],
)
def test_what_says_the_same_or_more(keyword: str, wanted: str, said: str, *, met: bool) -> None:
    assert Directive(keyword, wanted).is_met_by(said) is met


def test_a_code_before_the_key_is_not_the_second_factor() -> None:
    with pytest.raises(FidokitError, match="without publickey and then keyboard-interactive"):
        directives(
            Level.SECOND_FACTOR, settings(authenticationmethods="keyboard-interactive,publickey")
        )


def test_hardware_only() -> None:
    assert lines(Level.HARDWARE_ONLY) == [
        "PubkeyAuthentication yes",
        f"PubkeyAcceptedAlgorithms {HARDWARE}",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "AuthenticationMethods publickey",
    ]


def test_an_older_sshd_has_two_names_for_questions_and_either_asks_them() -> None:
    """OpenSSH 8.4: `KbdInteractiveAuthentication no` alone changes nothing there."""
    old = settings(challengeresponseauthentication="yes", kbdinteractiveauthentication="yes")
    assert lines(Level.HARDWARE_ONLY, old)[3:5] == [
        "ChallengeResponseAuthentication no",
        "KbdInteractiveAuthentication no",
    ]


def test_second_factor() -> None:
    assert lines(Level.SECOND_FACTOR) == [
        "UsePAM yes",
        "PubkeyAuthentication yes",
        "KbdInteractiveAuthentication yes",
        "PasswordAuthentication no",
        "AuthenticationMethods publickey,keyboard-interactive",
    ]


@pytest.mark.parametrize("there", ["publickey,publickey", "publickey,hostbased publickey"])
def test_stricter_methods_stay(there: str) -> None:
    base = settings(authenticationmethods=there)
    assert not any("AuthenticationMethods" in line for line in lines(Level.HARDWARE_ONLY, base))


@pytest.mark.parametrize("there", ["password", "publickey password", "keyboard-interactive:pam"])
def test_methods_that_let_others_in_are_told(there: str) -> None:
    with pytest.raises(FidokitError, match="lets people in without publickey"):
        directives(Level.HARDWARE_ONLY, settings(authenticationmethods=there))


@pytest.mark.parametrize("other", ["password", "keyboard-interactive:pam"])
def test_methods_that_the_level_ends_are_told(other: str) -> None:
    with pytest.raises(FidokitError, match="asks for a password or a code"):
        directives(Level.HARDWARE_ONLY, settings(authenticationmethods=f"publickey,{other}"))


def test_second_factor_keeps_methods_that_ask_for_both() -> None:
    base = settings(authenticationmethods="publickey,keyboard-interactive:pam,hostbased")
    assert not any("AuthenticationMethods" in line for line in lines(Level.SECOND_FACTOR, base))
    with pytest.raises(FidokitError, match="without publickey and then keyboard-interactive"):
        directives(Level.SECOND_FACTOR, settings(authenticationmethods="publickey,publickey"))


def test_names_of_older_versions() -> None:
    base = parse_settings(
        "pubkeyauthoptions none\npubkeyacceptedkeytypes sk-ssh-ed25519@openssh.com,ssh-rsa\n"
        "challengeresponseauthentication no\n"
    )
    said = lines(Level.HARDWARE_ONLY, base)
    assert "PubkeyAcceptedKeyTypes sk-ssh-ed25519@openssh.com" in said
    assert "ChallengeResponseAuthentication no" in said


@pytest.mark.parametrize("level", [Level.TOUCH, Level.VERIFY, Level.HARDWARE_ONLY])
def test_too_old_for_tokens(level: Level) -> None:
    with pytest.raises(Unsupported):
        directives(level, parse_settings("pubkeyacceptedkeytypes ssh-rsa\n"))


def test_a_server_that_takes_no_tokens() -> None:
    base = settings(pubkeyacceptedalgorithms="ssh-ed25519,rsa-sha2-512")
    with pytest.raises(FidokitError, match="takes no keys that are on tokens"):
        directives(Level.HARDWARE_ONLY, base)


def test_what_holds() -> None:
    wanted = [
        Directive("PubkeyAuthOptions", "touch-required verify-required"),
        Directive("PasswordAuthentication", "no"),
        Directive("AuthenticationMethods", "publickey"),
    ]
    found = parse_settings(
        "pubkeyauthoptions verify-required touch-required\npasswordauthentication yes\n"
    )
    assert unmet(wanted, found) == wanted[1:]


def test_which_levels_end_passwords() -> None:
    assert [level.value for level in Level if level.ends_passwords] == [
        "hardware-only",
        "second-factor",
    ]


# --- several at once ---------------------------------------------------------------------------


def test_all_that_each_demands() -> None:
    both = Levels.parse("hardware-only verify")
    assert str(both) == "verify hardware-only"
    assert [str(line) for line in all_directives(both, BASE)] == [
        *lines(Level.VERIFY),
        *lines(Level.HARDWARE_ONLY),
    ]
    touch = all_directives(Levels.parse("touch verify"), BASE)
    assert [str(line) for line in touch] == lines(Level.VERIFY)
    assert both.ends_passwords
    assert not Levels.parse("touch verify").ends_passwords
    assert Level.VERIFY in both
    assert Level.TOUCH not in both


@pytest.mark.parametrize("text", ["", "much", "touch much", "hardware-only second-factor"])
def test_levels_that_make_no_sense(text: str) -> None:
    with pytest.raises(UsageError):
        Levels.parse(text)


@pytest.mark.parametrize(
    ("title", "wanted", "lost"),
    [
        ("harden hardware-only", "verify", [Level.HARDWARE_ONLY]),
        ("harden touch", "verify", []),
        ("harden verify", "touch", [Level.VERIFY]),
        ("harden verify hardware-only", "verify hardware-only", []),
        ("", "touch", []),
        ("harden nonsense", "touch", []),
    ],
)
def test_what_a_run_takes_back(title: str, wanted: str, lost: list[Level]) -> None:
    assert Levels.parse(wanted).lost_since(Levels.of_title(title)) == lost
