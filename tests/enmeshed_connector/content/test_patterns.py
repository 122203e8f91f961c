import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_connector.content import patterns

# The expressions as the specification has them, which may take exponential time; only short texts are given to them.
LINK = (
    r"^((([A-Za-z]{3,9}:(?:\/\/)?)(?:[\-;:&=\+\$,\w]+@)?[A-Za-z0-9\.\-]+|(?:www\.|[\-;:&=\+\$,\w]+@)[A-Za-z0-9\.\-]+)"
    r"((?:\/[\+~%\/\.\w\-_]*)?\??(?:[\-\+=&;%@\.\w_]*)#?(?:[\.\!\/\\\w]*))?)\Z"
)
SCHEMA_URL = (
    r"^((([A-Za-z]{3,9}:(?:\/\/)?)(?:[-;:&=+$,\w]+@)?[A-Za-z0-9.-]+|(?:www\.|[-;:&=+$,\w]+@)[A-Za-z0-9.-]+)"
    r"((?:\/[+~%/\\.\w\-_]*)?\??(?:[-+=&;%@.\w_]*)#?(?:[.!/\\\w]*))?)\Z"
)
EMAIL = (
    r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@"
    r"([A-Za-z0-9ÄäÖöÜüß]([A-Za-z0-9ÄäÖöÜüß-]{0,61}[A-Za-z0-9ÄäÖöÜüß])?\.)+"
    r"[A-Za-z0-9ÄäÖöÜüß][A-Za-z0-9ÄäÖöÜüß-]{0,61}[A-Za-z0-9ÄäÖöÜüß]\Z"
)
URL = (
    r"^([A-Za-z]+:\/\/)?((www\.)|(?!www\.))([A-Za-z0-9ÄäÖöÜüß]([A-Za-zÄäÖöÜüß0-9-]{0,61}[A-Za-zÄäÖöÜüß0-9])?\.)+"
    r"([A-Za-z0-9ÄäÖöÜüß]([A-Za-zÄäÖöÜüß0-9-]{0,61}[A-Za-zÄäÖöÜüß0-9])?)(:[0-9]+)?(\/[A-Za-zÄäÖöÜüß0-9?#@!$&'()*+,;=%-]*)*\Z"
)
PAIRS = [
    (patterns.LINK, re.compile(LINK, re.ASCII | re.IGNORECASE)),
    (patterns.SCHEMA_URL, re.compile(SCHEMA_URL, re.ASCII)),
    (patterns.EMAIL, re.compile(EMAIL)),
    (patterns.URL, re.compile(URL)),
]

PIECES = st.lists(
    st.sampled_from(
        ["a", "b1", "A", "-", ".", "..", "/", "//", ":", "@", "?", "#", "!", "\\", "&", "=", "%", "~", "_", "ä"]
    )
    | st.sampled_from(["www.", "http", "https://", "mailto:", "abc:", "\n", "$", "+", ";", ",", "é", "|", " "]),
    max_size=12,
).map("".join)


@pytest.mark.parametrize(("ours", "original"), PAIRS, ids=["link", "schema", "email", "url"])
@given(text=PIECES)
def test_linear_forms_match_what_the_originals_match(
    ours: re.Pattern[str], original: re.Pattern[str], text: str
) -> None:
    assert (ours.fullmatch(text) is None) == (original.match(text) is None)
