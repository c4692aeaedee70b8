"""Where curves begin and end, and how far they rise between."""

from genagent_study.curve_ends import ends, rise


def test_ends_are_means_of_a_fifth_of_the_steps():
    # A fifth of twenty steps are four: 1 to 4, and 17 to 20. Of ten it is two.
    curve = {step: float(step) for step in range(1, 21)}
    first, last = ends([curve, dict.fromkeys(curve, 3.0)])
    assert (first.values, last.values) == ((2.5, 3.0), (18.5, 3.0))
    assert rise(curve) == 16.0
    assert rise({step: float(step) for step in range(1, 11)}) == 9.5 - 1.5
