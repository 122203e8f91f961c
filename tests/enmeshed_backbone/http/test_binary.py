"""Bytes in texts."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_backbone.http import binary


@given(st.binary(max_size=200))
def test_both_alphabets_are_read_and_one_is_written(data: bytes) -> None:
    written = binary.encode(data)

    assert not set(written) & set("+/=")
    assert binary.decode(written) == data
    assert binary.decode(base64.urlsafe_b64encode(data).decode()) == data
    assert binary.decode(base64.b64encode(data).decode()) == data
    assert binary.decode_standard(base64.b64encode(data).decode()) == data


@pytest.mark.parametrize("text", ["A", "AAAAA", "AA=A", "AA===", "A A", "ä", "+-AA", "+A", "A\n", "=", "AAAA===="])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        binary.decode(text)


@pytest.mark.parametrize("text", ["AA", "_-AA", "AAA", "A=AA", "AAAA\n"])
def test_standard_base64_is_read_strictly(text: str) -> None:
    with pytest.raises(ValueError):
        binary.decode_standard(text)
