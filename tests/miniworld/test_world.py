"""The miniature as a world: what it needs, what it opens with, and request files of one's own."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.worlds.benchmark_files import geneval_rows, write_lines

from genagent_data import Request, derive_seed
from genagent_miniworld import (
    Item,
    Miniature,
    Verifier,
    caption,
    parse_hints,
    read,
    render,
    sample_requests,
    split_of,
    weights,
)
from genagent_rewards import Picture, PointQuestion
from genagent_tools import DiffusersTool
from genagent_worlds import BenchmarkConfig, Score

RED = {"id": "red", "prompt": "a red circle", "hints": ["exactly 1 red circle", "nothing else"]}
BLUE = {"id": "blue", "prompt": "two blue squares", "hints": ["exactly 2 blue squares"]}
DOG = {"id": "dog", "prompt": "a dog", "hints": ["exactly 1 dog"]}
PLAIN = {"id": "plain", "prompt": "a red circle"}


def write(path: Path, *rows: Mapping[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_miniature_needs_nothing_and_brings_its_policies():
    assert Miniature().problems() == []
    assert Miniature().policies == {"base": weights("base"), "sft": weights("sft")}


def test_it_opens_with_a_tool_that_draws_and_with_the_truth(tmp_path):
    world = Miniature().open(tmp_path, seed=0)
    assert world.policies == {"base": weights("base"), "sft": weights("sft")}
    assert world.truth is not None and world.truth is not world.judges
    scene = (Item(place=4, color="red", shape="circle", size="large"),)
    good, bad = (
        PointQuestion(
            request="a red circle", hints=("exactly 1 red circle",), picture=Picture.of(picture)
        )
        for picture in (render(scene), render(()))
    )
    verdicts = world.truth.point.judge([good, bad])
    assert [verdict and verdict.choice for verdict in verdicts] == ["yes", "no"]
    [picture] = world.tool.generate([caption(scene, sizes=True)], [0])
    assert read(picture).items == scene


def test_held_out_requests_are_those_of_the_seed(tmp_path):
    world = Miniature(judge="verifier").open(tmp_path, seed=0)
    first = (
        Request(
            id="held-out-1419524863-0",
            prompt="i want a green circle and a green triangle",
            task="color",
            hints=("exactly 1 green circle", "exactly 1 green triangle", "nothing else"),
        ),
        Request(
            id="held-out-1419524863-1",
            prompt="two triangles",
            task="count",
            hints=("exactly 2 triangles", "nothing else"),
        ),
    )
    assert world.held_out[:2] == first
    # Evaluations of every size are of the same requests.
    assert list(world.held_out[:450]) == sample_requests(
        450, seed=derive_seed(0, 1), split="held-out"
    )
    assert len(world.held_out) == len({request.id for request in world.held_out}) == 900
    other = Miniature(judge="verifier").open(tmp_path, seed=1)
    assert other.held_out[:2] != first


def test_training_requests_are_those_of_seed_and_step(tmp_path):
    train = Miniature(judge="verifier").open(tmp_path, seed=0).train
    for seed, step in ((0, 0), (0, 1), (7, 1)):
        expected = sample_requests(9, seed=derive_seed(seed, "requests", step), split="train")
        assert train.sample(9, seed=seed, step=step) == expected
        assert {split_of(request.prompt) for request in expected} == {"train"}


@pytest.mark.parametrize("words", [None, 60])
def test_the_agent_hears_of_the_tools_words_only_where_it_is_told_to(tmp_path, words):
    # flux-mini's profile has a number of its own, which the shipped policies never heard of.
    world = Miniature(tool_words=words, judge="verifier").open(tmp_path, seed=0)
    assert isinstance(world.tool, DiffusersTool) and world.tool.profile.words > 0
    assert world.words == words


def test_a_number_of_words_that_makes_no_sense_is_named():
    assert Miniature(tool_words=0).problems() == ["--world.tool-words is 0; wants 1 or more"]


@pytest.mark.parametrize("option", ["train", "held_out"])
def test_a_request_that_the_verifier_cannot_check_is_named_with_the_preset_that_takes_it(
    tmp_path, option
):
    path = write(tmp_path / "own.jsonl", RED, DOG, {**DOG, "id": "second dog"})
    assert replace(Miniature(), **{option: path}).problems() == [
        f"{path}: request 'dog': the verifier cannot check the hint 'exactly 1 dog'; it reads "
        "hints such as 'exactly 3 red circles' and 'red circle left of blue square'; for requests "
        "of another kind take the preset flux-7b"
    ]


def test_a_request_without_hints_cannot_be_checked_either(tmp_path):
    path = write(tmp_path / "own.jsonl", PLAIN)
    [line] = Miniature(train=path).problems()
    assert line.startswith(f"{path}: request 'plain': ") and line.endswith("preset flux-7b")


def test_unusable_files_are_a_line_each(tmp_path):
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"prompt": "a red circle"\n')
    missing = tmp_path / "missing.jsonl"
    config = Miniature(train=broken, held_out=missing, tool="dall-e", judge="nobody")
    first, second, third, fourth = config.problems()
    assert first.startswith(f"{broken}:1: not JSON")
    assert str(missing) in second
    assert "no tool 'dall-e'" in third and "flux-mini" in third
    assert "no judge 'nobody'" in fourth


def test_own_requests_that_can_be_checked_are_the_worlds(tmp_path):
    train = write(tmp_path / "train.jsonl", RED, BLUE)
    held_out = write(tmp_path / "held.jsonl", BLUE)
    config = Miniature(train=train, held_out=held_out, judge="verifier")
    assert config.problems() == []
    world = config.open(tmp_path, seed=0)
    blue = Request(id="blue", prompt="two blue squares", hints=("exactly 2 blue squares",))
    assert world.held_out == (blue,)
    batch = world.train.sample(4, seed=0, step=0)
    assert [sorted(request.id for request in batch[i : i + 2]) for i in (0, 2)] == [
        ["blue", "red"],
        ["blue", "red"],
    ]
    assert {len(parse_hints(request.hints).counts) for request in batch} == {1}


@pytest.mark.parametrize("name", ["sana-mini", "qwen-image-mini"])
def test_another_of_its_tools_draws_when_it_is_named(tmp_path, name):
    config = Miniature(tool=name, judge="verifier")
    assert config.problems() == []
    tool = config.open(tmp_path, seed=0).tool
    assert isinstance(tool, DiffusersTool) and tool.profile.name == name
    assert tool.generate(["red circle center"], [0])[0].size == (48, 48)


def test_the_judge_verifier_is_the_truth_itself(tmp_path):
    config = Miniature(judge="verifier")
    assert config.problems() == []
    world = config.open(tmp_path, seed=0)
    assert isinstance(world.judges.point, Verifier) and world.judges is world.truth


def test_who_asks_a_policy_draws_with_the_tool_that_it_learnt_with():
    assert Miniature().asking == ()
    assert Miniature(tool="sana-mini").asking == ("--world.tool", "sana-mini")


GOOD, BAD = (
    render((Item(place=4, color=color, shape="circle", size="large"),)) for color in ("red", "blue")
)


@pytest.mark.parametrize("judge", ["judge-mini", "verifier"])
def test_a_file_of_requests_is_scored_by_the_judge_that_is_named(tmp_path, judge):
    """Not by a folder of that name, which was looked for once everything had loaded."""
    config = BenchmarkConfig(bench="requests", file=write(tmp_path / "mine.jsonl", RED))
    world = Miniature(judge=judge)
    assert [*config.problems(world), *world.judge_problems()] == []
    scorer = config.scorer(config.open(None), world, tmp_path, world=None)
    request = Request(id="red", prompt=RED["prompt"], hints=tuple(RED["hints"]))
    items = [(request, Picture.of(picture)) for picture in (GOOD, BAD)]
    found = scorer.scores.score(items)
    assert [isinstance(one, Score) and one.passed for one in found] == [True, False]
    assert scorer.name == judge


def test_what_the_verifier_cannot_check_is_said_before_anything_is_drawn(tmp_path):
    path = write(tmp_path / "mine.jsonl", RED, DOG)
    config = BenchmarkConfig(bench="requests", file=path)
    assert list(config.problems(Miniature())) == []
    [line] = config.problems(Miniature(judge="verifier"))
    assert line.startswith(f"{path}: request 'dog': ") and "take --world.judge judge-mini" in line


def test_a_published_benchmark_wants_a_judge_that_can_be_asked_anything(tmp_path):
    path = write_lines(tmp_path / "Geneval++.jsonl", geneval_rows())
    config = BenchmarkConfig(bench="geneval++", file=path)
    for judge in ("judge-mini", "verifier"):
        [line] = config.problems(Miniature(judge=judge))
        assert line.startswith(f"--world.judge is {judge}; geneval++ asks questions of its own")
    asked = Miniature(judge="http://localhost:1/v1", judge_model="m")
    assert list(config.problems(asked)) == []
    longer = replace(asked, judge_tokens=8192)
    [line] = config.problems(longer)
    assert line.startswith("--world.judge-tokens is 8192, and the official protocol asks in its")
    [line] = config.problems(replace(asked, judge_body="{}"))
    assert line.startswith("--world.judge-body is {}, and the official protocol asks in its")
    ours = replace(config, protocol="ours")
    assert list(ours.problems(longer)) == []
