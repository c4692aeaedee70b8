"""Which conversations a step advances; that all of them end, and that no page is lost or shared
by accident."""

from itertools import permutations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.rollout.scheduling import Bench

PROMPTS = ["a", "bb bb", "cccccccc", "d d d d d d"]
LONGEST = 12 + 3 * (6 + 7)
"""Tokens of the longest prompt and three turns with what is shown before them."""


class Conversations(RuleBasedStateMachine):
    """Conversations open, speak, are shown pictures and close in any order."""

    @initialize(
        pages=st.integers(-(-LONGEST // 4), 30),
        max_batch=st.integers(1, 6),
        max_chunk_tokens=st.sampled_from([1, 16, 64]),
    )
    def begin(self, pages: int, max_batch: int, max_chunk_tokens: int) -> None:
        self.bench = Bench(pages, max_batch=max_batch, max_chunk_tokens=max_chunk_tokens)
        self.turns: dict[int, int] = {}

    def _idle(self) -> list[int]:
        return [n for n in self.bench.open_ones if n not in self.bench.left]

    @rule(prompt=st.sampled_from(PROMPTS), count=st.integers(1, 4), tokens=st.integers(1, 6))
    def group(self, prompt: str, count: int, tokens: int) -> None:
        if len(self.bench.open_ones) < 12:
            for number in [self.bench.open(prompt) for _ in range(count)]:
                self.turns[number] = 1
                self.bench.wants_turn(number, tokens)

    @rule(prompt=st.sampled_from(PROMPTS))
    def open_only(self, prompt: str) -> None:
        if len(self.bench.open_ones) < 12:
            self.turns[self.bench.open(prompt)] = 0

    @precondition(lambda self: self._idle())
    @rule(data=st.data(), tokens=st.integers(1, 6), shown=st.integers(1, 7))
    def speak(self, data: st.DataObject, tokens: int, shown: int) -> None:
        number = data.draw(st.sampled_from(self._idle()))
        if self.turns[number] < 3:
            self.bench.wants_turn(number, tokens, shown if self.turns[number] else 0)
            self.turns[number] += 1

    @precondition(lambda self: self.bench.open_ones)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        self.bench.close(data.draw(st.sampled_from(sorted(self.bench.open_ones))))
        self.bench.check()

    @precondition(lambda self: self.bench.left)
    @rule(steps=st.integers(1, 5))
    def advance(self, steps: int) -> None:
        for _ in range(steps):
            if self.bench.left:
                self.bench.step()

    @rule()
    def publish(self) -> None:
        self.bench.scheduler.forget_all()
        self.bench.check()

    def teardown(self) -> None:
        if hasattr(self, "bench"):
            self.bench.run()
            self.bench.ended()


Conversations.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestConversations = Conversations.TestCase


@pytest.mark.parametrize("pages", [13, 14, 16, 20])
@pytest.mark.parametrize("order", sorted(set(permutations([0, 0, 1, 1, 2]))), ids=str)
def test_prompts_that_take_turns_in_a_tiny_cache_all_end(pages: int, order: tuple[int, ...]):
    """Groups whose members come between those of others, with room for hardly more than one."""
    bench = Bench(pages, max_batch=3, max_chunk_tokens=16)
    numbers = [bench.open(PROMPTS[1:][place]) for place in order]
    for number in numbers:
        bench.wants_turn(number, 6)
    for _ in range(2):
        bench.run()
        for number in reversed(numbers):
            bench.wants_turn(number, 6, shown=7)
    bench.run()
    assert all(len(bench.open_ones[n].record.ids) >= 5 + 32 for n in numbers)
    bench.ended()


def test_a_prompt_of_several_is_computed_once_where_there_is_room():
    bench = Bench(40)
    for prompt in ["cccccccc"] * 3 + ["bb bb"] * 2 + ["a"]:
        bench.wants_turn(bench.open(prompt), 3)
    bench.run()
    # Of a turn's three tokens the last is not computed before it is answered.
    assert bench.computed == 8 + 5 + 1 + 6 * 2
    assert bench.scheduler.put_aside == 0
    bench.ended()


def test_the_youngest_is_put_aside_and_the_oldest_never():
    bench = Bench(14, max_batch=4)
    numbers = [bench.open(prompt) for prompt in ("cccccccc", "bb bb", "d d d d d d")]
    for number in numbers:
        bench.wants_turn(number, 20 if number == 0 else 12)
    pages = {number: 0 for number in numbers}
    lost: list[int] = []
    while bench.left:
        bench.step()
        for number in numbers:
            now = len(bench.open_ones[number].pages)
            lost += [number] * (now < pages[number])
            pages[number] = now
    assert lost and 0 not in lost
    assert bench.scheduler.put_aside == len(lost)
    bench.ended()


def test_one_that_was_put_aside_says_on_from_its_own_last_token():
    bench = Bench(40)
    numbers = [bench.open("cccccccc") for _ in range(4)]
    bench.wants_turn(numbers[2], 2)
    bench.step()
    bench.step()
    # It has one token of its turn, and begins again behind the prompt that others want too.
    bench.scheduler.forget_all()
    bench.wants_turn(numbers[0], 1)
    bench.wants_turn(numbers[1], 1)
    bench.run()
    bench.ended()


def passes(bench: Bench, prompts: list[str]) -> list[list[int]]:
    """Tokens of what each pass computes, until all that were asked have one token more."""
    for prompt in prompts:
        bench.wants_turn(bench.open(prompt), 1)
    sizes: list[list[int]] = []
    while bench.left:
        before = [sequence.uncached for sequence in bench.open_ones.values()]
        step = bench.step()
        prefixes = [len(prefix.ids) for prefix in step.prompts]
        sizes.append(prefixes + [before[sequence.number] for sequence in step.chunks])
    return sizes


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(1, [[8], [5], [11]]), (16, [[8, 5], [11]]), (32, [[8, 5], [11]]), (33, [[8, 5, 11]])],
)
def test_chunks_of_a_pass_are_a_rectangle_within_the_limit_unless_one_alone_is_more(
    limit: int, expected: list[list[int]]
):
    bench = Bench(200, max_chunk_tokens=limit)
    assert passes(bench, ["cccccccc", "bb bb", "d d d d d d"]) == expected


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, [[8], [5], [11]]), (16, [[8, 5], [11]]), (24, [[8, 5, 11]])]
)
def test_prompts_of_a_pass_are_within_the_limit_unless_one_alone_is_more(
    limit: int, expected: list[list[int]]
):
    bench = Bench(200, max_chunk_tokens=limit)
    found = passes(bench, ["cccccccc", "bb bb", "d d d d d d"] * 2)
    assert [sizes for sizes in found if sizes] == expected
