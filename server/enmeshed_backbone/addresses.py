"""Identity addresses, derived here independently of the Connector so that one shared mistake cannot hide.

Source: specification of the Consumer API, §4.1.
"""

from __future__ import annotations

import hashlib
import re

MAX_LENGTH = 80

_DOMAIN = re.compile(r"(?:[a-z0-9-]+\.)*[a-z]{2,}")
_ADDRESS = re.compile(rf"did:e:{_DOMAIN.pattern}:dids:[0-9a-f]{{22}}")


def is_domain(text: str) -> bool:
    """Returns whether addresses may be made with this domain: 3 to 45 characters, the last label only letters."""
    return 3 <= len(text) <= 45 and _DOMAIN.fullmatch(text) is not None


def derive(key: bytes, domain: str) -> str:
    """Returns the address of an identity.

    Args:
        key: The raw 32 bytes of its Ed25519 public key (any bytes are taken, see `anonymised`).
        domain: The domain of this Backbone, lower-case.
    """
    name = hashlib.sha256(hashlib.sha512(key).digest()).digest()[:10].hex()
    main = f"did:e:{domain}:dids:{name}"
    return main + _checksum(main)


def anonymised(domain: str) -> str:
    """Returns the address that stands for identities that are gone or whose relationship was decomposed."""
    return derive("deleted identity".encode("utf-16-le"), domain)


def is_address(text: str) -> bool:
    """Returns whether the text has the form of an address, of any domain, with a fitting checksum."""
    return len(text) <= MAX_LENGTH and _ADDRESS.fullmatch(text) is not None and _checksum(text[:-2]) == text[-2:]


def _checksum(main: str) -> str:
    return hashlib.sha256(main.encode("ascii")).digest()[:1].hex()
