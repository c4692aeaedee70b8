import pytest
from hypothesis import given
from hypothesis import strategies as st

from genagent_study import Pattern, difference, over_seeds


def pattern(*values: float) -> Pattern:
    return Pattern(claim="Looking helps", measured=over_seeds(values))


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.11, 0.14, 0.09), "shows"),
        ((0.11, 0.14, 0.01), "shows weakly"),  # its interval reaches below 0
        ((0.11, 0.14, -0.01), "does not show"),  # of three none may be
        ((0.11, 0.14, 0.13, -0.09, 0.1), "shows weakly"),  # of five one may
        ((0.4, -0.01, -0.02), "does not show"),  # two of three are against it
        ((0.01, -0.01, -0.02), "does not show"),
        ((-0.11, -0.14, -0.09), "shows the opposite"),
        ((0.1, 0.2), "shows weakly"),
        ((0.3, -0.1), "does not show"),  # of two none may be
        ((0.3,), "does not show"),
        ((0.0, 0.0, 0.0), "does not show"),
        ((0.1, 0.1, 0.1, 0.1, 0.1), "shows weakly"),  # alike, as by signs 1 of 16
        ((0.1,) * 6, "shows"),
    ],
    ids=str,
)
def test_verdicts(values: tuple[float, ...], verdict: str):
    assert pattern(*values).verdict == verdict


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=7))
def test_a_claim_and_its_opposite_never_both_show(values: list[float]):
    other = pattern(*(-value for value in values)).verdict
    expected = {"shows": "shows the opposite", "shows the opposite": "shows"}
    one = pattern(*values).verdict
    assert (expected.get(one), other in expected) == (
        (other, True) if one in expected else (None, False)
    )


def test_the_sentence_says_what_chance_would_take():
    pairs = difference([({"a": False, "b": True, "c": False}, {"a": True, "b": False, "c": True})])
    known = Pattern(claim="It helps", measured=over_seeds([0.11, 0.14, 0.09]), pairs=pairs)
    assert known.sentence() == (
        "It helps: shows, +11.3 points [+5.1, +17.6] over 3 seeds, above 0 in 3 of them. "
        "Of 3 requests 2 speak for it and 1 against (exact McNemar p = 1, given these trainings). "
        "If there were no difference, 3 seeds would average this much or more to one side with "
        "p = 0.016, and all 3 lie on one side with p = 0.25."
    )


def test_what_does_not_show_may_hide():
    said = pattern(0.4, -0.1, -0.3).chance
    assert said.startswith("A true difference of up to +89.6 points could have hidden from 3 seeds")


def test_one_seed_has_no_interval_and_no_chance():
    known = pattern(0.3)
    assert known.figure == "+30.0 points"
    assert known.sentence().endswith(
        "+30.0 points over one seed. One seed cannot tell it from chance."
    )


def test_what_is_no_share_is_told_as_it_is():
    known = Pattern(claim="It rises", measured=over_seeds([0.25, 0.35]), in_percent=False)
    assert known.figure == "+0.3 [-0.335, +0.935]"
