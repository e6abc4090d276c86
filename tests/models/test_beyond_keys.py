"""Every certified model has fingers, blobs, settings and PIN-free lists, or says what it lacks."""

from __future__ import annotations

from collections import Counter

from tests.models import certified
from tests.models.beyond_keys import STEPS, expected, live

from fidokit.metadata.model import Model


@certified.every_model
def test_what_a_model_has_beside_keys(model: Model) -> None:
    assert live(model) == expected(model)


def test_some_models_have_each_and_some_lack_it() -> None:
    found = certified.require().described
    has = Counter(
        name for model in found for name, error in expected(model).items() if error is None
    )
    for name in (*STEPS, "remember"):
        assert 0 < has[name] < len(found), name
