"""What can be chosen about the automation of an account."""

from __future__ import annotations

from dataclasses import dataclass

from enmeshed_connector.runtime.automation.decider.rules import Rule
from enmeshed_connector.runtime.automation.modules import NamedModule
from enmeshed_connector.runtime.automation.relationships import AcceptConditions, DecomposeConditions


@dataclass(frozen=True)
class AutomationSettings:
    """What an account does by itself. By default, nothing but handing each request to a person."""

    rules: tuple[Rule, ...] = ()
    """The rules of the decider."""
    accepts: AcceptConditions | None = None
    """Which pending relationships are accepted; None: none."""
    decomposes: DecomposeConditions | None = None
    """Which relationships are left after their peer; None: none."""
    tells_of_mails: bool = False
    """Whether mails have events of their own."""
    modules: tuple[NamedModule, ...] = ()
    """Custom modules, made for this account."""
