"""Why no answer came: the many exceptions of two HTTP libraries, brought down to what decides about a repeat."""

from __future__ import annotations

from typing import Literal

import aiohttp
import httpx

Cause = Literal["network", "address", "tls", "proxy", "timeout", "deadline", "queue", "silence", "cut", "status"]


class HttpFault(Exception):
    """One attempt gave no complete answer.

    Attributes:
        sent: Whether anything of the request may have left this process.
        cause: In one word, why.
    """

    def __init__(self, cause: Cause, *, sent: bool) -> None:
        super().__init__(cause)
        self.cause: Cause = cause
        self.sent = sent


# The httpx class says little here: its aiohttp transport reports a refused connection, a server that hung up after
# reading the request, and others, all as ConnectTimeout. The aiohttp error behind it is exact. The first fit counts.
_CAUSES: tuple[tuple[type[BaseException], Cause], ...] = (
    (aiohttp.ClientConnectorDNSError, "address"),
    (aiohttp.InvalidURL, "address"),
    (aiohttp.ClientConnectorCertificateError, "tls"),
    (aiohttp.ClientConnectorSSLError, "tls"),
    (aiohttp.ServerFingerprintMismatch, "tls"),
    (aiohttp.ClientProxyConnectionError, "proxy"),
    (aiohttp.ClientHttpProxyError, "proxy"),
    (aiohttp.ClientConnectorError, "network"),
    (aiohttp.ConnectionTimeoutError, "timeout"),
    (aiohttp.SocketTimeoutError, "silence"),
    (httpx.InvalidURL, "address"),
    (httpx.UnsupportedProtocol, "address"),
)


def fault_of(error: Exception, *, sent: bool) -> HttpFault:
    """Returns the fault behind an exception of httpx or aiohttp.

    Args:
        error: What was raised.
        sent: Whether the connection saw the head of the request leave. This alone decides; the class gives the cause.
    """
    root = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    for kind, cause in _CAUSES:
        if isinstance(root, kind):
            return HttpFault("network" if cause == "cut" and not sent else cause, sent=sent)
    return HttpFault("cut" if sent else "network", sent=sent)
