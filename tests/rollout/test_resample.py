import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_rollout import resample_by_rounds

samples = st.lists(st.integers(0, 4), max_size=16).flatmap(
    lambda rounds: st.tuples(st.just(rounds), st.integers(0, len(rounds)))
)


@given(samples, st.integers())
def test_keeps_so_many_different_ones(sample: tuple[list[int], int], seed: int):
    rounds, keep = sample
    kept = resample_by_rounds(rounds, keep, random.Random(seed))
    assert len(kept) == keep
    assert kept == sorted(set(kept))
    assert set(kept) <= set(range(len(rounds)))


@given(samples, st.integers())
def test_counts_are_as_even_as_the_sample_allows(sample: tuple[list[int], int], seed: int):
    rounds, keep = sample
    there = Counter(rounds)
    kept = Counter(rounds[index] for index in resample_by_rounds(rounds, keep, random.Random(seed)))
    most = max(kept.values(), default=0)
    for count, size in there.items():
        assert kept[count] == size or kept[count] >= most - 1


@given(samples, st.integers())
def test_the_seed_decides(sample: tuple[list[int], int], seed: int):
    rounds, keep = sample
    first = resample_by_rounds(rounds, keep, random.Random(seed))
    assert first == resample_by_rounds(rounds, keep, random.Random(seed))


def test_eight_of_twelve():
    rounds = [1] * 9 + [2] * 2 + [3]
    kept = resample_by_rounds(rounds, 8, random.Random(0))
    assert Counter(rounds[index] for index in kept) == {1: 5, 2: 2, 3: 1}


def test_within_a_count_each_is_as_likely():
    taken = Counter(
        index
        for seed in range(3000)
        for index in resample_by_rounds([2, 2, 2, 1], 2, random.Random(seed))
    )
    assert taken[3] == 3000
    for index in range(3):
        assert taken[index] == pytest.approx(1000, abs=100)


def test_no_count_is_favoured_where_it_does_not_divide():
    first = sum(0 in resample_by_rounds([1, 3], 1, random.Random(seed)) for seed in range(2000))
    assert first == pytest.approx(1000, abs=90)


@pytest.mark.parametrize("keep", [-1, 4])
def test_cannot_keep_more_than_there_are(keep: int):
    with pytest.raises(ValueError, match=f"cannot keep {keep} of 3"):
        resample_by_rounds([1, 2, 3], keep, random.Random(0))
