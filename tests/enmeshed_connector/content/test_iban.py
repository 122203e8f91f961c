import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_connector.content.iban import is_bic, is_iban

# Examples of the IBAN registry, for each country with a national check and for some without.
RIGHT = [
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


def with_check_digits(country: str, account: str) -> str:
    number = int("".join(str(int(character, 36)) for character in account + country + "00"))
    return f"{country}{98 - number % 97:02d}{account}"


@pytest.mark.parametrize("text", RIGHT)
def test_examples_of_the_registry_are_right(text: str) -> None:
    assert is_iban(text)


@pytest.mark.parametrize("text", RIGHT)
@given(data=st.data())
def test_one_changed_character_is_found(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text) - 1))
    # A letter counts as two digits, so that only a change within a kind is certain to be found.
    kind = "0123456789" if text[at].isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    other = data.draw(st.sampled_from(kind).filter(lambda each: each != text[at]))
    changed = text[:at] + other + text[at + 1 :]
    # A change of the country may by chance give a number of that country; within the account it cannot.
    assert at < 2 or not is_iban(changed)


@pytest.mark.parametrize(
    ("country", "account"),
    [
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
    ],
)
def test_national_digits_count_even_when_the_check_digits_are_right(country: str, account: str) -> None:
    assert not is_iban(with_check_digits(country, account))


@pytest.mark.parametrize("rest", ["10010051863000160", "10000000000000005"])
def test_croatian_digits_follow_iso_7064(rest: str) -> None:
    product = 10
    for digit in rest[7:16]:
        product = (product + int(digit)) % 10 or 10
        product = product * 2 % 11
    assert is_iban(with_check_digits("HR", f"1001005{rest[7:16]}{(11 - product) % 10}"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "DE",
        "DE89",
        "US89370400440532013000",
        "de89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "DE8937040044053201300",
    ],
)
def test_other_forms_are_wrong(text: str) -> None:
    assert not is_iban(text)


@pytest.mark.parametrize(
    ("text", "right"), [("DEUTDEFF", True), ("deutdeff500", True), ("NBKOXKPR", True), ("DEUTZZFF", False)]
)
def test_a_bic_has_a_country(text: str, right: bool) -> None:
    assert is_bic(text) is right
