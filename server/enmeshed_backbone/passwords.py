"""How secrets of devices and clients are kept: salted and hashed with scrypt."""

from __future__ import annotations

import hashlib
import hmac

from .ids import RandomSource
from .settings import PasswordPolicy

_SALT_BYTES = 16


def hash_password(password: str, random: RandomSource) -> bytes:
    """Returns salt and hash of a password."""
    salt = random(_SALT_BYTES)
    return salt + _scrypt(password, salt)


def fits(password: str, stored: bytes) -> bool:
    """Returns whether the password is the one whose hash is stored."""
    salt, expected = stored[:_SALT_BYTES], stored[_SALT_BYTES:]
    return hmac.compare_digest(_scrypt(password, salt), expected)


def is_allowed(password: str, policy: PasswordPolicy) -> bool:
    """Returns whether a new password follows the policy."""
    if policy is PasswordPolicy.DEVELOPMENT:
        return len(password) >= 1
    kinds = (str.isupper, str.islower, str.isdigit, lambda character: not character.isalnum())
    return len(password) >= 10 and all(any(map(kind, password)) for kind in kinds)


def _scrypt(password: str, salt: bytes) -> bytes:
    # Light on purpose, a millisecond or two: a test suite logs in hundreds of times, and official device passwords are
    # 45 random characters.
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=1024, r=8, p=1, dklen=32)
