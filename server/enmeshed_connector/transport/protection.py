"""Password protection and personalisation of templates and tokens: what both have in common.

The password only opens the door at the Backbone; content is always encrypted with the key of the reference.
Source: transport.md, sections 15.2 and 15.3.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from enmeshed_connector.core.addresses import Address, truncated_address
from enmeshed_connector.core.encodings import from_base64url, to_base64url
from enmeshed_connector.core.references import Reference, SharedPasswordProtection
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.derivation import PasswordProtection, argon2
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import NoPasswordProvided, NotIntendedForYou
from enmeshed_connector.transport.objects import Document, without_unset


def local_form(password: SecretText, shared: SharedPasswordProtection) -> Document:
    """Returns how a protection is kept in a document, the clear password included."""
    return without_unset(
        password=password.reveal_text(),
        passwordLocationIndicator=shared.location_indicator,
        passwordType=shared.password_type,
        salt=to_base64url(shared.salt),
    )


def protection_of(document: Document) -> PasswordProtection | None:
    """Returns the protection that a stored template or token has, None for none."""
    stored: dict[str, Any] | None = document.get("passwordProtection")
    if stored is None:
        return None
    shared = SharedPasswordProtection(
        stored["passwordType"],
        from_base64url(stored["salt"], "passwordProtection.salt"),
        stored.get("passwordLocationIndicator"),
    )
    return PasswordProtection(SecretText(stored["password"]), shared)


async def hash_of(password: SecretText, salt: bytes) -> bytes:
    """Returns what the Backbone is shown in place of a password; computed in a worker thread."""
    return await asyncio.to_thread(argon2, password.reveal(), salt)


def password_for(reference: Reference, password: SecretText | None) -> SecretText | None:
    """Returns the password to load something with; one inside the reference (official version 7.0.0) counts, too.

    Raises:
        NoPasswordProvided: The reference says that one is needed, and there is none.
    """
    protection = reference.password_protection
    if protection is None:
        return None
    given = password or protection.password
    if given is None or not given.reveal_text():
        raise NoPasswordProvided(f"{reference.id} is protected: give its password.", facts={"id": reference.id})
    return given


async def hash_for(reference: Reference, password: SecretText | None) -> bytes | None:
    """Returns the hash to show for a reference, None when it is not protected."""
    if password is None or reference.password_protection is None:
        return None
    return await hash_of(password, reference.password_protection.salt)


def check_recipient(context: AccountContext, reference: Reference) -> None:
    """Returns when the reference is for everybody or for this identity.

    Raises:
        NotIntendedForYou: It is for another one.
    """
    suffix = reference.for_identity_truncated
    if suffix is not None and not context.identity.address.endswith(suffix):
        raise NotIntendedForYou(f"{reference.id} is personalised for another identity.", facts={"id": reference.id})


def reference_parts(context: AccountContext, document: Document) -> dict[str, Any]:
    """Returns what a reference to a stored template or token has besides its id and key."""
    protection = protection_of(document)
    for_identity = document.get("forIdentity")
    return {
        "backbone_base_url": context.settings.base_url,
        "for_identity_truncated": None if for_identity is None else truncated_address(cast(Address, for_identity)),
        "password_protection": None if protection is None else protection.shared,
    }
