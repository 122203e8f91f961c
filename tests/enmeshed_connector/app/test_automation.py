"""The automation in the settings: what is taken, what is refused at start, and modules that work in a real process."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import event_pb2 as event_pb
from enmeshed.connector.v1 import messages_service_pb2 as messages_pb
from enmeshed.connector.v1 import relationship_pb2 as relationship_pb
from enmeshed.connector.v1 import relationship_templates_service_pb2 as templates_pb
from enmeshed.connector.v1 import relationships_service_pb2 as relationships_pb
from enmeshed.content.v1 import response_pb2 as response_pb
from enmeshed_client import Connector as Client
from enmeshed_connector.app.automation import MODULES_GROUP, automation_of
from enmeshed_connector.app.connector import Connector
from enmeshed_connector.app.settings import Settings, SettingsInvalid, load_settings
from enmeshed_connector.runtime.automation.decider.rules import RULE_MISMATCH
from enmeshed_connector.runtime.automation.relationships import AcceptConditions, DecomposeConditions
from tests.support.connector import RunningConnector, relate, running_connector
from tests.support.entry_points import install_entry_point
from tests.support.named_calls import call, until

RULES = [
    {
        "requestConfig": {"content.item.@type": "CreateAttributeRequestItem", "source.type": "Message"},
        "responseConfig": {"accept": True},
    },
    {"requestConfig": {}, "responseConfig": {"accept": False, "code": "no"}},
]
TOML_RULES = """
[[accounts.default.decider.automation_config]]
requestConfig = { "content.item.@type" = "CreateAttributeRequestItem", "source.type" = "Message" }
responseConfig = { accept = true }
[[accounts.default.decider.automation_config]]
requestConfig = {}
responseConfig = { accept = false, code = "no" }
"""


def settings_of(flags: Mapping[str, str] | None = None, *, toml: str = "", folder: Path | None = None) -> Settings:
    file = None
    if folder is not None:
        file = folder / "settings.toml"
        file.write_text(toml)
    return load_settings(file=file, environment={}, flags=flags or {})


@pytest.mark.parametrize("form", ["toml", "flag", "file", "official file"])
def test_rules_are_taken_in_every_form(tmp_path: Path, form: str) -> None:
    name = "accounts.default.decider.automation_config"
    written = tmp_path / "rules.json"
    written.write_text(json.dumps(RULES if form == "file" else {"enabled": True, "automationConfig": RULES}))
    settings = {
        "toml": settings_of(toml=TOML_RULES, folder=tmp_path),
        "flag": settings_of({name: json.dumps(RULES)}),
        "file": settings_of({f"{name}_file": str(written)}),
        "official file": settings_of({f"{name}_file": str(written)}),
    }[form]
    first, second = automation_of(settings)["default"].rules
    assert dict(first.item) == {"@type": "CreateAttributeRequestItem"}
    assert dict(first.request) == {"source.type": "Message"}
    assert (first.accepts, second.response) == (True, {"accept": False, "code": "no"})


def test_by_default_nothing_is_done() -> None:
    automation = automation_of(settings_of())["default"]
    assert (automation.rules, automation.accepts, automation.decomposes, automation.modules) == ((), None, None, ())


def test_conditions_on_relationships_are_taken() -> None:
    automation = automation_of(
        settings_of(
            {
                "accounts.default.auto_accept.enabled": "true",
                "accounts.default.auto_accept.templates": "RLT1, RLT2",
                "accounts.default.auto_accept.peers": '["did:e:x"]',
                "accounts.default.auto_decompose.enabled": "true",
                "accounts.default.auto_decompose.after_days": "1.5",
            }
        )
    )["default"]
    assert automation.accepts == AcceptConditions(frozenset({"RLT1", "RLT2"}), frozenset({"did:e:x"}))
    assert automation.decomposes == DecomposeConditions(timedelta(hours=36))


@pytest.mark.parametrize(
    ("flags", "paths"),
    [
        ({"decider.automation_config": '[{"requestConfig":{"x":1},"responseConfig":{"accept":true}}]'},
         ["decider.automation_config[0].requestConfig.x"]),
        ({"decider.automation_config": "[{"}, ["decider.automation_config"]),
        ({"decider.automation_config_file": "/nonexistent"}, ["decider.automation_config_file"]),
        ({"decider.automation_config_file": "/nonexistent", "decider.automation_config": "[1]"}, ["decider"]),
        ({"auto_decompose.after_days": "-1"}, ["auto_decompose.after_days"]),
        ({"modules.nothing.enabled": "true"}, ["modules.nothing"]),
        ({"modules.decider.enabled": "true"}, ["modules.decider"]),
        ({"modules.no name.enabled": "true"}, ["modules.no name"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(flags: dict[str, str], paths: list[str]) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        automation_of(settings_of({f"accounts.default.{name}": text for name, text in flags.items()}))
    assert [one.field for one in caught.value.violations] == [f"accounts.default.{path}" for path in paths]


async def test_a_response_that_does_not_fit_stops_the_start(tmp_path: Path) -> None:
    rules = [{"requestConfig": {"content.item.@type": "ReadAttributeRequestItem"}, "responseConfig": {"accept": True}}]
    settings = settings_of(
        {"accounts.default.decider.automation_config": json.dumps(rules), "database.folder": str(tmp_path / "data")}
    )
    with pytest.raises(SettingsInvalid) as caught:
        async with Connector(settings, environment={}):
            pass
    assert caught.value.official_code == RULE_MISMATCH
    assert not (tmp_path / "data").exists()


class Fails:
    def __init__(self, options: Mapping[str, Any]) -> None:
        raise ZeroDivisionError("at its start")


class Synchronous:
    def __init__(self, options: Mapping[str, Any]) -> None:
        pass

    def handle(self, event: Any, account: Any) -> None:
        pass


class OneType:
    types = "transport.messageReceived"

    def __init__(self, options: Mapping[str, Any]) -> None:
        pass

    async def handle(self, event: Any, account: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("tests.nothing:Here", "ModuleNotFoundError"),
        (f"{__name__}:Nothing", "AttributeError"),
        (f"{__name__}:Fails", "at its start"),
        (f"{__name__}:Synchronous", "async def handle"),
        (f"{__name__}:OneType", "types"),
        ("tests.support.greeter:Greeter", "the option `subject` is missing"),
    ],
)
def test_a_module_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, problem: str
) -> None:
    install_entry_point(monkeypatch, tmp_path, MODULES_GROUP, broken=target)
    with pytest.raises(SettingsInvalid) as caught:
        automation_of(settings_of({"accounts.default.modules.broken.enabled": "true"}))
    (violation,) = caught.value.violations
    assert violation.field == "accounts.default.modules.broken"
    assert problem in violation.description


def test_a_missing_module_is_told_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_entry_point(monkeypatch, tmp_path, MODULES_GROUP, greeter="tests.support.greeter:Greeter")
    with pytest.raises(SettingsInvalid, match="installed are greeter"):
        automation_of(settings_of({"accounts.default.modules.greter.enabled": "true"}))


def test_a_module_that_is_switched_off_need_not_be_there() -> None:
    settings = settings_of({"accounts.default.modules.nothing.enabled": "false"})
    assert automation_of(settings)["default"].modules == ()


def mail(recipient: str, subject: str) -> messages_pb.SendMessageRequest:
    content = {"mail": {"to": [recipient], "subject": subject, "body": "b"}}
    return json_format.ParseDict({"recipients": [recipient], "content": content}, messages_pb.SendMessageRequest())


async def events(client: Client, *types: str, count: int) -> list[Any]:
    found = []
    async with asyncio.timeout(30):
        async for received in client.follow(*types, from_beginning=True):
            found.append(received.event)
            if len(found) == count:
                break
    return found


async def test_an_installed_module_answers_mails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_entry_point(monkeypatch, tmp_path / "site", MODULES_GROUP, greeter="tests.support.greeter:Greeter")
    overrides = {
        "accounts.alice.modules.greeter.options.subject": "Anybody?",
        "accounts.alice.modules.greeter.options.answer": "Me.",
    }
    async with (
        running_connector(tmp_path / "data", overrides=overrides, is_related=True) as running,
        running.client("alice") as alice,
        running.client("bob") as bob,
    ):
        await bob.call(bob.messages.SendMessage, mail(running.accounts["alice"], "Nobody"))
        asked = await bob.call(bob.messages.SendMessage, mail(running.accounts["alice"], "Anybody?"))
        (told,) = await events(alice, "module.greeter.answered", count=1)
        (answer,) = await events(bob, "transport.messageReceived", count=1)
    assert told.json["message"] == asked.message.id
    assert told.json["answer"] == answer.message.id
    assert answer.message.content.mail.body == "Me."


async def test_an_installed_module_decides_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_entry_point(monkeypatch, tmp_path / "site", MODULES_GROUP, judge="tests.support.judge:Judge")
    overrides = {"accounts.alice.modules.judge.options.consent": "Yes?"}
    async with (
        running_connector(tmp_path / "data", overrides=overrides, is_related=True) as running,
        running.client("alice") as alice,
        running.client("bob") as bob,
    ):

        async def answer_to(*texts: str) -> Any:
            items = [{"consent": {"consent": text, "mustBeAccepted": True}} for text in texts]
            content = {"request": {"items": items}}
            sent = await call(bob, "Messages.SendRequest", peer=running.accounts["alice"], content=content)

            async def asked() -> Any:
                return (await call(bob, "OutgoingRequests.GetOutgoingRequest", id=sent.request.id)).request

            answered = await until(asked, is_so=lambda one: one.HasField("response"))
            seen = (await call(alice, "IncomingRequests.GetIncomingRequest", id=sent.request.id)).request
            assert seen.was_automatically_decided
            return answered.response.content.response

        agreed = await answer_to("Yes?")
        refused = await answer_to("Yes?", "Anything?")
    assert agreed.result == response_pb.RESPONSE_RESULT_ACCEPTED
    assert refused.result == response_pb.RESPONSE_RESULT_REJECTED
    assert [item.reject.code for item in refused.items] == ["unknown", "unknown"]


async def test_a_module_that_does_not_stop_keeps_no_process_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    install_entry_point(monkeypatch, tmp_path / "site", MODULES_GROUP, stubborn="tests.support.stubborn:Stubborn")
    works = tmp_path / "works"
    async with running_connector(tmp_path / "data") as running:
        settings = load_settings(
            file=None,
            environment={},
            flags={
                "server.port": "0",
                "server.drain_seconds": "0",
                "backbone.base_url": running.backbone.base_url,
                "database.folder": str(tmp_path / "carol"),
                "accounts.carol.modules.stubborn.options.works": str(works),
            },
        )
        async with Connector(settings, environment={}, stop_within=timedelta(seconds=0.5)) as connector:
            await connector.wait_until_ready()
            async with Client(f"localhost:{connector.port}", account="carol") as carol:
                await call(carol, "Attributes.CreateAttribute", value={"givenName": {"value": "Carol"}})
            async with asyncio.timeout(30):
                while not works.exists():
                    await asyncio.sleep(0.01)
        stopping = asyncio.all_tasks()
        works.unlink()
        await asyncio.wait([task for task in stopping if task is not asyncio.current_task()], timeout=0.5)
    told = capfd.readouterr()
    assert "is left behind" in told.out + told.err
    assert "the accounts" in told.out + told.err


async def test_mails_have_events_of_their_own_when_asked_for(tmp_path: Path) -> None:
    overrides = {"accounts.alice.mail_events": "true"}
    async with running_connector(tmp_path, overrides=overrides) as running:
        relationship = await relate(running)
        async with running.client("alice") as alice, running.client("bob") as bob:
            sent = await bob.call(bob.messages.SendMessage, mail(running.accounts["alice"], "Hello"))
            found = await events(alice, "consumption.mailReceived", "consumption.relationshipEvent.*", count=2)
    assert [one.type for one in found] == [
        "consumption.mailReceived",
        f"consumption.relationshipEvent.{relationship}",
    ]
    assert {one.message.id for one in found} == {sent.message.id}


async def ask(running: RunningConnector) -> tuple[str, str]:
    """Lets bob ask alice for a relationship; returns the ids of the template and the relationship."""
    async with running.client("alice") as alice, running.client("bob") as bob:
        content: dict[str, Any] = {"arbitraryRelationshipTemplateContent": {"value": {}}}
        template = await alice.call(
            alice.relationship_templates.CreateTemplate,
            json_format.ParseDict(
                {"content": content, "expireTime": "2099-01-01T00:00:00Z"}, templates_pb.CreateTemplateRequest()
            ),
        )
        await bob.call(
            bob.relationship_templates.LoadTemplate,
            templates_pb.LoadTemplateRequest(reference=template.template.reference.truncated),
        )
        creation: dict[str, Any] = {"arbitraryRelationshipCreationContent": {"value": {}}}
        asked = await bob.call(
            bob.relationships.CreateRelationship,
            json_format.ParseDict(
                {"templateId": template.template.id, "creationContent": creation},
                relationships_pb.CreateRelationshipRequest(),
            ),
        )
    return template.template.id, asked.relationship.id


async def test_relationships_are_accepted_and_left_when_asked_for(tmp_path: Path) -> None:
    overrides = {
        "accounts.alice.auto_accept.enabled": "true",
        "accounts.alice.auto_accept.content_types": "ArbitraryRelationshipCreationContent",
        "accounts.alice.auto_decompose.enabled": "true",
    }
    async with running_connector(tmp_path, overrides=overrides) as running:
        _, identifier = await ask(running)
        async with running.client("alice") as alice, running.client("bob") as bob:
            changes = await events(bob, "transport.relationshipChanged", count=2)
            assert [one.relationship.status for one in changes] == [
                relationship_pb.RELATIONSHIP_STATUS_PENDING,
                relationship_pb.RELATIONSHIP_STATUS_ACTIVE,
            ]
            await bob.call(
                bob.relationships.TerminateRelationship, relationships_pb.TerminateRelationshipRequest(id=identifier)
            )
            await bob.call(
                bob.relationships.DecomposeRelationship, relationships_pb.DecomposeRelationshipRequest(id=identifier)
            )
            await alice.call(alice.account.Sync, account_pb.SyncRequest())
            (left,) = await events(alice, "transport.relationshipDecomposedBySelf", count=1)
    assert left.relationship_decomposed.relationship_id == identifier


async def test_a_rule_of_the_settings_answers_a_request(tmp_path: Path) -> None:
    rules = [{"requestConfig": {}, "responseConfig": {"accept": False, "code": "no", "message": "Never."}}]
    overrides = {"accounts.alice.decider.automation_config": json.dumps(rules)}
    async with running_connector(tmp_path, overrides=overrides, is_related=True) as running:
        items = [{"formField": {"title": "Yes?", "settings": {"booleanField": {}}}}]
        asked = {"peer": running.accounts["alice"], "content": {"request": {"items": items}}}
        async with running.client("alice") as alice, running.client("bob") as bob:
            sent = await bob.call(
                bob.messages.SendRequest, json_format.ParseDict(asked, messages_pb.SendRequestRequest())
            )
            (told,) = await events(alice, "consumption.messageProcessed", count=1)
            changes = await events(bob, "consumption.outgoingRequestStatusChanged", count=2)
    answered = changes[-1].request_status_changed.request
    assert told.message_processed.message.id == sent.message.id
    assert told.message_processed.result == event_pb.PROCESSING_RESULT_REQUEST_AUTOMATICALLY_DECIDED
    (item,) = answered.response.content.response.items
    assert (item.reject.code, item.reject.message) == ("no", "Never.")
