from enmeshed_connector.api.serialised_objects import SerialisedObjects


def kept(objects: SerialisedObjects, name: str, size: int = 1000) -> bool:
    """Asks for an object and returns whether it was kept."""
    is_made = False

    def make() -> bytes:
        nonlocal is_made
        is_made = True
        return bytes(size)

    assert objects.get(name, make) == bytes(size)
    return not is_made


def test_what_was_not_used_for_longest_makes_room() -> None:
    objects = SerialisedObjects(max_bytes=5_000)
    assert not any(kept(objects, name) for name in "abc")
    assert kept(objects, "a")
    assert not kept(objects, "d")
    assert kept(objects, "a")
    assert kept(objects, "c")
    assert not kept(objects, "b")


def test_what_is_large_pushes_nothing_out() -> None:
    objects = SerialisedObjects(max_bytes=200_000)
    assert not kept(objects, "a")
    assert not kept(objects, "large", 100_000)
    assert not kept(objects, "large", 100_000)
    assert kept(objects, "a")
