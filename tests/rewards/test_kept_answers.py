"""Words that were paid for: kept on disk, told of as they come."""

from pathlib import Path
from typing import Any

from tests.judge_server import Answer, chat_for, serving

from genagent_rewards import (
    ChatReply,
    ChatRequest,
    KeptAnswers,
    KeptChat,
    OpenAIChat,
    OpenAIChatConfig,
)

NUMBERS = [ChatRequest(system="", parts=(f"question {n}",)) for n in (1, 2, 1)]


def test_each_reply_is_heard_of_as_it_comes_kept_ones_first(tmp_path: Path):
    heard: list[tuple[int, int, str | None]] = []
    with serving(Answer(words="yes")) as server, KeptAnswers(tmp_path / "kept.sqlite") as kept:
        chat = KeptChat(chat_for(server.url, max_concurrency=1), kept)
        chat.reply(NUMBERS[1:2], accept=bool)

        def arrived(place: int, reply: ChatReply) -> None:
            heard.append((place, len(server.requests), reply.text))

        third = ChatRequest(system="", parts=("question 3",))
        replies = chat.reply([*NUMBERS, third], accept=bool, arrived=arrived)
    # The kept one is heard of before anything is asked, equal ones once each, and each once.
    assert heard == [(1, 1, "yes"), (0, 2, "yes"), (2, 2, "yes"), (3, 3, "yes")]
    assert [reply.text for reply in replies] == ["yes"] * 4


def test_what_was_refused_under_one_limit_is_asked_for_under_another(tmp_path: Path):
    """A reply that was cut off would be kept for good, whatever room the next one is given."""
    answers = [
        Answer(words="no verd", finish="length"),
        Answer(words="yes"),
        Answer(words="yes, at length"),
    ]
    question, other = NUMBERS[0], NUMBERS[1]
    with (
        serving(lambda body, number: answers[number]) as server,
        KeptAnswers(tmp_path / "kept.sqlite") as kept,
    ):

        def reply(max_tokens: int, request: ChatRequest) -> str | None:
            chat = chat_for(server.url, max_tokens=max_tokens, max_attempts=1)
            [found] = KeptChat(chat, kept, max_tokens=max_tokens).reply([request], accept=bool)
            return found.text

        assert [reply(8, question), reply(8, question), reply(8, other)] == [None, None, "yes"]
        assert len(server.requests) == 2
        assert [reply(99, question), reply(99, other), reply(8, question)] == [
            "yes, at length",
            "yes",
            "yes, at length",
        ]
        assert [request["max_tokens"] for request in server.requests] == [8, 8, 99]


def test_another_model_and_another_system_message_are_other_questions(tmp_path: Path):
    def says_who(body: dict[str, Any], number: int) -> Answer:
        return Answer(words=f"{body['model']} by {body['messages'][0]['content']}")

    with serving(says_who) as server, KeptAnswers(tmp_path / "kept.sqlite") as kept:

        def reply(model: str, system: str) -> str | None:
            chat = OpenAIChat(OpenAIChatConfig(base_urls=(server.url,), model=model))
            question = ChatRequest(system=system, parts=("question",))
            [found] = KeptChat(chat, kept).reply([question], accept=bool)
            return found.text

        for _ in range(2):
            assert [reply("a", "x"), reply("b", "x")] == ["a by x", "b by x"]
            assert reply("a", "y") == "a by y"
        assert len(server.requests) == 3
