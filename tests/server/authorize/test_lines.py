"""Keys put into a file and taken out of it, with everything else left byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.samples import OTHER, PLAIN, TOKEN, text, wanted

from fidokit.errors import MalformedFile, UsageError
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import PublicLine
from fidokit.openssh.lines.authorized_keys import AuthorizedKey
from fidokit.openssh.lines.options import Option
from fidokit.server.authorize import lines as texts
from fidokit.server.authorize.lines import Change, keep_only, line_name, lines_of, revoke

RESTRICT = Option("restrict")
JUNK = b"\xff\x00\x1b[2J junk\r\n# a comment\r\n\r\nssh-ed25519 broken\n"


def authorize(before: bytes, keys: Sequence[PublicLine], options: Sequence[Option] = ()) -> Change:
    return texts.authorize(before, [wanted(key, *options) for key in keys])


def keys_in(data: bytes) -> list[bytes]:
    return [line.key.blob() for line in lines_of(data) if isinstance(line, AuthorizedKey)]


def print_of(line: PublicLine) -> str:
    return fingerprint.sha256(line.key.blob())


def test_an_empty_file_gets_the_lines_in_order() -> None:
    made = authorize(b"", [TOKEN, PLAIN])
    assert made.after == text(TOKEN, PLAIN)
    assert made.added == (wanted(TOKEN), wanted(PLAIN))


def test_a_key_that_is_there_is_not_added_again_whatever_its_comment() -> None:
    before = text(PublicLine(PLAIN.key, "by another name"))
    made = authorize(before, [PLAIN])
    assert made.is_empty
    assert [line.comment for line in made.present] == ["by another name"]


def test_the_same_key_twice_is_one() -> None:
    assert authorize(b"", [PLAIN, PublicLine(PLAIN.key, "again")]).added == (
        wanted(PublicLine(PLAIN.key, "again")),
    )


def test_junk_stays_and_is_told() -> None:
    made = authorize(JUNK, [PLAIN])
    assert made.after == JUNK + text(PLAIN)
    assert [line.line_number for line in made.unreadable] == [1, 4]


def test_a_last_line_without_an_end_is_ended() -> None:
    before = text(OTHER).rstrip(b"\n")
    assert authorize(before, [PLAIN]).after == text(OTHER, PLAIN)


def test_options_are_written() -> None:
    made = authorize(b"", [PLAIN], [RESTRICT, Option("command", 'echo "hi"')])
    assert made.after == b'restrict,command="echo \\"hi\\"" ' + text(PLAIN)


def test_a_line_gets_the_options_it_lacks_and_keeps_its_others() -> None:
    before = b'from="10.*",no-pty ' + text(PLAIN) + text(OTHER)
    made = authorize(before, [PublicLine(PLAIN.key, "new comment")], [Option("from", "192.*")])
    assert made.after == b'no-pty,from="192.*" ' + text(PLAIN) + text(OTHER)
    assert [line.comment for line in made.changed] == ["plain"]


@pytest.mark.parametrize("options", [[], [RESTRICT]])
def test_options_that_are_there_change_nothing(options: list[Option]) -> None:
    before = b'no-pty,restrict,from="10.*"  ' + text(PLAIN)
    assert authorize(before, [PLAIN], options).is_empty


def test_every_line_of_a_key_gets_the_options() -> None:
    before = text(PLAIN) + b"no-pty " + text(PLAIN) + text(OTHER)
    made = authorize(before, [PLAIN], [Option("from", "10.*")])
    expected = b'from="10.*" ' + text(PLAIN) + b'no-pty,from="10.*" ' + text(PLAIN)
    assert made.after == expected + text(OTHER)
    assert len(made.changed) == 2


def test_an_opposite_replaces() -> None:
    before = b"no-touch-required,restrict " + text(TOKEN)
    made = authorize(before, [TOKEN], [Option("touch-required")])
    assert made.after == b"restrict,touch-required " + text(TOKEN)


def test_a_key_that_stands_elsewhere_is_changed_there_and_added_nowhere() -> None:
    key = wanted(PLAIN, RESTRICT)
    assert texts.authorize(text(OTHER), [key], elsewhere=[key]).is_empty
    made = texts.authorize(text(PLAIN), [key], elsewhere=[key])
    assert made.after == b"restrict " + text(PLAIN)


def test_a_line_of_the_key_that_we_cannot_read_is_named() -> None:
    base64 = PLAIN.encode().split()[1]
    before = f"ssh-ed25519 {base64[:9]}\v{base64[9:]}\n".encode()
    made = authorize(before, [PLAIN])
    assert [line.line_number for line in made.doubtful] == [1]
    assert made.after == before + text(PLAIN)
    gone = revoke(before, [print_of(PLAIN)])
    assert gone.after == b""
    assert line_name(gone.removed[0]).startswith(print_of(PLAIN))


def test_an_authority_of_the_same_key_is_another_line() -> None:
    authority = wanted(PLAIN, Option("cert-authority"))
    made = texts.authorize(text(PLAIN), [authority])
    assert made.after == text(PLAIN) + b"cert-authority " + text(PLAIN)
    assert texts.authorize(made.after, [authority]).is_empty
    assert revoke(made.after, [print_of(PLAIN)]).after == b""


def test_only_these_stay_with_comments_and_blanks() -> None:
    before = b"# ours\n\n" + text(PLAIN, OTHER) + b"junk\ncert-authority " + text(PLAIN)
    made = keep_only(before, [wanted(PLAIN)])
    assert made.after == b"# ours\n\n" + text(PLAIN)
    assert len(made.removed) == 3
    assert keep_only(made.after, [wanted(PLAIN)]).is_empty


def test_an_authority_is_not_its_own_key() -> None:
    before = b"cert-authority " + text(PLAIN)
    assert authorize(before, [PLAIN]).after == before + text(PLAIN)


def test_what_sshd_would_not_take_is_refused() -> None:
    with pytest.raises(MalformedFile):
        authorize(b"", [PLAIN], [Option("no-such-option")])
    with pytest.raises(UsageError):
        authorize(b"", [PublicLine(PLAIN.key, "two\nlines")])


def test_revoking_takes_out_every_line_of_the_key() -> None:
    before = JUNK + text(PLAIN) + b"restrict " + text(PLAIN, OTHER)
    made = revoke(before, [print_of(PLAIN)])
    assert made.after == JUNK + text(OTHER)
    assert [line.line_number for line in made.removed] == [5, 6]


def test_revoking_what_is_not_there_changes_nothing() -> None:
    assert revoke(text(PLAIN), [print_of(TOKEN)]).is_empty


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([text(PLAIN), text(OTHER)]))))
def test_adding_and_revoking_give_the_file_back(pieces: list[bytes]) -> None:
    before = b"".join(pieces)
    made = authorize(before, [TOKEN])
    assert keys_in(made.after).count(TOKEN.key.blob()) == 1
    back = revoke(made.after, [print_of(TOKEN)]).after
    assert back in {before, before + b"\n"}


def test_a_line_of_a_megabyte_stays() -> None:
    before = b"#" + b"x" * (3 << 20) + b"\n" + text(OTHER)
    assert authorize(before, [PLAIN]).after == before + text(PLAIN)
