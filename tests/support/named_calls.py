"""Calls by the names of service and method, for tests that use many services."""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError


async def call(client: Client, method: str, **members: Any) -> Any:
    """Calls a method.

    Args:
        client: The client of an account.
        method: Service and method (`Messages.SendMessage`).
        members: Those of the request, by their names in JSON; messages are taken as they are.
    """
    service, _, name = method.partition(".")
    file = re.sub("(?<!^)([A-Z])", r"_\1", service).lower()
    module = importlib.import_module(f"enmeshed.connector.v1.{file}_service_pb2")
    request: Message = getattr(module, f"{name}Request")()
    messages = {key: value for key, value in members.items() if isinstance(value, Message)}
    json_format.ParseDict({key: value for key, value in members.items() if key not in messages}, request)
    for key, value in messages.items():
        getattr(request, key).CopyFrom(value)
    return await client.call(getattr(client.service(service), name), request)


async def failure(client: Client, method: str, **members: Any) -> ConnectorError:
    """Makes a call as `call` does, which must fail, and returns how it failed."""
    with pytest.raises(ConnectorError) as caught:
        await call(client, method, **members)
    return caught.value


async def until(read: Callable[[], Awaitable[Any]], is_so: Callable[[Any], bool] = bool) -> Any:
    """Returns what is read once it is so, which the Connector brings about by itself."""
    async with asyncio.timeout(30):
        while not is_so(found := await read()):
            await asyncio.sleep(0.02)
    return found
