from datetime import UTC, datetime
from typing import Any

import pytest

from enmeshed_connector.content.forms import FormFieldAnswerRule, answer_violation, settings_violation
from enmeshed_connector.content.rules import Check
from tests.support import content_samples as samples
from tests.support.content_rules import FORM_ANSWERS, FORM_SETTINGS

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("name", samples.form_field_settings())
def test_samples_can_be_asked_for(name: str) -> None:
    assert settings_violation(samples.form_field_settings()[name]) is None


@pytest.mark.parametrize(("given_settings", "wrong"), FORM_SETTINGS)
def test_settings_have_bounds_in_order_and_options(given_settings: dict[str, Any], wrong: str) -> None:
    found = settings_violation(given_settings)
    assert ("" if found is None else found.field) == wrong


@pytest.mark.parametrize(("given_settings", "right", "wrong"), FORM_ANSWERS)
def test_answers_fit_their_field(given_settings: dict[str, Any], right: list[Any], wrong: list[Any]) -> None:
    for response in right:
        assert answer_violation(given_settings, response) is None, response
    for response in wrong:
        assert answer_violation(given_settings, response) is not None, response


@pytest.mark.parametrize(
    ("response", "path"), [(["a", "c"], "[1]"), (["a", "b", "a"], "[2]"), ([], ""), (["a", 5], "")]
)
def test_the_wrong_one_of_several_options_is_named(response: list[Any], path: str) -> None:
    settings = {"@type": "SelectionFormFieldSettings", "options": ["a", "b"], "allowMultipleSelection": True}
    found = answer_violation(settings, response)
    assert found is not None and found.field == path


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_has_no_number_for_answers_nothing(number: float) -> None:
    assert answer_violation({"@type": "DoubleFormFieldSettings"}, number)
    check = Check(NOW, tolerant=True)
    FormFieldAnswerRule().check(number, "response", check)
    assert [violation.field for violation in check.violations] == ["response"]


def test_a_whole_number_may_be_greater_than_any_float() -> None:
    check = Check(NOW, tolerant=True)
    FormFieldAnswerRule().check(10**400, "response", check)
    assert not check.violations
