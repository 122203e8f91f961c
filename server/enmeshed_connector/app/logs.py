"""Structured logs on standard error: a static message and fields. Never content, keys, tokens or passwords."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

from enmeshed_connector.app.settings import LogSettings


def configure_logs(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Sets up logs for the process: structlog, and the standard library's loggers of packages through the same form.

    Args:
        settings: Level and form.
        stream: Where logs go; standard error when None.
    """
    out = stream or sys.stderr
    as_json = settings.format == "json" or (settings.format == "auto" and not out.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # By default both would show the variables of every frame, and those hold content and keys.
    tracebacks = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    plain = structlog.dev.plain_traceback
    render: list[structlog.typing.Processor] = (
        [tracebacks, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=plain)]
    )
    level = logging.getLevelName(settings.level.upper())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Packages below speak only when something is wrong; their chatter may hold addresses and parameters.
    root.setLevel(max(level, logging.WARNING))
