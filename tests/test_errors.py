"""The tree of errors: each has a sentence, a hint and an exit status."""

from __future__ import annotations

import pytest

from fidokit.errors import ExitCode, FidokitError, Malformed, MalformedCbor, MalformedKey


def tree(kind: type[FidokitError] = FidokitError) -> list[type[FidokitError]]:
    return [kind, *(found for sub in kind.__subclasses__() for found in tree(sub))]


@pytest.mark.parametrize("kind", tree(), ids=lambda kind: kind.__name__)
def test_every_kind_has_a_status_and_says_what_it_is(kind: type[FidokitError]) -> None:
    assert kind.exit_code in set(ExitCode) - {ExitCode.OK}
    assert kind.__doc__
    assert not kind.usual_hint.endswith(".")


@pytest.mark.parametrize("kind", [Malformed, MalformedKey, MalformedCbor])
def test_what_is_damaged_comes_with_a_hint(kind: type[FidokitError]) -> None:
    """Readers say where they stopped; what to do about it is the same everywhere."""
    assert kind("need 4 bytes at offset 7, have 2").hint == Malformed.usual_hint
    assert kind("the key is ordinary", hint="make another").hint == "make another"
    assert FidokitError("something else").hint == ""
