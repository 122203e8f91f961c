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
    "max_content_bytes": "largest content of a template, message, file or token",
    "keep_alive_interval": "seconds between keep-alive events of an event stream",
    "major_version": "major version that the server claims",
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
        shown = default.value if isinstance(default, enum.Enum) else default
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
    parser.add_argument("--log-level", default=environment.get(_ENVIRONMENT_PREFIX + "LOG_LEVEL", "warning"))
    return parser


def read_settings(arguments: argparse.Namespace) -> Settings:
    """Returns the settings of a command line.

    Raises:
        SettingsError: A value is out of its bounds.
    """
    names = {field.name for field in dataclasses.fields(Settings)}
    settings = Settings(**{name: value for name, value in vars(arguments).items() if name in names})
    _check(settings)
    return settings


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a server until SIGINT or SIGTERM."""
    parser = make_parser(os.environ)
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=arguments.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = read_settings(arguments)
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
    if not 60 <= settings.token_lifetime <= 3600:
        raise SettingsError("--token-lifetime must be from 60 to 3600 seconds.")
    if not is_domain(settings.did_host):
        raise SettingsError("--did-host must be a lower-case name of 3 to 45 characters, not an IP address.")
    if not all(0 <= port < 65536 for port in (settings.port, settings.admin_port)):
        raise SettingsError("A port is from 0 to 65535.")
    if not 1 <= settings.page_size <= settings.max_page_size:
        raise SettingsError("--page-size must be from 1 to --max-page-size.")
    positive = (
        "sync_run_duration", "max_sync_errors", "max_unreceived_messages", "max_message_recipients",
        "max_token_password_attempts", "challenge_lifetime", "max_body_bytes", "max_content_bytes",
        "keep_alive_interval",
    )  # fmt: skip
    for name in positive:
        if getattr(settings, name) <= 0:
            raise SettingsError(f"--{name.replace('_', '-')} must be more than 0.")


if __name__ == "__main__":
    sys.exit(main())
