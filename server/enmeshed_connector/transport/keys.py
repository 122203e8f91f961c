"""The keys of this device and what it signs with.

Source: crypto.md, section 7.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.encodings import to_utf8
from enmeshed_connector.core.ids import DeviceId
from enmeshed_connector.crypto.signatures import Signature, SignatureLabel, SignaturePrivateKey, SignaturePublicKey
from enmeshed_connector.crypto.symmetric import SecretKey
from enmeshed_connector.transport.errors import IdentityKeyMissing
from enmeshed_connector.transport.objects import Document


@dataclass(frozen=True)
class OwnIdentity:
    """Who this account is."""

    address: Address
    public_key: SignaturePublicKey

    def to_json(self) -> Document:
        """Returns the members as they stand inside other objects, without `@type`."""
        return {"address": self.address, "publicKey": self.public_key.to_json(verbose=False)}


@dataclass(frozen=True)
class KeyRing:
    """What this device holds in secret. Prints without any of it."""

    device_base: SecretKey = field(repr=False)
    """Seals the device secrets in the local database."""
    device: SignaturePrivateKey = field(repr=False)
    """Signs as this device."""
    identity: SignaturePrivateKey | None = field(repr=False)
    """Signs as the identity; only admin devices hold it."""
    shared_base: SecretKey = field(repr=False)
    """Seals the secrets that all devices share."""
    synchronisation: SecretKey = field(repr=False)
    """Seals the payloads of the datawallet."""

    def sign_as_device(self, text: str) -> Signature:
        """Returns this device's signature of a text's UTF-8 bytes."""
        return self.device.sign(to_utf8(text), SignatureLabel.IDENTITY)

    def sign_as_identity(self, text: str) -> Signature:
        """Returns the identity's signature of a text's UTF-8 bytes.

        Raises:
            IdentityKeyMissing: This is not an admin device.
        """
        return self.identity_key().sign(to_utf8(text), SignatureLabel.IDENTITY)

    def identity_key(self) -> SignaturePrivateKey:
        """Returns the identity's private key.

        Raises:
            IdentityKeyMissing: This is not an admin device.
        """
        if self.identity is None:
            raise IdentityKeyMissing("This device does not hold the identity's key; use an admin device.")
        return self.identity


@dataclass(frozen=True)
class OwnDevice:
    """Which device this is."""

    id: DeviceId
    username: str
    is_first: bool = False
    """Whether this is the device that the identity was made with."""
