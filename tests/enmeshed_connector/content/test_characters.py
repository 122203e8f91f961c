from typing import Any

import pytest

from enmeshed_connector.content.characters import forbidden_character_keys, is_allowed_text
from tests.support import content_samples as samples


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ada Lovelace-Byron, 5 €\r\n\t~",
        "ÄÖÜäöüßẞ",
        "Łódź Ħ ǅ"[:-2],
        "A\u030b",
        "C\u0328\u0306",
        "R\u0325",
        "R\u0325\u0304",
        "K\u035fH",
        "K\u035fh",
        "k\u035fh",
        "\u1e32\u0304",
        "\u1ee4\u0308",
        "a" * 100_000,
    ],
)
def test_latin_text_is_allowed(text: str) -> None:
    assert is_allowed_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "\0",
        "\x0b",
        "\x7f",
        "\u00ad",
        "中",
        "Ада",
        "😀",
        "\ud800",
        "A\u0301",
        "\u030bA",
        "A \u030b",
        "C\u0328",
        "k\u035fH",
        "T\u0331",
        "\u0180",
        "a" * 100_000 + "中",
    ],
)
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
