"""Which picture counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_rollout import select


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([0.0, 1.0, 0.0], 1),
        ([1.0, 1.0], 0),
        ([0.0, 0.0], 1),
        ([None, None, None], 2),
        ([None, 1.0, 0.0], 1),
        ([0.0, None], 1),
        ([4.0, 7.5, 7.5, 3.0], 1),
        ([1.0], 0),
    ],
)
def test_best_is_the_first_of_the_highest_and_else_the_last(scores, best):
    assert select(scores, "best") == best
    assert select(scores) == select(scores, "last") == len(scores) - 1


@given(st.lists(st.none() | st.floats(0, 10), min_size=1))
def test_no_picture_is_better_than_the_best(scores):
    chosen = scores[select(scores, "best")] or 0.0
    assert chosen == max((score for score in scores if score is not None), default=0.0)


def test_there_has_to_be_a_picture():
    with pytest.raises(ValueError, match="no picture"):
        select([])
