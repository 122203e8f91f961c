import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_connector.content.iban import is_bic, is_iban
from tests.support.content_texts import NATIONALLY_WRONG_ACCOUNTS, OTHER_IBANS, REGISTERED_IBANS, with_check_digits


@pytest.mark.parametrize("text", REGISTERED_IBANS)
def test_examples_of_the_registry_are_right(text: str) -> None:
    assert is_iban(text)


@pytest.mark.parametrize("text", REGISTERED_IBANS)
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
    NATIONALLY_WRONG_ACCOUNTS,
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


@pytest.mark.parametrize("text", OTHER_IBANS)
def test_other_forms_are_wrong(text: str) -> None:
    assert not is_iban(text)


@pytest.mark.parametrize(
    ("text", "right"), [("DEUTDEFF", True), ("deutdeff500", True), ("NBKOXKPR", True), ("DEUTZZFF", False)]
)
def test_a_bic_has_a_country(text: str, right: bool) -> None:
    assert is_bic(text) is right
