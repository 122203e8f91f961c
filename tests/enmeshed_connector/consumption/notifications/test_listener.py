from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from enmeshed_connector.consumption.notifications.documents import NOTIFICATIONS
from tests.support.consumption import holder, identity, relationship
from tests.support.json_strategies import any_text, json_values
from tests.support.network import Network, befriend

OWN, HELD, SHARED = "ATT0000000000000000A", "ATT0000000000000000B", "ATT0000000000000000C"
PEER = "did:e:localhost:dids:0000000000000000000000"

ids = st.sampled_from([OWN, HELD, SHARED, "ATT0000000000UNKNOWN"]) | any_text
attributes = st.sampled_from(
    [identity(PEER, "Eve"), relationship(PEER, value="new"), identity("", "Eve"), {}]
) | json_values(text=any_text)
items = st.fixed_dictionaries(
    {
        "@type": st.sampled_from(
            [
                f"{kind}NotificationItem"
                for kind in (
                    "PeerAttributeSucceeded",
                    "OwnAttributeDeletedByOwner",
                    "PeerRelationshipAttributeDeletedByPeer",
                    "ForwardedAttributeDeletedByPeer",
                    "OwnSharedAttributeDeletedByOwner",
                )
            ]
        )
    },
    optional={"attributeId": ids, "predecessorId": ids, "successorId": ids, "successorContent": attributes},
) | json_values(text=any_text)
contents = st.fixed_dictionaries(
    {"@type": st.just("Notification")},
    optional={
        "id": st.integers(0, 10**17 - 1).map(lambda number: f"NOT{number:017}") | any_text | json_values(),
        "items": st.lists(items, max_size=3) | json_values(text=any_text),
    },
)


async def hear(folder: Path, heard: list[dict[str, Any]]) -> None:
    async with Network(folder) as network:
        alice, bob = await holder(network, "alice"), await holder(network, "bob")
        await befriend(alice.transport, bob.transport)
        own = await alice.own()
        await alice.forward(own, bob.address)
        held = await alice.of_peer(bob.address, identifier=HELD)
        await alice.own_of_relationship(bob.address)
        names = {OWN: own["id"], SHARED: held["id"], PEER: bob.address}
        for number, content in enumerate(heard):
            message = {
                "id": f"MSG{number:017}",
                "content": _renamed(content, names),
                "createdAt": "2026-01-01T00:00:00.000Z",
                "createdBy": bob.address,
                "isOwn": False,
                "recipients": [{"address": alice.address}],
            }
            with capture_logs() as logs:
                await alice.run(partial(alice.transport.listeners.message_received, message))
            # A fault of ours would be one.
            assert not [entry for entry in logs if entry["log_level"] == "error"], content
        assert {one["status"] for one in await alice.all(NOTIFICATIONS)} <= {"Completed", "Error"}


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _renamed(member, names) for name, member in value.items()}
    if isinstance(value, list):
        return [_renamed(member, names) for member in value]
    return names.get(value, value) if isinstance(value, str) else value


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(heard=st.lists(contents, min_size=20, max_size=40))
def test_whatever_a_peer_tells_the_commit_of_its_message_is_made(
    tmp_path_factory: pytest.TempPathFactory, heard: list[dict[str, Any]]
) -> None:
    asyncio.run(hear(tmp_path_factory.mktemp("hear"), heard))
