"""How ssh is told a user's name, and what it keeps of the environment."""

from __future__ import annotations

import pytest

from fidokit.errors import FidokitError
from fidokit.server.sshd.ssh_client import environment, find_client, user_config


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("alice", "User alice\n"),
        ("a.b-c_1", "User a.b-c_1\n"),
        ("DOMAIN\\x", 'User "DOMAIN\\x"\n'),
        ("host$", 'User "host$"\n'),
        ("a b", 'User "a b"\n'),
        ("-oProxyCommand=x", 'User "-oProxyCommand=x"\n'),
    ],
)
def test_names(user: str, said: str) -> None:
    assert user_config(user) == said


@pytest.mark.parametrize("user", ['a"b', "a\nHost x", "a\0b", "a\rb"])
def test_names_that_would_say_more_than_a_name(user: str) -> None:
    with pytest.raises(FidokitError, match="cannot be asked"):
        user_config(user)


def test_the_language_is_fixed() -> None:
    kept = environment({"LANG": "x", "LC_TIME": "y", "PATH": "/p", "SSH_AUTH_SOCK": "/s"})
    assert kept == {"LC_ALL": "C.UTF-8", "PATH": "/p", "SSH_AUTH_SOCK": "/s"}


def test_a_program_that_is_missing() -> None:
    with pytest.raises(FidokitError, match="no-such is not installed"):
        find_client("no-such")
