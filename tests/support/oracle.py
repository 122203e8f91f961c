"""What must hold of an account after anything: its database against the Backbone's own data.

The Backbone is asked behind its API, so what is compared was never touched by the code under test.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from enmeshed_connector.storage import LogEvent, Store

Rows = Callable[..., list[dict[str, Any]]]
"""Reads the Backbone's data: SQL and its parameters to rows (`Network.rows`, `BackboneServer.rows`)."""


async def log_of(store: Store, *, page: int = 7) -> list[LogEvent]:
    """Returns all events of a log, read in small pages as a subscriber reads them; checks that there are no gaps."""
    events: list[LogEvent] = []
    place = await store.log.oldest()
    while True:
        read = await store.log.read(place, limit=page)
        events += read.events
        place = read.next
        if read.reached_head:
            break
    positions = [event.position for event in events]
    assert positions == sorted(set(positions)), "events out of order or twice"
    for _, group in itertools.groupby(positions, key=lambda position: position.entry):
        indexes = [position.index for position in group]
        assert indexes == list(range(1, len(indexes) + 1)), "an event of a commit is missing"
    return events


async def check_messages(store: Store, rows: Rows, address: str) -> None:
    """Checks that every message is there exactly once on both sides, and was told of exactly once and in order."""
    received = {
        row["message_id"] for row in rows("SELECT message_id FROM message_recipients WHERE address = ?", address)
    }
    sent = {row["id"] for row in rows("SELECT id FROM messages WHERE created_by = ?", address)}
    stored = await store.find("Messages")
    assert {message["id"] for message in stored if not message["isOwn"]} == received, "received messages"
    assert {message["id"] for message in stored if message["isOwn"]} == sent, "sent messages"
    log = [entry.event for entry in await log_of(store)]
    told = [event["data"]["id"] for event in log if event["type"] == "transport.messageReceived"]
    delivered = rows(
        "SELECT payload FROM external_events WHERE owner = ? AND type = 'MessageReceived' ORDER BY idx", address
    )
    assert told == [json.loads(row["payload"])["id"] for row in delivered], "messageReceived in the log"
    own = [event["data"]["id"] for event in log if event["type"] == "transport.messageSent"]
    assert Counter(own) == Counter(sent), "messageSent in the log"


async def check_relationships(store: Store, rows: Rows, address: str) -> None:
    """Checks that relationships have the state of the Backbone, and that each of their states was told of once."""
    remote = {
        row["id"]: (row["status"], row["entries"])
        for row in rows(
            "SELECT id, status, (SELECT count(*) FROM relationship_audit WHERE relationship_id = id) AS entries"
            " FROM relationships WHERE (sender = ? AND sender_has_decomposed = 0)"
            " OR (receiver = ? AND receiver_has_decomposed = 0)",
            address,
            address,
        )
    }
    stored = await store.find("Relationships")
    assert {one["id"]: (one["status"], len(one["auditLog"])) for one in stored} == remote
    log = [entry.event for entry in await log_of(store)]
    told = [
        (event["data"]["id"], len(event["data"]["auditLog"]))
        for event in log
        if event["type"] == "transport.relationshipChanged" and "data" in event
    ]
    assert len(set(told)) == len(told), "a state of a relationship was told of twice"


async def check_events_delivered(rows: Rows, address: str) -> None:
    """Checks that the Backbone has nothing left for an identity, and that nothing was burnt."""
    left = rows("SELECT type, error_count FROM external_events WHERE owner = ? AND is_synced = 0", address)
    assert left == [], "external events that were not confirmed"


def check_counters(rows: Rows, *senders: str) -> None:
    """Checks that these identities encrypted no two message keys of a relationship with one counter.

    The secret is that of the relationship and its sender; the Backbone has each key as it was encrypted.
    """
    for sender in senders:
        found = rows("SELECT relationship_id, encrypted_key FROM message_recipients WHERE sender = ?", sender)
        used = Counter((row["relationship_id"], json.loads(row["encrypted_key"])["cnt"]) for row in found)
        assert [key for key, times in used.items() if times > 1] == [], "a key counter was used twice"
        assert not [key for key in used if key[1] == 0], "counter 0 belongs to official devices"
