"""How much a sync does."""

from __future__ import annotations

import enum


class SyncMode(enum.Enum):
    """How much a sync does."""

    DATAWALLET = "DATAWALLET"
    """Only what devices of the own identity tell each other."""
    EVERYTHING = "EVERYTHING"
    """External events, and the datawallet."""
