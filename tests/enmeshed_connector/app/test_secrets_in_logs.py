"""The main job with everything logged: what is secret is in no line, and a caller's fault leaves no stack trace."""

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc

from enmeshed.connector.v1 import account_service_pb2 as account_pb
from enmeshed.connector.v1 import challenges_service_pb2 as challenges_pb
from enmeshed.connector.v1 import files_service_pb2 as files_pb
from enmeshed.connector.v1 import messages_service_pb2 as messages_pb
from enmeshed.connector.v1 import references_service_pb2 as references_pb
from enmeshed.connector.v1 import relationship_templates_service_pb2 as templates_pb
from enmeshed.connector.v1 import relationships_service_pb2 as relationships_pb
from enmeshed.connector.v1 import tokens_service_pb2 as tokens_pb
from enmeshed_backbone.server import BackboneServer
from enmeshed_backbone.settings import Settings as BackboneOptions
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError, upload
from enmeshed_connector.app.connector import Connector
from enmeshed_connector.app.logs import configure_logs
from enmeshed_connector.app.settings import LogSettings, load_settings
from enmeshed_connector.storage.sqlite import SqliteDatabases
from enmeshed_connector.transport.schema import TRANSPORT_SCHEMA
from tests.support.hostile_peer import HostilePeer
from tests.support.own_peer import own_account

API_KEY = "the-key-of-this-test-0123456789-0123456789"
WRONG_KEY = "a-wrong-key-of-this-test-0123456789-01234"
CLIENT_SECRET = "the-client-secret-of-this-test"
PASSWORD = "the-password-of-this-test"
WRONG_PASSWORD = "the-wrong-password-of-this-test"
SUBJECT, BODY, FILENAME = "the-subject-of-this-test", "the-body-of-this-test", "the-filename-of-this-test.txt"
FILE = b"the-bytes-of-this-test"
HOSTILE = "the-hostile-text-of-this-test"
EXPIRY = "2099-01-01T00:00:00Z"

# Keys, signatures and ciphers are texts of this form; so are hashes. No line has a reason to show any of them.
_BLOB = re.compile(r"[A-Za-z0-9_\-+/]{32,}={0,2}")


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    configure_logs(LogSettings(level="debug", format="json"), stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_no_secret_is_in_any_log_and_no_fault_of_a_caller_leaves_a_trace(
    tmp_path: Path, logs: io.StringIO
) -> None:
    secrets = {
        API_KEY,
        WRONG_KEY,
        CLIENT_SECRET,
        PASSWORD,
        WRONG_PASSWORD,
        SUBJECT,
        BODY,
        FILENAME,
        FILE.decode(),
        HOSTILE,
    }
    (tmp_path / "keys").write_text(f"{API_KEY} everything **\n")
    options = BackboneOptions(port=0, admin_port=0, client_secret=CLIENT_SECRET)
    async with BackboneServer(options) as backbone:
        flags = {
            "server.port": "0",
            "server.drain_seconds": "1",
            "backbone.base_url": backbone.base_url,
            "backbone.client_id": options.client_id,
            "backbone.client_secret": CLIENT_SECRET,
            "database.folder": str(tmp_path / "connector"),
            "api_keys.bootstrap_file": str(tmp_path / "keys"),
            "accounts.alice.create_identity": "true",
            "accounts.bob.create_identity": "true",
        }
        settings = load_settings(file=None, environment={}, flags=flags)
        async with Connector(settings, environment={}) as connector:
            await connector.wait_until_ready()
            target = f"localhost:{connector.port}"
            async with (
                Client(target, api_key=API_KEY, account="alice") as alice,
                Client(target, api_key=API_KEY, account="bob") as bob,
                Client(target, api_key=WRONG_KEY, account="bob") as stranger,
            ):
                # Answered for everybody, and logged in detail only.
                await health_pb2_grpc.HealthStub(alice.channel).Check(health_pb2.HealthCheckRequest())
                secrets |= await main_job(alice, bob)
                await faults(alice, bob, stranger, secrets)
                async with own_account(backbone.base_url, tmp_path / "peer", client_secret=CLIENT_SECRET) as account:
                    await hostile_messages(alice, HostilePeer(account))
    secrets |= await stored_secrets(tmp_path / "connector")

    lines = logs.getvalue().splitlines()
    entries = [json.loads(line) for line in lines]
    assert {"debug", "info"} <= {entry["level"] for entry in entries}
    assert any(entry["level"] == "warning" for entry in entries)
    assert sum(entry["event"] == "call ended" for entry in entries) > 20
    found = sorted({secret[:60] for secret in secrets for line in lines if secret in line or escaped(secret) in line})
    assert found == []
    # Access tokens of the Backbone, and the hashes by which it knows passwords.
    assert not re.search(r"eyJ[A-Za-z0-9_-]{8}|password=", logs.getvalue())
    assert [entry for entry in entries if "exception" in entry or "Traceback" in json.dumps(entry)] == []


def escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


async def main_job(alice: Client, bob: Client) -> set[str]:
    """Does what the Connector is for, and returns the secrets that its answers showed."""
    protection = {"password": PASSWORD}
    content = {"arbitraryRelationshipTemplateContent": {"value": {"text": BODY}}}
    template = (
        await alice.call(
            alice.relationship_templates.CreateTemplate,
            request(
                templates_pb.CreateTemplateRequest,
                {"content": content, "expireTime": EXPIRY, "passwordProtection": protection},
            ),
        )
    ).template
    loaded = await bob.call(
        bob.relationship_templates.LoadTemplate,
        templates_pb.LoadTemplateRequest(reference=template.reference.url, password=PASSWORD),
    )
    creation = {"arbitraryRelationshipCreationContent": {"value": {"text": BODY}}}
    asked = await bob.call(
        bob.relationships.CreateRelationship,
        request(
            relationships_pb.CreateRelationshipRequest,
            {"templateId": loaded.template.id, "creationContent": creation},
        ),
    )
    await alice.call(alice.account.Sync, account_pb.SyncRequest())
    accept = relationships_pb.AcceptRelationshipRequest(id=asked.relationship.id)
    await alice.call(alice.relationships.AcceptRelationship, accept)
    await bob.call(bob.account.Sync, account_pb.SyncRequest())
    file = await upload(alice, FILE, files_pb.UploadMetadata(filename=FILENAME, size_bytes=len(FILE)))
    address = (await bob.call(bob.account.GetIdentityInfo, account_pb.GetIdentityInfoRequest())).account.address
    mail = {"mail": {"to": [address], "subject": SUBJECT, "body": BODY}}
    await alice.call(
        alice.messages.SendMessage,
        request(messages_pb.SendMessageRequest, {"recipients": [address], "content": mail, "attachmentIds": [file.id]}),
    )
    await bob.call(bob.account.Sync, account_pb.SyncRequest())
    token = (
        await alice.call(
            alice.tokens.CreateToken,
            request(
                tokens_pb.CreateTokenRequest,
                {"content": {"json": {"text": BODY}}, "expireTime": EXPIRY, "passwordProtection": protection},
            ),
        )
    ).token
    await bob.call(
        bob.tokens.LoadToken, tokens_pb.LoadTokenRequest(reference=token.reference.truncated, password=PASSWORD)
    )
    leading = (await alice.call(alice.files.CreateFileToken, files_pb.CreateFileTokenRequest(file_id=file.id))).token
    await bob.call(
        bob.references.LoadReference, references_pb.LoadReferenceRequest(reference=leading.reference.truncated)
    )
    challenge = await alice.call(
        alice.challenges.CreateChallenge,
        challenges_pb.CreateChallengeRequest(type=challenges_pb.CHALLENGE_TYPE_IDENTITY),
    )
    shown = {file.ownership_token, challenge.challenge.signature}
    for thing in (template, file, token, leading):
        shown |= {thing.reference.truncated, thing.reference.url}
    assert "" not in shown
    return shown


async def faults(alice: Client, bob: Client, stranger: Client, secrets: set[str]) -> None:
    """Does what callers do wrong, with secrets in hand."""
    protected = await alice.call(
        alice.tokens.CreateToken,
        request(
            tokens_pb.CreateTokenRequest,
            {
                "content": {"json": {"text": SUBJECT}},
                "expireTime": EXPIRY,
                "passwordProtection": {"password": PASSWORD},
            },
        ),
    )
    reference = protected.token.reference.truncated
    secrets.add(reference)
    nobody = "did:e:localhost:dids:" + "0" * 22
    mail = {"mail": {"to": [nobody], "subject": SUBJECT, "body": BODY}}
    other: Any = {"recipients": [nobody], "content": {"json": {"@type": "Mail", "subject": SUBJECT, "body": BODY}}}
    calls: list[tuple[Any, Any]] = [
        (bob.tokens.LoadToken, tokens_pb.LoadTokenRequest(reference=reference, password=WRONG_PASSWORD)),
        (bob.tokens.LoadToken, tokens_pb.LoadTokenRequest(reference=reference)),
        (bob.tokens.LoadToken, tokens_pb.LoadTokenRequest(reference=reference[:-5] + "AAAAA", password=PASSWORD)),
        (bob.files.LoadFile, files_pb.LoadFileRequest(reference=reference)),
        (bob.references.LoadReference, references_pb.LoadReferenceRequest(reference=f"{HOSTILE}#{reference}")),
        (
            alice.messages.SendMessage,
            request(messages_pb.SendMessageRequest, {"recipients": [nobody], "content": mail}),
        ),
        (alice.messages.SendMessage, request(messages_pb.SendMessageRequest, other)),
        (alice.messages.GetMessage, messages_pb.GetMessageRequest(id=HOSTILE)),
        (alice.messages.ListMessages, messages_pb.ListMessagesRequest(page_token=HOSTILE)),
        (stranger.account.GetIdentityInfo, account_pb.GetIdentityInfoRequest()),
    ]
    for method, message in calls:
        with pytest.raises(ConnectorError):
            await alice.call(method, message)


async def hostile_messages(alice: Client, peer: HostilePeer) -> None:
    """Has a peer send what cannot be read."""
    template = await alice.call(
        alice.relationship_templates.CreateTemplate,
        request(
            templates_pb.CreateTemplateRequest,
            {"content": {"arbitraryRelationshipTemplateContent": {"value": {}}}, "expireTime": EXPIRY},
        ),
    )
    identifier = await peer.ask(template.template.reference.truncated, f'{{"text":"{HOSTILE}","text":1}}')
    await alice.call(alice.account.Sync, account_pb.SyncRequest())
    accept = relationships_pb.AcceptRelationshipRequest(id=identifier)
    await alice.call(alice.relationships.AcceptRelationship, accept)
    await peer.account.sync.sync()
    address = (await alice.call(alice.account.GetIdentityInfo, account_pb.GetIdentityInfoRequest())).account.address
    await peer.send(address, f'{{"text":"{HOSTILE}","text":1}}')
    await peer.send(address, f'"{HOSTILE}"', attachments=f'["{HOSTILE}"]')
    await peer.send(address, f'{{"@type":"Request","items":"{HOSTILE}"}}')
    await peer.send(address, f'[{{"{HOSTILE}"')
    await alice.call(alice.account.Sync, account_pb.SyncRequest())


async def stored_secrets(folder: Path) -> set[str]:
    """Returns everything in the databases of the accounts that looks like a key, a signature or a cipher."""
    databases = SqliteDatabases(folder)
    found: set[str] = set()
    for account in ("alice", "bob"):
        store = await databases.open(f"acc-{account}", TRANSPORT_SCHEMA)
        for spec in TRANSPORT_SCHEMA:
            for document in await store.find(spec.name):
                found |= set(_BLOB.findall(json.dumps(document))) | set(passwords(document))
        await store.close()
    await databases.close()
    assert len(found) > 50
    assert PASSWORD in found
    return found


def passwords(value: Any) -> Iterator[str]:
    """Yields every password of a document, whatever characters it has."""
    if isinstance(value, dict):
        for name, member in value.items():
            if "password" in name.lower() and isinstance(member, str) and name != "passwordType":
                yield member
            yield from passwords(member)
    elif isinstance(value, list):
        for item in value:
            yield from passwords(item)


def request(kind: Any, fields: dict[str, Any]) -> Any:
    return json_format.ParseDict(fields, kind())
