"""The client of the Backbone.

```python
async with BackboneHttp(HttpSettings()) as http:                     # one for each process
    gateway = BackboneGateway(http, BackboneTarget("https://…", client_id, client_secret))   # one for each Backbone
    challenge = await AnonymousBackbone(gateway.anonymous()).challenges.create()
    …
    backbone = Backbone(gateway.for_device(username, password))      # one for each account
    sent = await backbone.bound(correlation_id="…").messages.send(NewMessage(…))
```

Values of the wire are in `backbone.endpoints.*`; which error means what is in `backbone.errors`.
"""

from enmeshed_connector.backbone.auth import DeviceCredentials
from enmeshed_connector.backbone.client import AnonymousBackbone, Backbone
from enmeshed_connector.backbone.gateway import BackboneGateway
from enmeshed_connector.backbone.http import BackboneHttp, HttpSettings, InsecureAddress, proxy_from_environment
from enmeshed_connector.backbone.retries import RetryPolicy
from enmeshed_connector.backbone.session import (
    BackboneSession,
    BackboneTarget,
    CallOptions,
    CallRecord,
    SessionSettings,
)

__all__ = [
    "AnonymousBackbone",
    "Backbone",
    "BackboneGateway",
    "BackboneHttp",
    "BackboneSession",
    "BackboneTarget",
    "CallOptions",
    "CallRecord",
    "DeviceCredentials",
    "HttpSettings",
    "InsecureAddress",
    "RetryPolicy",
    "SessionSettings",
    "proxy_from_environment",
]
