"""The composition root: builds everything from the settings, hands it down, and takes it down again in order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog

from enmeshed.connector.v1 import (
    account_service_pb2_grpc,
    announcements_service_pb2_grpc,
    attributes_service_pb2_grpc,
    challenges_service_pb2_grpc,
    devices_service_pb2_grpc,
    drafts_service_pb2_grpc,
    events_service_pb2_grpc,
    files_service_pb2_grpc,
    identity_deletion_service_pb2_grpc,
    identity_metadata_service_pb2_grpc,
    incoming_requests_service_pb2_grpc,
    messages_service_pb2_grpc,
    monitoring_service_pb2_grpc,
    notifications_service_pb2_grpc,
    outgoing_requests_service_pb2_grpc,
    push_notifications_service_pb2_grpc,
    references_service_pb2_grpc,
    relationship_templates_service_pb2_grpc,
    relationships_service_pb2_grpc,
    settings_service_pb2_grpc,
    tokens_service_pb2_grpc,
)
from enmeshed_connector.api.api_keys import SERVER_COLLECTIONS, ApiKeys, ApiKeyStore
from enmeshed_connector.api.authentication import FailureOptions
from enmeshed_connector.api.interceptors.correlation import CallCounters
from enmeshed_connector.api.limits import LimitOptions, Limits
from enmeshed_connector.api.paging import PAGING_COLLECTIONS, PageTokens, load_page_key
from enmeshed_connector.api.readiness import Readiness
from enmeshed_connector.api.serialised_objects import SerialisedObjects
from enmeshed_connector.api.server import ConnectorServer, ServerOptions, ServiceBinding, bind
from enmeshed_connector.api.servicers.account import AccountServicer
from enmeshed_connector.api.servicers.announcements import NAME as ANNOUNCEMENTS
from enmeshed_connector.api.servicers.announcements import AnnouncementsServicer
from enmeshed_connector.api.servicers.attributes import NAME as ATTRIBUTES
from enmeshed_connector.api.servicers.attributes import AttributesServicer
from enmeshed_connector.api.servicers.challenges import ChallengesServicer
from enmeshed_connector.api.servicers.devices import NAME as DEVICES
from enmeshed_connector.api.servicers.devices import DevicesServicer
from enmeshed_connector.api.servicers.drafts import NAME as DRAFTS
from enmeshed_connector.api.servicers.drafts import DraftsServicer
from enmeshed_connector.api.servicers.events import NAME as EVENTS
from enmeshed_connector.api.servicers.events import EventsServicer
from enmeshed_connector.api.servicers.files import FilesServicer
from enmeshed_connector.api.servicers.identity_deletion import NAME as IDENTITY_DELETION
from enmeshed_connector.api.servicers.identity_deletion import IdentityDeletionServicer
from enmeshed_connector.api.servicers.identity_metadata import NAME as IDENTITY_METADATA
from enmeshed_connector.api.servicers.identity_metadata import IdentityMetadataServicer
from enmeshed_connector.api.servicers.incoming_requests import NAME as INCOMING_REQUESTS
from enmeshed_connector.api.servicers.incoming_requests import IncomingRequestsServicer
from enmeshed_connector.api.servicers.messages import MessagesServicer
from enmeshed_connector.api.servicers.monitoring import MonitoringServicer, Overview
from enmeshed_connector.api.servicers.notifications import NAME as NOTIFICATIONS
from enmeshed_connector.api.servicers.notifications import NotificationsServicer
from enmeshed_connector.api.servicers.outgoing_requests import NAME as OUTGOING_REQUESTS
from enmeshed_connector.api.servicers.outgoing_requests import OutgoingRequestsServicer
from enmeshed_connector.api.servicers.push_notifications import NAME as PUSH_NOTIFICATIONS
from enmeshed_connector.api.servicers.push_notifications import PushNotificationsServicer
from enmeshed_connector.api.servicers.references import ReferencesServicer
from enmeshed_connector.api.servicers.relationships import RelationshipsServicer
from enmeshed_connector.api.servicers.settings import NAME as SETTINGS
from enmeshed_connector.api.servicers.settings import SettingsServicer
from enmeshed_connector.api.servicers.templates import RelationshipTemplatesServicer
from enmeshed_connector.api.servicers.tokens import TokensServicer
from enmeshed_connector.api.subscriptions import EventSource, SubscriptionOptions
from enmeshed_connector.api.transfers import TransferBudget
from enmeshed_connector.app.accounts import open_gateway, transport_settings, worker_name
from enmeshed_connector.app.automation import automation_of
from enmeshed_connector.app.databases import make_databases
from enmeshed_connector.app.overview import ProcessOverview, build_info
from enmeshed_connector.app.settings import AccountSettings, Settings, seconds
from enmeshed_connector.app.start_checks import bootstrap_keys, tls_options
from enmeshed_connector.backbone import (
    BackboneGateway,
)
from enmeshed_connector.consumption.account import ConsumptionSettings
from enmeshed_connector.consumption.attributes.controller import AttributeSettings
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.core.clock import Clock, SystemClock
from enmeshed_connector.core.ids import IdMaker
from enmeshed_connector.runtime.account_runtime import AccountRuntime, AccountState
from enmeshed_connector.runtime.settings import RuntimeSettings
from enmeshed_connector.runtime.use_cases.bundle import UseCases
from enmeshed_connector.storage import Databases, Retention, Store
from enmeshed_connector.transport.environment import Environment

_PACKAGE = "enmeshed.connector.v1"


class HostedAccounts:
    """The accounts of this process: what the API side knows of them."""

    def __init__(self, runtimes: Mapping[str, AccountRuntime]) -> None:
        """Takes the accounts by name."""
        self._runtimes = runtimes

    def names(self) -> Collection[str]:
        """Returns the names of all hosted accounts."""
        return self._runtimes.keys()

    def is_ready(self, name: str) -> bool:
        """Tells whether an account takes calls. One that failed does: its calls are answered with the reason."""
        return self._runtimes[name].state is not AccountState.STARTING

    def use_cases(self, account: str) -> UseCases:
        """Returns what callers can do with an account."""
        return self._runtimes[account].use_cases

    def event_source(self, account: str) -> EventSource:
        """Returns what delivers the events of an account."""
        return self._runtimes[account].use_cases.events

    def runtime(self, account: str) -> AccountRuntime:
        """Returns an account."""
        return self._runtimes[account]


class Connector:
    """One process of the Connector, for use inside `async with`; it serves until the block ends.

    Attributes:
        port: Where it listens.
        accounts: The hosted accounts.
        readiness: Whether it takes calls.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        random: Callable[[int], bytes] = os.urandom,
        stop_within: timedelta = timedelta(seconds=60),
    ) -> None:
        """Takes the settings; does nothing yet.

        Args:
            settings: All of them.
            environment: The environment variables, for proxies; those of the process when None.
            clock: Tells time.
            random: Where keys, ids and jitter come from.
            stop_within: How long each part has to stop, besides the time in which calls end. What takes longer is left
                behind: the process must end, and what it has acknowledged is durable.
        """
        self._settings = settings
        self._stop_within = stop_within
        self._environment = os.environ if environment is None else environment
        self._clock = clock or SystemClock()
        self._random = random
        self._stack = AsyncExitStack()
        self._logger = structlog.get_logger(__name__)
        self.readiness = Readiness()
        self.port = 0

    async def __aenter__(self) -> Self:
        """Builds and starts everything; the accounts open in the background.

        Raises:
            StartRefused: The address cannot be listened on, or must not without an API key.
            SettingsInvalid: The Backbone's address, rules or modules cannot be used.
            StorageUnavailable: The database is away.
        """
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drains the server, stops the accounts at safe points, closes the databases."""
        await self._stack.aclose()

    async def wait_until_ready(self) -> None:
        """Returns when every account is open, or has failed to."""
        await asyncio.gather(*(runtime.wait_until_ready() for runtime in self._runtimes.values()))

    async def _start(self) -> None:
        settings = self._settings
        self._automation = automation_of(settings)
        databases = make_databases(settings.database, clock=self._clock)
        self._stop_at_end("the databases", databases.close)
        server_store = await databases.open(
            settings.database.server_database, (*SERVER_COLLECTIONS, *PAGING_COLLECTIONS)
        )
        self._stop_at_end("the server's database", server_store.close)
        keys = ApiKeyStore(server_store, self._clock, self._random)
        await keys.take_bootstrap(bootstrap_keys(settings))
        gateway = await open_gateway(
            self._stack, settings.backbone, self._environment, clock=self._clock, random=self._random
        )
        self._runtimes = await self._open_accounts(databases, gateway)
        self.accounts = HostedAccounts(self._runtimes)
        self._run(self._become_ready(), *(runtime.run() for runtime in self._runtimes.values()))
        overview = ProcessOverview(settings, self._runtimes, databases, gateway, self._clock.now())
        server = await self._make_server(server_store, overview)
        self.port = await server.start()
        # Last in, first out: calls end before what they use.
        self._stop_at_end("the server", server.stop, seconds(settings.server.drain_seconds))

    async def _open_accounts(self, databases: Databases, gateway: BackboneGateway) -> dict[str, AccountRuntime]:
        worker = worker_name()
        runtimes = {}
        for name, account in self._settings.accounts.items():
            store: Store = await databases.open(f"acc-{name}")
            self._stop_at_end(f"the database of {name}", store.close)
            environment = Environment(
                account=name,
                settings=transport_settings(self._settings.backbone, account),
                store=store,
                gateway=gateway,
                clock=self._clock,
                random=self._random,
                ids=IdMaker(self._random),
                worker=worker,
            )
            runtimes[name] = AccountRuntime(environment, self._runtime_settings(name, account))
        return runtimes

    def _runtime_settings(self, name: str, account: AccountSettings) -> RuntimeSettings:
        sync, events = self._settings.sync, self._settings.events
        return RuntimeSettings(
            sync_interval=seconds(sync.interval_seconds),
            listens=sync.sse,
            lease_duration=seconds(sync.lease_seconds),
            retention=Retention(
                timedelta(days=events.retention_days), events.retention_count, hard_cap_events=events.hard_cap_count
            ),
            consumption=ConsumptionSettings(AttributeSettings(sets_defaults=account.default_attributes)),
            automation=self._automation[name],
        )

    def _run(self, *tasks: Coroutine[None, None, None]) -> None:
        """Runs what goes on in the background until the block ends."""
        running = [asyncio.create_task(task) for task in tasks]

        async def stop() -> None:
            for task in running:
                task.cancel()
            results = await asyncio.gather(*running, return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    self._logger.error("a task of the Connector failed", exc_info=result)

        self._stop_at_end("the accounts", stop)

    def _stop_at_end(self, what: str, stop: Callable[[], Awaitable[None]], besides: timedelta = timedelta()) -> None:
        """Has something stopped when the block ends, in the reverse order of these calls."""

        async def stop_in_time() -> None:
            stopping = asyncio.ensure_future(stop())
            done, _ = await asyncio.wait({stopping}, timeout=(self._stop_within + besides).total_seconds())
            if done:
                stopping.result()
                return
            stopping.cancel()
            self._logger.error("does not stop and is left behind", what=what)

        self._stack.push_async_callback(stop_in_time)

    async def _become_ready(self) -> None:
        await self.wait_until_ready()
        self.readiness.ready()

    async def _make_server(self, store: Store, overview: Overview) -> ConnectorServer:
        settings = self._settings.server
        options = ServerOptions(
            host=settings.host,
            port=settings.port,
            tls=tls_options(settings),
            reflection=settings.reflection,
            channelz=settings.channelz,
            max_message_bytes=settings.max_message_bytes,
            limits=LimitOptions(
                short_calls=settings.short_calls,
                transfers=settings.transfers,
                subscriptions=settings.subscriptions,
            ),
            failures=FailureOptions(delay=seconds(self._settings.api_keys.failure_delay_seconds)),
            drain=seconds(settings.drain_seconds),
        )
        limits, counters = Limits(options.limits), CallCounters()
        return ConnectorServer(
            options,
            await self._services(store, overview, counters, limits),
            accounts=self.accounts,
            api_keys=ApiKeys(store, self._clock),
            readiness=self.readiness,
            clock=self._clock,
            limits=limits,
            counters=counters,
        )

    async def _services(
        self, store: Store, overview: Overview, counters: CallCounters, limits: Limits
    ) -> list[ServiceBinding]:
        codec = ContentCodec()
        tokens = PageTokens(await load_page_key(store, self._random))
        budget = TransferBudget(self._settings.server.transfer_budget_bytes)
        serialised = SerialisedObjects()
        hosts = self.accounts
        events = EventsServicer(
            hosts,
            codec=codec,
            clock=self._clock,
            readiness=self.readiness,
            page_tokens=tokens,
            options=SubscriptionOptions(heartbeat=seconds(self._settings.server.heartbeat_seconds)),
        )
        self._stop_at_end("the event streams", events.close)
        return [
            bind(
                f"{_PACKAGE}.Account",
                account_service_pb2_grpc.add_AccountServicer_to_server,
                AccountServicer(hosts, codec, tokens),
            ),
            bind(
                f"{_PACKAGE}.RelationshipTemplates",
                relationship_templates_service_pb2_grpc.add_RelationshipTemplatesServicer_to_server,
                RelationshipTemplatesServicer(hosts, codec, tokens),
            ),
            bind(
                f"{_PACKAGE}.Relationships",
                relationships_service_pb2_grpc.add_RelationshipsServicer_to_server,
                RelationshipsServicer(hosts, codec, tokens),
            ),
            bind(
                f"{_PACKAGE}.Messages",
                messages_service_pb2_grpc.add_MessagesServicer_to_server,
                MessagesServicer(hosts, codec, tokens, budget=budget, serialised=serialised),
            ),
            bind(
                f"{_PACKAGE}.Files",
                files_service_pb2_grpc.add_FilesServicer_to_server,
                FilesServicer(hosts, codec, tokens, budget),
            ),
            bind(
                f"{_PACKAGE}.Tokens",
                tokens_service_pb2_grpc.add_TokensServicer_to_server,
                TokensServicer(hosts, codec, tokens),
            ),
            bind(
                f"{_PACKAGE}.References",
                references_service_pb2_grpc.add_ReferencesServicer_to_server,
                ReferencesServicer(hosts, codec, tokens),
            ),
            bind(
                f"{_PACKAGE}.Challenges",
                challenges_service_pb2_grpc.add_ChallengesServicer_to_server,
                ChallengesServicer(hosts, codec, tokens),
            ),
            bind(
                DEVICES,
                devices_service_pb2_grpc.add_DevicesServicer_to_server,
                DevicesServicer(hosts, codec, tokens),
            ),
            bind(
                IDENTITY_DELETION,
                identity_deletion_service_pb2_grpc.add_IdentityDeletionServicer_to_server,
                IdentityDeletionServicer(hosts, codec, tokens),
            ),
            bind(
                ANNOUNCEMENTS,
                announcements_service_pb2_grpc.add_AnnouncementsServicer_to_server,
                AnnouncementsServicer(hosts, codec, tokens),
            ),
            bind(
                PUSH_NOTIFICATIONS,
                push_notifications_service_pb2_grpc.add_PushNotificationsServicer_to_server,
                PushNotificationsServicer(hosts, codec, tokens),
            ),
            bind(
                ATTRIBUTES,
                attributes_service_pb2_grpc.add_AttributesServicer_to_server,
                AttributesServicer(hosts, codec, tokens, serialised),
            ),
            bind(
                INCOMING_REQUESTS,
                incoming_requests_service_pb2_grpc.add_IncomingRequestsServicer_to_server,
                IncomingRequestsServicer(hosts, codec, tokens),
            ),
            bind(
                OUTGOING_REQUESTS,
                outgoing_requests_service_pb2_grpc.add_OutgoingRequestsServicer_to_server,
                OutgoingRequestsServicer(hosts, codec, tokens, self.readiness),
            ),
            bind(
                NOTIFICATIONS,
                notifications_service_pb2_grpc.add_NotificationsServicer_to_server,
                NotificationsServicer(hosts, codec, tokens),
            ),
            bind(
                SETTINGS,
                settings_service_pb2_grpc.add_SettingsServicer_to_server,
                SettingsServicer(hosts, codec, tokens),
            ),
            bind(
                DRAFTS,
                drafts_service_pb2_grpc.add_DraftsServicer_to_server,
                DraftsServicer(hosts, codec, tokens),
            ),
            bind(
                IDENTITY_METADATA,
                identity_metadata_service_pb2_grpc.add_IdentityMetadataServicer_to_server,
                IdentityMetadataServicer(hosts, codec, tokens),
            ),
            bind(EVENTS, events_service_pb2_grpc.add_EventsServicer_to_server, events),
            bind(
                f"{_PACKAGE}.Monitoring",
                monitoring_service_pb2_grpc.add_MonitoringServicer_to_server,
                MonitoringServicer(build_info(), overview, counters, limits),
            ),
        ]
