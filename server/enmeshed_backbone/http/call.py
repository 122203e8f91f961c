"""What a route is, what its handler is given and what it gives back."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import invalid_property, refused, unparsable
from .access import Caller
from .binding import Body, Query

if TYPE_CHECKING:
    from ..services import Services
    from ..store import Transaction


class Auth(enum.Enum):
    """Who may call a route."""

    TOKEN = "token"  # noqa: S105  # The name of a rule.
    """Only a device with a valid access token."""
    OPTIONAL = "optional"
    """Everybody; a valid token is taken into account, another is ignored."""
    NONE = "none"
    """Everybody; tokens are not looked at."""


class Access(enum.Enum):
    """What a route does to the data."""

    READ = "read"
    WRITE = "write"


class BodyKind(enum.Enum):
    """What a route takes as its body."""

    NONE = "none"
    """Nothing; what is sent is read and ignored."""
    JSON = "json"
    """A JSON object."""
    OPTIONAL_JSON = "optional_json"
    """A JSON object or no body at all."""
    RAW_JSON = "raw_json"
    """Any JSON value."""
    FORM = "form"
    """`application/x-www-form-urlencoded`."""
    MULTIPART = "multipart"
    """`multipart/form-data`."""


@dataclass(frozen=True)
class Page:
    """Which part of a list was asked for."""

    number: int
    size: int

    @property
    def offset(self) -> int:
        """How many items come before it."""
        return (self.number - 1) * self.size


@dataclass(frozen=True)
class Reply:
    """What a handler answers.

    Attributes:
        status: The HTTP status.
        result: What goes into the envelope; ignored for 204 and when there is a raw body.
        pagination: The part of the list, when it has more than one page.
        raw: A body outside of any envelope, with its content type.
        headers: Further headers, names in lower case.
    """

    status: int
    result: Any = None
    pagination: Mapping[str, int] | None = None
    raw: tuple[str, bytes] | None = None
    headers: Sequence[tuple[str, str]] = ()


def ok(result: Any) -> Reply:
    """Returns a 200 with a result."""
    return Reply(200, result)


def created(result: Any, location: str | None = None) -> Reply:
    """Returns a 201 with a result and, where the resource can be read alone, its place."""
    return Reply(201, result, headers=(("location", location),) if location else ())


NO_CONTENT = Reply(204)
"""A 204: success without a result."""


def paged(items: list[Any], total: int, page: Page) -> Reply:
    """Returns a 200 with one page of a list. Only lists of more than one page tell that they have pages."""
    pages = -(-total // page.size)
    if pages <= 1:
        return Reply(200, items)
    pagination = {"pageNumber": page.number, "pageSize": page.size, "totalPages": pages, "totalRecords": total}
    return Reply(200, items, pagination)


@dataclass
class Call:
    """One request, as a handler sees it."""

    services: Services
    parameters: Mapping[str, str]
    query: Query
    headers: Mapping[bytes, bytes]
    caller: Caller | None
    body_value: Any = None
    form: Mapping[str, Any] = field(default_factory=dict)
    body_size: int = 0

    @property
    def me(self) -> Caller:
        """The caller of a route that only a device with a token reaches."""
        if self.caller is None:
            raise AssertionError("The route lets anonymous callers in and does not expect them.")
        return self.caller

    @property
    def address(self) -> str:
        """The address of the caller of a route that needs a token."""
        return self.me.address

    @property
    def body(self) -> Body:
        """The JSON object of the body."""
        return Body(self.body_value)

    def page(self) -> Page:
        """Returns the page that was asked for.

        Raises:
            ApiError: It is too large, or smaller than one.
        """
        settings = self.services.settings
        number = self.query.integer_or_none("pageNumber")
        size = self.query.integer_or_none("pageSize")
        if number is not None and number < 1:
            raise invalid_property("pageNumber starts at 1.")
        if size is not None and not 1 <= size <= settings.max_page_size:
            raise refused(
                "validation.pagination.invalidPageSize", f"pageSize must be from 1 to {settings.max_page_size}."
            )
        return Page(number or 1, size or settings.page_size)

    def supported_datawallet_version(self) -> int:
        """Returns the version that the client's header names, 0 without one."""
        raw = self.headers.get(b"x-supported-datawallet-version")
        if raw is None:
            return 0
        text = raw.decode("latin-1").strip()
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < 2**16):
            raise unparsable("X-Supported-Datawallet-Version must be an integer from 0 to 65535.")
        return int(text)


Handler = Callable[[Call, "Transaction"], Reply]


@dataclass(frozen=True)
class Route:
    """One operation of the API."""

    method: str
    path: str
    """With `{name}` for segments that vary."""
    handler: Handler
    access: Access = Access.READ
    auth: Auth = Auth.TOKEN
    body: BodyKind = BodyKind.NONE
