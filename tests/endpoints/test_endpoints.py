"""Requests to real servers: what is tried again, what is final, who waits for whom."""

import asyncio
import threading
import time

import pytest
from tests.endpoints.scripted_server import Says, ask, client, dead_url, saying

from genagent_endpoints import Exhausted, Refused, Rejected, Unwanted, together


def busy(seconds, status=429):
    return Says(status=status, headers={"Retry-After": str(seconds)}, body=b'{"detail": "full"}')


def first(*these):
    """A script that starts with these."""
    return lambda body, number: these[number] if number < len(these) else Says()


@pytest.mark.parametrize("status", [302, 408, 409, 425, 500, 502, 503])
def test_a_failure_is_tried_again_and_given_up_after_some_attempts(status):
    trouble = Says(status=status, body=b"why not")
    with saying(first(trouble, trouble)) as server, client(server) as endpoints:
        assert ask(endpoints, {}) == ["yes"]
        assert (endpoints.counts.attempts, endpoints.counts.failures) == (3, 2)
    with saying(trouble) as server, client(server, max_attempts=2) as endpoints:
        with pytest.raises(Exhausted) as raised:
            ask(endpoints, {})
        assert str(raised.value) == f"{server.url}: {status} why not (after 2 attempts)"
        assert raised.value.attempts == len(server.asked) == 2


@pytest.mark.parametrize("status", [400, 413, 418, 422])
def test_what_a_server_refuses_is_final(status):
    with saying(Says(status=status, body=b"too long")) as server, client(server) as endpoints:
        with pytest.raises(Refused, match=f"^{server.url}/ask: {status} too long$"):
            ask(endpoints, {})
        assert len(server.asked) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_takes_nothing_of_ours_is_passed_over(status):
    with saying(Says(status=status, body=b"who?")) as strange, saying() as friend:
        with client(strange, friend, max_concurrency=1, max_attempts=1) as endpoints:
            assert ask(endpoints, *[{}] * 20) == ["yes"] * 20
        # It rests after three that it did not take.
        assert (len(strange.asked), len(friend.asked)) == (3, 20)
        with (
            client(strange) as endpoints,
            pytest.raises(Rejected, match=f"^{strange.url}/ask: {status} who\\?"),
        ):
            ask(endpoints, {})


def test_one_that_nobody_takes_ends_the_others():
    with saying(Says(status=404)) as server, client(server, max_concurrency=4) as endpoints:
        with pytest.raises(Rejected):
            ask(endpoints, *[{}] * 100)
        assert len(server.asked) <= 8


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_says_later_has_not_failed_and_is_left_alone_so_long(status):
    asked = []

    def script(body, number):
        asked.append(time.monotonic())
        return first(busy(0.6, status))(body, number)

    with saying(script) as server, client(server, max_attempts=1) as endpoints:
        assert ask(endpoints, {}) == ["yes"]
        assert (endpoints.counts.waits, endpoints.counts.failures) == (1, 0)
    assert 0.6 <= asked[1] - asked[0] < 5.0


def test_while_one_server_is_to_be_left_alone_another_is_asked():
    with saying(busy(30)) as full, saying() as free, client(full, free) as endpoints:
        started = time.monotonic()
        assert ask(endpoints, *[{}] * 9) == ["yes"] * 9
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("seconds", [3600, 999_999_999])
def test_a_wait_beyond_the_deadline_is_not_waited(seconds):
    with saying(busy(seconds)) as server, client(server, deadline_seconds=5.0) as endpoints:
        started = time.monotonic()
        with pytest.raises(Exhausted, match=r"429 full \(the deadline of 5 s is over\)"):
            ask(endpoints, {})
        assert time.monotonic() - started < 4.5


@pytest.mark.parametrize(
    "header",
    ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "9" * 400, "nan", "\u00b2"],
)
def test_a_retry_after_that_is_none_is_none(header):
    says = Says(status=503, headers={"Retry-After": header})
    with saying(first(says)) as server, client(server) as endpoints:
        assert ask(endpoints, {}) == ["yes"]
        assert endpoints.counts.failures == 1


@pytest.mark.parametrize("kind", ["text/html; charset=rot13", "application/json; charset=\u00ff"])
@pytest.mark.parametrize("status", [200, 400])
def test_whatever_charset_a_server_names_its_words_are_read(kind, status):
    says = Says(status=status, headers={"Content-Type": kind}, body=b'"yes"')
    with saying(says) as server, client(server) as endpoints:
        if status == 200:
            assert ask(endpoints, {}) == ["yes"]
        else:
            with pytest.raises(Refused, match="400 yes"):
                ask(endpoints, {})


def test_a_rested_server_that_still_hangs_costs_one_request_its_time():
    release, hung = threading.Event(), []

    def hanging(body, number):
        hung.append(time.monotonic())
        release.wait(20)
        return Says()

    patience = {"quarantine_after": 2, "quarantine_seconds": 0.5, "timeout_seconds": 0.3}
    with saying(hanging) as ill, saying() as well, client(ill, well, **patience) as endpoints:
        ask(endpoints, *[{}] * 8)
        assert endpoints.counts.quarantines == 1
        time.sleep(0.6)
        before = len(hung)
        assert ask(endpoints, *[{}] * 16) == ["yes"] * 16
        assert len(hung) == before + 1
        release.set()


def test_a_server_that_is_back_gets_its_share_again():
    """The other one stands still meanwhile, so that no machine's load decides who is asked."""
    ill, shared = threading.Event(), threading.Event()
    ill.set()
    shared.set()
    since: list[object] = []

    def falls_ill(body, number):
        if ill.is_set():
            return Says(status=500)
        since.append(body)
        if len(since) == 5:
            shared.set()
        return Says()

    def stands_still(body, number):
        shared.wait(15.0)
        return Says()

    patience = {"quarantine_after": 2, "quarantine_seconds": 0.5, "max_concurrency": 4}
    with (
        saying(falls_ill) as risen,
        saying(stands_still) as well,
        client(risen, well, **patience) as endpoints,
    ):
        assert ask(endpoints, *[{}] * 20) == ["yes"] * 20
        assert endpoints.counts.quarantines == 1
        ill.clear()
        shared.clear()
        time.sleep(0.6)
        assert ask(endpoints, *[{}] * 20) == ["yes"] * 20
        assert len(since) >= 5


def test_one_server_of_which_all_must_come_back_is_waited_for():
    down = time.monotonic() + 1.2

    def script(body, number):
        return Says(status=500 if time.monotonic() < down else 200)

    patience = {"quarantine_after": 2, "quarantine_seconds": 0.4}
    with saying(script) as server, client(server, **patience) as endpoints:
        assert ask(endpoints, *[{}] * 40) == ["yes"] * 40
        # Those that were on their way, and one after each rest.
        assert endpoints.counts.failures <= 40 + 3


def test_when_no_server_comes_back_every_request_ends_with_the_deadline():
    patience = {"quarantine_after": 1, "quarantine_seconds": 0.2, "deadline_seconds": 1.0}
    with client(dead_url(), max_concurrency=2, **patience) as endpoints:
        started = time.monotonic()
        ended = endpoints.run(together([_error(endpoints) for _ in range(30)]))
        assert time.monotonic() - started < 5.0
    assert all("(the deadline of 1 s is over)" in error for error in ended)
    assert all("Cannot connect" in error for error in ended)


async def _error(endpoints):
    with pytest.raises(Exhausted) as raised:
        await endpoints.post("/ask", {})
    return str(raised.value)


def test_no_more_than_the_bound_are_on_their_way():
    lock, here, most = threading.Lock(), 0, 0

    def script(body, number):
        nonlocal here, most
        with lock:
            here += 1
            most = max(most, here)
        time.sleep(0.01)
        with lock:
            here -= 1
        return Says()

    with saying(script) as one, saying(script) as two:
        with client(one, two, max_concurrency=5) as endpoints:
            threads = [threading.Thread(target=ask, args=(endpoints, *[{}] * 30)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(one.asked) + len(two.asked) == 90
    assert most == 5


class Fussy:
    """Takes the third answer."""

    def __init__(self) -> None:
        self.heard = 0

    async def body(self):
        return {"heard": self.heard}

    async def read(self, answer, exchange):
        self.heard += 1
        if self.heard < 3:
            raise Unwanted("not yet")
        return answer.attempts


def test_an_answer_that_is_not_wanted_is_asked_for_again_and_held_against_nobody():
    with saying() as server, client(server, quarantine_after=1) as endpoints:
        assert endpoints.run(endpoints.ask("/ask", Fussy())) == 3
        assert server.asked == [{"heard": 0}, {"heard": 1}, {"heard": 2}]
        assert (endpoints.counts.failures, endpoints.counts.quarantines) == (0, 0)
    given_up = pytest.raises(Exhausted, match=r": not yet \(after 2 attempts\)$")
    with saying() as server, client(server, max_attempts=2) as endpoints, given_up:
        endpoints.run(endpoints.ask("/ask", Fussy()))


def test_what_a_reader_raises_is_not_swallowed_and_frees_its_place():
    class Broken(Fussy):
        async def read(self, answer, exchange):
            raise KeyError("mine")

    with saying() as server, client(server, max_concurrency=1) as endpoints:
        with pytest.raises(KeyError, match="mine"):
            endpoints.run(endpoints.ask("/ask", Broken()))
        assert ask(endpoints, {}) == ["yes"]


def test_a_request_that_is_cancelled_frees_its_place():
    release, arrived = threading.Event(), threading.Event()

    def script(body, number):
        if number == 0:
            arrived.set()
            release.wait(20)
        return Says()

    async def give_up(endpoints):
        asking = asyncio.ensure_future(endpoints.post("/ask", {}))
        assert await asyncio.to_thread(arrived.wait, 20)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return (await endpoints.post("/ask", {})).json()

    with saying(script) as server, client(server, max_concurrency=1) as endpoints:
        assert asyncio.run(give_up(endpoints)) == "yes"
        assert endpoints.counts.failures == 0
        release.set()


def test_a_key_goes_to_the_servers_and_is_struck_from_what_they_say(monkeypatch):
    monkeypatch.setenv("KEY", "a-secret")
    with saying(Says(status=400, body=b"a-secret is no key")) as server:
        echo = pytest.raises(Refused, match=r": 400 \.\.\. is no key$")
        with client(server, api_key_env="KEY") as endpoints, echo:
            ask(endpoints, {})
        assert server.keys == ["Bearer a-secret"]
        monkeypatch.setenv("KEY", "Basic bWU6cGFzcw==")
        with client(server, api_key_env="KEY") as endpoints, pytest.raises(Refused):
            ask(endpoints, {})
        assert server.keys[1:] == ["Basic bWU6cGFzcw=="]


def test_a_redirect_is_not_followed_even_with_the_key(monkeypatch):
    monkeypatch.setenv("KEY", "a-secret")
    with saying() as other:
        away = Says(status=307, headers={"Location": f"{other.url}/ask"})
        with (
            saying(away) as server,
            client(server, api_key_env="KEY", max_attempts=1) as endpoints,
            pytest.raises(Exhausted, match="307"),
        ):
            ask(endpoints, {})
        assert other.asked == []


def test_an_answer_is_bounded():
    exact = b'"' + b"x" * 98 + b'"'
    with saying(Says(body=exact)) as server:
        with client(server, max_answer_bytes=100) as endpoints:
            assert ask(endpoints, {}) == ["x" * 98]
        over = pytest.raises(Exhausted, match="the answer is over 99 bytes")
        with client(server, max_answer_bytes=99, max_attempts=1) as endpoints, over:
            ask(endpoints, {})
