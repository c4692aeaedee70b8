import pytest

from genagent_study import difference
from genagent_study.paired import share


def test_only_requests_that_both_know_count():
    known = difference(
        [
            (
                {"a": False, "b": False, "c": True, "d": None, "e": True},
                {"a": True, "b": True, "c": True, "d": True, "f": False},
            ),
            ({"k": True, "l": False, "m": False, "n": True}, {"n": False, "m": True, "l": True}),
        ]
    )
    assert known.by_seed.values == (2 / 3, 1 / 3)
    requests = known.requests
    assert requests is not None
    assert (requests.both, requests.first_only, requests.second_only) == (1, 1, 4)
    assert requests.p_value == 0.375  # 4 of 5 or more uneven: 12 / 32


def test_a_seed_without_a_shared_request_is_no_seed():
    with pytest.raises(ValueError, match="requests that both have answered"):
        difference([({"a": True}, {"b": True})])


def test_nothing_won_or_lost_is_no_evidence():
    requests = difference([({"a": True}, {"a": True})]).requests
    assert requests is not None and requests.p_value == 1.0


def test_requests_that_every_seed_asks_are_no_more_requests():
    one, other = {"a": True, "b": False}, {"a": True, "b": True}
    known = difference([(one, other), (one, other)])
    assert known.by_seed.values == (0.5, 0.5)
    assert known.requests is None


def test_a_share_is_of_what_is_known():
    assert share({"a": True, "b": False, "c": None}) == 0.5
