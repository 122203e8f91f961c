"""Address derivation of the Backbone against the vectors, without the Connector's own derivation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enmeshed_backbone import addresses

_VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "crypto.json").read_text("utf-8"))["groups"]


def _vectors(operation: str) -> list[Any]:
    return [pytest.param(v, id=v["id"]) for v in _VECTORS["address"]["vectors"] if v["op"] == operation]


@pytest.mark.parametrize("vector", _vectors("address.create"))
def test_an_address_is_derived_as_official_clients_do(vector: dict[str, Any]) -> None:
    key = bytes.fromhex(vector["in"]["public_hex"])

    assert addresses.derive(key, vector["in"]["hostname"]) == vector["out"]["address"]


@pytest.mark.parametrize("vector", _vectors("address.check"))
def test_an_address_is_valid_when_its_parts_fit(vector: dict[str, Any]) -> None:
    given = vector["in"]
    fits = addresses.is_address(given["address"]) and given["address"].startswith(f"did:e:{given['hostname']}:dids:")
    if "public_hex" in given:
        fits = fits and addresses.derive(bytes.fromhex(given["public_hex"]), given["hostname"]) == given["address"]

    assert fits is vector["out"]["valid"]


@pytest.mark.parametrize(
    "vector",
    [pytest.param(v, id=v["id"]) for v in _VECTORS["flow"]["vectors"] if v["op"] == "flow.createIdentity"],
)
def test_the_address_of_a_new_identity_is_what_the_official_client_computed(vector: dict[str, Any]) -> None:
    key = bytes.fromhex(vector["in"]["identity_private_hex"])[32:]

    assert addresses.derive(key, vector["in"]["hostname"]) == vector["out"]["address"]


@pytest.mark.parametrize(
    ("key", "address"),
    [
        (bytes(32), "did:e:localhost:dids:1e8fcd70de2cd15d57a115"),
        (bytes(range(32)), "did:e:localhost:dids:fc6cbb07fdde421f7f5880"),
        (bytes([1] * 5), "did:e:localhost:dids:0f3e40164b6c495c28674f"),
        (bytes([2] * 5), "did:e:localhost:dids:8234cca0160ff05c785636"),
    ],
)
def test_the_examples_of_the_specification_are_derived(key: bytes, address: str) -> None:
    assert addresses.derive(key, "localhost") == address


def test_nobody_has_the_address_of_the_servers_form_of_the_text() -> None:
    assert addresses.anonymised("localhost") == "did:e:localhost:dids:3a29ae5c1f591bbd9a2aaa"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "did:e:localhost:dids:1e8fcd70de2cd15d57a11",
        "did:e:localhost:dids:1e8fcd70de2cd15d57a1155",
        "did:e:localhost:dids:1E8FCD70DE2CD15D57A115",
        "did:e:localhost:dids:1e8fcd70de2cd15d57a114",
        "did:e:127.0.0.1:dids:1e8fcd70de2cd15d57a115",
        "did:e:localhost:dids:1e8fcd70de2cd15d57a115\n",
        "did:x:localhost:dids:1e8fcd70de2cd15d57a115",
        "x" * 10_000,
    ],
)
def test_anything_else_is_no_address(text: str) -> None:
    assert not addresses.is_address(text)


@pytest.mark.parametrize(
    ("domain", "is_valid"),
    [
        ("localhost", True),
        ("a-1.example.eu", True),
        ("127.0.0.1", False),
        ("x.y", False),
        ("Up.per", False),
        ("a" * 46, False),
    ],
)
def test_a_domain_is_dotted_labels_with_letters_at_its_end(domain: str, is_valid: bool) -> None:
    assert addresses.is_domain(domain) is is_valid
