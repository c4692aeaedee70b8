"""The scripted teacher as a frozen model that strategies ask."""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from genagent_data import parse_turn
from genagent_data.synthesis import Call, Judgement
from genagent_miniworld import ScriptedModel, Verifier, render, sample_requests, solve
from genagent_miniworld.conditions import parse_hints
from genagent_rewards import Picture
from genagent_worlds import Tried

MODEL = ScriptedModel()


@settings(max_examples=10)
@given(seed=st.integers(0, 10**6))
def test_it_reads_pictures_as_the_verifier_does(seed: int):
    requests = sample_requests(9, seed=seed, split="held-out")
    # The next request's picture is mostly wrong for this one.
    shown = [
        Picture.of(render(solve(parse_hints(one.hints), random.Random(seed))))
        for one in [*requests[1:4], *requests[3:]]
    ]
    for request, picture in zip(requests, shown, strict=True):
        said = asyncio.run(MODEL.verify(request, prompt="p", picture=picture, seed=seed))
        assert isinstance(said.meant, Judgement) and said.words == said.meant.words
        assert said.meant.right == Verifier().passed(request.hints, picture.image)


def test_its_words_follow_from_the_seed():
    requests = sample_requests(20, seed=1, split="held-out")

    def prompts(seed: int) -> list[str]:
        said = [asyncio.run(MODEL.rewrite(request, seed=seed)) for request in requests]
        assert all(isinstance(one.meant, Call) for one in said)
        for one in said:
            turn = parse_turn(one.words, images_so_far=0, max_rounds=1)
            assert isinstance(one.meant, Call) and turn.tool_prompt == one.meant.prompt
        return [one.meant.prompt for one in said if isinstance(one.meant, Call)]

    assert prompts(1) == prompts(1) != prompts(2)


def test_a_later_prompt_is_none_that_was_tried():
    for request in sample_requests(20, seed=2, split="held-out"):
        picture = Picture.of(render(solve(parse_hints(request.hints), random.Random(0))))
        tried: tuple[Tried, ...] = ()
        for seed in range(3):
            said = asyncio.run(MODEL.reflect(request, tried=tried, seed=seed))
            assert isinstance(said.meant, Call)
            assert said.meant.prompt not in [one.prompt for one in tried]
            judgement = Judgement(words="bad", right=False)
            tried += (Tried(prompt=said.meant.prompt, picture=picture, judgement=judgement),)
