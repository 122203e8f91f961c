from __future__ import annotations

import pickle

from enmeshed_connector.core import malformed
from enmeshed_connector.core.errors import Code, FieldViolation, InvalidArgument
from enmeshed_connector.core.malformed import MalformedValue, WrongLength

CLASSES = [value for value in vars(malformed).values() if isinstance(value, type) and issubclass(value, MalformedValue)]


def test_every_malformed_value_is_an_invalid_argument_with_a_problem_of_its_own() -> None:
    assert len({kind.problem for kind in CLASSES}) == len(CLASSES)
    for kind in CLASSES:
        error = kind("cipher.nnc", "must have 24 bytes", official_code="error.crypto.x")
        assert isinstance(error, InvalidArgument)
        assert error.code is Code.INVALID_ARGUMENT
        assert error.reason == "INVALID_ARGUMENT"
        assert error.facts == {"field": "cipher.nnc", "problem": kind.problem}
        assert error.violations == (FieldViolation("cipher.nnc", "must have 24 bytes"),)
        assert error.official_code == "error.crypto.x"


def test_an_error_survives_another_process() -> None:
    again = pickle.loads(pickle.dumps(WrongLength("a.b", "is short")))
    assert (type(again), again.field, str(again)) == (WrongLength, "a.b", "a.b: is short")
