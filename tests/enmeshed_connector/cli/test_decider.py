"""Rules checked and tried at the command line, without a server."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.enmeshed_connector.cli.test_cli import run

RULES = [
    {
        "requestConfig": {"content.item.@type": "CreateAttributeRequestItem", "relationshipAlreadyExists": True},
        "responseConfig": {"accept": True},
    },
    {
        "requestConfig": {"content.item.@type": "ReadAttributeRequestItem", "peer": "did:e:peer"},
        "responseConfig": {"accept": False, "code": "private"},
    },
    {"requestConfig": {"content.item.@type": "ConsentRequestItem"}, "responseConfig": {"accept": True}},
]
CREATE: dict[str, Any] = {"@type": "CreateAttributeRequestItem", "mustBeAccepted": True}
READ: dict[str, Any] = {"@type": "ReadAttributeRequestItem", "mustBeAccepted": False}
GROUP = {"@type": "RequestItemGroup", "items": [READ]}


@pytest.fixture
def rules(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(RULES))
    return {"ENMESHED_ACCOUNTS__DEFAULT__DECIDER__AUTOMATION_CONFIG_FILE": str(file)}


async def test_rules_are_listed(tmp_path: Path, rules: dict[str, str]) -> None:
    code, out, err = await run("decider", "check", folder=tmp_path, environment=rules)
    assert code == 0, err
    assert "never applies" in out
    code, out, _ = await run("decider", "check", "--json", folder=tmp_path, environment=rules)
    assert code == 0
    listed = json.loads(out)["default"]
    assert [one["neverApplies"] for one in listed] == [False, False, True]
    assert listed[1]["requestConditions"] == {"peer": "did:e:peer"}


async def test_a_rule_that_time_has_overtaken_is_told_and_stops_nothing(tmp_path: Path) -> None:
    condition = {"content.item.@type": "DeleteAttributeRequestItem"}
    rules = [
        {"requestConfig": condition, "responseConfig": {"accept": True, "deletionDate": f"{year}-01-01T00:00:00.000Z"}}
        for year in (2020, 2999)
    ]
    flag = f"accounts.default.decider.automation_config={json.dumps(rules)}"
    code, out, err = await run("decider", "check", "--set", flag, folder=tmp_path)
    assert code == 0, err
    assert out.count("its deletionDate is over") == 1
    _, out, _ = await run("decider", "check", "--json", "--set", flag, folder=tmp_path)
    assert [one["promisesTooLate"] for one in json.loads(out)["default"]] == [True, False]


async def test_wrong_rules_are_refused_with_their_place(tmp_path: Path) -> None:
    rules = json.dumps([{"requestConfig": {"pear": "x"}, "responseConfig": {"accept": True}}])
    flag = f"accounts.default.decider.automation_config={rules}"
    for command in (("decider", "check"), ("config", "check")):
        code, _, err = await run(*command, "--set", flag, folder=tmp_path)
        assert code == 2
        assert "accounts.default.decider.automation_config[0].requestConfig.pear" in err
        assert "Traceback" not in err


@pytest.mark.parametrize(
    ("items", "more", "verdict", "decisions"),
    [
        ([CREATE], ["--relationship"], "accept", [{"accept": True}]),
        ([CREATE], ["--no-relationship"], "manual", []),
        ([READ], ["--peer", "did:e:peer"], "reject", [{"accept": False, "code": "private"}]),
        (
            [CREATE, GROUP],
            ["--relationship", "--peer", "did:e:peer"],
            "accept",
            [{"accept": True}, {"items": [{"accept": False, "code": "private"}]}],
        ),
        ([CREATE, GROUP], ["--relationship", "--peer", "did:e:other"], "manual", []),
    ],
)
async def test_a_request_is_tried(
    tmp_path: Path, rules: dict[str, str], items: list[Any], more: list[str], verdict: str, decisions: list[Any]
) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"@type": "Request", "items": items}))
    command = ("decider", "try", "--request", str(request), *more)
    code, out, err = await run(*command, "--json", folder=tmp_path, environment=rules)
    assert code == 0, err
    tried = json.loads(out)
    assert (tried["verdict"], tried["decisions"]) == (verdict, decisions)
    code, out, _ = await run(*command, folder=tmp_path, environment=rules)
    assert code == 0
    assert ("waits for a person" if verdict == "manual" else f"{verdict}s the request") in out


async def test_a_whole_local_request_is_tried_too(tmp_path: Path, rules: dict[str, str]) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"peer": "did:e:peer", "content": {"@type": "Request", "items": [READ]}}))
    code, out, _ = await run("decider", "try", "-r", str(request), "--json", folder=tmp_path, environment=rules)
    assert code == 0
    assert json.loads(out)["items"] == [
        {"path": [0], "type": "ReadAttributeRequestItem", "rule": 1, "decision": {"accept": False, "code": "private"}}
    ]


@pytest.mark.parametrize(
    ("text", "more", "problem"),
    [
        ("{", [], "--request"),
        ("[]", [], "is no object"),
        ("{}", ["--account", "nobody"], "one of default"),
    ],
)
async def test_what_cannot_be_tried_is_said(tmp_path: Path, text: str, more: list[str], problem: str) -> None:
    request = tmp_path / "request.json"
    request.write_text(text)
    code, _, err = await run("decider", "try", "--request", str(request), *more, folder=tmp_path)
    assert code == 2
    assert problem in err
    assert "Traceback" not in err
