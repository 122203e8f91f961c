"""Every vector of `crypto.json` as a case of its own, and what the runner for other files promises."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.vectors import run

FILE = run.HERE / "crypto.json"
VECTORS = list(run.vectors_of(FILE))
NEGATIVE = [vector for vector in VECTORS if vector.is_negative]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.id)
def test_vector_gives_exactly_its_outcome(vector: run.Vector) -> None:
    run.check(vector)


@pytest.mark.parametrize("vector", NEGATIVE, ids=lambda vector: vector.id)
def test_negative_vector_is_refused_for_its_reason(vector: run.Vector) -> None:
    assert run.refusal(vector) == run.reasons()["byId"][vector.id]


def test_all_263_vectors_are_here_with_107_negative_ones() -> None:
    assert len(VECTORS) == len({vector.id for vector in VECTORS}) == 263
    assert len(NEGATIVE) == 107
    assert run.reasons()["byId"].keys() == {vector.id for vector in NEGATIVE}
    assert run.reasons()["byKind"].keys() == {vector.kind_of_refusal for vector in NEGATIVE}


def test_official_error_codes_are_ours_where_upstream_has_one() -> None:
    for vector in NEGATIVE:
        upstream = vector.members.get("upstreamError", "")
        if upstream.startswith(("error.transport.", "error.crypto.encryption.decrypt", "error.crypto.state")):
            assert run.refusal(vector).endswith(upstream), vector.id


@pytest.fixture
def document() -> dict[str, Any]:
    return copy.deepcopy(json.loads(FILE.read_text("utf-8")))


def _last_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], document: Any, *, exit_code: int) -> tuple[str, str]:
    path = tmp_path / "vectors.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    assert run.main([str(path)]) == exit_code
    output = capsys.readouterr().out.splitlines()
    return output[-1], "\n".join(output[:-1])


def _only(document: dict[str, Any], group: str, *places: int) -> dict[str, Any]:
    vectors = [document["groups"][group]["vectors"][place] for place in places]
    return {"groups": {group: {"vectors": vectors}}}


def test_runner_counts_and_prints_the_result_last(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _last_line(tmp_path, capsys, _only(document, "hash", 0, 1, 4), exit_code=0)[0] == "3 passed, 0 failed"


def test_runner_fails_on_a_wrong_outcome(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = _only(document, "hash", 0, 1)
    few["groups"]["hash"]["vectors"][0]["out"]["sha256_hex"] = "00"
    last, before = _last_line(tmp_path, capsys, few, exit_code=1)
    assert last == "1 passed, 1 failed"
    assert "hash-01" in before


def test_runner_fails_on_an_accepted_negative_vector(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = _only(document, "encoding", 8)
    few["groups"]["encoding"]["vectors"][0]["in"]["text"] = "QUI"
    assert _last_line(tmp_path, capsys, few, exit_code=1)[0] == "0 passed, 1 failed"


def test_runner_fails_on_a_refusal_for_another_reason(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = _only(document, "cipherParse", 0)
    few["groups"]["cipherParse"]["vectors"][0]["in"]["json"] = "{"
    assert _last_line(tmp_path, capsys, few, exit_code=1)[0] == "0 passed, 1 failed"


def test_runner_fails_on_an_outcome_that_nothing_gives(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = _only(document, "hash", 0)
    few["groups"]["hash"]["vectors"][0]["out"]["sha3_hex"] = ""
    assert _last_line(tmp_path, capsys, few, exit_code=1)[0] == "0 passed, 1 failed"


def test_runner_fails_on_an_unknown_kind_of_case(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = _only(document, "hash", 0, 1)
    few["groups"]["hash"]["vectors"][1]["op"] = "hash.sha3"
    few["groups"]["hash"]["vectors"][1] |= {"fails": True}
    last, before = _last_line(tmp_path, capsys, few, exit_code=1)
    assert last == "1 passed, 1 failed"
    assert "unknown kind of case" in before


def test_runner_fails_on_a_case_that_expects_nothing(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = _only(document, "hash", 0, 1)
    few["groups"]["hash"]["vectors"][0]["out"] = {}
    assert _last_line(tmp_path, capsys, few, exit_code=1)[0] == "1 passed, 1 failed"


@pytest.mark.parametrize(
    "text",
    [
        *('{"groups": {}}', '{"groups": {"hash": {"vectors": []}}}', "{}", "[]", "", "{", '{"groups": {"hash": 1}}'),
        "[" * 100_000,
    ],
    ids=lambda text: text[:40],
)
def test_runner_fails_on_a_file_without_cases(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _last_line(tmp_path, capsys, text, exit_code=1)[0] == "0 passed, 1 failed"


def test_runner_fails_on_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([str(tmp_path / "none.json")]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 1 failed"


def test_runner_fails_when_vectors_are_left_out(
    document: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = _only(document, "hash", 0) | {"meta": {"counts": {"total": 2}}}
    assert _last_line(tmp_path, capsys, few, exit_code=1)[0] == "1 passed, 1 failed"
