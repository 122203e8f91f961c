"""Ids and other random texts."""

from __future__ import annotations

import os
import re
from itertools import cycle

import pytest

from enmeshed_backbone.ids import IdMaker, is_id, is_ownership_token, is_whole_id


def test_made_texts_have_the_forms_of_the_network() -> None:
    ids = IdMaker(os.urandom)
    for _ in range(100):
        assert re.fullmatch(r"MSG[A-Za-z0-9]{17}", ids.make("MSG"))
        assert re.fullmatch(r"ERR[A-HJ-NP-Z1-9]{17}", ids.error_id())
        assert is_ownership_token(ids.ownership_token())
        assert len(ids.ownership_token()) == 20
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", ids.guid())


def test_every_character_comes_equally_often() -> None:
    bytes_in_turn = cycle(range(256))
    ids = IdMaker(lambda size: bytes(next(bytes_in_turn) for _ in range(size)))
    text = ids.text(62 * 4)

    assert {text.count(character) for character in set(text)} == {4}


@pytest.mark.parametrize("text", ["MSG", "MSGa", "MSG" + "z9" * 8, "MSG" + "a" * 17])
def test_an_id_may_be_too_short(text: str) -> None:
    assert is_id("MSG", text)
    assert is_whole_id("MSG", text) is (len(text) == 20)


@pytest.mark.parametrize("text", ["", "MS", "msga", "FILa", "MSG-", "MSGä", "MSGa\n", "MSG" + "a" * 18])
def test_another_prefix_length_or_character_is_no_id(text: str) -> None:
    assert not is_id("MSG", text)


@pytest.mark.parametrize(
    ("text", "fits"), [("", False), ("a!@#$%^&*()_-+=<>?/", True), ("a" * 21, False), ("ä", False)]
)
def test_ownership_tokens_have_a_fixed_set_of_characters(text: str, fits: bool) -> None:
    assert is_ownership_token(text) is fits
