"""What docs/automation.md shows is taken as it stands there."""

import json
import re
import tomllib
from pathlib import Path

from enmeshed_connector.app.automation import rules_of
from enmeshed_connector.app.settings import load_settings
from enmeshed_connector.runtime.automation.decider.conditions import ITEM_CONDITIONS, REQUEST_CONDITIONS
from enmeshed_connector.runtime.automation.decider.rules import parse_rules

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "automation.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_settings_are_taken(tmp_path: Path) -> None:
    settings = [block for block in blocks("toml") if "entry-points" not in block]
    assert len(settings) == 3
    for block in settings:
        file = tmp_path / "settings.toml"
        file.write_text(block)
        account = load_settings(file=file, environment={}).accounts["default"]
        rules_of("default", account.decider)
    assert account.modules["greeter"].options == {"subject": "Anybody?"}


def test_the_rules_in_json_are_taken() -> None:
    (block,) = blocks("json")
    assert len(parse_rules(json.loads(block), "here")) == 1


def test_the_module_is_the_one_that_is_tested() -> None:
    (code,) = blocks("python")
    assert code.strip() in (ROOT / "tests" / "support" / "greeter.py").read_text()


def test_the_entry_point_is_of_the_right_group() -> None:
    (block,) = [block for block in blocks("toml") if "entry-points" in block]
    assert list(tomllib.loads(block)["project"]["entry-points"]) == ["enmeshed_connector.modules"]


def test_all_conditions_are_told_of() -> None:
    names = {name.rsplit(".", 1)[-1] for name in REQUEST_CONDITIONS}
    names |= {name.rsplit(".", 1)[-1] for conditions in ITEM_CONDITIONS.values() for name in conditions}
    assert [name for name in sorted(names) if name not in TEXT] == []
