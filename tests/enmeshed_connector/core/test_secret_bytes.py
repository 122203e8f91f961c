from __future__ import annotations

import copy
import json
import logging
import pickle
from dataclasses import asdict, dataclass

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_connector.core.secret_bytes import SecretBytes, SecretText
from tests.support.json_strategies import any_text

SECRET = SecretBytes(b"0123456789abcdef")


@dataclass(frozen=True)
class Holder:
    secret: SecretBytes


def test_no_text_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("got %s and %r", SECRET, Holder(SECRET))
    shown = [repr(SECRET), str(SECRET), f"{SECRET}", f"{SECRET!r:>20}", f"{SECRET:>40}", repr(Holder(SECRET))]
    shown += ["%s" % SECRET, "{}".format(SECRET), caplog.text, str(asdict(Holder(SECRET))), str([SECRET])]  # noqa: UP031, UP032
    for text in shown:
        assert "<redacted>" in text
        assert "0123" not in text


def test_a_secret_is_not_serialised_by_accident() -> None:
    for value in (SECRET, Holder(SECRET), SecretText("pass")):
        with pytest.raises(TypeError):
            pickle.dumps(value)
    with pytest.raises(TypeError):
        json.dumps({"key": SECRET})
    with pytest.raises(TypeError):
        orjson.dumps({"key": SECRET})
    assert not hasattr(SECRET, "__dict__")


def test_a_secret_is_no_key_of_a_mapping() -> None:
    with pytest.raises(TypeError):
        hash(SECRET)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_secrets_are_equal_when_their_bytes_are(one: bytes, other: bytes) -> None:
    assert (SecretBytes(one) == SecretBytes(other)) is (one == other)
    assert SecretBytes(one) != one
    assert SecretBytes(one).reveal() == one
    assert len(SecretBytes(one)) == len(one)


@given(any_text)
def test_secret_text_comes_back(text: str) -> None:
    assert SecretText(text).reveal_text() == text


def test_copies_are_the_secret_itself() -> None:
    assert copy.copy(SECRET) is copy.deepcopy(SECRET) is SECRET
