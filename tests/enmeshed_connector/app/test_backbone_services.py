"""Identity deletion, announcements and push notifications through the public interface, on a whole Connector."""

from typing import Any

import httpx
import pytest

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import announcements_service_pb2 as announcements_pb
from enmeshed.connector.v1 import events_service_pb2 as events_pb
from enmeshed.connector.v1 import identity_deletion_process_pb2 as process_pb
from enmeshed.connector.v1 import identity_deletion_service_pb2 as deletion_pb
from enmeshed.connector.v1 import monitoring_service_pb2 as monitoring_pb
from enmeshed.connector.v1 import push_notifications_service_pb2 as push_pb
from enmeshed.connector.v1 import relationship_templates_service_pb2 as templates_pb
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from tests.support.connector import RunningConnector, relate


async def call(client: Client, service: str, method: str, request: Any) -> Any:
    return await client.call(getattr(client.service(service), method), request)


async def failure(client: Client, service: str, method: str, request: Any) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        await call(client, service, method, request)
    return caught.value


async def test_a_deletion_is_started_once_shown_and_cancelled(running: RunningConnector) -> None:
    name = "IdentityDeletion"
    async with running.client("alice") as alice:
        start = deletion_pb.StartDeletionProcessRequest(grace_period_days=14, idempotency_key=alice.idempotency_key())
        started = await call(alice, name, "StartDeletionProcess", start)
        repeated = await call(alice, name, "StartDeletionProcess", start)
        second = await failure(alice, name, "StartDeletionProcess", deletion_pb.StartDeletionProcessRequest())
        active = await call(alice, name, "GetDeletionProcess", deletion_pb.GetDeletionProcessRequest())
        cancel = deletion_pb.CancelDeletionProcessRequest(idempotency_key=alice.idempotency_key())
        cancelled = await call(alice, name, "CancelDeletionProcess", cancel)
        again = await call(alice, name, "CancelDeletionProcess", cancel)
        by_id = await call(
            alice, name, "GetDeletionProcess", deletion_pb.GetDeletionProcessRequest(id=started.process.id)
        )
        listed = await call(alice, name, "ListDeletionProcesses", deletion_pb.ListDeletionProcessesRequest())
        events = await alice.call(
            alice.events.ListEvents,
            events_pb.ListEventsRequest(types=["transport.identityDeletionProcessStatusChanged"]),
        )
    assert repeated == started
    assert started.process.status == process_pb.IDENTITY_DELETION_PROCESS_STATUS_ACTIVE
    assert started.process.HasField("grace_period_end_time")
    assert active.process == started.process
    assert second.reason == "DELETION_PROCESS_ACTIVE"
    assert cancelled.process.status == process_pb.IDENTITY_DELETION_PROCESS_STATUS_CANCELLED
    assert again == cancelled
    assert by_id.process == cancelled.process
    assert list(listed.processes) == [cancelled.process]
    assert len(events.events) == 2


@pytest.mark.parametrize(
    ("method", "request_", "reason"),
    [
        ("CancelDeletionProcess", deletion_pb.CancelDeletionProcessRequest(), "NO_ACTIVE_DELETION_PROCESS"),
        ("GetDeletionProcess", deletion_pb.GetDeletionProcessRequest(), "NO_ACTIVE_DELETION_PROCESS"),
        ("GetDeletionProcess", deletion_pb.GetDeletionProcessRequest(id="IDP" + "0" * 17), "NOT_FOUND"),
        ("GetDeletionProcess", deletion_pb.GetDeletionProcessRequest(id="x"), "INVALID_ARGUMENT"),
        (
            "StartDeletionProcess",
            deletion_pb.StartDeletionProcessRequest(grace_period_days=-1),
            "INVALID_ARGUMENT",
        ),
        (
            "ListDeletionProcesses",
            deletion_pb.ListDeletionProcessesRequest(page_token="x"),
            "PAGE_TOKEN_INVALID",
        ),
    ],
)
async def test_a_deletion_that_cannot_be_is_refused_with_the_reason(
    running: RunningConnector, method: str, request_: Any, reason: str
) -> None:
    async with running.client("alice") as alice:
        assert (await failure(alice, "IdentityDeletion", method, request_)).reason == reason


async def announce(running: RunningConnector, title: str) -> None:
    body = {
        "expiresAt": "2099-01-01T00:00:00.000Z",
        "severity": "High",
        "isSilent": False,
        "texts": [{"language": "en", "title": title, "body": "There"}],
        "recipients": [],
        "actions": [{"displayName": {"en": "Read"}, "link": "https://example.com"}],
    }
    key = {"x-api-key": running.backbone.settings.admin_api_key}
    async with httpx.AsyncClient(base_url=running.backbone.admin_url, headers=key, trust_env=False) as http:
        token = (await http.get("/api/v1/xsrf")).text
        answer = await http.post("/api/v1/Announcements", json=body, headers={"x-xsrf-token": token})
    assert answer.is_success, answer.text


async def test_announcements_are_paged_in_the_order_of_the_backbone(running: RunningConnector) -> None:
    for title in ("one", "two", "three"):
        await announce(running, title)
    async with running.client("alice") as alice:
        service = alice.service("Announcements")
        whole = await alice.call(service.ListAnnouncements, announcements_pb.ListAnnouncementsRequest(language="de"))
        request = announcements_pb.ListAnnouncementsRequest(language="de", page_size=1)
        paged = [
            one.title async for page in alice.pages(service.ListAnnouncements, request) for one in page.announcements
        ]
        refused = await failure(
            alice, "Announcements", "ListAnnouncements", announcements_pb.ListAnnouncementsRequest(language="de1")
        )
        unknown = await failure(
            alice, "Announcements", "ListAnnouncements", announcements_pb.ListAnnouncementsRequest(language="zz")
        )
        foreign = await failure(
            alice,
            "Announcements",
            "ListAnnouncements",
            announcements_pb.ListAnnouncementsRequest(language="de", page_token="x"),
        )
    assert unknown.facts["code"] == "error.runtime.validation.invalidPropertyValue"
    assert [violation.field for violation in unknown.violations] == ["language"]
    assert {one.title for one in whole.announcements} == {"one", "two", "three"}
    assert paged == [one.title for one in whole.announcements]
    first = whole.announcements[0]
    assert (first.severity, first.body) == (announcements_pb.ANNOUNCEMENT_SEVERITY_HIGH, "There")
    assert first.actions[0].link == "https://example.com"
    assert first.HasField("expire_time")
    assert (refused.reason, foreign.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


async def test_push_notifications_go_to_peers_only_and_need_a_known_code(running: RunningConnector) -> None:
    bob = running.accounts["bob"]
    name, method = "PushNotifications", "SendPushNotification"
    async with running.client("alice") as alice:
        request = push_pb.SendPushNotificationRequest(recipients=[bob], code="TestCode")
        stranger = await failure(alice, name, method, request)
        await relate(running)
        request.idempotency_key = alice.idempotency_key()
        await call(alice, name, method, request)
        await call(alice, name, method, request)
        unknown = await failure(
            alice, name, method, push_pb.SendPushNotificationRequest(recipients=[bob], code="Nothing")
        )
        nobody = await failure(alice, name, method, push_pb.SendPushNotificationRequest(code="TestCode"))
        twice = await failure(
            alice, name, method, push_pb.SendPushNotificationRequest(recipients=[bob, bob], code="TestCode")
        )
    assert stranger.reason == "RELATIONSHIP_NOT_ACTIVE"
    assert stranger.facts["recipients"] == bob
    assert unknown.reason == "PUSH_NOTIFICATION_CODE_UNKNOWN"
    assert (nobody.reason, twice.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")


async def test_what_callers_can_learn_of_the_backbone_and_of_this_process(running: RunningConnector) -> None:
    offered = running.backbone.settings.public_template_references
    assert isinstance(offered, dict)
    offered["test"] = [{"title": "Bank", "description": "An account", "truncatedReference": "UkxUQQ"}]
    async with running.client("alice") as alice:
        status = await alice.call(alice.account.GetIdentityStatus, account_pb.GetIdentityStatusRequest())
        check = account_pb.CheckBackboneCompatibilityRequest()
        compatibility = await alice.call(alice.account.CheckBackboneCompatibility, check)
        support = await alice.call(alice.monitoring.GetSupportInfo, monitoring_pb.GetSupportInfoRequest())
        list_public = templates_pb.ListPublicTemplateReferencesRequest()
        public = await alice.call(alice.relationship_templates.ListPublicTemplateReferences, list_public)
    assert not status.is_deleted
    assert compatibility.is_compatible
    supported = range(compatibility.supported_min_version, compatibility.supported_max_version + 1)
    assert compatibility.backbone_version in supported
    assert support.health and all(support.health.values())
    told = {account.name: account.address for account in support.accounts}
    assert told == dict(running.accounts)
    assert running.api_key not in str(support)
    assert "test" not in [str(value) for value in support.settings.fields.values()]
    assert [(one.title, one.description, one.truncated_reference) for one in public.references] == [
        ("Bank", "An account", "UkxUQQ")
    ]
