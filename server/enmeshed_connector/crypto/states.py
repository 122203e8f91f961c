"""The two ends of a channel in counter mode. Source: `spec/crypto.md` sections 4.2, 5 and 19."""

from __future__ import annotations

import bisect
import os
import threading
from dataclasses import dataclass
from typing import ClassVar

from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.encodings import to_base64url
from enmeshed_connector.core.malformed import WrongForm, WrongLength

from ._container import Container, RandomSource, check_algorithm, read_bytes, read_integer, read_optional_text
from .errors import CounterOutOfOrder, CounterUsed
from .symmetric import (
    MAX_COUNTER,
    NONCE_LENGTH,
    XCHACHA20_POLY1305,
    Cipher,
    SecretKey,
    check_counter,
    decrypt_with_counter,
    encrypt_with_counter,
    read_counter,
)

RECEIVE = 1
TRANSMIT = 2
MAX_STATE_ID_LENGTH = 30
_ALGORITHM_CODE = "error.crypto.wrongEncryptionAlgorithm"
_NONCE_CODE = "error.crypto.encryption.wrongNonce"


class _UsedCounters:
    """A set of counters kept as ranges, so that a million of them in a row take the space of one."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, below: int) -> None:
        self._starts = [0] if below else []
        self._ends = [below] if below else []

    def add(self, counter: int) -> bool:
        """Returns whether the counter was new, and holds it from now on."""
        place = bisect.bisect_right(self._starts, counter)
        if place and counter < self._ends[place - 1]:
            return False
        joins_left = place > 0 and self._ends[place - 1] == counter
        joins_right = place < len(self._starts) and self._starts[place] == counter + 1
        if joins_left and joins_right:
            self._ends[place - 1] = self._ends[place]
            del self._starts[place], self._ends[place]
        elif joins_left:
            self._ends[place - 1] = counter + 1
        elif joins_right:
            self._starts[place] = counter
        else:
            self._starts.insert(place, counter)
            self._ends.insert(place, counter + 1)
        return True


class _PrivateState(Container):
    """What both ends hold: key, base nonce, the stored counter, an optional id."""

    __slots__ = ("counter", "id", "key", "nonce")

    number: ClassVar[int]

    def __init__(self, key: SecretKey, nonce: bytes, counter: int = 0, id: str | None = None) -> None:
        """Takes the parts; raises a MalformedValue when one is out of its limits."""
        if len(nonce) != NONCE_LENGTH:
            raise WrongLength("state.nnc", f"must have {NONCE_LENGTH} bytes", official_code=_NONCE_CODE)
        if id is not None and len(id) > MAX_STATE_ID_LENGTH:
            raise WrongLength("state.id", f"must have {MAX_STATE_ID_LENGTH} characters at most")
        self.key = key
        self.nonce = nonce
        self.counter = check_counter(counter, "state.cnt")
        self.id = id

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or not isinstance(other, _PrivateState):
            return NotImplemented
        return self.key == other.key and (self.nonce, self.counter, self.id) == (other.nonce, other.counter, other.id)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(key=<redacted>, counter={self.counter})"

    def to_json(self, *, verbose: bool = True) -> JsonObject:
        """Returns the JSON members; `@type` is always among them."""
        return {**self._members(), "@type": self.type_name}

    def _members(self) -> JsonObject:
        members: JsonObject = {
            "nnc": to_base64url(self.nonce),
            "cnt": self.counter,
            "key": to_base64url(self.key.reveal()),
            "alg": XCHACHA20_POLY1305,
            "typ": self.number,
        }
        if self.id is not None:
            members["id"] = self.id
        return members

    @classmethod
    def _parts(cls, members: JsonObject, field: str) -> tuple[SecretKey, bytes, int, str | None]:
        check_algorithm(members, XCHACHA20_POLY1305, field, _ALGORITHM_CODE)
        if read_integer(members, "typ", "stateType", field) != cls.number:
            raise WrongForm(f"{field}.typ", f"must be {cls.number}")
        return (
            SecretKey(read_bytes(members, "key", "secretKey", field, 32, "error.crypto.encryption.wrongSecretKey")),
            read_bytes(members, "nnc", "nonce", field, NONCE_LENGTH, _NONCE_CODE),
            read_counter(members, field),
            read_optional_text(members, "id", field),
        )


class TransmitState(_PrivateState):
    """The sending end of a channel.

    The counter of each cipher comes from the caller, who keeps it durable across restarts and devices (slot times 2^20
    plus a reserved number). This object refuses every counter that it has seen, and those below the stored `cnt`, which
    official code counts up from. `counter` and the serialised forms hold that stored number and never change.
    """

    __slots__ = ("_lock", "_used")

    type_name: ClassVar[str] = "CryptoPrivateStateTransmit"
    number: ClassVar[int] = TRANSMIT

    def __init__(self, key: SecretKey, nonce: bytes, counter: int = 0, id: str | None = None) -> None:
        super().__init__(key, nonce, counter, id)
        self._used = _UsedCounters(counter)
        self._lock = threading.Lock()

    @classmethod
    def create(cls, key: SecretKey, random: RandomSource = os.urandom) -> TransmitState:
        """Returns a state with a fresh base nonce, from counter 0."""
        return cls(key, random(NONCE_LENGTH))

    def encrypt(self, plaintext: bytes, *, counter: int) -> Cipher:
        """Returns the cipher of a plaintext under a counter that was never used with this channel.

        Raises:
            CounterOutOfRange: The counter is not 0 to 4294967295; nothing is marked as used.
            CounterUsed: The counter was used before or is below the stored one; nothing was encrypted.
        """
        check_counter(counter)
        with self._lock:
            is_new = self._used.add(counter)
        if not is_new:
            raise CounterUsed("this counter was used before", facts={"counter": str(counter)})
        return encrypt_with_counter(self.key, plaintext, base_nonce=self.nonce, counter=counter)

    def decrypt(self, cipher: Cipher) -> bytes:
        """Returns the plaintext of a cipher that this side made.

        Raises:
            MissingValue: The cipher has a nonce instead of a counter.
            DecryptionFailed: The tag does not fit.
        """
        return decrypt_with_counter(self.key, cipher, base_nonce=self.nonce)

    def at(self, counter: int) -> TransmitState:
        """Returns the state with another stored counter, everything below it taken for used."""
        return TransmitState(self.key, self.nonce, counter, self.id)

    def public_state(self) -> PublicState:
        """Returns what the peer needs to know of this end."""
        return PublicState(self.nonce, self.id)

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> TransmitState:
        return cls(*cls._parts(members, field))


class ReceiveState(_PrivateState):
    """The receiving end of a channel; a value, reading changes nothing in it."""

    __slots__ = ()

    type_name: ClassVar[str] = "CryptoPrivateStateReceive"
    number: ClassVar[int] = RECEIVE

    def decrypt(self, cipher: Cipher) -> bytes:
        """Returns the plaintext of a cipher with whatever counter it names: official senders repeat 0.

        Raises:
            MissingValue: The cipher has a nonce instead of a counter.
            DecryptionFailed: The tag does not fit.
        """
        return decrypt_with_counter(self.key, cipher, base_nonce=self.nonce)

    def decrypt_in_order(self, cipher: Cipher) -> tuple[bytes, ReceiveState]:
        """Returns the plaintext of the next cipher in order, and the state that expects the one after it.

        Raises:
            CounterOutOfOrder: The cipher has another counter than the expected one.
            MissingValue: The cipher has a nonce instead of a counter.
            DecryptionFailed: The tag does not fit.
        """
        if cipher.counter is not None and cipher.counter != self.counter:
            raise CounterOutOfOrder(
                "the cipher is not the next in order",
                facts={"expected": str(self.counter), "actual": str(cipher.counter)},
            )
        plaintext = self.decrypt(cipher)
        return plaintext, ReceiveState(self.key, self.nonce, min(self.counter + 1, MAX_COUNTER), self.id)

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> ReceiveState:
        return cls(*cls._parts(members, field))


@dataclass(frozen=True, slots=True)
class PublicState(Container):
    """The part of a transmit state that the peer gets: the base nonce."""

    type_name: ClassVar[str] = "CryptoPublicState"
    type_comes_first: ClassVar[bool] = True

    nonce: bytes
    """24 bytes."""
    id: str | None = None
    """At most 30 characters."""

    def __post_init__(self) -> None:
        if len(self.nonce) != NONCE_LENGTH:
            raise WrongLength("state.nnc", f"must have {NONCE_LENGTH} bytes", official_code=_NONCE_CODE)
        if self.id is not None and len(self.id) > MAX_STATE_ID_LENGTH:
            raise WrongLength("state.id", f"must have {MAX_STATE_ID_LENGTH} characters at most")

    def _members(self) -> JsonObject:
        members: JsonObject = {"nnc": to_base64url(self.nonce), "alg": XCHACHA20_POLY1305, "typ": TRANSMIT}
        if self.id is not None:
            members["id"] = self.id
        return members

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> PublicState:
        check_algorithm(members, XCHACHA20_POLY1305, field, _ALGORITHM_CODE)
        if read_integer(members, "typ", "stateType", field) != TRANSMIT:
            raise WrongForm(f"{field}.typ", f"must be {TRANSMIT}")
        return cls(
            read_bytes(members, "nnc", "nonce", field, NONCE_LENGTH, _NONCE_CODE),
            read_optional_text(members, "id", field),
        )
