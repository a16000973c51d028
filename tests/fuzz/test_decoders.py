"""Whatever bytes arrive, a decoder takes or refuses them: it raises nothing that is not an error of ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.decoders import DECODERS, run
from tests.fuzz.profile import SHORT_PROFILE
from tests.fuzz.seeds import SEEDS

PIECES = st.binary(max_size=12) | st.sampled_from(
    [b"[" * 2000, b"{" * 2000, b"\x91" * 2000, b"\x81" * 2000, b", ", b": ", b"."]
)


def mangled(seed: bytes) -> st.SearchStrategy[bytes]:
    """The seed with a few stretches replaced, doubled or left out."""
    places = st.integers(0, len(seed))

    def mangle(cuts: list[tuple[int, int, bytes]]) -> bytes:
        text = seed
        for first, second, piece in cuts:
            text = text[:first] + piece + text[second:]
        return text

    return st.lists(st.tuples(places, places, PIECES), max_size=3).map(mangle)


@pytest.mark.parametrize("decoder", DECODERS)
def test_well_formed_bytes_are_taken(decoder: str) -> None:
    assert all(run(decoder, seed) for seed in SEEDS[decoder])


@pytest.mark.parametrize("decoder", DECODERS)
def test_any_bytes_are_taken_or_refused(decoder: str) -> None:
    strategy = st.binary() | st.sampled_from(SEEDS[decoder]).flatmap(mangled)

    @SHORT_PROFILE
    @given(strategy)
    def check(data: bytes) -> None:
        run(decoder, data)

    check()
