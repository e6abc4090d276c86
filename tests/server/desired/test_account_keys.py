"""Keys as text: read, refused, and what a change of several steps comes to."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.server import samples
from tests.support.ssh_machine import token_line

from fidokit.errors import MalformedFile, UsageError
from fidokit.server.authorize import lines
from fidokit.server.authorize.outcome import Authorized, FileChange
from fidokit.server.authorize.standing import Admittance, KeyStanding
from fidokit.server.desired.account_keys import (
    KeysReached,
    _edits,
    _require_attested,
    blobs_by_print,
    option_list,
    prints_of,
    wanted_of,
)

TOKEN = samples.TOKEN.encode()
OTHER = token_line(3)


def test_lines_with_options_and_a_wish_for_all() -> None:
    [one, other] = wanted_of([f"no-pty {TOKEN}\n# a comment\n\n", OTHER], 'from="192.0.2.0/24"')
    assert [option.name for option in one.options] == ["no-pty", "from"]
    assert [option.value for option in other.options] == ["192.0.2.0/24"]


@pytest.mark.parametrize("text", ["rubbish", f"no-such-option {TOKEN}", "ssh-ed25519 AAAA"])
def test_a_line_that_sshd_would_not_take_is_refused(text: str) -> None:
    with pytest.raises(MalformedFile, match="line 1 of a key"):
        wanted_of([text])


@pytest.mark.parametrize("texts", [[], [""], ["# only a comment\n"]])
def test_no_key_at_all_is_refused(texts: list[str]) -> None:
    for read in (wanted_of, blobs_by_print, prints_of):
        with pytest.raises(UsageError, match="no key"):
            read(texts)


def test_options_alone() -> None:
    assert option_list(" ") == ()
    assert [option.name for option in option_list('no-pty,command="a,b"')] == ["no-pty", "command"]
    with pytest.raises(MalformedFile):
        option_list("no-such-option")


def test_blobs_and_fingerprints() -> None:
    [print_] = prints_of([TOKEN])
    found = blobs_by_print([TOKEN, print_, "SHA256:" + 43 * "A"])
    assert found[print_]
    assert found["SHA256:" + 43 * "A"] == b""
    for text, error in (("SHA256:short", UsageError), ("nothing here", MalformedFile)):
        with pytest.raises(error):
            blobs_by_print([text])


def change(before: bytes, *texts: str) -> Authorized:
    made = lines.authorize(before, wanted_of(texts))
    return Authorized((FileChange("/keys", made, "ana"),))


def test_new_keys_need_evidence_and_old_ones_do_not() -> None:
    print_ = next(iter(prints_of([TOKEN])))
    with pytest.raises(UsageError, match="nothing attests"):
        _require_attested(change(b"", TOKEN, OTHER), [print_])
    _require_attested(change(b"", TOKEN), [print_])
    _require_attested(change(OTHER.encode(), TOKEN, OTHER), [print_])


def test_a_plan_shows_both_steps_of_an_exclusive_change() -> None:
    first = lines.authorize(OTHER.encode(), wanted_of([TOKEN]))
    second = lines.keep_only(OTHER.encode(), wanted_of([TOKEN]))
    done = Authorized((FileChange("/keys", first), FileChange("/keys", second)))
    [edit] = _edits(done, wanted_of([TOKEN]))
    assert edit.path == Path("/keys")
    assert edit.before == OTHER.encode()
    assert edit.after is not None
    assert edit.after.startswith(TOKEN.encode().strip())
    assert OTHER.split()[1].encode() not in edit.after


def test_what_is_refused_fails_and_what_is_not_known_warns() -> None:
    [key] = wanted_of([TOKEN])
    standings = tuple(KeyStanding(key, one, "why") for one in Admittance)
    reached = KeysReached(Authorized((), warnings=("beside",), standings=standings), ())
    assert [text.rpartition(" ")[2] for text in reached.warnings] == ["beside", "why", "why"]
    [failure] = reached.failures
    assert failure.endswith("does not let in: why")
