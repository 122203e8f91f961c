from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_connector import crypto
from enmeshed_connector.crypto.states import _UsedCounters
from tests.support.crypto_samples import counters

KEY = crypto.SecretKey(bytes(range(32)))
NONCE = bytes(range(24))


@given(st.integers(0, 5), st.lists(st.integers(0, 30), max_size=60))
def test_a_counter_is_taken_once(stored: int, asked: list[int]) -> None:
    state = crypto.TransmitState(KEY, NONCE, stored)
    used = set(range(stored))
    for counter in asked:
        if counter in used:
            with pytest.raises(crypto.CounterUsed):
                state.encrypt(b"x", counter=counter)
        else:
            assert state.encrypt(b"x", counter=counter).counter == counter
        used.add(counter)


@given(st.lists(counters, max_size=30))
def test_used_counters_are_kept_as_few_ranges(asked: list[int]) -> None:
    used = _UsedCounters(0)
    seen: set[int] = set()
    for counter in asked:
        assert used.add(counter) is (counter not in seen)
        seen.add(counter)
    starts = {counter for counter in seen if counter - 1 not in seen}
    assert used._starts == sorted(starts)
    assert len(used._ends) == len(starts)


def test_a_million_counters_in_a_row_take_the_space_of_one() -> None:
    used = _UsedCounters(0)
    for counter in range(2**20, 2**20 + 100_000):
        used.add(counter)
    assert (used._starts, used._ends) == ([2**20], [2**20 + 100_000])


def test_a_refused_counter_says_which_and_nothing_else() -> None:
    state = crypto.TransmitState(KEY, NONCE)
    state.encrypt(b"one", counter=2**20)
    with pytest.raises(crypto.CounterUsed) as raised:
        state.encrypt(b"two", counter=2**20)
    assert raised.value.facts == {"counter": str(2**20)}
    assert state.encrypt(b"two", counter=2**20 + 1).counter == 2**20 + 1


def test_of_many_threads_with_one_counter_one_encrypts() -> None:
    state = crypto.TransmitState(KEY, NONCE)
    outcomes: list[bool] = []
    barrier = threading.Barrier(8)

    def attempt() -> None:
        barrier.wait()
        for counter in range(50):
            try:
                state.encrypt(b"x", counter=counter)
                outcomes.append(True)
            except crypto.CounterUsed:
                outcomes.append(False)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (outcomes.count(True), len(outcomes)) == (50, 400)


def test_the_stored_counter_of_official_devices_stays_untouched() -> None:
    state = crypto.TransmitState(KEY, NONCE, 3)
    before = state.to_text()
    state.encrypt(b"x", counter=2**20 + 5)
    assert state.to_text() == before
    with pytest.raises(crypto.CounterUsed):
        state.encrypt(b"x", counter=2)


def test_a_state_with_a_later_counter_takes_all_before_for_used() -> None:
    later = crypto.TransmitState(KEY, NONCE).at(10)
    with pytest.raises(crypto.CounterUsed):
        later.encrypt(b"x", counter=9)
    assert later.encrypt(b"x", counter=10).counter == 10


@given(counters, st.binary(max_size=30))
def test_the_peer_reads_any_counter(counter: int, data: bytes) -> None:
    transmit, receive = crypto.TransmitState(KEY, NONCE), crypto.ReceiveState(KEY, NONCE)
    cipher = transmit.encrypt(data, counter=counter)
    assert receive.decrypt(cipher) == receive.decrypt(cipher) == transmit.decrypt(cipher) == data
    assert receive.counter == 0


def test_reading_in_order_refuses_gaps_and_repeats() -> None:
    transmit, receive = crypto.TransmitState(KEY, NONCE), crypto.ReceiveState(KEY, NONCE)
    first, second = (transmit.encrypt(bytes([counter]), counter=counter) for counter in (0, 1))
    with pytest.raises(crypto.CounterOutOfOrder):
        receive.decrypt_in_order(second)
    plaintext, receive = receive.decrypt_in_order(first)
    assert plaintext == b"\0"
    with pytest.raises(crypto.CounterOutOfOrder):
        receive.decrypt_in_order(first)
    forged = crypto.Cipher(bytes(20), counter=1)
    with pytest.raises(crypto.DecryptionFailed):
        receive.decrypt_in_order(forged)
    assert receive.decrypt_in_order(second)[0] == b"\1"


def test_states_are_equal_by_their_parts_and_show_no_key() -> None:
    state = crypto.TransmitState(KEY, NONCE, 1, "id")
    assert state == crypto.TransmitState(KEY, NONCE, 1, "id")
    assert state != crypto.TransmitState(crypto.SecretKey(bytes(32)), NONCE, 1, "id")
    assert state != crypto.ReceiveState(KEY, NONCE, 1, "id")
    assert repr(state) == "TransmitState(key=<redacted>, counter=1)"
