"""The world of files and endpoints: requests in epochs, and a run's worth of it against servers."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.judge_server import YES, Answer, pictures_in, serving, words_in
from tests.picture_server import answering, paint
from tests.worlds.builders import RED, is_red

from genagent_data import Request
from genagent_rewards import PairQuestion, Picture, PointQuestion, VerdictCache
from genagent_tools import HttpImageTool
from genagent_worlds import FileRequests, FilesAndEndpoints


def pool(size: int) -> list[Request]:
    return [Request(id=str(number), prompt=f"picture {number}") for number in range(size)]


def ids(requests: list[Request]) -> list[str]:
    return [request.id for request in requests]


sizes = st.integers(1, 12)
seeds = st.integers(0, 2**31)


@given(size=sizes, n=st.integers(1, 30), steps=st.integers(1, 8), seed=seeds)
def test_every_request_comes_once_before_any_comes_again(size, n, steps, seed):
    requests = FileRequests(pool(size))
    batches = [requests.sample(n, seed=seed, step=step) for step in range(steps)]
    assert [len(batch) for batch in batches] == [n] * steps
    order = [name for batch in batches for name in ids(batch)]
    everything = {str(number) for number in range(size)}
    for start in range(0, len(order), size):
        epoch = order[start : start + size]
        assert len(set(epoch)) == len(epoch)
        assert len(epoch) < size or set(epoch) == everything


@given(size=sizes, n=st.integers(1, 30), steps=st.permutations(range(6)), seed=seeds)
def test_a_steps_requests_depend_on_seed_and_step_alone(size, n, steps, seed):
    in_order = [FileRequests(pool(size)).sample(n, seed=seed, step=step) for step in range(6)]
    one = FileRequests(pool(size))
    assert {step: one.sample(n, seed=seed, step=step) for step in steps} == dict(
        enumerate(in_order)
    )


@given(two=st.lists(seeds, min_size=2, max_size=2, unique=True), epoch=st.integers(0, 5))
def test_another_seed_and_another_epoch_have_another_order(two, epoch):
    requests = FileRequests(pool(50))

    def order(seed: int, step: int) -> list[str]:
        return ids(requests.sample(50, seed=seed, step=step))

    first, second = (order(seed, epoch) for seed in two)
    assert first != second
    assert first != order(two[0], epoch + 1)
    # Nor is it the file's own.
    assert first != [str(number) for number in range(50)]


def test_the_order_of_a_seed_is_the_same_on_every_machine():
    requests = FileRequests(pool(7))
    drawn = [ids(requests.sample(3, seed=0, step=step)) for step in range(5)]
    assert drawn == [
        ["5", "6", "2"],
        ["0", "3", "4"],
        ["1", "5", "4"],
        ["3", "6", "1"],
        ["2", "0", "3"],
    ]


def test_requests_are_handed_out_as_they_are():
    known = Request(id="a", prompt="a cat", task="animals", hints=("exactly 1 cat",))
    assert FileRequests([known]).sample(2, seed=3) == [known, known]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    train, held_out = tmp_path / "train.jsonl", tmp_path / "held.txt"
    rows = [{"id": str(n), "prompt": f"picture {n}", "hints": [f"hint {n}"]} for n in range(3)]
    train.write_text("".join(json.dumps(row) + "\n" for row in rows))
    held_out.write_text("a cat\n\na dog\n")
    return {"train": train, "held_out": held_out}


def red_or_not(body: dict, number: int) -> Answer:
    """The script of a judge that passes red pictures and prefers them."""
    seen = [is_red(Picture.of(picture)) for picture in pictures_in(body)]
    if len(seen) == 1:
        return Answer(words=f"I look. <verdict>{'yes' if seen[0] else 'no'}</verdict>")
    choice = "tie" if seen[0] == seen[1] else "first" if seen[0] else "second"
    return Answer(words=f"I compare. <verdict>{choice}</verdict>")


def test_a_whole_configuration_has_no_problems_opens_draws_and_judges(files, tmp_path):
    with answering() as images, answering() as more_images, serving(red_or_not) as judge:
        config = FilesAndEndpoints(
            **files, tool=f"{images.url}, {more_images.url}", judge=judge.url, judge_model="eyes"
        )
        assert config.problems() == []
        # Each server drew once, and the judge was shown one picture.
        assert [len(server.requests) for server in (images, more_images)] == [1, 1]
        assert [len(pictures_in(body)) for body in judge.requests] == [1]
        judge.requests.clear()

        folder = tmp_path / "run"
        world = config.open(folder, seed=0)
        assert world.truth is None
        assert world.judges.at_once  # verdicts are asked for while rollouts run
        assert (world.policies, config.policies) == ({}, {})
        assert [(r.id, r.prompt) for r in world.held_out] == [
            ("held-1", "a cat"),
            ("held-3", "a dog"),
        ]
        batch = world.train.sample(3, seed=0, step=0)
        assert {(request.prompt, request.hints) for request in batch} == {
            (f"picture {n}", (f"hint {n}",)) for n in range(3)
        }
        assert isinstance(world.tool, HttpImageTool)
        with world.tool as tool:
            drawn = tool.generate(["a cat", "a dog"], [3, 4])
        assert [picture.tobytes() for picture in drawn] == [
            paint("a cat", 3).tobytes(),
            paint("a dog", 4).tobytes(),
        ]

        asked = {"request": "red", "hints": ("it is red",)}
        other = Picture.of(drawn[0])
        points = [PointQuestion(picture=picture, **asked) for picture in (RED, other)]
        pairs = [PairQuestion(first=other, second=RED, **asked)]
        verdicts = world.judges.point.judge(points) + world.judges.pair.compare(pairs)
        assert [verdict and (verdict.choice, verdict.reason) for verdict in verdicts] == [
            ("yes", "I look."),
            ("no", "I look."),
            ("second", "I compare."),
        ]
        assert len(judge.requests) == 3 and {body["model"] for body in judge.requests} == {"eyes"}
        assert all("it is red" in words_in(body) for body in judge.requests)
        assert world.judges.take_counts() == {
            "judge/asked": 3.0,
            "judge/cached": 0.0,
            "judge/absent": 0.0,
            "judge/unparsed": 0.0,
        }
        with VerdictCache(folder / "verdicts.sqlite") as kept:
            assert len(kept) == 3

        # What was paid for is not paid for again.
        again = config.open(folder, seed=0)
        assert again.judges.point.judge(points) + again.judges.pair.compare(pairs) == verdicts
        assert len(judge.requests) == 3
        assert again.judges.take_counts()["judge/cached"] == 3.0
        assert isinstance(again.tool, HttpImageTool)
        again.tool.close()


def test_names_bounds_and_tokens_reach_the_servers(files, tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGES_TOKEN", "image-secret")
    monkeypatch.setenv("JUDGE_TOKEN", "judge-secret")
    with answering() as images, serving(YES) as judge:
        config = FilesAndEndpoints(
            **files,
            tool=images.url,
            tool_model="painter",
            tool_token_env="IMAGES_TOKEN",
            judge=judge.url,
            judge_model="eyes",
            judge_tokens=77,
            judge_key_env="JUDGE_TOKEN",
        )
        assert config.problems() == []
        world = config.open(tmp_path / "run", seed=0)
        world.judges.point.judge([PointQuestion(request="red", hints=(), picture=RED)])
        assert isinstance(world.tool, HttpImageTool)
        with world.tool as tool:
            tool.generate(["a cat"], [0])
    assert {body["model"] for body in images.requests} == {"painter"}
    assert set(images.keys) == {"Bearer image-secret"}
    assert {(body["model"], body["max_tokens"]) for body in judge.requests} == {("eyes", 77)}
    assert set(judge.keys) == {"Bearer judge-secret"}


OWN_CODE = """
from PIL import Image

from genagent_rewards import Verdict
from genagent_worlds import Judges


class Tool:
    def generate(self, prompts, seeds):
        return [Image.new("RGB", (8, 8), prompt.split()[0]) for prompt in prompts]


class Judge:
    def judge(self, questions):
        return [
            Verdict(
                choice="yes" if question.picture.image.getpixel((0, 0)) == (255, 0, 0) else "no",
                reason="own code",
                judge="own",
            )
            for question in questions
        ]

    def compare(self, questions):
        return [Verdict(choice="tie", reason="own code", judge="own") for _ in questions]


def judges():
    return Judges(point=Judge(), pair=Judge())
"""


def test_own_code_draws_and_judges(files, tmp_path, monkeypatch):
    (tmp_path / "own_services.py").write_text(OWN_CODE)
    monkeypatch.syspath_prepend(tmp_path)
    config = FilesAndEndpoints(**files, tool="own_services:Tool", judge="own_services:judges")
    assert config.problems() == []
    world = config.open(tmp_path / "run", seed=0)
    assert world.truth is None
    drawn = [
        Picture.of(picture) for picture in world.tool.generate(["red cat", "blue cat"], [0, 0])
    ]
    verdicts = world.judges.point.judge(
        [PointQuestion(request="a red cat", hints=(), picture=picture) for picture in drawn]
    )
    assert [verdict and verdict.choice for verdict in verdicts] == ["yes", "no"]
    pair = PairQuestion(request="a red cat", hints=(), first=drawn[0], second=drawn[1])
    [verdict] = world.judges.pair.compare([pair])
    assert verdict is not None and verdict.reason == "own code"
    assert world.judges.take_counts() == {}


def test_who_asks_a_policy_is_told_preset_and_servers():
    world = FilesAndEndpoints(tool="http://gpu1:8000,http://gpu2:8000")
    assert world.asking == ("flux-7b", "--world.tool", "http://gpu1:8000,http://gpu2:8000")
