"""References: what a person or a QR code carries to reach a file, token or template, the key included.

A reference has a truncated form (base64url of parts with `|` between) and a URL form, see `spec/crypto.md` section 14.
Both are secrets. Reading takes the forms of older official versions too: three parts, and a fourth password component;
writing gives the present form only. Everything besides is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, urlsplit

from .canonical_json import Json, JsonObject
from .encodings import from_base64, from_base64url, from_utf8, to_base64, to_base64url
from .ids import FILE, LOCAL, TEMPLATE, TOKEN, IdKind, parse_id
from .malformed import (
    MalformedValue,
    MissingValue,
    NumberOutOfRange,
    TooLarge,
    UnknownAlgorithm,
    WrongForm,
    WrongLength,
    WrongType,
)
from .secret_bytes import SecretBytes, SecretText

MAX_REFERENCE_LENGTH = 4096
"""Characters of the longest reference that is looked at."""

KEY_LENGTH = 32
SALT_LENGTH = 16
MAX_LOCATION_INDICATOR = 99

_ALGORITHM = 3
_FORM = "error.core-types.invalidTruncatedReference"
_ALGORITHM_CODE = "error.crypto.wrongEncryptionAlgorithm"
_KEY_CODE = "error.crypto.encryption.wrongSecretKey"
_FOR_IDENTITY = re.compile(r"[0-9a-f]{4}\Z")
_PASSWORD_TYPE = re.compile(r"(?:pw|pin(?:[4-9]|1[0-6]))\Z")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,9})\Z", re.ASCII)
_BASE_URL = re.compile(r"https?://[A-Za-z0-9._~:\[\]%/!$&'()*+,;=-]+\Z")

R = TypeVar("R", bound="Reference")


@dataclass(frozen=True)
class SharedPasswordProtection:
    """How the thing behind a reference is protected; the password itself travels another way."""

    password_type: str
    """`pw`, or `pinN` for N digits, N from 4 to 16."""
    salt: bytes
    """The 16 bytes that the password is hashed with."""
    location_indicator: int | None = None
    """Where the password is found: 0 to 99 (0 recovery kit, 1 self, 2 letter, 3 registration letter, 4 e-mail, 5 SMS,
    6 website, from 50 free for applications), or not told."""
    password: SecretText | None = None
    """The password in clear, which references of official version 7.0.0 may carry; read, never written."""

    def __post_init__(self) -> None:
        if not isinstance(self.password_type, str) or not _PASSWORD_TYPE.match(self.password_type):
            raise WrongForm("passwordProtection.passwordType", "must be pw or pin4 to pin16")
        if len(self.salt) != SALT_LENGTH:
            raise WrongLength("passwordProtection.salt", f"must have {SALT_LENGTH} bytes")
        indicator = self.location_indicator
        if indicator is not None and not 0 <= indicator <= MAX_LOCATION_INDICATOR:
            raise NumberOutOfRange(
                "passwordProtection.passwordLocationIndicator", f"must be 0 to {MAX_LOCATION_INDICATOR}"
            )

    def to_text(self) -> str:
        """Returns the password part of a reference: two or three components with `&` between."""
        text = f"{self.password_type}&{to_base64(self.salt)}"
        return text if self.location_indicator is None else f"{text}&{self.location_indicator}"

    @classmethod
    def from_text(cls, text: str) -> SharedPasswordProtection:
        """Returns the protection that a password part describes.

        Raises:
            MalformedValue: It is not built so.
        """
        field = "passwordProtection"
        components = text.split("&")
        if not 2 <= len(components) <= 4:
            raise WrongForm(field, "must have two, three or four components", official_code=_FORM)
        salt = _form(lambda: from_base64(components[1], f"{field}.salt"))
        indicator = None
        if len(components) > 2 and components[2]:
            if not _DECIMAL.match(components[2]):
                raise WrongForm(f"{field}.passwordLocationIndicator", "must be a decimal number", official_code=_FORM)
            indicator = int(components[2])
        password = SecretText(components[3]) if len(components) == 4 and components[3] else None
        return cls(components[0], salt, indicator, password)

    def to_json(self) -> JsonObject:
        """Returns the JSON members, without the password."""
        members: JsonObject = {}
        if self.location_indicator is not None:
            members["passwordLocationIndicator"] = self.location_indicator
        members["passwordType"] = self.password_type
        members["salt"] = to_base64url(self.salt)
        return members

    @classmethod
    def from_json(cls, value: Json, field: str = "passwordProtection") -> SharedPasswordProtection:
        """Returns the protection that JSON describes; unknown members are ignored.

        Raises:
            MalformedValue: A member is missing or wrong.
        """
        members = _object(value, field)
        indicator = members.get("passwordLocationIndicator")
        if isinstance(indicator, float) and indicator.is_integer():
            indicator = int(indicator)
        if indicator is not None and (not isinstance(indicator, int) or isinstance(indicator, bool)):
            raise WrongType(f"{field}.passwordLocationIndicator", "must be an integer")
        password = members.get("password")
        return cls(
            _text(members, "passwordType", field),
            from_base64url(_text(members, "salt", field), f"{field}.salt"),
            indicator,
            SecretText(password) if isinstance(password, str) else None,
        )


@dataclass(frozen=True)
class Reference:
    """A reference to something whose kind the id tells; the kinds with rules of their own are the subclasses."""

    type_name: ClassVar[str] = "Reference"
    kind: ClassVar[IdKind[Any]] = LOCAL

    id: str
    """The id of the thing."""
    key: SecretBytes
    """The 32-byte key of its content."""
    backbone_base_url: str | None = None
    """Where it is kept; without it, at the reader's own Backbone."""
    for_identity_truncated: str | None = None
    """The last four characters of the only address that may open it."""
    password_protection: SharedPasswordProtection | None = None
    """Set when a password must be given to load it."""

    def __post_init__(self) -> None:
        parse_id(self.kind, self.id)
        if not isinstance(self.key, SecretBytes) or len(self.key) != KEY_LENGTH:
            raise WrongLength("key", f"must have {KEY_LENGTH} bytes", official_code=_KEY_CODE)
        if self.backbone_base_url is not None:
            check_base_url(self.backbone_base_url)
        if self.for_identity_truncated is not None and not _FOR_IDENTITY.match(self.for_identity_truncated):
            raise WrongForm("forIdentityTruncated", "must be four lower-case hexadecimal digits")

    def to_truncated(self) -> str:
        """Returns the truncated form, a secret."""
        base = f"@{self.backbone_base_url}" if self.backbone_base_url is not None else ""
        return to_base64url(f"{self.id}{base}|{self._key_parts()}".encode())

    def to_url(self, app_id: str | None = None) -> str:
        """Returns the URL form, a secret.

        Args:
            app_id: The application that should open it.

        Raises:
            MissingValue: There is no base URL in this reference.
        """
        if self.backbone_base_url is None:
            raise MissingValue(
                "backboneBaseUrl", "is needed for a URL", official_code="error.core-types.missingBackboneBaseUrl"
            )
        query = f"?app={quote(app_id, safe='')}" if app_id is not None else ""
        fragment = to_base64url(self._key_parts().encode())
        return f"{self.backbone_base_url}/r/{self.id}{query}#{fragment}"

    def to_json(self, *, verbose: bool = True) -> JsonObject:
        """Returns the JSON members in their order, with `@type` when verbose. They are a secret."""
        members: JsonObject = {"@type": self.type_name} if verbose else {}
        if self.backbone_base_url is not None:
            members["backboneBaseUrl"] = self.backbone_base_url
        if self.for_identity_truncated is not None:
            members["forIdentityTruncated"] = self.for_identity_truncated
        members["id"] = self.id
        members["key"] = {"key": to_base64url(self.key.reveal()), "alg": _ALGORITHM}
        if self.password_protection is not None:
            members["passwordProtection"] = self.password_protection.to_json()
        return members

    @classmethod
    def from_json(cls: type[R], value: Json, field: str = "reference") -> R:
        """Returns the reference that JSON describes; its `@type` and unknown members are ignored.

        Raises:
            MalformedValue: A member is missing or wrong.
        """
        members = _object(value, field)
        key = _object(members.get("key"), f"{field}.key")
        algorithm = key.get("alg", key.get("algorithm"))
        if algorithm != _ALGORITHM or isinstance(algorithm, bool):
            raise UnknownAlgorithm(f"{field}.key.alg", "must be 3", official_code=_ALGORITHM_CODE)
        protection = members.get("passwordProtection")
        return cls(
            _text(members, "id", field),
            SecretBytes(from_base64url(_text(key, "key", f"{field}.key"), f"{field}.key.key")),
            _text(members, "backboneBaseUrl", field) if members.get("backboneBaseUrl") is not None else None,
            _text(members, "forIdentityTruncated", field) if members.get("forIdentityTruncated") is not None else None,
            SharedPasswordProtection.from_json(protection, f"{field}.passwordProtection")
            if protection is not None
            else None,
        )

    @classmethod
    def parse(cls: type[R], text: str) -> R:
        """Returns the reference of this class that a truncated form or a URL describes.

        Args:
            text: At most 4096 characters; what begins with `http` is taken for a URL.

        Raises:
            TooLarge: It is longer.
            WrongPrefix: It refers to another kind of thing.
            MalformedValue: It is no reference.
        """
        plain = _plain_text(text)
        parts = plain.split("|")
        if len(parts) not in (3, 5):
            raise WrongForm("reference", "must have three or five parts", official_code=_FORM)
        identity, separator, base_url = parts[0].partition("@")
        if not _DECIMAL.match(parts[1]):
            raise WrongForm("reference.alg", "must be a decimal number", official_code=_FORM)
        if int(parts[1]) != _ALGORITHM:
            raise UnknownAlgorithm("reference.alg", "must be 3", official_code=_ALGORITHM_CODE)
        protection = parts[4] if len(parts) == 5 else ""
        return cls(
            parse_id(cls.kind, identity),
            SecretBytes(from_base64url(parts[2], "reference.key")),
            base_url if separator else None,
            (parts[3] or None) if len(parts) == 5 else None,
            SharedPasswordProtection.from_text(protection) if protection else None,
        )

    def _key_parts(self) -> str:
        protection = self.password_protection.to_text() if self.password_protection is not None else ""
        return f"{_ALGORITHM}|{to_base64url(self.key.reveal())}|{self.for_identity_truncated or ''}|{protection}"


@dataclass(frozen=True)
class FileReference(Reference):
    """A reference to a file; its key opens the metadata, which hold the key of the content."""

    type_name: ClassVar[str] = "FileReference"
    kind: ClassVar[IdKind[Any]] = FILE


@dataclass(frozen=True)
class TokenReference(Reference):
    """A reference to a token."""

    type_name: ClassVar[str] = "TokenReference"
    kind: ClassVar[IdKind[Any]] = TOKEN


@dataclass(frozen=True)
class RelationshipTemplateReference(Reference):
    """A reference to a relationship template."""

    type_name: ClassVar[str] = "RelationshipTemplateReference"
    kind: ClassVar[IdKind[Any]] = TEMPLATE


_KINDS: tuple[type[Reference], ...] = (FileReference, TokenReference, RelationshipTemplateReference)


def parse_reference(text: str) -> Reference:
    """Returns the reference of whatever kind its id tells: file, token, template, or the general one.

    Raises:
        TooLarge: It is over 4096 characters.
        MalformedValue: It is no reference.
    """
    reference = Reference.parse(text)
    for kind in _KINDS:
        if reference.id.startswith(kind.kind.prefix):
            return kind(
                reference.id,
                reference.key,
                reference.backbone_base_url,
                reference.for_identity_truncated,
                reference.password_protection,
            )
    return reference


def check_base_url(text: str, field: str = "backboneBaseUrl") -> str:
    """Returns the base URL when a reference can carry it: http or https, host, port and path, without `|` and `@`.

    Raises:
        WrongForm: It is something else.
        WrongLength: It is over 2048 characters.
    """
    if len(text) > 2048:
        raise WrongLength(field, "must have 2048 characters at most")
    problem = WrongForm(field, "must be an http or https URL of host, port and path")
    if not _BASE_URL.match(text):
        raise problem
    try:
        parts = urlsplit(text)
        if not parts.hostname or parts.port == 0:
            raise problem
    except ValueError:
        raise problem from None
    return text


def _plain_text(text: str) -> str:
    if not isinstance(text, str):
        raise WrongType("reference", "must be text")
    if len(text) > MAX_REFERENCE_LENGTH:
        raise TooLarge("reference", f"is over {MAX_REFERENCE_LENGTH} characters")
    if not text.startswith("http"):
        return from_utf8(from_base64url(text, "reference"), "reference")
    problem = WrongForm("reference", "must be a URL <base>/r/<id>#<key parts>", official_code=_FORM)
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:
        raise problem from None
    base_path, separator, identity = url.path.rpartition("/r/")
    if url.scheme not in ("http", "https") or not host or not separator or "@" in url.netloc or "|" in url.path:
        raise problem
    if ":" in host:
        host = f"[{host}]"
    default_port = {"http": 80, "https": 443}[url.scheme]
    origin = f"{url.scheme}://{host}" + (f":{port}" if port not in (None, default_port) else "")
    fragment = from_utf8(from_base64url(url.fragment, "reference.fragment"), "reference.fragment")
    if fragment.count("|") not in (1, 3):
        raise WrongForm("reference.fragment", "must have two or four parts", official_code=_FORM)
    return f"{identity}@{origin}{base_path}|{fragment}"


def _form(decode: Callable[[], bytes]) -> bytes:
    try:
        return decode()
    except MalformedValue as error:
        error.official_code = _FORM
        raise


def _object(value: Json, field: str) -> JsonObject:
    if not isinstance(value, dict):
        raise WrongType(field, "must be a JSON object")
    return value


def _text(members: JsonObject, name: str, field: str) -> str:
    value = members.get(name)
    if value is None:
        raise MissingValue(f"{field}.{name}", "is missing")
    if not isinstance(value, str):
        raise WrongType(f"{field}.{name}", "must be text")
    return value
