"""The command `enmeshed-backbone`: one development Backbone on this machine."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import enum
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .addresses import is_domain
from .server import BackboneServer, NotLoopback
from .settings import PasswordPolicy, Settings
from .store import StoreError

_ENVIRONMENT_PREFIX = "ENMESHED_BACKBONE_"
_MAX_SECONDS = 365 * 86_400
_MAX_COUNT = 1_000_000
_MAX_BYTES = 1024 * 1024 * 1024
_LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
_HELP = {
    "host": "where both APIs listen",
    "port": "port of the Consumer API, 0 for a free one",
    "admin_port": "port of the Admin API, 0 for a free one",
    "did_host": "domain in identity addresses; must be the host of the base URL that clients use",
    "data": "database file, or :memory:",
    "client_id": "OAuth client that is there from the start",
    "client_secret": "its secret",
    "admin_api_key": "key of the Admin API; empty lets everybody in",
    "token_lifetime": "seconds that an access token is valid, 60 to 3600",
    "lockout": "seconds without login after three wrong passwords",
    "password_policy": "which device passwords are taken",
    "page_size": "items of a page unless the request says otherwise",
    "max_page_size": "items of a page at most",
    "sync_run_duration": "seconds until a sync run expires",
    "max_sync_errors": "failures after which an external event is never delivered again",
    "max_unreceived_messages": "messages of one sender that may wait for one recipient",
    "max_message_recipients": "recipients of one message",
    "max_token_password_attempts": "wrong passwords that lock a token",
    "max_feature_flags": "feature flags of one identity",
    "grace_period_days": "grace period of identity deletions unless the request says otherwise",
    "challenge_lifetime": "seconds until a challenge expires",
    "max_body_bytes": "largest request body",
    "body_timeout": "seconds that a client may take to send a body",
    "max_content_bytes": "largest content of a template, message, file or token",
    "keep_alive_interval": "seconds between keep-alive events of an event stream",
    "major_version": "major version that the server claims",
}
_BOUNDS: dict[str, tuple[float, float]] = {
    "port": (0, 65_535),
    "admin_port": (0, 65_535),
    "token_lifetime": (60, 3600),
    "lockout": (0, _MAX_SECONDS),
    "page_size": (1, _MAX_COUNT),
    "max_page_size": (1, _MAX_COUNT),
    "sync_run_duration": (1, _MAX_SECONDS),
    "max_sync_errors": (1, _MAX_COUNT),
    "max_unreceived_messages": (1, _MAX_COUNT),
    "max_message_recipients": (1, _MAX_COUNT),
    "max_token_password_attempts": (1, _MAX_COUNT),
    "max_feature_flags": (0, _MAX_COUNT),
    "grace_period_days": (0, 36_500),
    "challenge_lifetime": (1, _MAX_SECONDS),
    "max_body_bytes": (1, _MAX_BYTES),
    "body_timeout": (1, _MAX_SECONDS),
    "max_content_bytes": (1, _MAX_BYTES),
    "keep_alive_interval": (0.001, _MAX_SECONDS),
    "major_version": (0, _MAX_COUNT),
}
_WARNING = """\
enmeshed Backbone for DEVELOPMENT ONLY. Its secrets are well known: nothing that matters belongs here."""


class SettingsError(Exception):
    """A flag or a variable has a value that cannot be."""


def make_parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    """Returns the parser of the command line; each flag has a variable `ENMESHED_BACKBONE_…` as its default."""
    parser = argparse.ArgumentParser(
        prog="enmeshed-backbone",
        description="A Backbone of the enmeshed network for development on one machine.",
        epilog=f"Each flag can be given as a variable, too: --did-host as {_ENVIRONMENT_PREFIX}DID_HOST.",
    )
    for field in dataclasses.fields(Settings):
        if field.name not in _HELP:
            continue
        given = environment.get(_ENVIRONMENT_PREFIX + field.name.upper())
        default = field.default if given is None else given
        # The formatter of the help takes a percent sign for the beginning of a name of its own.
        shown = str(default.value if isinstance(default, enum.Enum) else default).replace("%", "%%")
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            type=_converter(field.default),
            default=default,
            metavar=field.name.upper(),
            help=f"{_HELP[field.name]} (default: {'***' if field.name.endswith(('secret', 'key')) else shown})",
        )
    allowed = environment.get(_ENVIRONMENT_PREFIX + "ALLOW_NON_LOOPBACK", "").lower() in {"1", "true", "yes"}
    parser.add_argument(
        "--allow-non-loopback",
        action="store_true",
        default=allowed,
        help="listen where others can reach it, at your own risk",
    )
    parser.add_argument(
        "--log-level",
        default=environment.get(_ENVIRONMENT_PREFIX + "LOG_LEVEL", "warning"),
        type=str.lower,
        metavar="LOG_LEVEL",
        help=f"how much is logged: {', '.join(_LOG_LEVELS)} (default: warning)",
    )
    return parser


def read_settings(arguments: argparse.Namespace) -> Settings:
    """Returns the settings of a command line.

    Raises:
        SettingsError: A value is out of its bounds.
    """
    names = {field.name for field in dataclasses.fields(Settings)}
    settings = Settings(**{name: value for name, value in vars(arguments).items() if name in names})
    _check(settings)
    if arguments.log_level not in _LOG_LEVELS:
        raise SettingsError(f"--log-level must be one of {', '.join(_LOG_LEVELS)}.")
    return settings


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a server until SIGINT or SIGTERM."""
    parser = make_parser(os.environ)
    arguments = parser.parse_args(argv)
    try:
        settings = read_settings(arguments)
        logging.basicConfig(level=arguments.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        return _run(settings)
    except (SettingsError, NotLoopback, StoreError, OSError) as error:
        sys.stderr.write(f"enmeshed-backbone: {error}\n")
        return 2


def _run(settings: Settings) -> int:
    try:
        import uvloop
    except ImportError:  # Windows has none.
        return asyncio.run(_serve(settings))
    return uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows: the interrupt of the keyboard ends the process.
            break
    async with BackboneServer(settings) as server:
        lines = (
            _WARNING,
            f"Consumer API: {server.base_url}",
            f"Admin API:    {server.admin_url}",
            f"Data:         {settings.data}",
        )
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        await stop.wait()
    return 0


def _converter(default: Any) -> Any:
    return PasswordPolicy if isinstance(default, PasswordPolicy) else type(default)


def _check(settings: Settings) -> None:
    for name, (low, high) in _BOUNDS.items():
        # Written so that what is no number at all is out of every bounds.
        if not low <= getattr(settings, name) <= high:
            raise SettingsError(f"--{name.replace('_', '-')} must be from {low} to {high}.")
    for name in ("host", "data", "client_id", "client_secret"):
        if not getattr(settings, name):
            raise SettingsError(f"--{name.replace('_', '-')} must not be empty.")
    if not is_domain(settings.did_host):
        raise SettingsError("--did-host must be a lower-case name of 3 to 45 characters, not an IP address.")
    if settings.port == settings.admin_port != 0:
        raise SettingsError("--port and --admin-port must differ.")
    if settings.page_size > settings.max_page_size:
        raise SettingsError("--page-size must be from 1 to --max-page-size.")


if __name__ == "__main__":
    sys.exit(main())
