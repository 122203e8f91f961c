"""Bank account numbers: IBAN and BIC. Source: the IBAN registry, ISO 13616, ISO 9362; national rules as noted.

What counts as valid is what official peers take: they know accounts of more countries than the registry has, and check
national digits for some.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from .code_lists import COUNTRIES

_TABLE: Final = """
    AD:8n12c  AE:19n  AL:8n16c  AO:21n  AT:16n  AX:14n  AZ:4a20c  BA:16n  BE:12n  BF:2c22n  BG:4a6n8c
    BH:4a14c  BI:23n  BJ:2c22n  BL:10n11c2n  BR:23n1a1c  BY:4a4n16c  CF:23n  CG:23n  CH:5n12c  CI:1a23n
    CM:23n  CR:18n  CV:21n  CY:8n16c  CZ:20n  DE:18n  DJ:23n  DK:14n  DO:4a20n  DZ:22n  EE:16n  EG:25n
    ES:20n  FI:14n  FK:2a12n  FO:14n  FR:10n11c2n  GA:23n  GB:4a14n  GE:2c16n  GF:10n11c2n  GI:4a15c  GL:14n
    GP:10n11c2n  GQ:23n  GR:7n16c  GT:24c  GW:2a19n  HN:4a20n  HR:17n  HU:24n  IE:4c14n  IL:19n  IQ:4a15n
    IR:22n  IS:22n  IT:1a10n12c  JO:4a4n18c  KM:23n  KW:4a22c  KZ:3n13c  LB:4n20c  LC:4a24c  LI:5n12c
    LT:16n  LU:3n13c  LV:4a13c  LY:21n  MA:24n  MC:10n11c2n  MD:20c  ME:18n  MF:10n11c2n  MG:23n  MK:3n10c2n
    ML:2c22n  MN:16n  MQ:10n11c2n  MR:23n  MT:4a5n18c  MU:4a19n3a  MZ:21n  NC:10n11c2n  NE:2a22n  NI:4a20n
    NL:4a10n  NO:11n  OM:3n16c  PF:10n11c2n  PK:4c16n  PL:24n  PM:10n11c2n  PS:4c21n  PT:21n  QA:4a21c
    RE:10n11c2n  RO:4a16c  RS:18n  RU:14n15c  SA:2n18c  SC:4a20n3a  SD:14n  SE:20n  SI:15n  SK:20n
    SM:1a10n12c  SN:2a22n  SO:19n  ST:21n  SV:4a20n  TD:23n  TF:10n11c2n  TG:2a22n  TL:19n  TN:20n  TR:5n17c
    UA:6n19c  VA:18n  VG:4c16n  WF:10n11c2n  XK:16n  YE:4a4n18c  YT:10n11c2n
"""
"""Countries, each with the structure of what follows country and check digits: n digits, a letters, c either."""

_STRUCTURES: Final[Mapping[str, str]] = MappingProxyType(dict(entry.split(":") for entry in _TABLE.split()))

_CLASSES: Final = MappingProxyType({"n": "[0-9]", "a": "[A-Z]", "c": "[A-Z0-9]"})
_ELEMENT: Final = re.compile(r"(\d+)([nac])")
_BIC: Final = re.compile(r"[A-Za-z]{6}[A-Za-z0-9]{2}(?:[A-Za-z0-9]{3})?")


def is_iban(text: str) -> bool:
    """Returns whether the text is an IBAN in electronic form: upper case, without blanks, with right check digits."""
    country, digits, account = text[:2], text[2:4], text[4:]
    structure = _STRUCTURES.get(country)
    if structure is None or not re.fullmatch("[0-9]{2}", digits):
        return False
    pattern = "".join(f"{_CLASSES[kind]}{{{count}}}" for count, kind in _ELEMENT.findall(structure))
    if not re.fullmatch(pattern, account) or 98 - _remainder_97(account + country + "00") != int(digits):
        return False
    check = _NATIONAL_CHECKS.get(country)
    return check is None or check(account)


def is_bic(text: str) -> bool:
    """Returns whether the text is a BIC of 8 or 11 characters with a country that exists (or Kosovo's XK)."""
    country = text[4:6].upper()
    return _BIC.fullmatch(text) is not None and (country in COUNTRIES or country == "XK")


def _remainder_97(text: str) -> int:
    # Letters count as two digits, from A = 10.
    return int("".join(str(int(character, 36)) for character in text)) % 97


def _weighted(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))


def _complement(remainder: int, modulus: int) -> int:
    return 0 if remainder == 0 else modulus - remainder


def _complement_11(remainder: int) -> int:
    # A digit has no place for 10; these countries write 1.
    return remainder if remainder < 2 else 11 - remainder


def _is_1_mod_97(account: str) -> bool:
    return account.isdigit() and int(account) % 97 == 1


def _belgium(account: str) -> bool:
    return (int(account[:-2]) % 97 or 97) == int(account[-2:])


def _czechia_and_slovakia(account: str) -> bool:
    prefix = _weighted(account[4:9], (10, 5, 8, 4, 2)) % 11
    number = _weighted(account[10:19], (6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11
    return _complement_11(prefix) == int(account[9]) and _complement_11(number) == int(account[19])


def _estonia(account: str) -> bool:
    return _complement(_weighted(account[2:15], (7, 1, 3) * 4 + (7,)) % 10, 10) == int(account[15])


def _spain(account: str) -> bool:
    bank = _weighted(account[:8], (4, 8, 5, 10, 9, 7, 3, 6)) % 11
    number = _weighted(account[10:], (1, 2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11
    return _complement_11(bank) == int(account[8]) and _complement_11(number) == int(account[9])


def _france_and_monaco(account: str) -> bool:
    # Letters count as A-I 1-9, J-R 1-9, S-Z 2-9.
    digits = account.translate(str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "12345678912345678923456789"))
    return int(digits) % 97 == 0


def _croatia(account: str) -> bool:
    return _mod_11_10(account[:6]) == int(account[6]) and _mod_11_10(account[7:16]) == int(account[16])


def _mod_11_10(digits: str) -> int:
    # ISO 7064, MOD 11,10.
    product = 10
    for digit in digits:
        product = ((product + int(digit)) % 10 or 10) * 2 % 11
    return (11 - product) % 10


def _hungary(account: str) -> bool:
    weights = (9, 7, 3, 1) * 3 + (9, 7, 3)
    # Accounts of sixteen digits are filled up with zeros and have their check digit before these.
    last = 15 if account.endswith("00000000") else 23
    number = account[8:last]
    return _complement(_weighted(account[:7], weights[:7]) % 10, 10) == int(account[7]) and _complement(
        _weighted(number, weights[: len(number)]) % 10, 10
    ) == int(account[last])


def _last_digit(account: str, *, end: int, weights: tuple[int, ...], modulus: int) -> bool:
    return _complement(_weighted(account[:end], weights) % modulus, modulus) == int(account[end])


_NATIONAL_CHECKS: Final[Mapping[str, Callable[[str], bool]]] = MappingProxyType(
    {
        **dict.fromkeys(("BA", "ME", "MK", "PT", "RS", "SI"), _is_1_mod_97),
        "BE": _belgium,
        **dict.fromkeys(("CZ", "SK"), _czechia_and_slovakia),
        "EE": _estonia,
        "ES": _spain,
        **dict.fromkeys(("FR", "MC"), _france_and_monaco),
        "HR": _croatia,
        "HU": _hungary,
        "NO": partial(_last_digit, end=10, weights=(5, 4, 3, 2, 7, 6, 5, 4, 3, 2), modulus=11),
        "PL": partial(_last_digit, end=7, weights=(3, 9, 7, 1, 3, 9, 7), modulus=10),
    }
)
