"""Logs tell what failed and where, and never what was in hand."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from enmeshed_connector.app.logs import configure_logs
from enmeshed_connector.app.settings import LogSettings

SECRET = "the-content-of-a-message"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("source", ["structlog", "logging"])
def test_a_traceback_shows_no_variables(form: str, source: str) -> None:
    stream = io.StringIO()
    configure_logs(LogSettings.model_validate({"format": form}), stream)
    logger = structlog.get_logger() if source == "structlog" else logging.getLogger("some.package")

    try:
        _fail(SECRET)
    except ValueError:
        logger.exception("it failed")

    text = stream.getvalue()
    assert "it failed" in text
    assert "_fail" in text
    assert SECRET not in text


def _fail(content: str) -> None:
    raise ValueError(f"{len(content)} characters are too many")
