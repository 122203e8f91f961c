"""Addresses of identities: `did:e:<host>:dids:<20 digits of the key's hash><2 digits of checksum>`.

Source: `spec/crypto.md` section 6. An address is derived from the identity's public signature key and the host of its
Backbone, so that a peer's key can be checked against the address it claims.
"""

from __future__ import annotations

import hashlib
import re
from typing import NewType

from .malformed import ChecksumMismatch, Mismatch, WrongForm, WrongLength, WrongType

Address = NewType("Address", str)

MAX_ADDRESS_LENGTH = 80
"""Characters of the longest address that a Backbone takes."""

_ADDRESS = re.compile(
    r"did:e:(?P<host>[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*)"
    r":dids:(?P<identity>[0-9a-f]{20})(?P<checksum>[0-9a-f]{2})\Z"
)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*\Z")
_DELETED = "deleted identity"
_PUBLIC_KEY_LENGTH = 32


def derive_address(public_key: bytes, host: str) -> Address:
    """Returns the address of the identity with this key.

    Args:
        public_key: The raw 32 bytes of the identity's public signature key.
        host: The host part of the Backbone's base URL, without port, or the configured override of it.

    Raises:
        WrongLength: The key has not 32 bytes.
        WrongForm: The host is no host name.
    """
    if len(public_key) != _PUBLIC_KEY_LENGTH:
        raise WrongLength("publicKey", f"must have {_PUBLIC_KEY_LENGTH} bytes")
    return _address_of(public_key, host)


def parse_address(text: str, field: str = "address") -> Address:
    """Returns the text as an address, with its checksum checked.

    Raises:
        WrongType: The value is not text.
        WrongLength: It is over 80 characters.
        WrongForm: It is not built as an address is.
        ChecksumMismatch: The last two digits do not belong to the rest, as after a typing error.
    """
    if not isinstance(text, str):
        raise WrongType(field, "must be an address, as text")
    if len(text) > MAX_ADDRESS_LENGTH:
        raise WrongLength(field, f"must be an address: {MAX_ADDRESS_LENGTH} characters at most")
    match = _ADDRESS.match(text)
    if match is None:
        raise WrongForm(field, "must be an address: did:e:<host>:dids:<22 hexadecimal digits>")
    if _checksum(text[:-2]) != match["checksum"]:
        raise ChecksumMismatch(field, "is an address with a wrong checksum")
    return Address(text)


def check_address(address: str, *, host: str, public_key: bytes | None = None, field: str = "address") -> Address:
    """Returns the address when it belongs to the host and, if one is given, to the key.

    Official peers compare only the beginning of the host; this compares all of it.

    Args:
        address: The claimed address.
        host: The host that the Backbone's addresses carry.
        public_key: The raw public signature key that the address must derive from, if known.
        field: The path of the value, for the error.

    Raises:
        MalformedValue: As `parse_address`.
        Mismatch: The address is of another host or another key.
    """
    parsed = parse_address(address, field)
    if address_host(parsed) != host:
        raise Mismatch(field, "is an address of another host")
    if public_key is not None and derive_address(public_key, host) != parsed:
        raise Mismatch(field, "is not the address of this public key")
    return parsed


def address_host(address: Address) -> str:
    """Returns the host inside an address."""
    return address[len("did:e:") : -len(":dids:") - 22]


def truncated_address(address: Address) -> str:
    """Returns the last four characters, which personalised references carry."""
    return address[-4:]


def client_pseudonym(host: str) -> Address:
    """Returns the address that stands for a deleted peer in what clients write: the text as UTF-8 in place of a key.

    Args:
        host: The host of the Backbone's base URL; an override of the address host does not count here.
    """
    return _address_of(_DELETED.encode("utf-8"), host)


def backbone_pseudonym(host: str) -> Address:
    """Returns the address that stands for a deleted peer in what a Backbone writes: the text as UTF-16LE."""
    return _address_of(_DELETED.encode("utf-16-le"), host)


def is_pseudonym(address: Address) -> bool:
    """Returns whether the address stands for a deleted peer, in the client's or the Backbone's form."""
    host = address_host(address)
    return address in (client_pseudonym(host), backbone_pseudonym(host))


def _address_of(data: bytes, host: str) -> Address:
    if not _HOST.match(host):
        raise WrongForm("host", "must be a host name without port")
    identity = hashlib.sha256(hashlib.sha512(data).digest()).digest()[:10].hex()
    phrase = f"did:e:{host}:dids:{identity}"
    return Address(phrase + _checksum(phrase))


def _checksum(phrase: str) -> str:
    return hashlib.sha256(phrase.encode("utf-8")).digest()[:1].hex()
