"""The settings of the Connector: one frozen tree, from a file, the environment and flags, strongest last.

Sources, weakest first: defaults, the TOML file, the environment (`ENMESHED_…`, levels separated by `__`), values
that are read from files (`ENMESHED_…_FILE`, for secrets that a container mounts), flags of the command line. Unknown
names are errors.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from enmeshed_connector.core.errors import Code, DomainError, FieldViolation

ENVIRONMENT_PREFIX = "ENMESHED_"
CONFIG_VARIABLE = "ENMESHED_CONFIG"
"""Names the settings file; not a setting itself."""

_USERINFO = re.compile(r"(?<=//)[^/]*@|^[^/]*@")
_SECRET_NAME = re.compile(r"secret|password|passwd|token|credential|api_?key|private", re.IGNORECASE)
_ACCOUNT_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?")


class SettingsInvalid(DomainError):
    """The settings cannot be used. The violations name each setting by its path, without its value."""

    reason, code = "SETTINGS_INVALID", Code.INVALID_ARGUMENT


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ServerSettings(_Section):
    """The gRPC server."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """The address to listen on. On anything but loopback the server refuses to start without an API key."""
    port: int = Field(default=50051, ge=0, le=65535)
    """The port to listen on. 0 takes a free one, which is printed."""
    tls_certificate_file: Path | None = None
    """PEM certificate chain. Unset: no TLS."""
    tls_key_file: Path | None = None
    """PEM private key of the certificate."""
    client_ca_file: Path | None = None
    """PEM certificates; when set, clients must present a certificate signed by one of them (mTLS)."""
    reflection: bool | None = None
    """Serves reflection, which grpcurl uses. Unset: on loopback only."""
    channelz: bool = False
    """Serves channelz, for debugging connections."""
    max_message_bytes: int = Field(default=8 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024)
    """The largest message that is received or sent, in bytes."""
    short_calls: int = Field(default=256, ge=1, le=100_000)
    """How many short calls run at once; one more is answered RESOURCE_EXHAUSTED."""
    transfers: int = Field(default=16, ge=1, le=10_000)
    """How many uploads and downloads run at once."""
    transfer_budget_bytes: int = Field(default=256 * 1024 * 1024, ge=32 * 1024 * 1024)
    """Memory that all transfers share, in bytes; a transfer that finds none waits for it."""
    subscriptions: int = Field(default=2000, ge=1, le=1_000_000)
    """How many event subscriptions are open at once."""
    heartbeat_seconds: float = Field(default=15.0, gt=0, le=600)
    """How often an idle subscription gets a heartbeat."""
    drain_seconds: float = Field(default=20.0, ge=0, le=600)
    """How long running calls may take to end when the server stops."""

    @model_validator(mode="after")
    def _check_tls(self) -> ServerSettings:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file go together")
        if self.client_ca_file is not None and self.tls_certificate_file is None:
            raise ValueError("client_ca_file needs tls_certificate_file and tls_key_file")
        return self


class DatabaseSettings(_Section):
    """Where the Connector keeps what it knows, its keys included."""

    driver: Literal["sqlite", "motor", "pymongo"] = "sqlite"
    """`sqlite` keeps a file per account; `motor` and `pymongo` are two drivers for MongoDB, the latter faster."""
    folder: Path = Path("data")
    """The folder of the SQLite files. Made when missing, for its owner only."""
    connection_string: SecretStr | None = None
    """The MongoDB connection string (`mongodb://…`). Needed for both MongoDB drivers."""
    server_database: str = Field(default="server", pattern=r"^[A-Za-z0-9_-]{1,38}$")
    """The name of the database of API keys. Each account has its own, `acc-<name>`."""

    @model_validator(mode="after")
    def _check_driver(self) -> DatabaseSettings:
        if self.driver != "sqlite" and self.connection_string is None:
            raise ValueError(f"driver {self.driver} needs connection_string")
        return self


class BackboneSettings(_Section):
    """The Backbone and the client credentials at it."""

    base_url: str = Field(default="http://localhost:8090", pattern=r"^https?://[^|\s]+$")
    """The address of the Backbone, without a path."""
    client_id: str = "test"
    """The OAuth client."""
    client_secret: SecretStr = SecretStr("test")
    """The secret of the OAuth client."""
    address_host: str | None = None
    """The host name in addresses, where it is not that of base_url."""
    dangerously_allow_plain_http: bool = False
    """Lets an `http://` address of another machine through: whoever listens on the way gets tokens and passwords."""
    proxy: str | None = None
    """An HTTP proxy for all calls. Unset: HTTPS_PROXY and NO_PROXY of the environment count."""
    ca_file: Path | None = None
    """PEM certificates that are trusted beside those of the system."""
    timeout_seconds: float = Field(default=60.0, gt=0, le=600)
    """How long one call may take."""
    max_connections: int = Field(default=32, ge=1, le=1000)
    """How many connections are open at once, for all accounts together."""

    @field_validator("base_url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parts = urlsplit(url)
        try:
            has_port = parts.port != 0
        except ValueError:
            has_port = False
        if not parts.hostname or not has_port:
            raise ValueError("must be http:// or https://, a host and, where it is not the usual one, a port")
        return url


class SyncSettings(_Section):
    """How an account learns what happened at the Backbone."""

    sse: bool = True
    """Listens to the Backbone's event stream, so that news arrive within a moment."""
    interval_seconds: float = Field(default=60.0, ge=1, le=86_400)
    """Asks at least this often, also while the event stream works."""
    lease_seconds: float = Field(default=10.0, ge=2, le=300)
    """How long the worker of an account may be silent before another replica takes over."""


class EventsSettings(_Section):
    """How long events are kept for subscribers that come back."""

    retention_days: float = Field(default=7.0, gt=0, le=3650)
    """Events older than this are removed, unless a named subscription has not acknowledged them."""
    retention_count: int = Field(default=1_000_000, ge=1000)
    """At most this many events are kept, unless a named subscription has not acknowledged them."""
    hard_cap_count: int = Field(default=5_000_000, ge=1000)
    """At most this many events are kept in any case; a named subscription that is further behind is cut off."""


def _split(value: Any) -> Any:
    """Returns a list that came as a text: from the environment or a flag, as JSON or parted by commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("is not JSON") from None
    return [part.strip() for part in value.split(",") if part.strip()]


Texts = Annotated[list[str], BeforeValidator(_split)]


class DeciderSettings(_Section):
    """Decides incoming requests by rules; what they do not decide waits for a person. See docs/automation.md."""

    automation_config: Annotated[list[Any], BeforeValidator(_split)] = Field(default_factory=list)
    """The rules, in the form of the official Connector: a list of { requestConfig, responseConfig }. In the
    environment and flags as JSON."""
    automation_config_file: Path | None = None
    """A JSON file with the rules, instead."""

    @model_validator(mode="after")
    def _check_source(self) -> DeciderSettings:
        if self.automation_config and self.automation_config_file is not None:
            raise ValueError("automation_config and automation_config_file are both set: keep one")
        return self


class AutoAcceptSettings(_Section):
    """Accepts relationships that peers ask for, when all conditions hold."""

    enabled: bool = False
    """Accepts them."""
    templates: Texts = Field(default_factory=list)
    """Only those asked for with one of these templates, by their ids. Empty: with any."""
    peers: Texts = Field(default_factory=list)
    """Only those of these peers, by their addresses. Empty: of all."""
    content_types: Texts = Field(default_factory=list)
    """Only those whose creation content has one of these types, such as RelationshipCreationContent. Empty: any."""


class AutoDecomposeSettings(_Section):
    """Leaves relationships that the peer has left, with everything that came through them."""

    enabled: bool = False
    """Leaves them, those that the peer has left already too."""
    after_days: float = Field(default=0.0, ge=0, le=3650)
    """How long they are kept after the peer has left."""
    peers: Texts = Field(default_factory=list)
    """Only those with these peers, by their addresses. Empty: with all."""


class ModuleSettings(_Section):
    """A custom module of an account: installed Python code that reacts to events. See docs/automation.md."""

    enabled: bool = True
    """Runs the module."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What the module takes; see its documentation."""


class AccountSettings(_Section):
    """One hosted identity."""

    create_identity: bool = True
    """Creates an identity at the first start. False: the account must have been created or onboarded before."""
    datawallet: bool = False
    """Synchronises the data of the account with further devices of the identity."""
    default_attributes: bool = False
    """Keeps a default among the own identity attributes of each value type; the first one becomes it."""
    mail_events: bool = False
    """Tells of received mails by events of their own too, consumption.mailReceived and one for each relationship."""
    decider: DeciderSettings = DeciderSettings()
    """Decides incoming requests."""
    auto_accept: AutoAcceptSettings = AutoAcceptSettings()
    """Accepts relationships."""
    auto_decompose: AutoDecomposeSettings = AutoDecomposeSettings()
    """Leaves relationships."""
    modules: dict[str, ModuleSettings] = Field(default_factory=dict)
    """Custom modules by name, that of their entry point."""


class LogSettings(_Section):
    """Logs, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    format: Literal["auto", "json", "console"] = "auto"
    """`json` for machines, `console` for people; `auto` decides by whether standard error is a terminal."""


class ApiKeySettings(_Section):
    """API keys."""

    bootstrap_file: Path | None = None
    """A file, one key a line, `<secret> <name> <scope>[,<scope>…] [<account>]`, taken over at start. For containers."""
    failure_delay_seconds: float = Field(default=1.0, ge=0, le=30)
    """How long an answer to a wrong key is delayed after repeated failures."""


class Settings(_Section):
    """All settings. Frozen; `load_settings` makes them."""

    server: ServerSettings = ServerSettings()
    """The gRPC server."""
    database: DatabaseSettings = DatabaseSettings()
    """Storage."""
    backbone: BackboneSettings = BackboneSettings()
    """The Backbone."""
    sync: SyncSettings = SyncSettings()
    """Synchronisation."""
    events: EventsSettings = EventsSettings()
    """Retention of events."""
    api_keys: ApiKeySettings = ApiKeySettings()
    """Authentication."""
    log: LogSettings = LogSettings()
    """Logs."""
    accounts: dict[str, AccountSettings] = Field(default_factory=lambda: {"default": AccountSettings()}, min_length=1)
    """The hosted identities by name. A name has up to 40 characters of a-z, 0-9, `-` and `_`."""

    @field_validator("accounts")
    @classmethod
    def _check_names(cls, accounts: dict[str, AccountSettings]) -> dict[str, AccountSettings]:
        for name in accounts:
            if not _ACCOUNT_NAME.fullmatch(name):
                raise ValueError(f"account name {name!r}: up to 40 characters of a-z, 0-9, '-' and '_'")
        return accounts


Flags = Annotated[Mapping[str, str], "dotted names of settings and their texts"]


def load_settings(*, file: Path | None, environment: Mapping[str, str], flags: Flags | None = None) -> Settings:
    """Builds the settings from their sources.

    Args:
        file: The TOML file; None takes the one that ENMESHED_CONFIG names, or none.
        environment: The environment variables.
        flags: Dotted names and texts, `server.port` and `50052`; they win.

    Raises:
        SettingsInvalid: A source cannot be read, or a value is not allowed. Each violation names its setting.
    """
    if file is None and environment.get(CONFIG_VARIABLE):
        file = Path(environment[CONFIG_VARIABLE])
    tree: dict[str, Any] = {}
    if file is not None:
        tree = _read_file(file)
    for name, text in sorted(_environment_texts(environment).items()):
        _put(tree, name.lower().split("__"), text)
    for name, text in (flags or {}).items():
        _put(tree, name.split("."), text)
    try:
        return Settings(**tree)
    except ValidationError as error:
        violations = [
            FieldViolation(
                ".".join(map(str, item["loc"])) or "settings", _problem(item["type"], item["loc"], item["msg"])
            )
            for item in error.errors(include_input=False, include_url=False, include_context=False)
        ]
        text = "; ".join(f"{violation.field}: {violation.description}" for violation in violations)
        raise SettingsInvalid(text, violations=violations) from None


def _problem(kind: str, path: tuple[int | str, ...], text: str) -> str:
    """Returns what is wrong with a setting, in the words of this project where those of pydantic are of Python."""
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(str(path[-1]), _names_below(path[:-1]), n=1)
        return "there is no such setting" + (f": is {close[0]} meant?" if close else "")
    if kind in ("model_type", "dict_type"):
        return "is a section, not a value"
    return text.removeprefix("Value error, ")


def _names_below(path: tuple[int | str, ...]) -> Collection[str]:
    """Returns the names of the settings in a section."""
    kind: Any = Settings
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        else:
            # A mapping by name, as the accounts are.
            kind = get_args(kind)[-1]
    return kind.model_fields.keys() if isinstance(kind, type) and issubclass(kind, BaseModel) else ()


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsInvalid(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path}: {error}") from None
    except RecursionError:
        raise SettingsInvalid(f"{path}: lists or tables are nested too deep") from None


def _environment_texts(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the settings of the environment without prefix, those in files read."""
    texts: dict[str, str] = {}
    for variable, text in environment.items():
        _check_levels(variable, text)
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE or "__" not in variable:
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX)
        if name.endswith("_FILE") and not _is_setting(name):
            name = name.removesuffix("_FILE")
            if ENVIRONMENT_PREFIX + name in environment:
                raise SettingsInvalid(f"{variable} and {ENVIRONMENT_PREFIX + name} are both set: keep one")
            try:
                text = Path(text).read_text("utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsInvalid(f"{variable}: cannot read the file: {error}") from None
        texts[name] = text
    return texts


def _check_levels(variable: str, text: str) -> None:
    """Refuses `ENMESHED_SERVER_PORT`: who writes that means a setting, which would silently stay what it was.

    Kubernetes sets variables of such names for its services, with addresses as texts.
    """
    if text.startswith(("tcp://", "udp://", "sctp://")):
        return
    for section in Settings.model_fields:
        start = f"{ENVIRONMENT_PREFIX}{section.upper()}_"
        name = variable.removeprefix(start)
        if name != variable and name.lower() in _names_below((section,)):
            raise SettingsInvalid(f"{variable}: levels are parted by two underscores, {start}_{name}")


def _is_setting(name: str) -> bool:
    """Tells whether a variable that ends in _FILE is a setting of that very name (`…__TLS_KEY_FILE`)."""
    section, _, field = name.lower().partition("__")
    info = Settings.model_fields.get(section)
    annotation = info.annotation if info else None
    return isinstance(annotation, type) and issubclass(annotation, BaseModel) and field in annotation.model_fields


def _put(tree: dict[str, Any], path: list[str], text: str) -> None:
    for part in path[:-1]:
        branch = tree.setdefault(part, {})
        if not isinstance(branch, dict):
            raise SettingsInvalid(f"{'.'.join(path)}: {part} is not a section")
        tree = branch
    tree[path[-1]] = text


def seconds(value: float) -> timedelta:
    """Returns a setting in seconds as a duration."""
    return timedelta(seconds=value)


def printable(settings: Settings) -> dict[str, Any]:
    """Returns the settings as JSON values with secrets blanked, for `config check` and support."""
    tree: dict[str, Any] = settings.model_dump(mode="json")
    backbone = tree["backbone"]
    for name in ("base_url", "proxy"):
        if backbone[name] is not None:
            backbone[name] = _USERINFO.sub("**********@", backbone[name])
    for account in tree["accounts"].values():
        for module in account["modules"].values():
            module["options"] = {name: _blanked(name, value) for name, value in module["options"].items()}
    return tree


def _blanked(name: str, value: Any) -> Any:
    """Returns an option of a module as it may be shown: what it is for only the module knows, but its name tells."""
    if isinstance(value, dict):
        return {inner: _blanked(inner, part) for inner, part in value.items()}
    return "**********" if _SECRET_NAME.search(name) and value not in (None, "") else value
