"""Everything about the Backbone that can be set, with the values of the official test environment as defaults."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MIB = 1024 * 1024


class PasswordPolicy(enum.Enum):
    """Which device passwords are taken."""

    DEVELOPMENT = "development"
    """Any text of one character or more."""
    PRODUCTION = "production"
    """Ten characters or more, with an upper-case and a lower-case letter, a digit and another character."""


@dataclass(frozen=True)
class Settings:
    """The settings of one server. Durations are whole seconds unless the name says otherwise."""

    host: str = "localhost"
    """Where both APIs listen. Anything but a loopback address needs `allow_non_loopback`."""
    port: int = 8090
    """The Consumer API; 0 picks a free port."""
    admin_port: int = 8091
    """The Admin API; 0 picks a free port."""
    allow_non_loopback: bool = False
    """Lets the server listen where others can reach it. It is not made for that."""
    did_host: str = "localhost"
    """The domain in identity addresses. Official clients insist on it being the host of their base URL."""
    data: str = ":memory:"
    """The database file, or `:memory:` for none."""
    client_id: str = "test"
    """The OAuth client that is there from the start."""
    client_secret: str = "test"  # noqa: S105  # A development server's well-known secret.
    """Its secret. It replaces the one in an existing database."""
    admin_api_key: str = "test"
    """The key of the Admin API; empty lets every request pass."""
    token_lifetime: int = 300
    """How long an access token is valid, 60 to 3600."""
    lockout: int = 60
    """How long a device cannot log in after three wrong passwords."""
    password_policy: PasswordPolicy = PasswordPolicy.DEVELOPMENT
    page_size: int = 50
    """How many items a page has when the request does not say."""
    max_page_size: int = 200
    sync_run_duration: int = 10
    """How long a sync run lasts when the request does not say, and how far its expiry is refreshed."""
    max_sync_errors: int = 3
    """After how many failures an external event is never delivered again."""
    max_unreceived_messages: int = 20
    """How many messages of one sender may wait for one recipient to fetch them."""
    max_message_recipients: int = 5
    max_token_password_attempts: int = 100
    max_feature_flags: int = 200
    grace_period_days: float = 14.0
    """The grace period of an identity deletion when the request does not say."""
    reminder_days: tuple[int, int, int] = (12, 10, 5)
    """At how many days before the end the three reminders are sent."""
    challenge_lifetime: int = 600
    max_body_bytes: int = 20 * MIB
    """The largest request body of the Consumer API; larger ones are refused without being read."""
    body_timeout: int = 60
    """How long a client may take to send the body of a request."""
    max_content_bytes: int = 10 * MIB
    """The largest content of a template, message, file or token."""
    keep_alive_interval: float = 240.0
    """Seconds between two `keep-alive` events of an event stream."""
    notification_texts: Mapping[str, Mapping[str, Mapping[str, str]]] = field(
        default_factory=lambda: {
            "TestCode": {
                "en": {"title": "Test notification", "body": "This is a test notification."},
                "de": {"title": "Testbenachrichtigung", "body": "Dies ist eine Testbenachrichtigung."},
            }
        }
    )
    """Codes of backbone notifications: code -> language -> title and body; `en` must be there."""
    tags: Mapping[str, Any] = field(
        default_factory=lambda: {"supportedLanguages": ["en"], "tagsForAttributeValueTypes": {}}
    )
    """The tag collection as it is answered."""
    public_template_references: Mapping[str, list[Mapping[str, str]]] = field(default_factory=dict)
    """OAuth client id -> its public templates, each with `title`, `description` and `truncatedReference`."""
    apple_app_site_association: Mapping[str, Any] | None = None
    """The document under `/.well-known`; 404 when unset."""
    asset_links: list[Mapping[str, Any]] | None = None
    """The document under `/.well-known`; 404 when unset."""
    onboarding_page: str | None = None
    """The HTML of `/r/…`; 404 when unset."""
    major_version: int = 7
    """What `/Version` answers; official clients of 7.x take 6 and 7."""
    fcm_app_ids: tuple[str, ...] = ()
    """App ids that may register for `fcm`; with none that platform is not enabled."""
    apns_app_ids: tuple[str, ...] = ()
    """App ids that may register for `apns`; with none that platform is not enabled."""
    seed_identities: bool = True
    """Makes the two identities `USRa` and `USRb` of the official test environment."""
