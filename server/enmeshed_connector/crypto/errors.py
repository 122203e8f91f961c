"""What can go wrong in cryptography. Texts name fields and never hold keys, plaintexts or ciphertexts."""

from __future__ import annotations

from enmeshed_connector.core.errors import Code, DomainError
from enmeshed_connector.core.malformed import MalformedValue


class DecryptionFailed(DomainError):
    """The tag does not fit: another key, nonce or counter, or altered bytes. Says nothing of which, on purpose."""

    reason, code = "DECRYPTION_FAILED", Code.FAILED_PRECONDITION
    default_official_code = "error.crypto.encryption.decrypt"


class SignatureInvalid(DomainError):
    """A signature does not belong to these bytes and this key."""

    reason, code = "SIGNATURE_INVALID", Code.FAILED_PRECONDITION
    default_official_code = "error.transport.signatureNotValid"


class KeyExchangeFailed(DomainError):
    """No shared key comes from the peer's public key, such as from one of small order."""

    reason, code = "KEY_EXCHANGE_FAILED", Code.FAILED_PRECONDITION
    default_official_code = "error.crypto.exchange.keyDerivation"


class CounterUsed(DomainError):
    """A counter was used before with this channel; nothing was encrypted. Using it again would reveal plaintexts."""

    reason, code = "COUNTER_USED", Code.INTERNAL


class CounterOutOfOrder(DomainError):
    """A cipher carries another counter than the receive state expects."""

    reason, code = "COUNTER_OUT_OF_ORDER", Code.FAILED_PRECONDITION
    default_official_code = "error.crypto.state.orderDoesNotMatch"


class HashMismatch(DomainError):
    """Content does not have the hash that belongs to it."""

    reason, code = "HASH_MISMATCH", Code.FAILED_PRECONDITION


class RecipientMismatch(DomainError):
    """A message is not for this address, or does not say so in every place where it must."""

    reason, code = "RECIPIENT_MISMATCH", Code.FAILED_PRECONDITION


class NonceAndCounter(MalformedValue):
    """A cipher has both a nonce and a counter."""

    problem = "NONCE_AND_COUNTER"


class NeitherNonceNorCounter(MalformedValue):
    """A cipher has neither a nonce nor a counter."""

    problem = "NEITHER_NONCE_NOR_COUNTER"


class CounterOutOfRange(MalformedValue):
    """A counter is not an integer from 0 to 4294967295."""

    problem = "COUNTER_OUT_OF_RANGE"


class UnknownSecretType(MalformedValue):
    """A stored secret or token content names a type that is none of its kind."""

    problem = "UNKNOWN_TYPE"
