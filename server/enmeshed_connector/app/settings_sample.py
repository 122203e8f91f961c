"""The sample settings file: every option, explained and at its default, made from the settings themselves."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from enmeshed_connector.app.settings import AccountSettings, ModuleSettings, Settings

_INTRODUCTION = """\
# Settings of the enmeshed gRPC Connector. Every option is here with its default; those commented out are unset.
#
# Each can also be set by an environment variable, ENMESHED_SERVER__PORT for `port` of `[server]`. With _FILE at its end
# the variable names a file that holds the value: ENMESHED_BACKBONE__CLIENT_SECRET_FILE=/run/secrets/client. Flags win
# over the environment, the environment wins over this file. `enmeshed-connector config check` validates and prints.
"""


def sample() -> str:
    """Returns the TOML text of the sample settings file."""
    lines = [_INTRODUCTION]
    for name, field in Settings.model_fields.items():
        if name == "accounts":
            lines += [
                "# The hosted identities, a section each. A name has up to 40 characters of a-z, 0-9, '-' and '_'."
            ]
            sections = {
                part: info.annotation
                for part, info in AccountSettings.model_fields.items()
                if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
            }
            lines += ["[accounts.default]", *_options(AccountSettings, skip={"modules", *sections}), ""]
            for part, options in sections.items():
                lines += [*_explained(options), f"[accounts.default.{part}]", *_options(options, skip=set()), ""]
            lines += [*_explained(ModuleSettings), "# [accounts.default.modules.example]"]
            lines += [f"# {line}" if line else "#" for line in _options(ModuleSettings, skip=set())]
            continue
        section = field.annotation
        if not (isinstance(section, type) and issubclass(section, BaseModel)):
            raise TypeError(f"{name} is not a section")
        lines += [*_explained(section), f"[{name}]", *_options(section, skip=set()), ""]
    return "\n".join(lines).rstrip() + "\n"


def _explained(section: type[BaseModel]) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap((section.__doc__ or "").strip(), 118)]


def _options(section: type[BaseModel], *, skip: set[str]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        if name in skip:
            continue
        yield from (f"# {line}" for line in textwrap.wrap(field.description or "", 118))
        default = field.get_default(call_default_factory=True)
        yield f"# {name} =" if default is None else f"{name} = {_toml(default)}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict | list):
        return str(value)
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    if not isinstance(value, str | SecretStr | Path):
        raise TypeError(f"no TOML form for {type(value).__name__}")
    return f'"{text}"'
