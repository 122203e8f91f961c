from typing import Any

import pytest

from enmeshed_connector.content.forms import answer_violation, settings_violation
from tests.support import content_samples as samples


def settings(kind: str, **more: Any) -> dict[str, Any]:
    return {"@type": f"{kind}FormFieldSettings", **more}


@pytest.mark.parametrize("name", samples.form_field_settings())
def test_samples_can_be_asked_for(name: str) -> None:
    assert settings_violation(samples.form_field_settings()[name]) is None


@pytest.mark.parametrize(
    ("given_settings", "right"),
    [
        (settings("String", min=5, max=5), True),
        (settings("String", min=5, max=4), False),
        (settings("String", min=5, max=0), True),
        (settings("Integer", min=-1, max=-2), False),
        (settings("Integer", min=0, max=-2), True),
        (settings("Double", min=1.5, max=1.4), False),
        (settings("Double", min=1.5), True),
        (settings("Selection", options=["a"]), True),
        (settings("Selection", options=[]), False),
        (settings("Selection", options=["a", "a"]), False),
    ],
)
def test_settings_have_bounds_in_order_and_options(given_settings: dict[str, Any], right: bool) -> None:
    assert (settings_violation(given_settings) is None) is right


@pytest.mark.parametrize(
    ("given_settings", "right", "wrong"),
    [
        (settings("String"), ["a", "a\nb", "a" * 4096], ["", "a" * 4097, 5, None, ["a"], True]),
        (settings("String", min=2, max=3), ["ab", "abc", "😀"], ["a", "abcd", "😀😀"]),
        (settings("String", min=0, max=0), ["abc"], [""]),
        (settings("Integer", min=-1, max=3), [-1, 3, 2.0], [-2, 4, 1.5, "1", True, None]),
        (settings("Integer", min=0, max=0), [-5, 5], []),
        (settings("Double", min=0.5, max=1.5), [0.5, 1, 1.5], [0.4, 1.6, "1", False]),
        (settings("Boolean"), [True, False], [0, "true", None]),
        (settings("Date"), ["2026-01-31", "2026-01-31T12:00:00.000Z"], ["soon", "2026-02-30", "", 5]),
        (settings("Selection", options=["a", "b"]), ["a"], ["c", "", ["a"], 5, None]),
        (
            settings("Selection", options=["a", "b"], allowMultipleSelection=True),
            [["a"], ["b", "a"]],
            ["a", [], ["c"], ["a", "a"], [5], None],
        ),
        (settings("Rating", maxRating=5), [1, 5, 3.0], [0, 6, 2.5, "3", True]),
        (settings("Unknown"), [], ["a"]),
        ({}, [], ["a"]),
    ],
)
def test_answers_fit_their_field(given_settings: dict[str, Any], right: list[Any], wrong: list[Any]) -> None:
    for response in right:
        assert answer_violation(given_settings, response) is None, response
    for response in wrong:
        assert answer_violation(given_settings, response) is not None, response
