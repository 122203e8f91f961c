from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_connector.core.addresses import (
    address_host,
    backbone_pseudonym,
    check_address,
    client_pseudonym,
    derive_address,
    is_pseudonym,
    parse_address,
    truncated_address,
)
from enmeshed_connector.core.malformed import (
    ChecksumMismatch,
    MalformedValue,
    Mismatch,
    WrongForm,
    WrongLength,
    WrongType,
)
from tests.support.json_strategies import any_text

HOST = "prod.enmeshed.eu"
KEY = bytes.fromhex("fab857f1e187071b1b0c00829e24c21cab6314aa2425a0467c611eec218c7bd3")
ADDRESS = "did:e:prod.enmeshed.eu:dids:c27344576318a241ec0b36"

hosts = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{2,5}){0,3}", fullmatch=True)
keys = st.binary(min_size=32, max_size=32)


@given(keys, hosts)
def test_a_derived_address_belongs_to_its_key_and_host(key: bytes, host: str) -> None:
    address = derive_address(key, host)
    assert check_address(address, host=host, public_key=key) == parse_address(address) == address
    assert address_host(address) == host
    assert truncated_address(address) == address[-4:]


@given(keys, keys)
def test_an_address_belongs_to_no_other_key(key: bytes, other: bytes) -> None:
    if key != other:
        with pytest.raises(Mismatch):
            check_address(derive_address(key, HOST), host=HOST, public_key=other)


def test_an_altered_character_is_noticed() -> None:
    altered = {
        ADDRESS[:place] + character + ADDRESS[place + 1 :]
        for place in range(len(ADDRESS))
        for character in "0123456789abcdefgz.-:A"
    } - {ADDRESS}
    missed = 0
    for address in altered:
        with pytest.raises(MalformedValue):
            check_address(address, host=HOST, public_key=KEY)
        with contextlib.suppress(MalformedValue):
            check_address(address, host=HOST)
            missed += 1
    # Without the key there is the checksum alone, and that is one byte.
    assert missed < len(altered) / 100


@given(any_text.map(lambda text: text[:40]))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for candidate in (text, "did:e:" + text, f"did:e:{text}:dids:c27344576318a241ec0b36"):
        with contextlib.suppress(MalformedValue):
            parse_address(candidate)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (ADDRESS[:-1] + "7", ChecksumMismatch),
        (ADDRESS.upper(), WrongForm),
        (ADDRESS + "\n", WrongForm),
        (" " + ADDRESS, WrongForm),
        ("did:e::dids:c27344576318a241ec0b36", WrongForm),
        ("did:e:a/b:dids:c27344576318a241ec0b36", WrongForm),
        ("did:e:" + "a" * 60 + ":dids:c27344576318a241ec0b36", WrongLength),
        ("", WrongForm),
        (None, WrongType),
        (7, WrongType),
    ],
)
def test_what_is_no_address_is_refused(text: Any, error: type[MalformedValue]) -> None:
    with pytest.raises(error):
        parse_address(text)


def test_a_host_that_only_begins_alike_is_another_host() -> None:
    # Official peers compare the beginning only.
    longer = derive_address(KEY, HOST + ".example")
    with pytest.raises(Mismatch):
        check_address(longer, host=HOST)


def test_a_key_has_32_bytes_and_a_host_no_port() -> None:
    with pytest.raises(WrongLength):
        derive_address(KEY[:-1], HOST)
    for host in ("", "localhost:8090", "https://x", "a..b", "-a", "ä"):
        with pytest.raises(WrongForm):
            derive_address(KEY, host)


def test_both_pseudonyms_of_a_deleted_peer_are_known() -> None:
    assert client_pseudonym(HOST) == "did:e:prod.enmeshed.eu:dids:47ad141f0bbbef348bed91"
    assert client_pseudonym(HOST) != backbone_pseudonym(HOST)
    assert is_pseudonym(client_pseudonym(HOST))
    assert is_pseudonym(backbone_pseudonym(HOST))
    assert not is_pseudonym(parse_address(ADDRESS))
