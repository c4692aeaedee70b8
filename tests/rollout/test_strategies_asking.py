"""How side-by-side trajectories get a model's words: in batches, one by one, and never twice."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.judge_server import Answer, chat_for, serving

from genagent_rewards import ChatReply, ChatRequest, KeptAnswers
from genagent_rollout import Asking, asking_by
from genagent_rollout.strategies.chat_models import read_rewrite


class Echo:
    """A chat model in this process: says what it is asked."""

    name = "echo"

    def __init__(self, error: Exception | None = None) -> None:
        self.batches: list[list[str]] = []
        self.error = error

    def reply(
        self,
        requests: Sequence[ChatRequest],
        *,
        accept: Callable[[str], bool],
        arrived: Callable[[int, ChatReply], None] | None = None,
    ) -> list[ChatReply]:
        if self.error is not None:
            raise self.error
        self.batches.append([str(request.parts[0]) for request in requests])
        return [
            ChatReply(text=text, attempts=1, model=self.name, raw=text) for text in self.batches[-1]
        ]


def question(words: str) -> ChatRequest:
    return ChatRequest(system="s", parts=(words,))


def yes(text: str) -> bool:
    return True


def also_yes(text: str) -> bool:
    return True


async def conversation(asking: Asking, name: str, turns: int, *, accept=yes) -> list[str | None]:
    said = []
    for turn in range(turns):
        reply = await asking.ask(question(f"{name}{turn}"), accept=accept, seed=0)
        said.append(reply.text)
    return said


def test_a_model_in_this_process_answers_all_that_wait_together():
    chat = Echo()
    asking = asking_by(chat)

    async def everyone() -> list[list[str | None]]:
        talks = [
            conversation(asking, "a", 2),
            conversation(asking, "b", 1),
            conversation(asking, "c", 3, accept=also_yes),
        ]
        return await asyncio.gather(*talks)

    for _ in range(2):  # event loops of their own
        assert asyncio.run(everyone()) == [["a0", "a1"], ["b0"], ["c0", "c1", "c2"]]
    assert chat.batches == [["a0", "b0"], ["c0"], ["a1"], ["c1"], ["c2"]] * 2


def test_its_error_reaches_who_waits():
    asking = asking_by(Echo(ValueError("no such model")))

    async def everyone() -> list[object]:
        talks = [conversation(asking, name, 1) for name in "ab"]
        return await asyncio.gather(*talks, return_exceptions=True)

    assert [str(error) for error in asyncio.run(everyone())] == ["no such model"] * 2


@pytest.mark.parametrize(("sampled", "asked"), [(True, 2), (False, 1)])
def test_words_of_endpoints_are_paid_for_once(tmp_path: Path, sampled: bool, asked: int):
    """Sampled words are another seed's own; greedy ones are everybody's."""
    with serving(Answer(words="here")) as server:
        for _ in range(2):
            for seed in (1, 2):
                with KeptAnswers(tmp_path / "words.sqlite") as kept:
                    asking = asking_by(chat_for(server.url), kept=kept, sampled=sampled)
                    reply = asyncio.run(asking.ask(question("where"), accept=yes, seed=seed))
                assert reply.text == "here"
        assert len(server.requests) == asked


def test_words_that_did_not_come_are_asked_for_again(tmp_path: Path):
    answers = [Answer(status=500, words="no memory")] * 3 + [Answer(words="here")]
    with (
        serving(lambda body, number: answers[number]) as server,
        KeptAnswers(tmp_path / "words.sqlite") as kept,
    ):
        asking = asking_by(chat_for(server.url), kept=kept)
        replies = [
            asyncio.run(asking.ask(question("where"), accept=yes, seed=0)).text for _ in range(3)
        ]
        assert replies == [None, "here", "here"]
        assert len(server.requests) == 4


def test_what_was_cut_off_under_one_limit_is_asked_for_under_another(tmp_path: Path):
    cut = Answer(words="wh", finish="length")
    with serving(lambda body, number: cut if body["max_tokens"] < 20 else Answer(words="here")) as (
        server
    ):

        def said(limit: int) -> str | None:
            with KeptAnswers(tmp_path / "words.sqlite") as kept:
                chat = chat_for(server.url, max_tokens=limit, max_attempts=1)
                asking = asking_by(chat, kept=kept, max_tokens=limit)
                return asyncio.run(asking.ask(question("where"), accept=yes, seed=0)).text

        assert [said(10), said(10), said(30), said(10)] == [None, None, "here", "here"]
        assert [body["max_tokens"] for body in server.requests] == [10, 30]


@pytest.mark.parametrize(
    ("text", "thinking", "prompt"),
    [
        ("<think>two</think><answer> two\n cats </answer>", "two", "two cats"),
        (
            "<think>say <answer>x</answer>?</think><answer>cats</answer>",
            "say <answer>x</answer>?",
            "cats",
        ),
        ("two</think><answer>cats</answer>", "", "cats"),
        ("<think>two</think> two cats", "two", "two cats"),
        ("two cats", "", "two cats"),
        ("<answer>two cats", "", "two cats"),
    ],
)
def test_a_rewrite_is_what_is_answered_or_else_all_but_the_thought(
    text: str, thinking: str, prompt: str
):
    call = read_rewrite(text)
    assert call is not None
    assert (call.thinking, call.prompt) == (thinking, prompt)


@pytest.mark.parametrize(
    "text", ["<think>two", "<think>two</think>", "<answer> </answer>", "<answer>\ud800</answer>"]
)
def test_a_rewrite_of_nothing_is_none(text: str):
    assert read_rewrite(text) is None
