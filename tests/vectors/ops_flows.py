"""The operations of the vectors on relationships, references and exchanges, done by the product's own functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from enmeshed_connector import crypto
from enmeshed_connector.core import encodings, references
from enmeshed_connector.core.addresses import derive_address
from enmeshed_connector.core.canonical_json import dumps
from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.secret_bytes import SecretText
from tests.vectors.ops_primitives import Members, key_of, parsed


class Replay:
    """A source of random bytes that gives recorded ones, in order."""

    def __init__(self, *recorded: bytes) -> None:
        self._recorded = list(recorded)

    def __call__(self, length: int) -> bytes:
        data = self._recorded.pop(0)
        assert len(data) == length
        return data

    def assert_used_up(self) -> None:
        assert not self._recorded


def signing_key(text: str) -> crypto.SignaturePrivateKey:
    return crypto.SignaturePrivateKey(bytes.fromhex(text))


def identity_of(given: Members, address: str = "identity_address") -> crypto.IdentityKey:
    public_key = crypto.SignaturePublicKey(bytes.fromhex(given["identity_public_hex"]))
    return crypto.IdentityKey(given[address], public_key)


def typed(content_json: str) -> Any:
    """Returns the content as the network orders it: a typed one by its class, any other as it is."""
    content = crypto.parse_token_content(parsed(content_json))
    return content if isinstance(content, (dict, list)) else content.to_json()


def state_sequence(given: Members) -> Members:
    transmit = crypto.TransmitState.from_text(given["transmit_json"])
    receive = crypto.ReceiveState.from_text(given["receive_json"])
    first = transmit.counter
    ciphers = [
        transmit.encrypt(text.encode("utf-8"), counter=first + place) for place, text in enumerate(given["plaintexts"])
    ]
    for cipher, text in zip(ciphers, given["plaintexts"], strict=True):
        plaintext, receive = receive.decrypt_in_order(cipher)
        assert plaintext.decode("utf-8") == text
        assert transmit.decrypt(cipher) == plaintext
    public_state = transmit.public_state()
    assert crypto.PublicState.from_text(public_state.to_text()) == public_state
    return {
        "public_state_json": public_state.to_text(),
        "public_state_json_nonverbose": public_state.to_text(verbose=False),
        "ciphers": [cipher.to_text() for cipher in ciphers],
        "transmit_json_after": transmit.at(first + len(ciphers)).to_text(),
        "receive_json_after": receive.to_text(),
    }


def state_decrypt(given: Members) -> Members:
    state = crypto.ReceiveState.from_text(given["receive_json"])
    cipher = crypto.Cipher.from_text(given["cipher_json"])
    plaintext = state.decrypt(cipher) if given["omitCounterCheck"] else state.decrypt_in_order(cipher)[0]
    return {"plaintext": plaintext.decode("utf-8")}


def decrypt_request(given: Members) -> Members:
    secrets = crypto.RelationshipSecrets.from_text(given["secrets_json"])
    return {"plaintext": secrets.decrypt_request(crypto.Cipher.from_text(given["cipher_json"])).decode("utf-8")}


def decrypt_peer(given: Members) -> Members:
    secrets = crypto.RelationshipSecrets.from_text(given["secrets_json"])
    cipher = crypto.Cipher.from_text(given["cipher_json"])
    plaintext = secrets.decrypt_peer(cipher) if given["omitCounterCheck"] else secrets.decrypt_peer_in_order(cipher)[0]
    return {"plaintext": plaintext.decode("utf-8")}


def handshake(given: Members, expected: Members) -> Members:
    """The recorded secrets give only what was random; everything else is made again on both sides."""
    template_keypair = crypto.ExchangeKeypair.from_text(given["template_keypair_json"])
    identity_key = crypto.SignaturePublicKey.from_text(given["templator_identity_public_json"])
    recorded = crypto.RequestSecrets.from_text(given["request_secrets_json"])
    random = Replay(
        recorded.exchange_keypair.private_key.reveal(),
        recorded.ephemeral_keypair.private_key.reveal(),
        recorded.signature_keypair.private_key.reveal()[:32],
        recorded.nonce,
    )
    request_secrets = crypto.RequestSecrets.create(recorded.peer_exchange_key, identity_key, random)
    random.assert_used_up()
    assert request_secrets.peer_exchange_key.data == template_keypair.public_key.data
    assert request_secrets.to_text() == given["request_secrets_json"]
    request = request_secrets.public_request()
    drawn = crypto.RelationshipSecrets.from_text(expected["templator_secrets_json"])
    random = Replay(
        drawn.exchange_keypair.private_key.reveal(),
        drawn.signature_keypair.private_key.reveal()[:32],
        drawn.transmit_state.nonce,
    )
    read_request = crypto.PublicRequest.from_base64(request.to_base64())
    templator = crypto.RelationshipSecrets.from_request(read_request, template_keypair, random)
    random.assert_used_up()
    response = templator.public_response()
    requestor = crypto.RelationshipSecrets.from_response(
        request_secrets, crypto.PublicResponse.from_text(response.to_text())
    )
    creation = crypto.Cipher.from_text(given["creation_cipher_json"])
    plaintext = given["creation_plaintext"].encode("utf-8")
    assert templator.decrypt_request(creation) == plaintext
    assert requestor.encrypt_request(plaintext, nonce=creation.nonce) == creation
    answer = templator.encrypt(given["response_plaintext"].encode("utf-8"), counter=0)
    assert answer.to_text() == given["response_cipher_json"]
    assert requestor.decrypt_peer(answer).decode("utf-8") == given["response_plaintext"]
    signature = requestor.sign(expected["signed_text"].encode("utf-8"))
    templator.verify_peer(expected["signed_text"].encode("utf-8"), signature)
    return {
        "public_request_json": request.to_text(),
        "public_request_json_nonverbose": request.to_text(verbose=False),
        "public_response_json": response.to_text(),
        "public_response_json_nonverbose": response.to_text(verbose=False),
        "templator_secrets_json": templator.to_text(),
        "requestor_secrets_json": requestor.to_text(),
        "request_secret_key_hex": requestor.request_key.reveal().hex(),
        "requestor_transmit_key_hex": requestor.transmit_state.key.reveal().hex(),
        "requestor_receive_key_hex": requestor.receive_state.key.reveal().hex(),
        "requestor_to_templator": _conversation(requestor, templator, expected["requestor_to_templator"]),
        "templator_to_requestor": _conversation(templator, requestor, expected["templator_to_requestor"]),
        "signed_text": expected["signed_text"],
        "relationship_signature_json": signature.to_text(),
        "relationship_signature_valid": True,
    }


def _conversation(
    sender: crypto.RelationshipSecrets, receiver: crypto.RelationshipSecrets, recorded: list[Members]
) -> list[Members]:
    made = []
    for entry in recorded:
        counter = crypto.Cipher.from_text(entry["cipher_json"]).counter
        assert counter is not None
        cipher = sender.encrypt(entry["plaintext"].encode("utf-8"), counter=counter)
        assert receiver.decrypt_peer(cipher) == sender.decrypt_own(cipher)
        made.append({"plaintext": receiver.decrypt_peer(cipher).decode("utf-8"), "cipher_json": cipher.to_text()})
    return made


def reference_create(given: Members) -> Members:
    kind: type[references.Reference] = getattr(references, given["type"])
    protection = given.get("passwordProtection")
    reference = kind(
        given["id"],
        key_of(given["key_hex"]),
        given.get("backboneBaseUrl"),
        given.get("forIdentityTruncated"),
        protection
        and references.SharedPasswordProtection(
            protection["passwordType"],
            bytes.fromhex(protection["salt_hex"]),
            protection.get("passwordLocationIndicator"),
        ),
    )
    truncated = reference.to_truncated()
    assert kind.parse(truncated) == references.parse_reference(truncated) == reference
    assert kind.from_json(reference.to_json()) == reference
    found = {
        "plaintext": encodings.from_base64url(truncated, "reference").decode("utf-8"),
        "truncated": truncated,
        "json_verbose": dumps(reference.to_json()),
        "json_nonverbose": dumps(reference.to_json(verbose=False)),
    }
    if reference.backbone_base_url is not None:
        found["url"] = reference.to_url()
        fragment = found["url"].partition("#")[2]
        found["urlFragmentPlaintext"] = encodings.from_base64url(fragment, "fragment").decode("utf-8")
        found["urlWithApp"] = reference.to_url(given["appId"]) if "appId" in given else found["url"]
        assert kind.parse(found["url"]) == kind.parse(found["urlWithApp"]) == reference
    return found


def reference_parse(given: Members) -> Members:
    kind: type[references.Reference] = getattr(references, given["type"])
    reference = kind.parse(given["text"])
    protection = reference.password_protection
    return {
        "id": reference.id,
        "key_hex": reference.key.reveal().hex(),
        "algorithm": 3,
        "backboneBaseUrl": reference.backbone_base_url,
        "forIdentityTruncated": reference.for_identity_truncated,
        "passwordProtection": protection
        and {
            "passwordType": protection.password_type,
            "salt_hex": protection.salt.hex(),
            "passwordLocationIndicator": protection.location_indicator,
        },
    }


def _attachments(given: Members) -> list[references.FileReference]:
    return [
        references.FileReference(entry["id"], key_of(entry["key_hex"]), entry.get("backboneBaseUrl"))
        for entry in given["attachments"]
    ]


def _message_text(given: Members, recipients: list[Any]) -> str:
    return crypto.message_text(
        typed(given["content_json"]), recipients, parse_date(given["createdAt"]), _attachments(given)
    )


def message_content_wrapper(given: Members) -> Members:
    text = _message_text(given, given["recipients"])
    bare = parsed(text)
    del bare["@type"]
    return {"json_verbose": text, "json_nonverbose": dumps(bare)}


def template_content_wrapper(given: Members) -> Members:
    template_key = crypto.TemplatePublicKey(bytes.fromhex(given["templateKey_hex"]), given["templateKeyId"])
    text = crypto.template_text(typed(given["content_json"]), identity_of(given, "address"), template_key)
    return {"json_verbose": text}


def create_identity(given: Members) -> Members:
    private = signing_key(given["identity_private_hex"])
    text = crypto.challenge_text(given["challenge_fields"])
    signed = crypto.sign_challenge(text, private)
    signed.verify(private.public_key())
    return {
        "identityPublicKey": private.public_key().to_base64(),
        "challenge": text,
        "signature": signed.signature.to_base64(),
        "address": derive_address(private.public_key().data, given["hostname"]),
    }


def challenge(given: Members) -> Members:
    is_relationship = given["signer"] == "relationship"
    label = crypto.SignatureLabel.RELATIONSHIP if is_relationship else crypto.SignatureLabel.IDENTITY
    private = signing_key(given["private_hex"])
    signed = crypto.sign_challenge(crypto.challenge_text(given["challenge_fields"]), private, label)
    crypto.SignedChallenge.from_text(signed.to_text()).verify(private.public_key())
    return {
        "challenge": signed.challenge,
        "signature": signed.signature.to_base64(),
        "signed_json_verbose": signed.to_text(),
        "signed_json_nonverbose": signed.to_text(verbose=False),
    }


def challenge_check(given: Members) -> None:
    members = {"challenge": given["challenge"], "signature": given["signature"]}
    crypto.SignedChallenge.from_json(members).verify(crypto.SignaturePublicKey(bytes.fromhex(given["public_hex"])))


def _protection(given: Members) -> crypto.PasswordProtection | None:
    if "password" not in given:
        return None
    shared = references.SharedPasswordProtection(
        given["password_type"], bytes.fromhex(given["salt_hex"]), given.get("password_location_indicator")
    )
    return crypto.PasswordProtection(SecretText(given["password"]), shared)


def _reference_forms(
    given: Members, kind: type[references.Reference], id_name: str, key_hex: str
) -> tuple[Members, str | None]:
    protection = _protection(given)
    for_identity = given.get("for_identity")
    reference = kind(
        given[id_name],
        key_of(key_hex),
        given["backboneBaseUrl"],
        for_identity and for_identity[-4:],
        protection.shared if protection else None,
    )
    password = {"wire_password": protection.hashed()} if protection else {}
    return {"reference": reference.to_truncated(), "url": reference.to_url(), **password}, None


def template(given: Members) -> Members:
    template_key = crypto.TemplatePublicKey(bytes.fromhex(given["template_key_public_hex"]), given["template_key_id"])
    identity_key, key = signing_key(given["identity_private_hex"]), key_of(given["secret_key_hex"])
    text = crypto.template_text(typed(given["content_json"]), identity_of(given), template_key)
    signed = crypto.sign_template(text, identity_key)
    wire = crypto.seal_template(text, identity_key, key, nonce=bytes.fromhex(given["nonce_hex"]))
    opened = crypto.open_template(wire, key)
    assert (opened.text, opened.template_key, opened.identity) == (text, template_key, identity_of(given))
    found, _ = _reference_forms(given, references.RelationshipTemplateReference, "template_id", given["secret_key_hex"])
    return {
        "serializedTemplate": text,
        "deviceSignature": parsed(signed)["deviceSignature"],
        "signed_json": signed,
        "cipher_json": crypto.Cipher.from_base64(wire).to_text(),
        "wire_content": wire,
        **found,
    }


def template_open(given: Members) -> Members:
    return {"serializedTemplate": crypto.open_template(given["wire_content"], key_of(given["secret_key_hex"])).text}


def relationship_creation(given: Members) -> Members:
    secrets = crypto.RequestSecrets.from_text(given["request_secrets_json"])
    assert secrets.to_text() == given["request_secrets_json"]
    device_key = signing_key(given["device_private_hex"])
    text = crypto.creation_text(typed(given["content_json"]), identity_of(given), given["template_id"])
    sealed = crypto.seal_creation(text, device_key, secrets, nonce=bytes.fromhex(given["nonce_hex"]))
    template_keypair = crypto.ExchangeKeypair.from_text(given["template_keypair_json"])
    templator = crypto.RelationshipSecrets.from_request(sealed.public_request, template_keypair)
    opened = crypto.open_creation(crypto.CreationContentCipher.from_base64(sealed.to_base64()), templator.request_key)
    assert (opened.text, opened.identity, opened.template_id) == (text, identity_of(given), given["template_id"])
    return {
        "serializedCreationContent": text,
        "signed_json": crypto.sign_creation(text, device_key, secrets),
        "cipher_wrapper_json": sealed.to_text(),
        "wire_creationContent": sealed.to_base64(),
    }


def relationship_creation_open(given: Members) -> Members:
    sealed = crypto.CreationContentCipher.from_base64(given["wire_creationContent"])
    opened = crypto.open_creation(sealed, key_of(given["request_secret_key_hex"]))
    return {"serializedCreationContent": opened.text}


def relationship_response(given: Members) -> Members:
    secrets = crypto.RelationshipSecrets.from_text(given["templator_secrets_json"])
    assert secrets.to_text() == given["templator_secrets_json"]
    device_key = signing_key(given["device_private_hex"])
    text = crypto.response_text(given["relationship_id"])
    sealed = crypto.seal_response(text, device_key, secrets, counter=given["counter"])
    request_secrets = crypto.RequestSecrets.from_text(given["requestor_request_secrets_json"])
    read = crypto.CreationResponseCipher.from_base64(sealed.to_base64())
    requestor = crypto.RelationshipSecrets.from_response(request_secrets, read.public_response)
    assert crypto.open_response(read, requestor, given["relationship_id"]) == text
    return {
        "serializedCreationResponseContent": text,
        "signed_json": crypto.sign_response(text, device_key, secrets),
        "cipher_wrapper_json": sealed.to_text(),
        "wire_creationResponseContent": sealed.to_base64(),
    }


def message(given: Members) -> Members:
    key = key_of(given["secret_key_hex"])
    recipients = [
        crypto.MessageRecipient(
            entry["address"],
            crypto.RelationshipSecrets.from_text(entry["sender_relationship_secrets_json"]),
            entry["counter"],
        )
        for entry in given["recipients"]
    ]
    text = _message_text(given, [recipient.address for recipient in recipients])
    sealed = crypto.seal_message(text, recipients, key, nonce=bytes.fromhex(given["nonce_hex"]))
    assert crypto.open_own_message(sealed.body, key) == text
    return {
        "message_json": text,
        "signed_json": crypto.sign_message(text, recipients),
        "cipher_json": crypto.Cipher.from_base64(sealed.body).to_text(),
        "wire_body": sealed.body,
        "wire_encryptedKeys": dict(sealed.encrypted_keys),
        "wire_attachments": [{"id": reference.id} for reference in _attachments(given)],
    }


def message_open(given: Members) -> Members:
    secrets = crypto.RelationshipSecrets.from_text(given["receiver_relationship_secrets_json"])
    assert secrets.to_text() == given["receiver_relationship_secrets_json"]
    own = given["own_address"]
    envelope = dict.fromkeys(given.get("envelope_recipients", [own]), str(given.get("encryptedKey", "")))
    opened = crypto.open_message(own, envelope, given["body"], secrets)
    return {
        "secret_key_json": opened.key.to_text(verbose=False),
        "message_json": opened.text,
        "signature_valid": True,
    }


def file(given: Members) -> Members:
    content, key = bytes.fromhex(given["plaintext_hex"]), key_of(given["file_key_hex"])
    sealed = crypto.seal_file(
        content, key, signing_key(given["device_private_hex"]), nonce=bytes.fromhex(given["file_nonce_hex"])
    )
    fields = given["metadata_fields"]
    metadata = crypto.FileMetadata(
        filename=fields["filename"],
        filesize=len(content),
        mimetype=fields["mimetype"],
        plaintext_hash=sealed.plaintext_hash,
        secret_key=key,
        title=fields.get("title"),
        description=fields.get("description"),
        file_modified=fields.get("filemodified"),
        tags=tuple(fields["tags"]) if "tags" in fields else None,
    )
    metadata_key = key_of(given["metadata_key_hex"])
    wire = crypto.seal_metadata(metadata, metadata_key, nonce=bytes.fromhex(given["metadata_nonce_hex"]))
    opened = crypto.open_metadata(wire, metadata_key)
    assert opened == metadata
    assert (
        crypto.open_file(
            sealed.body, opened.secret_key, cipher_hash=sealed.cipher_hash, plaintext_hash=opened.plaintext_hash
        )
        == content
    )
    found, _ = _reference_forms(given, references.FileReference, "file_id", given["metadata_key_hex"])
    return {
        "plaintextHash": sealed.plaintext_hash,
        "upload_content_utf8": sealed.body.decode("utf-8"),
        "cipherHash": sealed.cipher_hash,
        "metadata_json": metadata.to_text(),
        "encryptedProperties": wire,
        "ownerSignature": sealed.owner_signature.to_base64(),
        **found,
    }


def file_open(given: Members) -> Members:
    content = crypto.open_file(
        given["content_utf8"].encode("utf-8"),
        key_of(given["file_key_hex"]),
        cipher_hash=given["cipherHash"],
        plaintext_hash=given["plaintextHash"],
    )
    return {"plaintext_hex": content.hex()}


def token(given: Members) -> Members:
    key = key_of(given["secret_key_hex"])
    content = crypto.parse_token_content(parsed(given["content_json"]))
    wire = crypto.seal_token(content, key, nonce=bytes.fromhex(given["nonce_hex"]))
    assert crypto.open_token(wire, key) == content
    found, _ = _reference_forms(given, references.TokenReference, "token_id", given["secret_key_hex"])
    return {"cipher_json": crypto.Cipher.from_base64(wire).to_text(), "wire_content": wire, **found}


def device_secret(given: Members) -> Members:
    base_key, cipher = key_of(given["device_base_key_hex"]), crypto.Cipher.from_text(given["cipher_json"])
    text = crypto.open_device_secret_text(base_key, cipher)
    secret = crypto.open_device_secret(base_key, cipher)
    assert secret.to_text() == text
    assert crypto.seal_device_secret(base_key, secret, nonce=cipher.nonce) == cipher
    return {"plaintext_json": text}


def synchronised_secret(given: Members) -> Members:
    base_key, cipher = key_of(given["shared_base_key_hex"]), crypto.Cipher.from_text(given["cipher_json"])
    text = crypto.open_synchronised_secret_text(base_key, cipher, given["nonce"])
    secret = crypto.open_synchronised_secret(base_key, cipher, given["nonce"])
    assert secret.to_text() == text
    assert crypto.seal_synchronised_secret(base_key, secret, given["nonce"] or 0, nonce=cipher.nonce) == cipher
    return {"plaintext_json": text}


def datawallet(given: Members) -> Members:
    key, nonce = key_of(given["synchronization_key_hex"]), bytes.fromhex(given["nonce_hex"])
    wire = crypto.seal_payload(key, given["index"], given["payload_json"], nonce=nonce)
    assert crypto.open_payload(key, given["index"], wire) == given["payload_json"]
    assert dumps(parsed(given["payload_json"])) == given["payload_json"]
    return {"encryptedPayload": wire}


def datawallet_open(given: Members) -> Members:
    key = key_of(given["synchronization_key_hex"])
    return {"payload_json": crypto.open_payload(key, given["index"], given["encryptedPayload"])}


OPERATIONS: dict[str, Callable[[Members], Members]] = {
    "state.sequence": state_sequence,
    "state.decrypt": state_decrypt,
    "relationship.decryptRequest": decrypt_request,
    "relationship.decryptPeer": decrypt_peer,
    "reference.create": reference_create,
    "reference.parse": reference_parse,
    "json.messageContentWrapper": message_content_wrapper,
    "json.templateContentWrapper": template_content_wrapper,
    "flow.createIdentity": create_identity,
    "flow.challenge": challenge,
    "flow.template": template,
    "flow.templateOpen": template_open,
    "flow.relationshipCreation": relationship_creation,
    "flow.relationshipCreationOpen": relationship_creation_open,
    "flow.relationshipResponse": relationship_response,
    "flow.message": message,
    "flow.messageOpen": message_open,
    "flow.file": file,
    "flow.fileOpen": file_open,
    "flow.token": token,
    "flow.deviceSecret": device_secret,
    "flow.secret": synchronised_secret,
    "flow.datawallet": datawallet,
    "flow.datawalletOpen": datawallet_open,
}

CHECKS: dict[str, Callable[[Members], None]] = {"flow.challengeCheck": challenge_check}

WITH_RECORDED: dict[str, Callable[[Members, Members], Members]] = {"relationship.handshake": handshake}
"""Operations that take the random keys from the recorded outcome."""
