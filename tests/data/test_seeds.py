"""Seeds from seeds."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from genagent_data import derive_seed

parts = st.lists(st.integers(-2, 12) | st.text("a1/", max_size=3), min_size=1, max_size=4)


def joined(parts: Sequence[int | str]) -> str:
    return "/".join(map(str, parts))


@pytest.mark.parametrize(
    ("of", "seed"),
    [
        ((0,), 804681139),
        ((-1,), 232175046),
        ((7, "tool", 2), 1159258086),
        ((3, "tool", 1), 1291860729),
        (("1", "23"), 2018502882),
        (("12", "3"), 1413304785),
        ((2**70, "é"), 1232433416),
    ],
)
def test_a_seed_is_the_same_in_every_version(of, seed):
    assert derive_seed(*of) == seed


@example(one=["a/b"], other=["a", "b"])
@example(one=[1], other=["1"])
@example(one=["1", "23"], other=["12", "3"])
@given(one=parts, other=parts)
def test_seeds_are_the_same_exactly_where_the_joined_words_are(one, other):
    assert derive_seed(*one) == derive_seed(joined(one))
    assert (derive_seed(*one) == derive_seed(*other)) == (joined(one) == joined(other))
    assert derive_seed(*one, "x") != derive_seed(*one)


@given(of=parts)
def test_a_seed_has_31_bits(of):
    assert 0 <= derive_seed(*of) < 2**31


def test_seeds_spread_over_all_31_bits():
    seeds = [derive_seed(number) for number in range(4000)]
    shares = [sum(seed >> bit & 1 for seed in seeds) / 4000 for bit in range(31)]
    # Four standard errors of a share of a half.
    assert all(abs(share - 0.5) < 0.032 for share in shares)
