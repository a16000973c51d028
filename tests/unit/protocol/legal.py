"""Hypothesis strategies for what callers may legally say, and for what anybody may send."""

from datetime import UTC, datetime

from hypothesis import strategies as st
from signalr_bridge.protocol.names import LONGEST_NAME

_SPEAKABLE = st.characters(exclude_categories=["Cc", "Cs"])
names = st.text(_SPEAKABLE, min_size=1, max_size=LONGEST_NAME // 2).filter(
    lambda name: not name.isspace() and name not in {".", ".."}
)
hubs = st.from_regex(r"[A-Za-z][A-Za-z0-9_`,.\[\]]{0,127}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]))
claim_types = st.text(_SPEAKABLE, min_size=1).filter(
    lambda name: name != "nameid" and not name.startswith(("asrs.", "bridge."))
)
claim_values = st.one_of(texts, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
claims = st.dictionaries(claim_types, st.lists(claim_values, min_size=1, max_size=3), max_size=4)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)

_times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
packed_values = st.recursive(
    json_values | st.binary(max_size=40) | _times,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
"""What MessagePack holds, but for extensions: they are compared by identity."""

any_text = st.one_of(st.text(), st.text(st.characters()), st.binary().map(lambda raw: raw.decode("latin-1")))
"""Lone surrogates and control characters too."""
