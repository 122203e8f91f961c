"""Hypothesis strategies for JSON values, as the network's peers may send them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

any_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
"""Text of all code points, lone surrogates included."""

plain_text = st.text(st.characters(codec="utf-8"), max_size=20)
"""Text that UTF-8 can carry."""

member_names = st.one_of(
    plain_text,
    st.sampled_from(["0", "1", "10", "9", "01", "-1", "4294967294", "4294967295", "4294967296", "@type", "__proto__"]),
    st.integers(0, 2**33).map(str),
)
numbers = st.one_of(
    st.integers(-(2**53), 2**53),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1e21, 1e-7, 1e-6, 5e-324, 1.7976931348623157e308, 2**53 + 1, 1.5, 100.0, 1e20]),
)


def json_values(*, text: st.SearchStrategy[str] = plain_text, max_leaves: int = 20) -> st.SearchStrategy[Any]:
    """Returns JSON values of every kind, nested."""
    leaves = st.one_of(st.none(), st.booleans(), numbers, text)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=5), st.dictionaries(st.one_of(member_names, text), inner, max_size=5)
        ),
        max_leaves=max_leaves,
    )
