"""Words that were paid for: kept on disk, told of as they come."""

from pathlib import Path

from tests.judge_server import Answer, chat_for, serving

from genagent_rewards import ChatReply, ChatRequest, KeptAnswers, KeptChat

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
