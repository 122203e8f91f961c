"""Whole exchanges between two sides: templates, relationships, messages, files, tokens, secrets."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enmeshed_connector import crypto
from enmeshed_connector.core.addresses import Address, derive_address
from enmeshed_connector.core.canonical_json import dumps, loads
from enmeshed_connector.core.encodings import to_base64url
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.core.ids import RELATIONSHIP, TEMPLATE, TEMPLATE_KEY, IdMaker
from enmeshed_connector.core.malformed import (
    MalformedValue,
    Mismatch,
    MissingValue,
    NumberOutOfRange,
    WrongPrefix,
    WrongType,
)
from enmeshed_connector.core.references import FileReference
from tests.support.json_strategies import any_text, json_values

HOST = "backbone.example"
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
COUNTER = 2**20


@dataclass(frozen=True)
class Party:
    """An identity with one device."""

    identity_key: crypto.SignatureKeypair
    device_key: crypto.SignatureKeypair

    @classmethod
    def create(cls) -> Party:
        return cls(crypto.SignatureKeypair.generate(), crypto.SignatureKeypair.generate())

    @property
    def address(self) -> Address:
        return derive_address(self.identity_key.public_key.data, HOST)

    @property
    def identity(self) -> crypto.IdentityKey:
        return crypto.IdentityKey(self.address, self.identity_key.public_key)


@dataclass(frozen=True)
class Relationship:
    """Both sides of an established relationship."""

    templator: Party
    requestor: Party
    template_keypair: crypto.ExchangeKeypair
    request: crypto.RequestSecrets
    templator_secrets: crypto.RelationshipSecrets
    requestor_secrets: crypto.RelationshipSecrets


def establish() -> Relationship:
    templator, requestor = Party.create(), Party.create()
    template_keypair = crypto.ExchangeKeypair.generate()
    request = crypto.RequestSecrets.create(template_keypair.public_key, templator.identity_key.public_key)
    templator_secrets = crypto.RelationshipSecrets.from_request(request.public_request(), template_keypair)
    requestor_secrets = crypto.RelationshipSecrets.from_response(request, templator_secrets.public_response())
    return Relationship(templator, requestor, template_keypair, request, templator_secrets, requestor_secrets)


@pytest.fixture(scope="module")
def relationship() -> Relationship:
    return establish()


def fresh(secrets: crypto.RelationshipSecrets) -> crypto.RelationshipSecrets:
    """Returns the secrets as read from storage, no counter used yet."""
    return crypto.RelationshipSecrets.from_text(secrets.to_text())


def wire_of(key: crypto.SecretKey, members: Any) -> str:
    return crypto.seal_text(key, dumps(members))


class TestTemplates:
    key = crypto.SecretKey.generate()
    owner = Party.create()
    template_key = crypto.TemplatePublicKey(
        crypto.ExchangeKeypair.generate().public_key.data, IdMaker().new(TEMPLATE_KEY)
    )

    @given(content=st.dictionaries(any_text, json_values(text=any_text), max_size=3))
    def test_a_template_opens_with_its_key(self, content: Any) -> None:
        text = crypto.template_text(content, self.owner.identity, self.template_key)
        opened = crypto.open_template(
            crypto.seal_template(text, self.owner.identity_key.private_key, self.key), self.key
        )
        assert opened.text == text
        assert dumps(opened.content) == dumps(content)
        assert (opened.identity, opened.template_key) == (self.owner.identity, self.template_key)

    def test_another_s_key_under_an_address_is_refused(self) -> None:
        thief = Party.create()
        claimed = crypto.IdentityKey(self.owner.address, thief.identity_key.public_key)
        text = crypto.template_text({}, claimed, self.template_key)
        wire = crypto.seal_template(text, thief.identity_key.private_key, self.key)
        with pytest.raises(Mismatch):
            crypto.open_template(wire, self.key)

    def test_a_signature_of_another_is_refused(self) -> None:
        text = crypto.template_text({}, self.owner.identity, self.template_key)
        wire = crypto.seal_template(text, Party.create().identity_key.private_key, self.key)
        with pytest.raises(crypto.SignatureInvalid):
            crypto.open_template(wire, self.key)

    @given(json_values(text=any_text))
    def test_any_sealed_json_is_refused_with_a_typed_error(self, value: Any) -> None:
        for members in (value, {"serializedTemplate": value}, {"serializedTemplate": dumps(value)}):
            with pytest.raises(DomainError):
                crypto.open_template(wire_of(self.key, members), self.key)


class TestRelationships:
    def test_both_sides_hold_fitting_secrets(self, relationship: Relationship) -> None:
        for one, other in (
            (relationship.templator_secrets, relationship.requestor_secrets),
            (relationship.requestor_secrets, relationship.templator_secrets),
        ):
            cipher = fresh(one).encrypt(b"hello", counter=COUNTER)
            assert other.decrypt_peer(cipher) == one.decrypt_own(cipher) == b"hello"
            signature = one.sign(b"message")
            assert signature.label is crypto.SignatureLabel.RELATIONSHIP
            other.verify_peer(b"message", signature)
            one.verify_own(b"message", signature)
            with pytest.raises(crypto.SignatureInvalid):
                one.verify_peer(b"message", signature)
        assert relationship.templator_secrets.request_key == relationship.request.request_key

    def test_a_creation_content_reaches_the_templator(self, relationship: Relationship) -> None:
        template_id = IdMaker().new(TEMPLATE)
        text = crypto.creation_text({"a": 1}, relationship.requestor.identity, template_id)
        sealed = crypto.seal_creation(text, relationship.requestor.device_key.private_key, relationship.request)
        read = crypto.CreationContentCipher.from_base64(sealed.to_base64())
        opened = crypto.open_creation(read, relationship.templator_secrets.request_key)
        assert opened == crypto.OpenedCreationContent(text, {"a": 1}, relationship.requestor.identity, template_id)
        assert crypto.open_creation(read, relationship.request.request_key).text == text

    def test_a_creation_content_signed_by_another_is_refused(self, relationship: Relationship) -> None:
        text = crypto.creation_text({}, relationship.requestor.identity, IdMaker().new(TEMPLATE))
        forger = replace(relationship.request, signature_keypair=crypto.SignatureKeypair.generate())
        sealed = crypto.seal_creation(text, relationship.requestor.device_key.private_key, forger)
        with pytest.raises(crypto.SignatureInvalid):
            crypto.open_creation(
                replace(sealed, public_request=relationship.request.public_request()), forger.request_key
            )
        with pytest.raises(crypto.SignatureInvalid):
            crypto.open_creation(sealed, forger.request_key, relationship.request.signature_keypair.public_key)

    def test_a_requestor_under_another_s_address_is_refused(self, relationship: Relationship) -> None:
        claimed = crypto.IdentityKey(Party.create().address, relationship.requestor.identity_key.public_key)
        text = crypto.creation_text({}, claimed, IdMaker().new(TEMPLATE))
        sealed = crypto.seal_creation(text, relationship.requestor.device_key.private_key, relationship.request)
        with pytest.raises(Mismatch):
            crypto.open_creation(sealed, relationship.request.request_key)

    def test_a_response_reaches_the_requestor_and_speaks_of_its_relationship(self, relationship: Relationship) -> None:
        relationship_id = IdMaker().new(RELATIONSHIP)
        text = crypto.response_text(relationship_id)
        sealed = crypto.seal_response(
            text, relationship.templator.device_key.private_key, fresh(relationship.templator_secrets), counter=COUNTER
        )
        read = crypto.CreationResponseCipher.from_base64(sealed.to_base64())
        requestor = crypto.RelationshipSecrets.from_response(relationship.request, read.public_response)
        assert crypto.open_response(read, requestor, relationship_id) == text
        with pytest.raises(Mismatch):
            crypto.open_response(read, requestor, IdMaker().new(RELATIONSHIP))

    @given(json_values(text=any_text))
    def test_any_sealed_json_is_refused_with_a_typed_error(self, value: Any) -> None:
        relationship = _shared()
        for members in (value, {"serializedCreationContent": value}, {"serializedCreationContent": dumps(value)}):
            cipher = crypto.encrypt(relationship.request.request_key, dumps(members).encode())
            sealed = crypto.CreationContentCipher(cipher, relationship.request.public_request())
            with pytest.raises(DomainError):
                crypto.open_creation(sealed, relationship.request.request_key)


_SHARED: list[Relationship] = []


def _shared() -> Relationship:
    if not _SHARED:
        _SHARED.append(establish())
    return _SHARED[0]


def send(
    relationship: Relationship, text: str | None = None, recipients: list[Address] | None = None
) -> tuple[crypto.SealedMessage, str]:
    """Returns a message from templator to requestor."""
    own = [relationship.requestor.address]
    text = text or crypto.message_text({"s": 1}, own if recipients is None else recipients, NOW)
    recipient = crypto.MessageRecipient(own[0], fresh(relationship.templator_secrets), COUNTER)
    return crypto.seal_message(text, [recipient], crypto.SecretKey.generate()), text


class TestMessages:
    def test_a_message_reaches_each_recipient_and_only_these(self, relationship: Relationship) -> None:
        others = [establish(), establish()]
        key = crypto.SecretKey.generate()
        recipients = [
            crypto.MessageRecipient(other.requestor.address, fresh(other.templator_secrets), COUNTER)
            for other in others
        ]
        attachment = FileReference("FILabcdefghijKLMNO12", crypto.SecretKey.generate(), "https://b.example")
        text = crypto.message_text({"a": 1}, [recipient.address for recipient in recipients], NOW, [attachment])
        sealed = crypto.seal_message(text, recipients, key)
        for other in others:
            opened = crypto.open_message(
                other.requestor.address, sealed.encrypted_keys, sealed.body, other.requestor_secrets
            )
            assert (opened.text, opened.key, opened.members["content"]) == (text, key, {"a": 1})
            assert FileReference.from_json(opened.members["attachments"][0]) == attachment
        with pytest.raises(crypto.RecipientMismatch):
            crypto.open_message(
                relationship.requestor.address, sealed.encrypted_keys, sealed.body, relationship.requestor_secrets
            )
        assert crypto.open_own_message(sealed.body, key) == text

    def test_a_used_counter_stops_the_message(self, relationship: Relationship) -> None:
        secrets = fresh(relationship.templator_secrets)
        recipient = crypto.MessageRecipient(relationship.requestor.address, secrets, COUNTER)
        text = crypto.message_text({}, [recipient.address], NOW)
        crypto.seal_message(text, [recipient], crypto.SecretKey.generate())
        with pytest.raises(crypto.CounterUsed):
            crypto.seal_message(text, [recipient], crypto.SecretKey.generate())

    def test_the_signed_text_names_the_recipient(self, relationship: Relationship) -> None:
        sealed, _ = send(relationship, recipients=[Party.create().address])
        own = relationship.requestor.address
        with pytest.raises(crypto.RecipientMismatch) as raised:
            crypto.open_message(own, sealed.encrypted_keys, sealed.body, relationship.requestor_secrets)
        assert raised.value.official_code == "error.transport.messages.plaintextMismatch"

    def test_a_message_of_another_relationship_is_refused(self, relationship: Relationship) -> None:
        sealed, _ = send(relationship)
        keys = {relationship.requestor.address: next(iter(sealed.encrypted_keys.values()))}
        with pytest.raises(crypto.DecryptionFailed):
            crypto.open_message(relationship.requestor.address, keys, sealed.body, establish().requestor_secrets)

    def test_a_signature_that_is_an_object_is_refused_as_upstream_does(self, relationship: Relationship) -> None:
        key, own = crypto.SecretKey.generate(), relationship.requestor.address
        signature = relationship.templator_secrets.sign(b"x").to_json()
        signed = {"message": "x", "signatures": [{"recipient": own, "signature": signature}]}
        with pytest.raises(WrongType):
            self._open(relationship, key, signed)

    @settings(max_examples=50)
    @given(value=json_values(text=any_text))
    def test_any_sealed_json_is_refused_with_a_typed_error(self, value: Any) -> None:
        relationship, key = _shared(), crypto.SecretKey.generate()
        own = relationship.requestor.address
        text = dumps(value)
        signature = relationship.templator_secrets.sign(text.encode()).to_text(verbose=False)
        signatures = [{"recipient": own, "signature": signature}]
        for signed in (
            value,
            {"message": value, "signatures": signatures},
            {"message": text, "signatures": value},
            {"message": text, "signatures": [value]},
            {"message": text, "signatures": [{"recipient": own, "signature": value}]},
            {"message": text, "signatures": signatures},
            {"message": dumps({"recipients": value}), "signatures": signatures},
        ):
            with pytest.raises(DomainError):
                self._open(relationship, key, signed)

    def _open(self, relationship: Relationship, key: crypto.SecretKey, signed: Any) -> None:
        own = relationship.requestor.address
        cipher = fresh(relationship.templator_secrets).encrypt(key.to_text(verbose=False).encode(), counter=COUNTER)
        crypto.open_message(own, {own: cipher.to_base64()}, wire_of(key, signed), relationship.requestor_secrets)

    @given(st.binary(max_size=60), any_text)
    def test_any_wire_text_is_refused_with_a_typed_error(self, data: bytes, text: str) -> None:
        relationship = _shared()
        own = relationship.requestor.address
        for wire in (text, to_base64url(data)):
            with pytest.raises(DomainError):
                crypto.open_message(own, {own: wire}, wire, relationship.requestor_secrets)
            with pytest.raises(DomainError):
                crypto.open_text(crypto.SecretKey(bytes(32)), wire)


class TestFiles:
    device_key = crypto.SignatureKeypair.generate().private_key

    @given(st.binary(max_size=300))
    def test_a_file_comes_back_and_notices_other_hashes(self, content: bytes) -> None:
        key = crypto.SecretKey.generate()
        sealed = crypto.seal_file(content, key, self.device_key)
        hashes = {"cipher_hash": sealed.cipher_hash, "plaintext_hash": sealed.plaintext_hash}
        assert crypto.open_file(sealed.body, key, **hashes) == content
        other = crypto.hash_text(b"other")
        for name in hashes:
            with pytest.raises(crypto.HashMismatch):
                crypto.open_file(sealed.body, key, **(hashes | {name: other}))
        with pytest.raises(crypto.HashMismatch):
            crypto.open_file(sealed.body + b" ", key, **hashes)
        with pytest.raises(crypto.DecryptionFailed):
            crypto.open_file(sealed.body, crypto.SecretKey.generate(), **hashes)
        digest = crypto.hash_bytes(content)
        self.device_key.public_key().verify(digest, sealed.owner_signature)

    @given(st.binary(max_size=100))
    def test_any_body_is_refused_with_a_typed_error(self, body: bytes) -> None:
        own = crypto.hash_text(body)
        with pytest.raises(DomainError):
            crypto.open_file(body, crypto.SecretKey(bytes(32)), cipher_hash=own, plaintext_hash=own)

    def test_a_file_of_ten_mebibytes_comes_back(self) -> None:
        content, key = bytes(10 * 1024 * 1024), crypto.SecretKey.generate()
        sealed = crypto.seal_file(content, key, self.device_key)
        opened = crypto.open_file(
            sealed.body, key, cipher_hash=sealed.cipher_hash, plaintext_hash=sealed.plaintext_hash
        )
        assert opened == content

    @given(json_values(text=any_text))
    def test_any_sealed_metadata_is_metadata_or_refused(self, value: Any) -> None:
        key = crypto.SecretKey(bytes(32))
        for members in (value, {"filename": "a", "filesize": value, "mimetype": "b"}):
            with pytest.raises(MalformedValue):
                crypto.open_metadata(wire_of(key, members), key)

    @pytest.mark.parametrize(
        ("size", "is_taken"), [(0, True), (5.0, True), (2**53, True), (-1, False), (2**53 + 1, False), (1e300, False)]
    )
    def test_a_size_is_taken_when_it_is_written_as_the_same_number(self, size: float, is_taken: bool) -> None:
        members = {"filename": "a", "filesize": size, "mimetype": "b", "plaintextHash": "c"}
        members["secretKey"] = crypto.SecretKey(bytes(32)).to_json()
        if is_taken:
            read = crypto.FileMetadata.from_json(members)
            assert read.filesize == size
            assert crypto.FileMetadata.from_text(read.to_text()) == read
        else:
            with pytest.raises(NumberOutOfRange):
                crypto.FileMetadata.from_json(members)


class TestTokens:
    key = crypto.SecretKey.generate()

    @given(json_values(text=any_text))
    def test_untyped_content_comes_back_as_it_is(self, value: Any) -> None:
        if isinstance(value, dict) and "@type" in value:
            return
        assert crypto.open_token_text(crypto.seal_token(value, self.key), self.key) == dumps(value)

    @given(st.sampled_from(["TokenContentFile", "TokenContentRelationshipTemplate"]), json_values(text=any_text))
    def test_typed_content_is_read_or_refused(self, name: str, value: Any) -> None:
        for members in ({"secretKey": value}, {"templateId": value}, {"fileId": value}, value):
            typed = {"@type": name} | (members if isinstance(members, dict) else {})
            with contextlib.suppress(MalformedValue):
                crypto.open_token(wire_of(self.key, typed), self.key)

    def test_a_token_opens_with_its_key_only(self) -> None:
        content = crypto.TokenContentFile("FILabcdefghijKLMNO12", crypto.SecretKey.generate())  # type: ignore[arg-type]
        wire = crypto.seal_token(content, self.key)
        assert crypto.open_token(wire, self.key) == content
        with pytest.raises(crypto.DecryptionFailed):
            crypto.open_token(wire, crypto.SecretKey.generate())

    def test_an_id_of_another_kind_is_refused(self) -> None:
        members = {"@type": "TokenContentFile", "fileId": "RLTabcdefghijKLMNO12", "secretKey": self.key.to_json()}
        with pytest.raises(WrongPrefix) as raised:
            crypto.parse_token_content(members)
        assert raised.value.field == "token.fileId"


class TestStoredSecrets:
    base_key = crypto.SecretKey.generate()

    def test_device_secrets_open_on_their_device(self) -> None:
        secret = crypto.SignatureKeypair.generate().private_key
        cipher = crypto.seal_device_secret(self.base_key, secret)
        assert crypto.open_device_secret(self.base_key, cipher) == secret
        with pytest.raises(crypto.DecryptionFailed):
            crypto.open_device_secret(crypto.SecretKey.generate(), cipher)

    @given(st.integers(0, 2**31 - 1))
    def test_synchronised_secrets_open_with_their_number(self, number: int) -> None:
        secret = crypto.ExchangeKeypair.generate()
        cipher = crypto.seal_synchronised_secret(self.base_key, secret, number)
        assert crypto.open_synchronised_secret(self.base_key, cipher, number) == secret
        with pytest.raises(crypto.DecryptionFailed):
            crypto.open_synchronised_secret(self.base_key, cipher, number ^ 1)

    def test_a_missing_number_counts_as_zero(self) -> None:
        cipher = crypto.seal_synchronised_secret(self.base_key, self.base_key, 0)
        assert crypto.open_synchronised_secret(self.base_key, cipher, None) == self.base_key

    def test_a_template_key_with_its_type_stays_one(self, relationship: Relationship) -> None:
        key_id = IdMaker().new(TEMPLATE_KEY)
        template_key = crypto.TemplatePublicKey(relationship.template_keypair.public_key.data, key_id)
        secrets = replace(relationship.request, peer_exchange_key=template_key)
        assert loads(secrets.to_text())["pxk"]["@type"] == "RelationshipTemplatePublicKey"
        assert crypto.parse_secret(secrets.to_text()) == secrets

    @given(st.integers(0, 2**31 - 1), st.text())
    def test_datawallet_payloads_open_at_their_index(self, index: int, text: str) -> None:
        wire = crypto.seal_payload(self.base_key, index, text)
        assert crypto.open_payload(self.base_key, index, wire) == text.removeprefix("\ufeff")
        with pytest.raises(crypto.DecryptionFailed):
            crypto.open_payload(self.base_key, index ^ 1, wire)

    def test_a_cipher_with_a_counter_is_no_stored_secret(self) -> None:
        with pytest.raises(MissingValue):
            crypto.open_device_secret(self.base_key, crypto.Cipher(bytes(20), counter=0))


class TestChallenges:
    def test_a_challenge_is_signed_as_its_text(self) -> None:
        pair = crypto.SignatureKeypair.generate()
        text = crypto.challenge_text({"type": "Identity", "id": "CHLabcdefghijKLMNO12", "expiresAt": "x"})
        assert text == '{"expiresAt":"x","id":"CHLabcdefghijKLMNO12","type":"Identity"}'
        signed = crypto.sign_challenge(text, pair.private_key)
        crypto.SignedChallenge.from_text(signed.to_text(verbose=False)).verify(pair.public_key)
        with pytest.raises(crypto.SignatureInvalid):
            replace(signed, challenge=text + " ").verify(pair.public_key)
