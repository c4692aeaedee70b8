"""Several servers of one kind: the least loaded is asked, the failing one rests."""

from asyncio import CancelledError

import pytest

from genagent_endpoints import Busy, EndpointsConfig, Lost, Refused, Rejected, TurnedAway
from genagent_endpoints.servers import Counts, Past, Servers


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def servers(clock, *urls):
    """They rest 10 s after two requests that they failed."""
    config = EndpointsConfig(
        base_urls=urls or ("http://a",),
        quarantine_after=2,
        quarantine_seconds=10.0,
        backoff_seconds=(0.0, 0.0),
    )
    return Servers(config, counts=Counts(), clock=clock)


def take(some, number=0):
    """One that is free."""
    server = some.take(Past(number=number))
    assert server is not None
    return server


def end(some, server, number=0, with_=None):
    some.settle(server, Past(number=number), with_)


def fail(some, *requests):
    for number in requests:
        end(some, take(some, number), number, Lost("ill"))


def quarantines(some):
    return some._counts.quarantines


def test_the_least_loaded_is_asked_and_of_equals_the_one_that_waited_longest():
    several = servers(Clock(), "http://a", "http://b", "http://c")
    a, b, c = several.all
    assert [take(several) for _ in range(4)] == [a, b, c, a]
    end(several, c)
    assert take(several) is c
    assert several.in_flight == 4


def test_a_request_goes_where_it_has_failed_least():
    several = servers(Clock(), "http://a", "http://b")
    a, b = several.all
    past = Past(number=0)
    several.settle(take(several), past, Lost("ill"))
    b.in_flight = 7
    assert several.take(past) is b
    assert several.take(Past(number=1)) is a


def test_a_session_stays_where_it_was_while_that_server_is_free_and_does_not_fail_it():
    several = servers(Clock(), "http://a/", "http://b")
    a, b = several.all
    a.in_flight = 7
    past = Past(number=0, home="http://a")
    assert several.take(past) is a
    several.settle(a, past, Lost("ill"))
    assert several.take(past) is b
    assert several.take(Past(number=1)) is b


def test_after_its_rest_a_server_gets_one_request_and_others_once_that_is_answered():
    clock = Clock()
    lone = servers(clock)
    fail(lone, 1, 2)
    clock.now = 9.9
    assert lone.take(Past(number=3)) is None
    assert lone.next_end_of_rest() == 10.0
    clock.now = 10.0
    probe = take(lone)
    assert [lone.take(Past(number=number)) for number in range(16)] == [None] * 16
    end(lone, probe)
    assert take(lone) is take(lone) is probe
    assert quarantines(lone) == 1


def test_a_server_whose_one_request_fails_rests_again():
    clock = Clock()
    lone = servers(clock)
    fail(lone, 1, 2)
    clock.now = 10.0
    fail(lone, 3)
    assert quarantines(lone) == 2
    clock.now = 19.9
    assert lone.take(Past(number=4)) is None
    clock.now = 20.0
    take(lone)


def test_one_request_that_fails_everywhere_sends_no_server_to_rest():
    lone = servers(Clock())
    fail(lone, 1, 1, 1, 1)
    take(lone)
    assert quarantines(lone) == 0


@pytest.mark.parametrize("answer", [None, Refused("too long")])
def test_an_answer_makes_up_for_earlier_failures(answer):
    lone = servers(Clock())
    fail(lone, 1)
    end(lone, take(lone), 0, answer)
    fail(lone, 2)
    assert quarantines(lone) == 0
    take(lone)


def test_asking_for_a_short_pause_does_not_end_a_rest():
    clock = Clock()
    lone = servers(clock)
    busy = take(lone)
    fail(lone, 1, 2)
    end(lone, busy, 0, Busy("full", 3.0))
    clock.now = 5.0
    assert lone.take(Past(number=3)) is None
    assert lone.none_before() == 10.0


def test_a_failure_may_ask_for_a_pause_too():
    clock = Clock()
    lone = servers(clock)
    end(lone, take(lone), 0, Lost("ill", 4.0))
    clock.now = 3.9
    assert lone.take(Past(number=1)) is None
    clock.now = 4.0
    take(lone)


def test_failures_in_flight_at_once_are_one_rest():
    lone = servers(Clock())
    flights = [take(lone, number) for number in range(5)]
    for number, server in enumerate(flights):
        end(lone, server, number, Lost("ill"))
    assert quarantines(lone) == 1
    assert lone.in_flight == 0


def test_a_server_that_rejects_us_is_not_asked_twice_by_one_request():
    several = servers(Clock(), "http://a", "http://b")
    a, b = several.all
    past = Past(number=0)
    several.settle(take(several), past, TurnedAway("a: 404"))
    assert several.take(past) is b
    several.settle(b, past, TurnedAway("b: 401"))
    with pytest.raises(Rejected, match=r"^a: 404; b: 401$"):
        several.take(past)
    # For others it may have been mended.
    assert take(several, 1) is a


def test_where_all_that_do_not_reject_us_rest_a_request_waits_and_else_it_ends():
    clock = Clock()
    several = servers(clock, "http://a", "http://b")
    a, b = several.all
    for number in range(2):
        a.in_flight = b.in_flight = 1
        end(several, a, number, TurnedAway("a: 401"))
        end(several, b, number, Lost("ill"))
    assert several.take(Past(number=2)) is None
    b.rejection = "b: 403"
    with pytest.raises(Rejected, match="a: 401; b: 403"):
        several.take(Past(number=3))
    clock.now = 10.0
    end(several, take(several, 4))
    take(several, 5)


def test_a_request_that_was_given_up_teaches_nothing():
    lone = servers(Clock())
    fail(lone, 1)
    end(lone, take(lone), 7, CancelledError())
    fail(lone, 2)
    assert quarantines(lone) == 1
    assert lone.in_flight == 0
