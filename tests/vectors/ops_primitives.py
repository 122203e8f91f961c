"""The operations of the vectors on primitives and serialised objects, done by the product's own functions.

An operation takes the `in` members and returns the `out` members; a check returns nothing and raises when the vector's
answer is `valid: false`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from enmeshed_connector import crypto
from enmeshed_connector.core import canonical_json, encodings
from enmeshed_connector.core.addresses import check_address, client_pseudonym, derive_address
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.ids import find_id
from enmeshed_connector.crypto import text_forms

Members = dict[str, Any]


def encode(given: Members) -> Members:
    data = bytes.fromhex(given["hex"])
    return {
        "base64": encodings.to_base64(data),
        "base64_nopadding": encodings.to_base64(data).rstrip("="),
        "base64url_nopadding": encodings.to_base64url(data),
        "base58": text_forms.to_base58(data),
        "csv": text_forms.to_csv(data),
        "latin1_utf8hex": text_forms.to_latin1(data).encode("utf-8").hex(),
    }


def pem(given: Members) -> Members:
    return {"pem": text_forms.to_pem(bytes.fromhex(given["hex"]), given.get("label", "PUBLIC KEY"))}


def utf8(given: Members) -> Members:
    data = encodings.to_utf8(given["text"])
    return {"hex": data.hex(), "utf8_base64": encodings.to_base64url(data)}


def decode_utf8(given: Members) -> Members:
    return {"text": encodings.from_utf8(bytes.fromhex(given["hex"]), "text")}


def _decoder(decode: Callable[[str, str], bytes]) -> Callable[[Members], Members]:
    return lambda given: {"hex": decode(given["text"], "text").hex()}


def hashes(given: Members) -> Members:
    data = bytes.fromhex(given["hex"])
    if "algorithm" in given:
        return {"hash_hex": crypto.hash_bytes(data, given["algorithm"]).hex()}
    return {
        "sha256_hex": crypto.hash_bytes(data, crypto.HashAlgorithm.SHA256).hex(),
        "sha512_hex": crypto.hash_bytes(data, crypto.HashAlgorithm.SHA512).hex(),
        "coreHash_sha512": crypto.hash_text(data),
    }


def core_hash_verify(given: Members) -> None:
    crypto.check_hash(bytes.fromhex(given["contentHex"]), given["hash"])


def key_of(text: str) -> crypto.SecretKey:
    return crypto.SecretKey(bytes.fromhex(text))


def forms(value: Any) -> Members:
    """Returns every serialised form of an object, after reading each of them back."""
    found = {
        "json_verbose": value.to_text(),
        "json_nonverbose": value.to_text(verbose=False),
        "base64": value.to_base64(),
    }
    found["base64_nonverbose"] = value.to_base64(verbose=False)
    for name, text in found.items():
        again = type(value).from_base64(text) if name.startswith("base64") else type(value).from_text(text)
        assert again == value, name
    return found


def aead_encrypt(given: Members) -> Members:
    nonce, plaintext = bytes.fromhex(given["nonce_hex"]), bytes.fromhex(given["plaintext_hex"])
    cipher = crypto.encrypt(key_of(given["key_hex"]), plaintext, nonce=nonce)
    assert crypto.decrypt(key_of(given["key_hex"]), cipher) == plaintext
    return {"cipher_hex": cipher.ciphertext.hex(), **forms(cipher)}


def aead_decrypt(given: Members) -> Members:
    cipher = crypto.Cipher(bytes.fromhex(given["cipher_hex"]), nonce=bytes.fromhex(given["nonce_hex"]))
    return {"plaintext_hex": crypto.decrypt(key_of(given["key_hex"]), cipher).hex()}


def aead_encrypt_with_counter(given: Members) -> Members:
    key, nonce = key_of(given["key_hex"]), bytes.fromhex(given["nonce_hex"])
    plaintext = bytes.fromhex(given["plaintext_hex"])
    cipher = crypto.encrypt_with_counter(key, plaintext, base_nonce=nonce, counter=given["counter"])
    assert crypto.decrypt_with_counter(key, cipher, base_nonce=nonce) == plaintext
    return {"cipher_hex": cipher.ciphertext.hex(), **forms(cipher)}


def aead_decrypt_with_counter(given: Members) -> Members:
    cipher = crypto.Cipher(bytes.fromhex(given["cipher_hex"]), counter=given["counter"])
    nonce = bytes.fromhex(given["nonce_hex"])
    return {"plaintext_hex": crypto.decrypt_with_counter(key_of(given["key_hex"]), cipher, base_nonce=nonce).hex()}


def cipher_parse(given: Members) -> Members:
    return {"json_verbose": crypto.Cipher.from_text(given["json"]).to_text()}


def nonce_add(given: Members) -> Members:
    return {"nonce_hex": crypto.nonce_at(bytes.fromhex(given["nonce_hex"]), given["counter"]).hex()}


def secret_key(given: Members) -> Members:
    key_text = encodings.to_base64url(bytes.fromhex(given["key_hex"]))
    return forms(crypto.SecretKey.from_json({"key": key_text, "alg": given.get("algorithm", 3)}))


def signature_keypair(given: Members) -> Members:
    pair = crypto.SignatureKeypair.from_seed(bytes.fromhex(given["seed_hex"]))
    assert crypto.SignatureKeypair.from_private_key(pair.private_key) == pair
    return {
        "public_hex": pair.public_key.data.hex(),
        "private_hex": pair.private_key.reveal().hex(),
        "keypair": forms(pair),
        "publicKey": forms(pair.public_key),
        "privateKey": forms(pair.private_key),
        "publicPem": text_forms.to_pem(pair.public_key.data, "PUBLIC KEY"),
        "privatePem": text_forms.to_pem(pair.private_key.reveal(), "PRIVATE KEY"),
    }


def exchange_keypair(given: Members) -> Members:
    pair = crypto.ExchangeKeypair.from_private_key(crypto.ExchangePrivateKey(bytes.fromhex(given["private_hex"])))
    return {
        "public_hex": pair.public_key.data.hex(),
        "keypair": forms(pair),
        "publicKey": forms(pair.public_key),
        "privateKey": forms(pair.private_key),
    }


def template_public_key(given: Members) -> Members:
    return forms(crypto.TemplatePublicKey(bytes.fromhex(given["public_hex"]), given["id"]))


def signature_public_key(given: Members) -> Members:
    key_text = encodings.to_base64url(bytes.fromhex(given["public_hex"]))
    return forms(crypto.SignaturePublicKey.from_json({"pub": key_text, "alg": given.get("algorithm", 3)}))


def signature_sign(given: Members) -> Members:
    private = crypto.SignaturePrivateKey(bytes.fromhex(given["private_hex"]))
    message = bytes.fromhex(given["message_hex"])
    signature = private.sign(message, crypto.SignatureLabel(given.get("alg", 2)))
    private.public_key().verify(message, signature)
    return {"signature_hex": signature.data.hex(), **forms(signature)}


def signature_verify(given: Members) -> None:
    signature = crypto.Signature(bytes.fromhex(given["signature_hex"]), crypto.SignatureLabel.IDENTITY)
    crypto.SignaturePublicKey(bytes.fromhex(given["public_hex"])).verify(bytes.fromhex(given["message_hex"]), signature)


def kx_derive(given: Members) -> Members:
    templator_public = crypto.ExchangePublicKey(bytes.fromhex(given["templator_public_hex"]))
    requestor = crypto.ExchangeKeypair.from_private_key(
        crypto.ExchangePrivateKey(bytes.fromhex(given["requestor_private_hex"]))
    )
    ours = requestor.derive_as_requestor(templator_public)
    templator = crypto.ExchangeKeypair.from_private_key(
        crypto.ExchangePrivateKey(bytes.fromhex(given["templator_private_hex"]))
    )
    assert templator.public_key == templator_public
    assert requestor.public_key.data.hex() == given["requestor_public_hex"]
    theirs = templator.derive_as_templator(requestor.public_key)
    serialised = forms(ours)
    return {
        "requestor_rx_hex": ours.receive.reveal().hex(),
        "requestor_tx_hex": ours.transmit.reveal().hex(),
        "templator_rx_hex": theirs.receive.reveal().hex(),
        "templator_tx_hex": theirs.transmit.reveal().hex(),
        "requestor_secrets_json": serialised["json_verbose"],
        "requestor_secrets_json_nonverbose": serialised["json_nonverbose"],
    }


def kdf(given: Members) -> Members:
    derived = crypto.derive_key(key_of(given["base_hex"]), given["id"], given["context"])
    return {"key_hex": derived.reveal().hex()}


def password_hash(given: Members) -> Members:
    salt = bytes.fromhex(given["salt_hex"])
    assert encodings.from_base64(given["salt_base64"], "salt") == salt
    hashed = crypto.hash_password(given["password"], salt)
    return {"hash_base64": hashed, "hash_hex": encodings.from_base64(hashed, "hash").hex()}


def password_argon2(given: Members) -> Members:
    hashed = crypto.argon2(
        bytes.fromhex(given["password_hex"]),
        bytes.fromhex(given["salt_hex"]),
        algorithm=given["algorithm"],
        operations=given["opslimit"],
        memory_bytes=given["memlimit"],
        length=given["length"],
    )
    return {"key_hex": hashed.hex()}


def stream_pull(given: Members) -> Members:
    ciphertexts = [bytes.fromhex(text) for text in given["ciphers_hex"]]
    plaintexts = crypto.pull_stream(key_of(given["key_hex"]), bytes.fromhex(given["header_hex"]), ciphertexts)
    return {"plaintexts": [plaintext.decode("utf-8") for plaintext in plaintexts], "tag": 1}


def address_create(given: Members) -> Members:
    return {"address": derive_address(bytes.fromhex(given["public_hex"]), given["hostname"])}


def address_check(given: Members) -> None:
    public_key = bytes.fromhex(given["public_hex"]) if given.get("public_hex") else None
    check_address(given["address"], host=given["hostname"], public_key=public_key)


def address_pseudonym(given: Members) -> Members:
    assert given["text"] == "deleted identity"
    return {"address": client_pseudonym(given["hostname"])}


def id_validate(given: Members) -> None:
    find_id(given["prefix"], given["id"])


def core_date(given: Members) -> Members:
    return {"text": format_date(parse_date(given["text"]))}


def parsed(text: str) -> Any:
    return canonical_json.loads(text)


OPERATIONS: dict[str, Callable[[Members], Members]] = {
    "encode": encode,
    "pem": pem,
    "utf8": utf8,
    "decode.base64url_nopadding": _decoder(encodings.from_base64url),
    "decode.base64": _decoder(encodings.from_base64),
    "decode.hex": _decoder(encodings.from_hex),
    "decode.base58": _decoder(text_forms.from_base58),
    "decode.utf8": decode_utf8,
    "hash": hashes,
    "aead.encrypt": aead_encrypt,
    "aead.decrypt": aead_decrypt,
    "cipher.parse": cipher_parse,
    "nonce.add": nonce_add,
    "aead.encryptWithCounter": aead_encrypt_with_counter,
    "aead.decryptWithCounter": aead_decrypt_with_counter,
    "key.secretKey": secret_key,
    "key.signatureKeypair": signature_keypair,
    "key.exchangeKeypair": exchange_keypair,
    "key.relationshipTemplatePublicKey": template_public_key,
    "key.signaturePublicKey": signature_public_key,
    "signature.sign": signature_sign,
    "kx.derive": kx_derive,
    "kdf.deriveFromBase": kdf,
    "password.hash": password_hash,
    "password.argon2": password_argon2,
    "stream.pull": stream_pull,
    "address.create": address_create,
    "address.pseudonym": address_pseudonym,
    "json.coreDate": core_date,
}

CHECKS: dict[str, Callable[[Members], None]] = {
    "coreHash.verify": core_hash_verify,
    "signature.verify": signature_verify,
    "address.check": address_check,
    "id.validate": id_validate,
}
