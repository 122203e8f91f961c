"""The automation of accounts, from the settings: rules read and checked, custom modules found and made."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from enmeshed_connector.app.settings import AccountSettings, DeciderSettings, Settings, SettingsInvalid
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.core.errors import FieldViolation
from enmeshed_connector.runtime.automation.decider.rules import Rule, RulesInvalid, parse_rules
from enmeshed_connector.runtime.automation.modules import NamedModule
from enmeshed_connector.runtime.automation.relationships import AcceptConditions, DecomposeConditions
from enmeshed_connector.runtime.automation.settings import AutomationSettings

MODULES_GROUP: Final = "enmeshed_connector.modules"
"""The group of entry points that custom modules are installed as."""

_MODULE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_OWN_MODULES: Final = frozenset({"decider", "autoAcceptPendingRelationships"})


def automation_of(settings: Settings) -> dict[str, AutomationSettings]:
    """Returns what each account does by itself; custom modules are imported and made.

    Raises:
        SettingsInvalid: Rules or modules cannot be used; the violations name the place.
    """
    installed = entry_points(group=MODULES_GROUP)
    return {name: _automation_of(name, account, installed) for name, account in settings.accounts.items()}


def rules_of(account: str, decider: DeciderSettings) -> tuple[Rule, ...]:
    """Returns the rules of an account's decider.

    Raises:
        SettingsInvalid: They cannot be used; the violations name each place by its path.
    """
    path = f"accounts.{account}.decider.automation_config"
    config: Json = decider.automation_config
    if decider.automation_config_file is not None:
        config = _read(decider, f"{path}_file")
        # A whole configuration of the decider is taken too, as it stands in that of an official Connector.
        if isinstance(config, dict) and set(config) <= {"automationConfig", "enabled", "displayName", "location"}:
            config = config.get("automationConfig", [])
        path = f"{path}_file"
    try:
        return parse_rules(config, path)
    except RulesInvalid as error:
        raise SettingsInvalid(error.message, violations=error.violations, official_code=error.official_code) from None


def _automation_of(name: str, account: AccountSettings, installed: Iterable[EntryPoint]) -> AutomationSettings:
    accept, decompose = account.auto_accept, account.auto_decompose
    by_name = {one.name: one for one in installed}
    return AutomationSettings(
        rules=rules_of(name, account.decider),
        accepts=AcceptConditions(frozenset(accept.templates), frozenset(accept.peers), frozenset(accept.content_types))
        if accept.enabled
        else None,
        decomposes=DecomposeConditions(timedelta(days=decompose.after_days), frozenset(decompose.peers))
        if decompose.enabled
        else None,
        tells_of_mails=account.mail_events,
        modules=tuple(
            _module(f"accounts.{name}.modules.{module}", module, options.options, by_name)
            for module, options in account.modules.items()
            if options.enabled
        ),
    )


def _module(path: str, name: str, options: Mapping[str, Json], installed: Mapping[str, EntryPoint]) -> NamedModule:
    if not _MODULE_NAME.fullmatch(name):
        raise _invalid(path, "a name has up to 63 letters, digits, '-' and '_'")
    if name in _OWN_MODULES:
        raise _invalid(path, "is part of the Connector and has settings of its own")
    if name not in installed:
        there = f"installed are {', '.join(sorted(installed))}" if installed else "none is installed"
        raise _invalid(path, f"no such module is installed as an entry point of {MODULES_GROUP}; {there}")
    try:
        module = installed[name].load()(dict(options))
    except Exception as error:
        # Whatever code of others does at its start: the operator must see which module it was.
        raise _invalid(path, f"cannot be made: {type(error).__name__}: {error}") from error
    if not inspect.iscoroutinefunction(getattr(module, "handle", None)):
        raise _invalid(path, "has no `async def handle(self, event, account)`")
    types = getattr(module, "types", None)
    if types is not None and (isinstance(types, str) or not all(isinstance(one, str) for one in types)):
        raise _invalid(path, "`types` must be a collection of names of events")
    return NamedModule(name, module)


def _read(decider: DeciderSettings, path: str) -> Json:
    assert decider.automation_config_file is not None
    try:
        return json.loads(decider.automation_config_file.read_text("utf-8"))
    except OSError as error:
        raise _invalid(path, error.strerror or "cannot be read") from None
    except ValueError as error:
        raise _invalid(path, f"is not JSON: {error}") from None


def _invalid(path: str, problem: str) -> SettingsInvalid:
    return SettingsInvalid(f"{path}: {problem}", violations=[FieldViolation(path, problem)])
