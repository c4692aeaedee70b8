"""Many requests at once, by the real engine with turns that are written beforehand."""

from pathlib import Path

import pytest
from tests.rollout.conftest import ScriptedEngine
from tests.rollout.painting import AGAIN, DONE, FAILS, FIRST, Painter

from genagent_data import PictureStore, Request, derive_seed
from genagent_policy import Policy
from genagent_rollout import EngineConfig, SamplingConfig
from genagent_serving import Answered, generate
from genagent_tools import ToolError


def run(
    policy: Policy, folder: Path, stories: dict[str, list[str]], tool: Painter, *, at_once: int
) -> list[Answered]:
    """Each request says what its story says; in the order in which they end."""
    requests = [Request(id=id, prompt=f"draw {id}") for id in stories]
    scripts = {
        derive_seed(5, "generation", id): [policy.chat.turn_ids(turn) for turn in turns]
        for id, turns in stories.items()
    }
    sampling = SamplingConfig(max_turn_tokens=64, max_response_tokens=2048)
    engine = ScriptedEngine(policy, scripts, sampling, EngineConfig(cache_gib=0.1))  # pyright: ignore[reportArgumentType]
    kept: list[Answered] = []
    under_way: set[str] = set()

    def watcher(request: Request) -> None:
        under_way.add(request.id)
        assert len(under_way) <= at_once

    generate(
        engine,
        tool,
        requests,
        seed=5,
        max_rounds=2,
        store=PictureStore(folder / "pictures"),
        drawn=folder / "drawn.jsonl",
        at_once=at_once,
        keep=kept.append,
        ended=lambda answered: under_way.remove(answered.request.id),
        watcher=watcher,
    )
    return kept


def test_each_is_answered_and_no_more_at_once_than_asked(tiny_policy: Policy, tmp_path: Path):
    stories = {f"r{n}": [FIRST, AGAIN, DONE] if n % 2 else [FIRST, DONE] for n in range(7)}
    stories["unlucky"] = [FAILS]
    kept = run(tiny_policy, tmp_path, stories, Painter(), at_once=3)
    found = {one.request.id: one for one in kept}
    assert found.keys() == stories.keys()
    for id, one in found.items():
        assert len(one.turn_seconds) == len(one.turns) == len(stories[id])
        assert one.seconds >= sum(one.turn_seconds)
    assert found["r1"].counts == 2 and found["r2"].counts == 1
    assert found["unlucky"].counts is None and found["unlucky"].picture is None
    assert found["unlucky"].trajectory.ending == "tool_failure"


def test_a_picture_is_drawn_once_for_prompt_and_seed(tiny_policy: Policy, tmp_path: Path):
    stories = {"a": [FIRST, AGAIN, DONE], "b": [FIRST, DONE]}
    first, second = Painter(), Painter()
    pictures = []
    for tool in (first, second):
        kept = run(tiny_policy, tmp_path, stories, tool, at_once=2)
        pictures.append({one.request.id: one.trajectory.pictures for one in kept})
    assert pictures[0] == pictures[1]
    assert sum(map(len, first.calls)) == 3 and second.calls == []


def test_a_tool_that_draws_nothing_at_all_ends_it(tiny_policy: Policy, tmp_path: Path):
    stories = {f"r{n}": [FAILS] for n in range(40)}
    with pytest.raises(ToolError, match=r"the tool drew nothing for 16 requests; the last: "):
        run(tiny_policy, tmp_path, stories, Painter(), at_once=1)
