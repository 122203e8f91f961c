"""Calls that content is given to, and what they are refused for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from enmeshed.content.v1 import content_pb2
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from enmeshed_connector.content.codec import ContentCodec
from tests.support import content_samples as samples
from tests.support.named_calls import call

CODEC = ContentCodec()


async def faults(client: Client, method: str, **members: Any) -> list[str]:
    """Returns the fields that a call is refused for, none when its content is taken, whatever comes of it."""
    try:
        await call(client, method, **members)
    except ConnectorError as error:
        if error.reason not in ("CONTENT_INVALID", "CONTENT_TYPE_NOT_ALLOWED"):
            return []
        assert error.facts["code"].startswith("error.")
        fields = [violation.field for violation in error.violations]
        assert fields
        return fields
    return []


def exact(value: Any) -> content_pb2.Content:
    """Returns content as its JSON text, which says everything that JSON can."""
    return content_pb2.Content(raw_json=json.dumps(value).encode())


def forms(value: Any) -> list[content_pb2.Content]:
    """Returns the forms in which content can be sent."""
    return [exact(value), CODEC.content_from_json(value)] if is_typed(value) else [exact(value)]


def is_latin(value: Any) -> bool:
    """Whether what a row of the tables makes holds only characters that attributes may hold."""
    return not {"😀", "…"} & set(json.dumps(value, ensure_ascii=False))


def is_typed(value: Any) -> bool:
    """Whether a typed message can say the same as a content."""
    return CODEC.content_from_json(value).WhichOneof("kind") not in ("json", "raw_json")


async def assert_items(
    client: Client,
    right: Sequence[dict[str, Any]],
    wrong: Sequence[dict[str, Any]],
    path: str,
    *,
    is_valid: bool = True,
) -> None:
    """Asserts which request items are taken, each set in one request, as JSON and, what has such, as typed messages.

    Args:
        client: Whose.
        right: Items whose content is right.
        wrong: Items that each break one rule.
        path: The key of the items that is wrong, or what its path begins with.
        is_valid: Whether right content is all that these items need.
    """
    if right:
        for content in forms(samples.request(*right)):
            result = (await call(client, "OutgoingRequests.ValidateOutgoingRequest", content=content)).result
            if is_valid:
                assert result.is_success or result.items, result
                valid = [one.is_success for one in result.items] or [True] * len(right)
                assert valid == [is_latin(one) for one in right], result
    typed = [one for one in wrong if is_typed(samples.request(one))]
    for items in (one for one in (wrong, typed) if one):
        for content in forms(samples.request(*items)):
            told = await faults(client, "OutgoingRequests.ValidateOutgoingRequest", content=content)
            paths = [f"content.items[{place}].{path}" for place in range(len(items))]
            assert [any(field.startswith(one) for field in told) for one in paths] == [True] * len(items), told
            assert [any(field.startswith(one) for one in paths) for field in told] == [True] * len(told)
