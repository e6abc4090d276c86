"""Options wished of a key: merged, trusted in part, and held against the sshd that reads them."""

from __future__ import annotations

import pytest
from tests.server.samples import PLAIN, TOKEN, wanted

from fidokit.errors import UsageError
from fidokit.openssh.lines.options import Option
from fidokit.server.authorize.wishes import (
    SshdFacts,
    check,
    left_out_type,
    merged,
    remarks,
    trusted_part,
)

RESTRICT = Option("restrict")


@pytest.mark.parametrize(
    ("option", "version", "said"),
    [
        (Option("expiry-time", "20990101Z"), (8, 9), "does not support Z"),
        (Option("expiry-time", "209901010000utc"), (9, 0), "does not support Z"),
        (Option("expiry-time", "20990101"), (7, 6), "does not know expiry-time"),
        (Option("verify-required"), (8, 3), "8.4 does"),
        (Option("no-touch-required"), (8, 1), "8.2 does"),
        (RESTRICT, (7, 1), "does not know restrict"),
    ],
)
def test_what_an_older_sshd_does_not_understand(
    option: Option, version: tuple[int, int], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        check(wanted(PLAIN, option), SshdFacts(version=version))
    check(wanted(PLAIN, option), SshdFacts(version=(9, 1)))
    check(wanted(PLAIN, option), SshdFacts())


def test_keys_on_tokens_of_an_old_sshd() -> None:
    with pytest.raises(UsageError, match=r"8\.2 and later"):
        check(wanted(TOKEN), SshdFacts(version=(8, 1)))
    check(wanted(PLAIN), SshdFacts(version=(8, 1)))


def test_types_that_are_left_out() -> None:
    facts = SshdFacts(algorithms=("ssh-ed25519",))
    assert left_out_type(wanted(PLAIN), facts) == ""
    assert "leaves out sk-ssh-ed25519@openssh.com" in left_out_type(wanted(TOKEN), facts)
    assert left_out_type(wanted(TOKEN, Option("cert-authority")), facts) == ""
    assert left_out_type(wanted(TOKEN), SshdFacts()) == ""


@pytest.mark.parametrize(
    ("own", "wished", "after"),
    [
        ([], [], []),
        ([RESTRICT], [], [RESTRICT]),
        ([Option("from", "a")], [Option("from", "b")], [Option("from", "b")]),
        ([Option("no-pty")], [Option("pty")], [Option("pty")]),
        ([RESTRICT, Option("from", "a")], [RESTRICT], [RESTRICT, Option("from", "a")]),
        ([Option("verify-required")], [RESTRICT], [Option("verify-required"), RESTRICT]),
    ],
)
def test_merged(own: list[Option], wished: list[Option], after: list[Option]) -> None:
    assert list(merged(own, wished)) == after


def test_trusted_part() -> None:
    kept, left = trusted_part(
        [RESTRICT, Option("pty"), Option("environment", "A=b"), Option("pty")]
    )
    assert kept == (RESTRICT,)
    assert left == ("pty", "environment")


def test_options_that_do_nothing() -> None:
    assert "not on a token" in remarks(wanted(PLAIN, Option("verify-required")), SshdFacts())[0]
    assert remarks(wanted(TOKEN, Option("verify-required")), SshdFacts()) == []
    given = wanted(PLAIN, Option("environment", "A=b"))
    assert remarks(given, SshdFacts()) == []
    assert "PermitUserEnvironment" in remarks(given, SshdFacts(environment=False))[0]
