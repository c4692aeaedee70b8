"""Rates: Wilson's intervals against published values, and what is no trial."""

from hypothesis import given
from hypothesis import strategies as st

from genagent_worlds import Rate, rate


def test_the_wilson_interval_has_its_published_values():
    # Newcombe (1998), table I: 81 of 263 gives .2553 to .3662, 0 of 20 gives 0 to .1611.
    low, high = rate([True] * 81 + [False] * 182).interval
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    low, high = Rate(hits=0, trials=20).interval
    assert (low, round(high, 4)) == (0.0, 0.1611)


def test_a_rate_reads_as_percent():
    assert str(Rate(hits=30, trials=40)) == "75.0 % [59.8, 85.8]"
    assert Rate(hits=0, trials=0).interval == (0.0, 1.0)


def test_a_verdict_that_could_not_be_had_is_no_trial():
    assert rate([True, None, False, None, True]) == Rate(hits=2, trials=3)
    assert rate([None]) == Rate(hits=0, trials=0)
    assert rate([None]).value == 0.0


@given(values=st.lists(st.sampled_from([True, False, None])))
def test_absent_verdicts_change_nothing(values):
    known = [value for value in values if value is not None]
    assert rate(values) == rate(known) == Rate(hits=known.count(True), trials=len(known))


@given(trials=st.integers(1, 10_000), data=st.data())
def test_an_interval_holds_its_share_and_mirrors(trials, data):
    hits = data.draw(st.integers(0, trials))
    share, mirrored = Rate(hits=hits, trials=trials), Rate(hits=trials - hits, trials=trials)
    low, high = share.interval
    assert 0 <= low <= share.value + 1e-12 and share.value - 1e-12 <= high <= 1
    assert abs(low - (1 - mirrored.interval[1])) < 1e-12
