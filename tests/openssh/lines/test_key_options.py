"""What sshd takes as options of a key, name by name."""

from __future__ import annotations

import pytest

from fidokit.errors import MalformedFile
from fidokit.openssh.lines.key_options import FLAGS, MAX_ENVIRONMENT, VALUED, check_options
from fidokit.openssh.lines.option_list import Option

GOOD = [
    *(Option(name) for name in sorted(FLAGS)),
    Option("command", ""),
    Option("command", 'echo "hi"'),
    Option("environment", "A_1=x=y"),
    Option("environment", "A="),
    Option("expiry-time", "20300101"),
    Option("expiry-time", "203001011200Z"),
    Option("from", "!10.0.0.1,*.example.com"),
    Option("permitlisten", "8080"),
    Option("permitlisten", "localhost:8080"),
    Option("permitlisten", "*"),
    Option("permitopen", "localhost:80"),
    Option("permitopen", "localhost/80"),
    Option("permitopen", "*:*"),
    Option("permitopen", "[::1]:443"),
    Option("permitopen", "host:http"),
    Option("principals", "alice,bob"),
    Option("tunnel", "0"),
    Option("tunnel", "2147483645"),
    Option("tunnel", "any"),
    Option("tunnel", "ANY"),
]

BAD = [
    (Option("frob"), "unknown"),
    (Option("no-restrict"), "unknown"),
    (Option("no-cert-authority"), "unknown"),
    (Option("permitremoteopen", "x"), "unknown"),
    (Option("pty", "yes"), "takes no value"),
    (Option("command"), "needs a value"),
    (Option("environment", "A"), "cannot have the value"),
    (Option("environment", "A-B=c"), "cannot have the value"),
    (Option("environment", "=c"), "cannot have the value"),
    (Option("expiry-time", "tomorrow"), "cannot have the value"),
    (Option("expiry-time", "19700101Z"), "cannot have the value"),
    (Option("permitopen", "80"), "cannot have the value"),
    (Option("permitopen", "localhost:"), "cannot have the value"),
    (Option("permitopen", "localhost:0"), "cannot have the value"),
    (Option("permitopen", "localhost:65536"), "cannot have the value"),
    (Option("permitopen", "[::1:443"), "cannot have the value"),
    (Option("permitopen", "[::1]443"), "cannot have the value"),
    (Option("permitlisten", ""), "cannot have the value"),
    (Option("permitlisten", "0"), "cannot have the value"),
    (Option("tunnel", "x"), "cannot have the value"),
    (Option("tunnel", "2147483646"), "cannot have the value"),
    (Option("tunnel", "-1"), "cannot have the value"),
]


@pytest.mark.parametrize("option", GOOD, ids=str)
def test_good(option: Option) -> None:
    check_options([option])


def test_every_known_option_is_tried() -> None:
    assert {option.name for option in GOOD} == FLAGS | set(VALUED)


@pytest.mark.parametrize(("option", "reason"), BAD, ids=str)
def test_bad(option: Option, reason: str) -> None:
    with pytest.raises(MalformedFile, match=reason):
        check_options([Option("pty"), option])


@pytest.mark.parametrize("name", ["command", "from", "principals"])
def test_some_only_once(name: str) -> None:
    with pytest.raises(MalformedFile, match="too often"):
        check_options([Option(name, "x"), Option(name, "x")])


def test_others_up_to_a_limit() -> None:
    one = Option("environment", "A=b")
    check_options([one] * MAX_ENVIRONMENT + [Option("pty")] * 9)
    with pytest.raises(MalformedFile, match="too often"):
        check_options([one] * (MAX_ENVIRONMENT + 1))
