"""Several servers of one model: who is asked, who rests, and when nobody will have us."""

import time

import pytest
from tests.judge_server import YES, Answer, ask, chat_for, refused_url, serving


def test_a_refused_connection_fails_over_to_the_second_endpoint():
    with serving(YES) as server:
        chat = chat_for(refused_url(), server.url, max_concurrency=2, quarantine_after=2)
        replies = ask(chat, 30)
    assert all(reply.text == YES.words for reply in replies)
    # Two failures send the dead one to rest, and one more may have been on its way.
    assert 1 <= chat.counts.retries <= 3


def test_an_endpoint_at_rest_is_left_alone():
    with serving(Answer(status=500)) as first, serving(YES) as second:
        chat = chat_for(first.url, second.url, quarantine_after=1, quarantine_seconds=1000.0)
        ask(chat, 5)
        seen = len(first.requests)
        ask(chat, 5)
        assert len(first.requests) == seen > 0


def test_work_is_shared_by_load():
    def slow(body, number):
        time.sleep(0.02)
        return YES

    with serving(slow) as first, serving(slow) as second:
        ask(chat_for(first.url, second.url, max_concurrency=8), 40)
        assert len(first.requests) + len(second.requests) == 40
        assert 10 <= len(first.requests) <= 30


@pytest.mark.parametrize("status", [401, 404])
def test_a_configuration_that_every_endpoint_rejects_stops_the_batch(status):
    with (
        serving(Answer(status=status, words="who are you?")) as first,
        serving(Answer(status=status, words="who are you?")) as second,
    ):
        chat = chat_for(first.url, second.url, api_key_env="JUDGE_KEY", max_concurrency=4)
        with pytest.raises(ValueError, match="no endpoint accepts requests") as raised:
            ask(chat, 100)
        # Those in flight, and those let in before the batch was stopped.
        assert len(first.requests) + len(second.requests) <= 16
    for name in (first.url, second.url, "who are you?", "JUDGE_KEY", "'judge'"):
        assert name in str(raised.value)


def test_a_question_that_a_gateway_filters_out_is_one_without_words():
    """Also where it comes first, and where several come one after the other: no server rests."""
    answers = [Answer(status=403, words="flagged")] * 4 + [YES] * 2
    with serving(lambda body, number: answers[number]) as server:
        replies = ask(chat_for(server.url, max_concurrency=1), 6)
    assert [reply.text is None for reply in replies] == [True] * 4 + [False] * 2
    assert "403 flagged" in (replies[0].error or "")


def test_one_endpoint_that_rejects_leaves_the_others_at_work():
    with serving(Answer(status=404, words="no such model")) as first, serving(YES) as second:
        replies = ask(chat_for(first.url, second.url, max_attempts=2), 10)
        assert all(reply.text == YES.words for reply in replies)
        assert len(second.requests) == 10


def test_an_endpoint_that_rejected_is_asked_again_in_the_next_batch():
    answers = [Answer(status=404, words="still loading the model"), YES]
    with serving(lambda body, number: answers[number]) as server:
        chat = chat_for(server.url)
        with pytest.raises(ValueError, match="still loading"):
            ask(chat)
        assert ask(chat)[0].text == YES.words
