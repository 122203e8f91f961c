from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_connector.core.encodings import from_base64url, to_base64url
from enmeshed_connector.core.malformed import (
    MalformedText,
    MalformedValue,
    MissingValue,
    NumberOutOfRange,
    TooLarge,
    TrailingBits,
    UnknownAlgorithm,
    WrongAlphabet,
    WrongForm,
    WrongLength,
    WrongPadding,
    WrongPrefix,
    WrongType,
)
from enmeshed_connector.core.references import (
    FileReference,
    Reference,
    RelationshipTemplateReference,
    SharedPasswordProtection,
    TokenReference,
    parse_reference,
)
from enmeshed_connector.core.secret_bytes import SecretBytes, SecretText
from tests.support.json_strategies import any_text, json_values

KEY = SecretBytes(bytes(range(32)))
KEY_TEXT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
SALT_TEXT = "AAECAwQFBgcICQoLDA0ODw=="
TOKEN_ID = "TOKabcdefghijKLMNO12"
INDICATOR = "passwordProtection.passwordLocationIndicator"
FORM = "error.core-types.invalidTruncatedReference"

protections = st.builds(
    SharedPasswordProtection,
    st.one_of(st.just("pw"), st.integers(4, 16).map("pin{}".format)),
    st.binary(min_size=16, max_size=16),
    st.one_of(st.none(), st.integers(0, 99)),
)
base_urls = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "https"]),
    st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{2,5}){0,2}", fullmatch=True),
    st.one_of(st.just(""), st.sampled_from([":8090", ":8443"])),
    st.sampled_from(["", "/sub/path", "/r/odd", "/a%20b"]),
)
alphanumeric = st.text("ABCXYZabcxyz0189", min_size=17, max_size=17)


def references() -> st.SearchStrategy[Reference]:
    def build(kind: tuple[type[Reference], str], end: str, *rest: Any) -> Reference:
        return kind[0](kind[1] + end, *rest)

    return st.builds(
        build,
        st.sampled_from([(FileReference, "FIL"), (TokenReference, "TOK"), (RelationshipTemplateReference, "RLT")]),
        alphanumeric,
        st.binary(min_size=32, max_size=32).map(SecretBytes),
        st.one_of(st.none(), base_urls),
        st.one_of(st.none(), st.from_regex(r"[0-9a-f]{4}", fullmatch=True)),
        st.one_of(st.none(), protections),
    )


def truncated(plain: str) -> str:
    return to_base64url(plain.encode("utf-8", "surrogatepass"))


@given(references())
def test_a_reference_comes_back_from_every_form(reference: Reference) -> None:
    kind = type(reference)
    assert kind.parse(reference.to_truncated()) == reference
    assert type(parse_reference(reference.to_truncated())) is kind
    assert kind.from_json(reference.to_json()) == reference
    assert kind.from_json(reference.to_json(verbose=False)) == reference
    assert list(reference.to_json()) == sorted(reference.to_json())
    if reference.backbone_base_url is not None:
        assert kind.parse(reference.to_url()) == reference
        assert kind.parse(reference.to_url("an app/&#?")) == reference
        assert parse_reference(reference.to_url()) == reference


@given(references(), st.data())
def test_an_altered_reference_is_refused_or_read_as_what_it_says(reference: Reference, data: st.DataObject) -> None:
    plain = from_base64url(reference.to_truncated(), "reference").decode()
    place = data.draw(st.integers(0, len(plain) - 1))
    altered = plain[:place] + data.draw(st.sampled_from(list("|&@=3f0A-_+/ #:"))) + plain[place + 1 :]
    try:
        read = parse_reference(truncated(altered))
    except MalformedValue:
        return
    written = from_base64url(read.to_truncated(), "reference").decode()
    # What is read is written the same, but for the older forms: a password in clear or an empty third component.
    without_older = re.sub(r"(\|p[^&|]*&[^&|]*(?:&\d+)?)&[^|]*$", r"\1", altered)
    assert written in (altered, without_older)


@given(st.one_of(any_text, st.text("VE9L|&@=/#?:.http-_0", max_size=40), st.binary(max_size=80).map(to_base64url)))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    for candidate in (text, "http://x/r/" + text, f"https://x/r/{TOKEN_ID}#" + text):
        for parse in (parse_reference, TokenReference.parse):
            with contextlib.suppress(MalformedValue):
                parse(candidate)


@given(json_values(text=any_text))
def test_any_json_is_a_reference_or_refused(value: Any) -> None:
    for candidate in (value, {"id": TOKEN_ID, "key": value}, {"id": TOKEN_ID, "passwordProtection": value}):
        for parse in (Reference.from_json, SharedPasswordProtection.from_json):
            with contextlib.suppress(MalformedValue):
                parse(candidate)


@pytest.mark.parametrize(
    ("protection", "indicator", "password"),
    [
        (f"pw&{SALT_TEXT}", None, None),
        (f"pin4&{SALT_TEXT}&", None, None),
        (f"pin16&{SALT_TEXT}&0", 0, None),
        (f"pw&{SALT_TEXT}&99", 99, None),
        (f"pw&{SALT_TEXT}&1&s3cret", 1, "s3cret"),
        (f"pw&{SALT_TEXT}&&s3cret", None, "s3cret"),
        (f"pw&{SALT_TEXT}&&", None, None),
    ],
)
def test_password_parts_of_two_to_four_components_are_read(
    protection: str, indicator: int | None, password: str | None
) -> None:
    read = TokenReference.parse(truncated(f"{TOKEN_ID}|3|{KEY_TEXT}||{protection}")).password_protection
    assert read is not None
    assert (read.salt, read.location_indicator) == (bytes(range(16)), indicator)
    assert (read.password.reveal_text() if read.password else None) == password


def test_the_clear_text_password_of_version_7_0_0_is_read_and_never_written() -> None:
    read = TokenReference.parse(truncated(f"{TOKEN_ID}|3|{KEY_TEXT}||pw&{SALT_TEXT}&1&s3cret"))
    assert read.password_protection == SharedPasswordProtection("pw", bytes(range(16)), 1, SecretText("s3cret"))
    written = from_base64url(read.to_truncated(), "reference").decode()
    assert written.endswith(f"||pw&{SALT_TEXT}&1")
    assert "s3cret" not in repr(read) + str(read.to_json())


def test_three_part_form_is_read_and_written_with_five() -> None:
    read = TokenReference.parse(truncated(f"{TOKEN_ID}|3|{KEY_TEXT}"))
    assert from_base64url(read.to_truncated(), "reference").decode() == f"{TOKEN_ID}|3|{KEY_TEXT}||"
    assert TokenReference.parse(f"https://x.example/r/{TOKEN_ID}#" + truncated(f"3|{KEY_TEXT}")).key == KEY


def test_a_url_is_read_as_browsers_would_write_it() -> None:
    fragment = truncated(f"3|{KEY_TEXT}||")
    for url, base in [
        (f"https://X.Example:443/r/{TOKEN_ID}?app=a&b=/r/#{fragment}", "https://x.example"),
        ("HTTP://x"[:0] + f"http://x:80/a/r/b/r/{TOKEN_ID}#{fragment}", "http://x/a/r/b"),
        (f"https://x:8443/r/{TOKEN_ID}#{fragment}", "https://x:8443"),
        (f"http://[::1]:8090/r/{TOKEN_ID}#{fragment}", "http://[::1]:8090"),
    ]:
        assert parse_reference(url).backbone_base_url == base


@pytest.mark.parametrize(
    ("plain", "error", "field"),
    [
        (f"{TOKEN_ID}|3", WrongForm, "reference"),
        (f"{TOKEN_ID}|3|{KEY_TEXT}|", WrongForm, "reference"),
        (f"{TOKEN_ID}|3|{KEY_TEXT}|||", WrongForm, "reference"),
        (f"{TOKEN_ID}|03|{KEY_TEXT}||", WrongForm, "reference.alg"),
        (f"{TOKEN_ID}|3x|{KEY_TEXT}||", WrongForm, "reference.alg"),
        (f"{TOKEN_ID}|2|{KEY_TEXT}||", UnknownAlgorithm, "reference.alg"),
        (f"{TOKEN_ID}|3|{KEY_TEXT}=||", WrongPadding, "reference.key"),
        (f"{TOKEN_ID}|3|{KEY_TEXT[:-1]}9||", TrailingBits, "reference.key"),
        (f"{TOKEN_ID}|3|{KEY_TEXT[:-2]}||", WrongPadding, "reference.key"),
        (f"{TOKEN_ID}|3|AAAA||", WrongLength, "key"),
        (f"FILabcdefghijKLMNO12|3|{KEY_TEXT}||", WrongPrefix, "id"),
        (f"../{TOKEN_ID}|3|{KEY_TEXT}||", WrongLength, "id"),
        (f"{TOKEN_ID}@|3|{KEY_TEXT}||", WrongForm, "backboneBaseUrl"),
        (f"{TOKEN_ID}@ftp://x|3|{KEY_TEXT}||", WrongForm, "backboneBaseUrl"),
        (f"{TOKEN_ID}@https://x@y|3|{KEY_TEXT}||", WrongForm, "backboneBaseUrl"),
        (f"{TOKEN_ID}@https://x:99999|3|{KEY_TEXT}||", WrongForm, "backboneBaseUrl"),
        (f"{TOKEN_ID}@https://[x|3|{KEY_TEXT}||", WrongForm, "backboneBaseUrl"),
        (f"{TOKEN_ID}@https://x{'y' * 2048}|3|{KEY_TEXT}||", WrongLength, "backboneBaseUrl"),
        (f"{TOKEN_ID}|3|{KEY_TEXT}|ABCD|", WrongForm, "forIdentityTruncated"),
        (f"{TOKEN_ID}|3|{KEY_TEXT}|abc|", WrongForm, "forIdentityTruncated"),
        (f"{TOKEN_ID}|3|{KEY_TEXT}||pw", WrongForm, "passwordProtection"),
        (f"{TOKEN_ID}|3|{KEY_TEXT}||pw&{SALT_TEXT}&1&a&b", WrongForm, "passwordProtection"),
        (f"{TOKEN_ID}|3|{KEY_TEXT}||pin3&{SALT_TEXT}", WrongForm, "passwordProtection.passwordType"),
        (f"{TOKEN_ID}|3|{KEY_TEXT}||pin17&{SALT_TEXT}", WrongForm, "passwordProtection.passwordType"),
        (f"{TOKEN_ID}|3|{KEY_TEXT}||pw&{SALT_TEXT[:-2]}", WrongPadding, "passwordProtection.salt"),
        (f"{TOKEN_ID}|3|{KEY_TEXT}||pw&-_{SALT_TEXT[2:]}", WrongAlphabet, "passwordProtection.salt"),
        (f"{TOKEN_ID}|3|{KEY_TEXT}||pw&AAAA", WrongLength, "passwordProtection.salt"),
        (
            f"{TOKEN_ID}|3|{KEY_TEXT}||pw&{SALT_TEXT}&100",
            NumberOutOfRange,
            INDICATOR,
        ),
        (f"{TOKEN_ID}|3|{KEY_TEXT}||pw&{SALT_TEXT}&-1", WrongForm, INDICATOR),
        (f"{TOKEN_ID}|3|{KEY_TEXT}||pw&{SALT_TEXT}&x", WrongForm, INDICATOR),
    ],
)
def test_each_fault_has_its_own_error_and_names_its_field(plain: str, error: type[MalformedValue], field: str) -> None:
    with pytest.raises(error) as raised:
        TokenReference.parse(truncated(plain))
    assert type(raised.value) is error
    assert raised.value.field == field
    assert KEY_TEXT[:20] not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (f"https://x.example/r/{TOKEN_ID}#", WrongForm),
        (f"https://x.example/r/{TOKEN_ID}", WrongForm),
        (f"https://x.example/{TOKEN_ID}#" + truncated(f"3|{KEY_TEXT}||"), WrongForm),
        (f"https:///r/{TOKEN_ID}#" + truncated(f"3|{KEY_TEXT}||"), WrongForm),
        (f"https://user@x/r/{TOKEN_ID}#" + truncated(f"3|{KEY_TEXT}||"), WrongForm),
        (f"https://x:port/r/{TOKEN_ID}#" + truncated(f"3|{KEY_TEXT}||"), WrongForm),
        (f"https://[x/r/{TOKEN_ID}#" + truncated(f"3|{KEY_TEXT}||"), WrongForm),
        (f"httpx://x/r/{TOKEN_ID}#" + truncated(f"3|{KEY_TEXT}||"), WrongForm),
        (f"https://x.example/r/{TOKEN_ID}#" + truncated(f"3|{KEY_TEXT}|"), WrongForm),
        (f"https://x.example/r/{TOKEN_ID}/#" + truncated(f"3|{KEY_TEXT}||"), WrongLength),
        (f"https://x.example/r/{TOKEN_ID}#!!", WrongAlphabet),
        (f"https://x.example/r/{TOKEN_ID}#" + to_base64url(b"\xff"), MalformedText),
        (to_base64url(b"\xff\xfe"), MalformedText),
        ("A" * 4097, TooLarge),
        ("", WrongForm),
        (None, WrongType),
        (b"VE9L", WrongType),
    ],
)
def test_what_is_no_reference_is_refused(text: Any, error: type[MalformedValue]) -> None:
    with pytest.raises(error):
        TokenReference.parse(text)


def test_malformed_forms_carry_the_official_code() -> None:
    for plain in (f"{TOKEN_ID}|3", f"{TOKEN_ID}|3|{KEY_TEXT}||pw", f"{TOKEN_ID}|3|{KEY_TEXT}||pw&{SALT_TEXT[:-2]}"):
        with pytest.raises(MalformedValue) as raised:
            TokenReference.parse(truncated(plain))
        assert raised.value.official_code == FORM


def test_a_url_needs_a_base_url() -> None:
    with pytest.raises(MissingValue) as raised:
        TokenReference(TOKEN_ID, KEY).to_url()
    assert raised.value.official_code == "error.core-types.missingBackboneBaseUrl"


def test_a_reference_of_no_special_kind_stays_general() -> None:
    other = Reference("DVCabcdefghijKLMNO12", KEY)
    read = parse_reference(other.to_truncated())
    assert type(read) is Reference
    assert read == other


def test_references_do_not_show_their_secrets() -> None:
    protection = SharedPasswordProtection("pw", bytes(16), password=SecretText("s3cret"))
    shown = repr(FileReference("FILabcdefghijKLMNO12", KEY, password_protection=protection))
    assert "key=<redacted>" in shown
    assert "s3cret" not in shown


@pytest.mark.parametrize("alg", [None, 1, 2, True, "3", 4])
def test_json_with_another_algorithm_is_refused(alg: Any) -> None:
    with pytest.raises(UnknownAlgorithm):
        TokenReference.from_json({"id": TOKEN_ID, "key": {"key": KEY_TEXT, "alg": alg}})
