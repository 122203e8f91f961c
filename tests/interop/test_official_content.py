"""Holds our rules, our codec and our query language against the official classes of release 7.0.0."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.content.iql import evaluate_iql, is_iql, parse_iql
from enmeshed_connector.content.releases import types_after_7_0_0
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import dumps
from tests.support import content_rules as rules
from tests.support import content_samples as samples

pytestmark = pytest.mark.node

FOLDER = Path(__file__).parent / "official_peer"
RECEIVED = ContentValidator(datetime.now(UTC), received=True)
CODEC = ContentCodec()

# Where we refuse what 7.0.0 takes, on purpose: a constant and members of a list that official classes do not look at,
# and keys that are newer.
STRICTER = {"result", "items", "bodyFormat", "initialAttributePeer"}


def ask(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns what the official classes answer to each request."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    result = subprocess.run(
        ["node", "content.mjs"], cwd=FOLDER, input=lines, capture_output=True, text=True, check=True, timeout=100
    )
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(answers) == len(requests), result.stderr
    return answers


def contents_at_the_limits() -> Iterator[tuple[str, Any]]:
    """Gives content on both sides of every limit, with the key that was changed."""
    values = samples.identity_values() | samples.relationship_values()
    bare = [
        *((values[name], "value", right + wrong) for name, (right, wrong) in rules.VALUE_RULES.items()),
        *((values[name], key, right + wrong) for name, key, right, wrong in rules.PART_RULES),
        *((sample, key, right + wrong) for sample, key, right, wrong in rules.ATTRIBUTE_RULES),
        *((samples.queries()[name], key, right + wrong) for name, key, right, wrong in rules.QUERY_RULES),
        *((samples.roots()[name][0], key, right + wrong) for name, key, right, wrong in rules.ROOT_RULES),
    ]
    for sample, key, each in bare:
        for value in each:
            yield key, {**sample, key: value}
    for name, key, right, wrong in rules.ITEM_RULES:
        for value in right + wrong:
            yield key, samples.request(rules.item(name, **{key: value}))
    for name, key, right, wrong in rules.ANSWER_RULES:
        for value in right + wrong:
            yield key, {"@type": "Response", **samples.response(rules.answer(name, **{key: value}))}


def is_taken(content: Any) -> bool:
    """Returns whether our rules take what came from a peer."""
    name = content["@type"]
    try:
        if name in ("IdentityAttribute", "RelationshipAttribute"):
            RECEIVED.validate_attribute(content)
        elif name == "Response":
            RECEIVED.validate_response(content)
        elif name.endswith("Query"):
            RECEIVED.validate_query(content)
        elif name in samples.roots():
            RECEIVED.validate_content(content)
        else:
            RECEIVED.validate_attribute_value(content)
    except ContentInvalid:
        return False
    return True


def test_we_take_and_refuse_what_official_classes_do() -> None:
    cases = [case for case in contents_at_the_limits() if not types_after_7_0_0(case[1])]
    assert len(cases) > 1000
    for (key, content), answer in zip(cases, ask([{"content": content} for _, content in cases]), strict=True):
        taken = is_taken(content)
        if key in STRICTER and not taken:
            continue
        assert taken is ("json" in answer), (key, content, answer)


def test_official_classes_write_our_content_as_we_do() -> None:
    contents = [
        content
        for each in (
            *samples.roots().values(),
            [samples.request(item) for items in samples.request_items().values() for item in items],
            [{"@type": "Response", **samples.response(*items)} for items in samples.response_items().values()],
        )
        for content in each
        if not types_after_7_0_0(content)
    ]
    for content, answer in zip(contents, ask([{"content": content} for content in contents]), strict=True):
        # Newer keys than 7.0.0 knows are dropped there.
        expected = json.loads(json.dumps(content), object_hook=without_newer_keys)
        text = CODEC.text_from_content(CODEC.content_from_json(expected))
        assert dumps(answer["json"]) == text


def without_newer_keys(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in ("bodyFormat", "initialAttributePeer")}


@pytest.mark.parametrize("index", range(len(rules.OTHER_FORMS)))
def test_normal_content_is_what_official_classes_make_of_other_forms(index: int) -> None:
    content = rules.OTHER_FORMS[index][0]
    (answer,) = ask([{"content": content}])
    assert dumps(CODEC.normalize(content)) == dumps(answer["json"])


# What JavaScript makes of other texts than ISO dates is left to each engine, so only such are compared.
TOKENS = [
    *("GivenName", "Sex", "StreetAddress.city", "owner", "tags", "value.x", "ab", "A", ".", "a"),
    *("#a", "#'a b'", "=a", "='b c'", "?", "~x", "<2000-01-01", ">'1999-12-31T00:00:00.000Z'", "\\'", "\\", "'"),
    *(" ", "  ", "&&", "||", " && ", " || ", "!", "( ", " )", "(", ")"),
]
ATTRIBUTES = [
    {"owner": "did", "tags": ["private", "a b", "a"], "value": {"@type": "GivenName", "value": "a"}},
    {"owner": "a", "tags": [], "value": {"@type": "GivenName", "value": "b c"}},
    {"owner": "", "value": {"@type": "StreetAddress", "city": "a", "houseNo": "1", "x": None, "more": {}}},
    {"owner": "", "value": {"@type": "Sex", "value": 1, "x": ["x", "a"]}},
    {"owner": "", "value": {"@type": "Sex", "value": "2000-01-01", "x": True}},
]


def test_queries_are_read_and_answered_as_by_the_official_language() -> None:
    source = random.Random(5)
    texts = ["".join(source.choices(TOKENS, k=source.randint(1, 7))) for _ in range(20_000)]
    for text, answer in zip(texts, ask([{"iql": text} for text in texts]), strict=True):
        assert answer == {"valid": is_iql(text)}, text
    valid = [text for text in texts if is_iql(text)]
    assert len(valid) > 500
    for text, answer in zip(valid, ask([{"iql": text, "on": ATTRIBUTES} for text in valid]), strict=True):
        assert answer == {"found": evaluate_iql(parse_iql(text), ATTRIBUTES)}, text
