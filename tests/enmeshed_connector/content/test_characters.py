from typing import Any

import pytest

from enmeshed_connector.content.characters import forbidden_character_keys, is_allowed_text
from tests.support import content_samples as samples
from tests.support.content_texts import ALLOWED_TEXTS, FORBIDDEN_TEXTS


@pytest.mark.parametrize("text", ALLOWED_TEXTS)
def test_latin_text_is_allowed(text: str) -> None:
    assert is_allowed_text(text)


@pytest.mark.parametrize("text", FORBIDDEN_TEXTS)
def test_other_text_is_not(text: str) -> None:
    assert not is_allowed_text(text)


@pytest.mark.parametrize(
    ("attribute", "keys"),
    [
        (samples.identity_attribute({"@type": "GivenName", "value": "Ада"}), ["value"]),
        (samples.identity_attribute({"@type": "SchematizedJSON", "value": {"a": "Ада"}}), []),
        (samples.identity_attribute(tags=["中"]), []),
        (samples.relationship_attribute({"@type": "Consent", "consent": "да", "link": "www.a"}), ["consent"]),
        (
            samples.relationship_attribute(
                {"@type": "ProprietaryString", "title": "中", "description": "中", "value": "a"}
            ),
            [],
        ),
        (samples.relationship_attribute(key="中"), []),
    ],
)
def test_the_texts_of_the_value_are_looked_at(attribute: dict[str, Any], keys: list[str]) -> None:
    assert list(forbidden_character_keys(attribute)) == keys
