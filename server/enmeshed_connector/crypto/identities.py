"""How an identity names itself in what it signs: address and public key, bound to each other. Source: section 19."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from enmeshed_connector.core.addresses import Address, address_host, check_address, parse_address
from enmeshed_connector.core.canonical_json import JsonObject

from ._container import Container, read_text, required
from .signatures import SignaturePublicKey


@dataclass(frozen=True, slots=True)
class IdentityKey(Container):
    """An address with the public identity key that it claims to derive from."""

    type_name: ClassVar[str] = "Identity"
    type_comes_first: ClassVar[bool] = True

    address: Address
    public_key: SignaturePublicKey

    def check_binding(self, field: str = "identity") -> None:
        """Returns when the address derives from the key.

        Official readers leave this to the Backbone; without it, whoever controls a Backbone can put another key here.

        Raises:
            Mismatch: The address is that of another key.
        """
        check_address(
            self.address, host=address_host(self.address), public_key=self.public_key.data, field=f"{field}.address"
        )

    def _members(self) -> JsonObject:
        return {"address": self.address, "publicKey": self.public_key.to_json(verbose=False)}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> IdentityKey:
        return cls(
            parse_address(read_text(members, "address", "address", field), f"{field}.address"),
            SignaturePublicKey.from_json(required(members, "publicKey", "publicKey", field), f"{field}.publicKey"),
        )
