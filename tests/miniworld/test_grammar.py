"""Requests: reproducible, split without overlap, and all of them can be met."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genagent_miniworld import TASKS, read, render, sample_requests, solve, split_of
from genagent_miniworld.conditions import parse_hints


def test_the_same_seed_gives_the_same_requests():
    assert sample_requests(40, seed=3, split="train") == sample_requests(40, seed=3, split="train")
    assert sample_requests(40, seed=3, split="train") != sample_requests(40, seed=4, split="train")


def test_train_and_held_out_share_no_prompt():
    train = {request.prompt for request in sample_requests(3000, seed=0, split="train")}
    held_out = {request.prompt for request in sample_requests(600, seed=0, split="held-out")}
    assert len(held_out) == 600
    assert not train & held_out
    assert {split_of(prompt) for prompt in train} == {"train"}


def test_tasks_are_drawn_in_equal_parts():
    tasks = [request.task for request in sample_requests(90, seed=0, split="held-out")]
    assert {task: tasks.count(task) for task in TASKS} == dict.fromkeys(TASKS, 10)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_every_request_has_a_scene_that_meets_it(seed):
    for request in sample_requests(9, seed=seed, split="train"):
        spec = parse_hints(request.hints)
        scene = solve(spec, random.Random(seed))
        assert len(scene) == spec.size
        assert spec.met(read(render(scene, seed=seed)))


def test_riddles_say_neither_number_nor_color_outright():
    for request in sample_requests(60, seed=0, split="train", tasks=("riddle",)):
        spec = parse_hints(request.hints)
        count = spec.counts[0]
        assert str(count.number) not in request.prompt
        assert not (f"{count.kind.color} " in request.prompt and "color of" in request.prompt)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 5, "split": "test"}, "unknown split 'test'"),
        ({"n": 5, "split": "train", "tasks": ("cats",)}, "unknown task 'cats'"),
        ({"n": 5000, "split": "held-out", "tasks": ("count",)}, "no 5000 different"),
    ],
)
def test_impossible_samples_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample_requests(seed=0, **arguments)
