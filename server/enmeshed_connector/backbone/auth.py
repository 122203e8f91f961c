"""Access tokens: one for each device, fetched once for however many callers wait for it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlencode

from enmeshed_connector.backbone.answers import error_of
from enmeshed_connector.backbone.calls import Call, Repeat
from enmeshed_connector.backbone.errors import (
    AnswerUnusable,
    AuthenticationFailed,
    BackboneError,
    ClientRejected,
    CredentialsRejected,
    DeviceLockedOut,
)
from enmeshed_connector.backbone.wire import Fields, WireError, decode_json
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.secret_bytes import SecretText

TOKEN_CALL: Call[None] = Call(
    "auth.token", "POST", "/connect/token", lambda _answer: None, Repeat.SAFE, answer_cap_bytes=256 * 1024
)
"""The call as errors and records name it. Its form is written by `token_form`, its answer read by `read_token`."""

EARLY = timedelta(seconds=10)
"""How long before its end a token is given up, as official clients do."""

HOLD = timedelta(seconds=30)
"""For so long after refused credentials no further attempt is made: three wrong passwords lock a device out."""

LOCKED_OUT = timedelta(minutes=10)
"""How long the Backbone locks a device out."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,16384}\Z")


@dataclass(frozen=True, slots=True)
class DeviceCredentials:
    """What a device logs in with."""

    username: str
    """`USR…`."""
    password: SecretText


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token and when it ends."""

    value: str = field(repr=False)
    lifetime: timedelta
    """As the Backbone says, counted from its answer."""


def token_form(client_id: str, client_secret: SecretText, credentials: DeviceCredentials) -> bytes:
    """Returns the body of the token request."""
    form = {
        "grant_type": "password",
        "client_id": client_id,
        "client_secret": client_secret.reveal_text(),
        "username": credentials.username,
        "password": credentials.password.reveal_text(),
    }
    return urlencode(form).encode("ascii")


def read_token(body: bytes) -> AccessToken:
    """Returns the token in a successful answer.

    Raises:
        AnswerUnusable: There is none.
    """
    try:
        fields = Fields(decode_json(body), "token")
        token, seconds = fields.text("access_token"), fields.integer("expires_in")
        if not _TOKEN.match(token):
            raise WireError("token.access_token is no token")
    except WireError as error:
        raise AnswerUnusable(
            f"The Backbone's answer holds no token ({error}).", call=TOKEN_CALL.name, status=200
        ) from None
    return AccessToken(token, timedelta(seconds=max(0, min(seconds, 86_400))))


def refusal_of(status: int, body: bytes) -> BackboneError:
    """Returns the error for an answer that grants no token."""
    try:
        envelope = decode_json(body)
        refused = envelope.get("error") if isinstance(envelope, dict) else None
    except WireError:
        refused = None
    facts = {"refused": refused} if isinstance(refused, str) and re.fullmatch(r"[a-z_]{1,40}", refused) else {}
    if status == 400 and refused == "access_denied":
        return DeviceLockedOut(
            "The Backbone has locked this device out after wrong passwords.",
            call=TOKEN_CALL.name,
            status=status,
            facts=facts,
            retry_after=LOCKED_OUT,
        )
    if status == 400 and refused == "invalid_grant":
        return CredentialsRejected(
            "The Backbone does not accept this device's credentials, or the device or its identity is gone.",
            call=TOKEN_CALL.name,
            status=status,
            facts=facts,
            retry_after=HOLD,
        )
    if status in {400, 401, 403}:
        return ClientRejected(
            "The Backbone does not accept the platform client id or secret of the settings.",
            call=TOKEN_CALL.name,
            status=status,
            facts=facts,
        )
    return error_of(TOKEN_CALL, status, {}, body, now=None)


class TokenKeeper:
    """Holds the token of one device.

    However many callers need a token, one request is made: the others wait for it and share its result, a failure
    too. A caller that is cancelled while it makes the request leaves it to the next one that waits.
    """

    def __init__(
        self, credentials: DeviceCredentials, fetch: Callable[[DeviceCredentials], Awaitable[AccessToken]], clock: Clock
    ) -> None:
        """Begins without a token.

        Args:
            credentials: Of the device.
            fetch: Makes one token request; raises `BackboneError`.
            clock: Tells how long a token lasts.
        """
        self._credentials = credentials
        self._fetch = fetch
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token: AccessToken | None = None
        self._expires = 0.0
        self._attempts = 0
        self._failure: BackboneError | None = None
        self._held_until = 0.0

    async def token(self) -> AccessToken:
        """Returns a token that is good for some seconds more.

        Raises:
            AuthenticationFailed: None is granted.
            BackboneError: The Backbone cannot be asked.
        """
        if self._token is not None and self._clock.monotonic() < self._expires:
            return self._token
        attempts = self._attempts
        async with self._lock:
            if self._token is not None and self._clock.monotonic() < self._expires:
                return self._token
            if self._failure is not None and (self._attempts != attempts or self._clock.monotonic() < self._held_until):
                # Somebody else has asked while this caller waited, or credentials were refused a moment ago.
                # Each raise would lengthen the traceback that the shared error holds.
                raise self._failure.with_traceback(None)
            return await self._renew()

    def drop(self, token: AccessToken) -> None:
        """Forgets this token, which the Backbone has refused; a newer one is kept."""
        if self._token is token:
            self._token = None

    def replace_credentials(self, credentials: DeviceCredentials) -> None:
        """Uses these credentials from now on; a token that is still good stays in use."""
        self._credentials = credentials
        self._failure = None
        self._held_until = 0.0

    async def _renew(self) -> AccessToken:
        credentials = self._credentials
        try:
            token = await self._fetch(credentials)
        except BackboneError as error:
            # What the caller wants done was not sent at all.
            error.may_be_done = False
            if credentials is self._credentials:
                self._failure = error
                self._attempts += 1
                if isinstance(error, AuthenticationFailed):
                    hold = LOCKED_OUT if isinstance(error, DeviceLockedOut) else HOLD
                    self._held_until = self._clock.monotonic() + hold.total_seconds()
            raise
        self._attempts += 1
        self._failure = None
        self._held_until = 0.0
        self._token = token
        # A token that lives for less than the margin is used up rather than asked for before every call.
        usable = max(token.lifetime - EARLY, token.lifetime / 2)
        self._expires = self._clock.monotonic() + usable.total_seconds()
        return token
