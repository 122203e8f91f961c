"""Texts that the rules of content take and refuse, in families: characters, account numbers, queries.

Source: `spec/content.md`, sections 10, 12 and 16.
"""

from __future__ import annotations

ALLOWED_TEXTS = [
    "",
    "Ada Lovelace-Byron, 5 €\r\n\t~",
    "ÄÖÜäöüßẞ",
    "Łódź Ħ ǅ"[:-2],
    "A\u030b",
    "C\u0328\u0306",
    "R\u0325",
    "R\u0325\u0304",
    "K\u035fH",
    "K\u035fh",
    "k\u035fh",
    "\u1e32\u0304",
    "\u1ee4\u0308",
    "a" * 100_000,
]
"""What attributes may hold."""

FORBIDDEN_TEXTS = [
    "\0",
    "\x0b",
    "\x7f",
    "\u00ad",
    "中",
    "Ада",
    "😀",
    "\ud800",
    "A\u0301",
    "\u030bA",
    "A \u030b",
    "C\u0328",
    "k\u035fH",
    "T\u0331",
    "\u0180",
    "a" * 100_000 + "中",
]
"""What they may not hold."""

REGISTERED_IBANS = [
    "AD1200012030200359100100",
    "AE070331234567890123456",
    "BA391290079401028494",
    "BE68539007547034",
    "CH9300762011623852957",
    "CZ6508000000192000145399",
    "CZ9455000000001011038930",
    "DE89370400440532013000",
    "EE382200221020145685",
    "ES9121000418450200051332",
    "FR1420041010050500013M02606",
    "GB29NWBK60161331926819",
    "HR1210010051863000160",
    "HU42117730161111101800000000",
    "LC55HEMM000100010012001200023015",
    "MC5811222000010123456789030",
    "ME25505000012345678951",
    "MK07250120000058984",
    "MT84MALT011000012345MTLCAST001S",
    "NL91ABNA0417164300",
    "NO9386011117947",
    "PL61109010140000071219812874",
    "PT50000201231234567890154",
    "RS35260005601001611379",
    "SI56263300012039086",
    "SK3112000000198742637541",
    "XK051212012345678906",
]
"""Examples of the IBAN registry, for each country with a national check and for some without."""

NATIONALLY_WRONG_ACCOUNTS = [
    ("BA", "1290079401028495"),
    ("BE", "539007547035"),
    ("CZ", "08000000192000145398"),
    ("CZ", "08000000182000145399"),
    ("EE", "2200221020145686"),
    ("ES", "21000418440200051332"),
    ("ES", "21000418450200051333"),
    ("FR", "20041010050500013M02607"),
    ("HR", "10010051863000161"),
    ("HR", "10010061863000160"),
    ("HU", "117730171111101800000000"),
    ("HU", "117730161111101900000000"),
    ("NO", "86011117948"),
    ("PL", "109010150000071219812874"),
]
"""Countries and account numbers whose national check digits are wrong."""

OTHER_IBANS = [
    "",
    "DE",
    "DE89",
    "US89370400440532013000",
    "de89370400440532013000",
    "DE89 3704 0044 0532 0130 00",
    "DE8937040044053201300",
]
"""What is no IBAN by its form."""

NO_QUERIES = [
    "",
    " GivenName",
    "GivenName ",
    "GivenName&&#a",
    "(GivenName)",
    "( GivenName)",
    "! GivenName",
    "GivenName &&",
    "GivenName && ",
    "GivenName & Sex",
    "given",
    "a=1",
    "StreetAddress.city",
    "StreetAddress.City=a",
    "#'a",
    "#a\\b",
    "GivenName || || Sex",
    "( " * 51 + "Sex" + " )" * 51,
    "( " * 1000,
    "!" * 4000 + "Sex",
]
"""What is no query in the identity query language."""


def with_check_digits(country: str, account: str) -> str:
    """Returns the IBAN of an account, with check digits that are right."""
    number = int("".join(str(int(character, 36)) for character in account + country + "00"))
    return f"{country}{98 - number % 97:02d}{account}"
