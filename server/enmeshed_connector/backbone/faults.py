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
# reading the request, and others, all as ConnectTimeout. The aiohttp error behind it is exact. The first class that
# fits counts.
_UNSENT: tuple[tuple[type[BaseException], Cause], ...] = (
    (aiohttp.ClientConnectorDNSError, "address"),
    (aiohttp.ClientConnectorCertificateError, "tls"),
    (aiohttp.ClientConnectorSSLError, "tls"),
    (aiohttp.ServerFingerprintMismatch, "tls"),
    (aiohttp.ClientProxyConnectionError, "proxy"),
    (aiohttp.ClientHttpProxyError, "proxy"),
    (aiohttp.ClientConnectorError, "network"),
    (aiohttp.ConnectionTimeoutError, "timeout"),
    (aiohttp.InvalidURL, "address"),
)
_SENT: tuple[tuple[type[BaseException], Cause], ...] = (
    (aiohttp.SocketTimeoutError, "silence"),
    (aiohttp.ClientError, "cut"),
)
_PLAIN_UNSENT: tuple[tuple[type[BaseException], Cause], ...] = (
    (httpx.ConnectError, "network"),
    (httpx.ConnectTimeout, "timeout"),
    (httpx.PoolTimeout, "queue"),
    (httpx.ProxyError, "proxy"),
    (httpx.UnsupportedProtocol, "address"),
    (httpx.InvalidURL, "address"),
)
_PLAIN_SENT: tuple[tuple[type[BaseException], Cause], ...] = (
    (httpx.TimeoutException, "silence"),
    (Exception, "cut"),
)


def fault_of(error: Exception, *, sent: bool) -> HttpFault:
    """Returns the fault behind an exception of httpx or aiohttp.

    Args:
        error: What was raised.
        sent: Whether the connection saw the head of the request leave; this weighs more than the exception's class,
        except
            that no class of "nothing was sent" is believed in against it.
    """
    root = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    is_aiohttp = isinstance(root, aiohttp.ClientError)
    for table, class_says_sent in (
        (_UNSENT if is_aiohttp else _PLAIN_UNSENT, False),
        (_SENT if is_aiohttp else _PLAIN_SENT, True),
    ):
        for kind, cause in table:
            if isinstance(root, kind):
                return HttpFault(cause, sent=sent or class_says_sent)
    return HttpFault("cut", sent=True)
