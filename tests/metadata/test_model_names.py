"""Names of models come from a table that is the metadata's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fidokit.metadata import model_names
from fidokit.metadata.catalog import load
from fidokit.metadata.model_names import (
    TABLE,
    model_name,
    models_called,
    names_of_models,
    table_text,
)


def test_the_table_is_what_the_metadata_says() -> None:
    committed = Path(model_names.__file__).with_name(TABLE).read_text()
    assert committed == table_text(), "run: python -m fidokit.metadata.model_names > the table"
    assert len(committed) < 32_000  # it travels with every installation


def test_every_model_is_found_by_its_aaguid() -> None:
    for model in load().models:
        if model.aaguid:
            assert model_name(bytes(model.aaguid)) == " ".join(model.description.split())


@pytest.mark.parametrize("aaguid", [bytes(16), b"fidokit virtual!", b"", b"\n" * 16])
def test_others_have_no_name(aaguid: bytes) -> None:
    assert model_name(aaguid) == ""


def test_each_line_is_a_model() -> None:
    lines = [line for line in table_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[0-9a-f]{32} \S.*", line) for line in lines)
    assert len(lines) > 300


def test_models_are_found_by_their_description() -> None:
    for model in load().models:
        if model.aaguid:
            name = " ".join(model.description.split())
            assert model.name in models_called(name.upper())
            assert name.casefold() in names_of_models()
    assert models_called("no such model") == ()
