from typing import Any

import pytest

from enmeshed_connector.content.forms import answer_violation, settings_violation
from tests.support import content_samples as samples
from tests.support.content_rules import FORM_ANSWERS, FORM_SETTINGS


@pytest.mark.parametrize("name", samples.form_field_settings())
def test_samples_can_be_asked_for(name: str) -> None:
    assert settings_violation(samples.form_field_settings()[name]) is None


@pytest.mark.parametrize(("given_settings", "right"), FORM_SETTINGS)
def test_settings_have_bounds_in_order_and_options(given_settings: dict[str, Any], right: bool) -> None:
    assert (settings_violation(given_settings) is None) is right


@pytest.mark.parametrize(("given_settings", "right", "wrong"), FORM_ANSWERS)
def test_answers_fit_their_field(given_settings: dict[str, Any], right: list[Any], wrong: list[Any]) -> None:
    for response in right:
        assert answer_violation(given_settings, response) is None, response
    for response in wrong:
        assert answer_violation(given_settings, response) is not None, response
