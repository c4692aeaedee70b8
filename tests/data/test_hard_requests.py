"""Requests that a chat model writes."""

import json
from collections.abc import Callable, Sequence

import pytest

from genagent_data import Request, prompt_pool, write_hard_requests
from genagent_data.pool import PoolConfig
from genagent_rewards import ChatReply, ChatRequest

SEEDS = [
    Request(id=f"{task}-{n}", prompt=f"{task} seed {n}", task=task, hints=(f"{task} hint {n}",))
    for task in ("counting", "riddle")
    for n in range(6)
]


class Writer:
    """Answers with what it is told to, question by question; each answer is offered once."""

    name = "writer"

    def __init__(self, *answers: str) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.refused: list[str] = []

    def reply(
        self,
        requests: Sequence[ChatRequest],
        *,
        accept: Callable[[str], bool],
        arrived: Callable[[int, ChatReply], None] | None = None,
    ) -> list[ChatReply]:
        replies = []
        for request in requests:
            answer = self.answers[len(self.asked) % len(self.answers)]
            self.asked.append("".join(str(part) for part in request.parts))
            text = answer if accept(answer) else None
            if text is None:
                self.refused.append(answer)
            error = None if text is not None else "refused 1 time"
            replies.append(ChatReply(text=text, attempts=1, model="writer", error=error))
        return replies


def answer(*entries: object, before: str = "", after: str = "") -> str:
    return f"{before}<requests>\n{json.dumps(entries)}\n</requests>{after}"


def entry(prompt: str, *hints: str) -> dict:
    return {"prompt": prompt, "hints": list(hints) or ["it is there"]}


def test_each_type_is_asked_for_in_parts_and_gets_its_own_ids():
    chat = Writer(answer(*(entry(f"a {n}") for n in range(10)), before="<think>a</think> So: "))
    written = write_hard_requests(chat, seeds=SEEDS, each=12, seed=7)
    assert len(chat.asked) == 4
    assert ["Write 10 new" in text for text in chat.asked] == [True, False, True, False]
    assert ["Write 2 new" in text for text in chat.asked] == [False, True, False, True]
    assert [request.id for request in written.requests] == [
        f"hard-7/{task}/{number}" for task in ("counting", "riddle") for number in range(1, 13)
    ]
    assert written.requests[11] == Request(
        id="hard-7/counting/12", prompt="a 1", task="counting", hints=("it is there",)
    )
    assert (written.missing, written.errors) == (0, ())


def test_a_question_shows_examples_of_its_type_which_differ():
    chat = Writer(answer(entry("a cat")))
    write_hard_requests(chat, seeds=SEEDS, each=20, seed=1)
    shown = [{n for n in range(6) if f"counting seed {n}" in text} for text in chat.asked[:2]]
    assert [len(numbers) for numbers in shown] == [4, 4] and shown[0] != shown[1]
    assert not any("riddle" in text for text in chat.asked[:2])
    assert '{"prompt": "riddle seed' in chat.asked[2] and '"hints": ["riddle hint' in chat.asked[2]
    again = Writer(answer(entry("a cat")))
    write_hard_requests(again, seeds=SEEDS, each=20, seed=1)
    assert again.asked == chat.asked


def test_what_is_missing_is_counted_and_said():
    chat = Writer(answer(entry("a cat"), entry("a dog")), "no", answer(entry("an owl")))
    written = write_hard_requests(chat, seeds=SEEDS[:6], each=25, seed=0)
    assert [request.id for request in written.requests] == [
        "hard-0/counting/1",
        "hard-0/counting/2",
        "hard-0/counting/21",
    ]
    assert written.missing == 22
    assert written.errors == ("counting, 11 to 20: refused 1 time",)


def test_more_than_was_asked_for_is_left_out():
    chat = Writer(answer(*(entry(f"a {n}") for n in range(5))))
    written = write_hard_requests(chat, seeds=SEEDS[:1], each=3, seed=0)
    assert [request.prompt for request in written.requests] == ["a 0", "a 1", "a 2"]


def test_the_last_block_counts_and_may_hold_a_tag():
    text = answer(entry("not this")) + " Better: " + answer(entry("a sign: </requests>", "x"))
    written = write_hard_requests(Writer(text), seeds=SEEDS[:1], each=1, seed=0)
    assert [request.prompt for request in written.requests] == ["a sign: </requests>"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[{"prompt": "a cat", "hints": ["a cat"]}]',
        answer(entry("a cat"), after=" I hope this helps."),
        answer(),
        '<requests>{"prompt": "a cat", "hints": ["a cat"]}</requests>',
        '<requests>```json\n[{"prompt": "a", "hints": ["a"]}]\n```</requests>',
        "<requests>[{</requests>",
        "<requests>" + "[" * 100_000 + "</requests>",
        answer("a cat"),
        answer(entry("a cat") | {"id": "x"}),
        answer({"prompt": "a cat"}),
        answer({"prompt": "a cat", "hints": []}),
        answer({"prompt": "a cat", "hints": None}),
        answer({"prompt": "a cat", "hints": ["x"] * 9}),
        answer({"prompt": "a cat", "hints": ["x", " "]}),
        answer({"prompt": "a cat", "hints": "x"}),
        answer({"prompt": " ", "hints": ["x"]}),
        answer({"prompt": ["a"], "hints": ["x"]}),
        answer(entry("word " * 101)),
        r'<requests>[{"prompt": "a \ud83d", "hints": ["x"]}]</requests>',
        answer(entry("fine"), entry("a cat") | {"why": "x"}),
    ],
)
def test_an_answer_of_another_form_is_asked_for_again(text):
    chat = Writer(text)
    written = write_hard_requests(chat, seeds=SEEDS[:1], each=3, seed=0)
    assert chat.refused == [text]
    assert (written.requests, written.missing) == ((), 3)


@pytest.mark.parametrize(
    ("seeds", "each", "message"),
    [
        ([], 1, "there are no seeds; give at least one request with hints"),
        ([Request(id="x", prompt="a cat")], 1, "seed 'x' has no hints; give those"),
        (SEEDS, 0, "each is 0; ask for at least one"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_asked(seeds, each, message):
    chat = Writer(answer(entry("a cat")))
    with pytest.raises(ValueError, match=message):
        write_hard_requests(chat, seeds=seeds, each=each, seed=0)
    assert chat.asked == []


def test_they_are_what_a_pool_takes():
    chat = Writer(answer(entry("a cat"), entry("A cat"), entry("a dog")))
    written = write_hard_requests(chat, seeds=SEEDS[:1], each=20, seed=0)
    kept = prompt_pool(written.requests, config=PoolConfig())
    assert [request.id for request in kept] == ["hard-0/counting/1", "hard-0/counting/3"]
