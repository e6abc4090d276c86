"""Every certified model lives the life of an SSH key, or says what it lacks."""

from __future__ import annotations

import pytest
from tests.models import certified
from tests.models.life import expected, expected_by_sensor, has_sensor, live, live_by_sensor

from fidokit.metadata.model import Model

pytestmark = pytest.mark.long


def test_the_models_are_there() -> None:
    assert len(certified.require().described) >= 347


@certified.every_model
def test_life_of_a_key(model: Model) -> None:
    assert live(model) == expected(model)


@certified.every_model_that(has_sensor)
def test_life_of_a_key_by_a_sensor_alone(model: Model) -> None:
    assert live_by_sensor(model) == expected_by_sensor(model)
