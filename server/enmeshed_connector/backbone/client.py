"""The Backbone as the other rooms see it: every endpoint group over one session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TypeVar

from enmeshed_connector.backbone.auth import DeviceCredentials
from enmeshed_connector.backbone.calls import Call
from enmeshed_connector.backbone.endpoints.announcements import Announcements
from enmeshed_connector.backbone.endpoints.challenges import Challenges
from enmeshed_connector.backbone.endpoints.datawallet import Datawallet
from enmeshed_connector.backbone.endpoints.deletion import DeletionProcesses
from enmeshed_connector.backbone.endpoints.devices import Devices
from enmeshed_connector.backbone.endpoints.feature_flags import FeatureFlags
from enmeshed_connector.backbone.endpoints.files import Files
from enmeshed_connector.backbone.endpoints.identities import Identities
from enmeshed_connector.backbone.endpoints.messages import Messages
from enmeshed_connector.backbone.endpoints.notifications import Notifications
from enmeshed_connector.backbone.endpoints.public_references import PublicTemplateReferences
from enmeshed_connector.backbone.endpoints.quotas import Quotas
from enmeshed_connector.backbone.endpoints.relationships import Relationships
from enmeshed_connector.backbone.endpoints.sync_runs import SyncRuns
from enmeshed_connector.backbone.endpoints.tags import Tags
from enmeshed_connector.backbone.endpoints.templates import RelationshipTemplates
from enmeshed_connector.backbone.endpoints.tokens import Tokens
from enmeshed_connector.backbone.endpoints.version import Version
from enmeshed_connector.backbone.session import BackboneSession, BackboneTarget, CallOptions

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Bound:
    """A session together with what the caller adds to each call."""

    session: BackboneSession
    options: CallOptions

    async def call(self, call: Call[T]) -> T:
        return await self.session.call(call, self.options)

    def stream(self, call: Call[object]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self.session.stream(call, self.options)

    def event_stream(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        return self.session.event_stream(self.options)


class AnonymousBackbone:
    """What the Backbone answers without a login. Made from a session without credentials."""

    def __init__(self, session: BackboneSession, options: CallOptions | None = None) -> None:
        self._session = session
        self._options = options or CallOptions()
        caller = _Bound(session, self._options)
        self._caller = caller
        self.challenges = Challenges(caller)
        self.identities = Identities(caller)
        self.tags = Tags(caller)
        self.tokens = Tokens(caller)
        self.version = Version(caller)

    @property
    def target(self) -> BackboneTarget:
        """The Backbone behind this."""
        return self._session.target

    def bound(self, *, deadline: float | None = None, correlation_id: str | None = None) -> AnonymousBackbone:
        """Returns the same Backbone with a deadline or correlation id for each call; what is None stays as it is."""
        return AnonymousBackbone(self._session, _with(self._options, deadline, correlation_id))


class Backbone:
    """What the Backbone offers to one device. Made from a session with credentials; cheap to make, without state."""

    def __init__(self, session: BackboneSession, options: CallOptions | None = None) -> None:
        self._session = session
        self._options = options or CallOptions()
        caller = _Bound(session, self._options)
        self._caller = caller
        self.announcements = Announcements(caller)
        self.challenges = Challenges(caller)
        self.datawallet = Datawallet(caller)
        self.deletion = DeletionProcesses(caller)
        self.devices = Devices(caller)
        self.feature_flags = FeatureFlags(caller)
        self.files = Files(caller)
        self.identities = Identities(caller)
        self.messages = Messages(caller)
        self.notifications = Notifications(caller)
        self.public_references = PublicTemplateReferences(caller)
        self.quotas = Quotas(caller)
        self.relationships = Relationships(caller)
        self.sync_runs = SyncRuns(caller)
        self.tags = Tags(caller)
        self.templates = RelationshipTemplates(caller)
        self.tokens = Tokens(caller)
        self.version = Version(caller)

    @property
    def target(self) -> BackboneTarget:
        """The Backbone behind this."""
        return self._session.target

    def bound(self, *, deadline: float | None = None, correlation_id: str | None = None) -> Backbone:
        """Returns the same Backbone with a deadline or correlation id for each call; what is None stays as it is.

        Args:
            deadline: The moment of the session's monotonic clock, in seconds, at which the caller no longer waits.
            correlation_id: Sent as `X-Correlation-ID`.
        """
        return Backbone(self._session, _with(self._options, deadline, correlation_id))

    def replace_credentials(self, credentials: DeviceCredentials) -> None:
        """Logs in with these credentials from the next token on, as after a change of the password."""
        self._session.replace_credentials(credentials)

    def events(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Opens the stream of events: `async with backbone.events() as names: async for name in names`.

        Order: as the Backbone sends them. Delivery: names only, such as `ExternalEventCreated`; a hint to look, at
        most once, and `ConnectionOpened` first. End: when the Backbone or the network ends it, without an error when it
        ended it cleanly, else `BackboneUnavailable`; the caller opens it again. Slow readers: the Backbone waits for
        them. The Backbone allows one stream for each identity: a second one ends at once without an event, and ends the
        deliveries of the first one.

        Raises:
            BackboneError: It cannot be opened.
        """
        return self._caller.event_stream()


def _with(options: CallOptions, deadline: float | None, correlation_id: str | None) -> CallOptions:
    return replace(
        options,
        deadline=options.deadline if deadline is None else deadline,
        correlation_id=options.correlation_id if correlation_id is None else correlation_id,
    )
