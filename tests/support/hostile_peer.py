"""A peer that knows the protocol and says what no interface would let it say: content as any text at all.

It is an account of our transport room, whose keys and relationships are real; what it sends is put together by hand
with the crypto room, the content as the text that it is given.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from enmeshed_connector.backbone.endpoints.messages import Messages, NewMessage, NewMessageRecipient
from enmeshed_connector.backbone.endpoints.relationships import NewRelationship
from enmeshed_connector.backbone.endpoints.templates import NewTemplate, RelationshipTemplates
from enmeshed_connector.backbone.endpoints.tokens import NewToken, Tokens
from enmeshed_connector.core.addresses import parse_address
from enmeshed_connector.core.canonical_json import dumps
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.encodings import from_base64url, to_utf8
from enmeshed_connector.core.ids import RELATIONSHIP_SECRET, TEMPLATE, TEMPLATE_KEY, parse_id
from enmeshed_connector.core.references import RelationshipTemplateReference, TokenReference, parse_reference
from enmeshed_connector.crypto.exchange import ExchangeKeypair, TemplatePublicKey
from enmeshed_connector.crypto.identities import IdentityKey
from enmeshed_connector.crypto.messages import MessageRecipient, seal_message
from enmeshed_connector.crypto.relationship_contents import seal_creation
from enmeshed_connector.crypto.relationship_secrets import RelationshipSecrets, RequestSecrets
from enmeshed_connector.crypto.signatures import SignaturePublicKey
from enmeshed_connector.crypto.symmetric import SecretKey, encrypt
from enmeshed_connector.crypto.templates import sign_template
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.relationship_documents import Status

FAR = datetime(2099, 1, 1, tzinfo=UTC)


def nested(levels: int, inner: str = "null") -> str:
    """Returns the text of objects in objects.

    Args:
        levels: How many.
        inner: The text of what is in the innermost one.
    """
    return '{"a":' * levels + inner + "}" * levels


class HostilePeer:
    """Sends whatever it is told."""

    def __init__(self, account: TransportAccount) -> None:
        self.account = account
        self._context = account.context

    @property
    def address(self) -> str:
        return str(self._context.identity.address)

    @property
    def _own(self) -> IdentityKey:
        return IdentityKey(self._context.identity.address, self._context.identity.public_key)

    async def ask(self, reference: str, creation_content: str) -> str:
        """Asks the maker of a template for a relationship, with a content of this text, and returns its id."""
        parsed = parse_reference(reference)
        assert isinstance(parsed, RelationshipTemplateReference)
        template = await self.account.templates.load(parsed)
        secrets = RequestSecrets.create(
            TemplatePublicKey.from_json(template["templateKey"], "templateKey"),
            SignaturePublicKey.from_json(template["identity"]["publicKey"], "identity.publicKey"),
            self._context.random,
        )
        text = _object(
            ("@type", dumps("RelationshipCreationContentWrapper")),
            ("content", creation_content),
            ("identity", dumps(self._own.to_json(verbose=False))),
            ("templateId", dumps(template["id"])),
        )
        sealed = seal_creation(text, self._context.keys.device, secrets, random=self._context.random)
        secret_id = self._context.ids.new(RELATIONSHIP_SECRET)
        result = await self._context.outbox.run(
            self.account.relationships._create,
            wire=NewRelationship(parse_id(TEMPLATE, template["id"]), sealed.to_text().encode()).wire().decode(),
            plan={
                "secretId": secret_id,
                "peer": {
                    "address": template["identity"]["address"],
                    "publicKey": template["identity"]["publicKey"],
                },
                "templateId": template["id"],
                "creationContent": {},
            },
            before=[await self._context.secrets.seal(secret_id, secrets)],
        )
        return str(result["id"])

    async def send(self, recipient: str, content: str, **members: str) -> str:
        """Sends a message with a content of this text, and other members of the signed text; returns its id."""
        relationship = await self.account.relationships.with_peer(recipient, Status.ACTIVE)
        assert relationship is not None
        name = relationship["relationshipSecretId"]
        address = parse_address(recipient)
        secrets = await self._context.secrets.load(name, RelationshipSecrets)
        to = MessageRecipient(address, secrets, await self._context.counters.next(name))
        parts = {
            "@type": dumps("MessageContentWrapper"),
            "attachments": "[]",
            "content": content,
            "createdAt": dumps(format_date(self._context.clock.now())),
            "recipients": dumps([recipient]),
            **members,
        }
        key = SecretKey.generate(self._context.random)
        sealed = seal_message(_object(*parts.items()), [to], key, random=self._context.random)
        message = NewMessage(
            from_base64url(sealed.body, "body"),
            [NewMessageRecipient(address, from_base64url(sealed.encrypted_keys[address], "encryptedKey"))],
        )
        return str((await Messages(self._context.backbone).send(message.wire())).id)

    async def template(self, content: str) -> str:
        """Makes a template with a content of this text, and returns the reference to it."""
        keypair = ExchangeKeypair.generate(self._context.random)
        template_key = TemplatePublicKey(keypair.public_key.data, self._context.ids.new(TEMPLATE_KEY))
        text = _object(
            ("@type", dumps("RelationshipTemplateContentWrapper")),
            ("content", content),
            ("identity", dumps(self._own.to_json(verbose=False))),
            ("templateKey", dumps(template_key.to_json(verbose=False))),
        )
        key = SecretKey.generate(self._context.random)
        signed = sign_template(text, self._context.keys.identity_key())
        wire = NewTemplate(self._sealed(key, signed), FAR).wire()
        made = await RelationshipTemplates(self._context.backbone).create(wire)
        return RelationshipTemplateReference(made.id, key, self._context.settings.base_url).to_truncated()

    async def token(self, content: str) -> str:
        """Makes a token with a content of this text, and returns the reference to it."""
        key = SecretKey.generate(self._context.random)
        made = await Tokens(self._context.backbone).create(NewToken(FAR, self._sealed(key, content)).wire())
        return TokenReference(made.id, key, self._context.settings.base_url).to_truncated()

    def _sealed(self, key: SecretKey, text: str) -> bytes:
        sealed: Any = encrypt(key, to_utf8(text), random=self._context.random)
        return str(sealed.to_text()).encode()


def _object(*members: tuple[str, str]) -> str:
    return "{" + ",".join(f"{dumps(name)}:{value}" for name, value in members) + "}"
