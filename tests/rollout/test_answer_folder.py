"""Answers on disk: nothing lost, nothing asked for twice."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.rollout.painting import Painter, painted, requests

from genagent_data import PictureStore, Request, derive_seed
from genagent_rollout import AnswerFolder, BestOfN, Plain, answer_kept
from genagent_tools import ToolError, ToolProfile

WORDS = {"a": "unlucky", "b": "lucky", "c": "unlucky"}


def answer(folder: Path, count: int, tool=None, strategy=None, **more):
    seen: list[tuple[int, int]] = []
    kept = AnswerFolder(folder=folder / "cell", pictures=PictureStore(folder / "pictures"))
    answers = answer_kept(
        strategy or Plain(),
        Painter() if tool is None else tool,
        requests(count),
        kept,
        about={"strategy": "plain"},
        seed=7,
        progress=lambda done, total: seen.append((done, total)),
        **more,
    )
    return answers, seen


def test_only_what_is_not_there_is_asked_for(tmp_path: Path):
    first, seen = answer(tmp_path, 2)
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert json.loads((tmp_path / "cell" / "cell.json").read_text()) == {"strategy": "plain"}
    tool = Painter()
    fresh: list[str] = []
    both, seen = answer(
        tmp_path, 4, tool, ended=lambda one: fresh.append(one.trajectory.request.id)
    )
    assert [len(call) for call in tool.calls] == [2]
    assert (seen[0], seen[-1], sorted(fresh)) == ((2, 4), (4, 4), ["r2", "r3"])
    assert both[:2] == first
    assert [one.seed for one in both] == [
        derive_seed(7, "evaluation", request.id) for request in requests(4)
    ]


def test_a_line_that_was_being_written_is_asked_for_again(tmp_path: Path):
    first, _ = answer(tmp_path, 2)
    path = tmp_path / "cell" / "answers.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    tool = Painter()
    again, _ = answer(tmp_path, 2, tool)
    assert tool.calls == []  # its picture had been drawn
    assert [one.trajectory.pictures for one in again] == [one.trajectory.pictures for one in first]
    assert len(path.read_text().splitlines()) == 2


def test_pictures_are_counted_batch_by_batch_long_before_the_first_answer(tmp_path: Path):
    class Pipeline(Painter):
        profile = ToolProfile(
            name="p",
            pipeline="FluxPipeline",
            repository="r",
            steps=1,
            guidance_scale=1.0,
            words=9,
            max_batch=3,
        )

    def told(count: int, tool: Painter) -> list[tuple[str, int, int]]:
        heard: list[tuple[str, int, int]] = []
        answer_kept(
            BestOfN(2),
            tool,
            requests(count),
            AnswerFolder(folder=tmp_path / "cell", pictures=PictureStore(tmp_path / "pictures")),
            about={},
            seed=7,
            progress=lambda done, total: heard.append(("answered", done, total)),
            drawn=lambda come, asked: heard.append(("drawn", come, asked)),
        )
        return heard

    pictures = [("drawn", 3, 8), ("drawn", 6, 8), ("drawn", 8, 8)]
    answers = [("answered", done, 4) for done in range(1, 5)]
    assert told(4, Pipeline()) == [("answered", 0, 4), *pictures, *answers]
    # One that does not say how many it draws together is told of once.
    more = [("answered", 4, 5), ("drawn", 2, 2), ("answered", 5, 5)]
    assert told(5, Painter()) == more


def test_what_a_failed_tool_ended_is_asked_for_again(tmp_path: Path):
    class Recovered(Painter):
        def generate(self, prompts, seeds):
            self.calls.append(list(zip(prompts, seeds, strict=True)))
            return [painted(prompt, seed) for prompt, seed in self.calls[-1]]

    asked = [Request(id="a", prompt="unlucky"), Request(id="b", prompt="lucky")]
    kept = AnswerFolder(folder=tmp_path / "cell", pictures=PictureStore(tmp_path / "pictures"))

    def endings(tool: Painter) -> list[str]:
        answers = answer_kept(
            Plain(), tool, asked, kept, about={}, seed=7, progress=lambda done, total: None
        )
        return [one.trajectory.ending for one in answers]

    assert endings(Painter()) == ["tool_failure", "fixed"]
    tool = Recovered()
    assert endings(tool) == ["fixed", "fixed"]
    assert [[prompt for prompt, _ in call] for call in tool.calls] == [["unlucky"]]


def test_what_ended_with_a_model_s_words_cut_off_is_answered_again(tmp_path: Path):
    """Under the same limit it ends alike, and nothing is paid for; under another one it goes on."""

    class Ends:
        name = "plain, or ended"

        def __init__(self, error: str | None) -> None:
            self.error = error

        async def answer(self, request, drawing, *, seed):
            done = await Plain().answer(request, drawing, seed=seed)
            ending = "fixed" if self.error is None else "format_error"
            broken = replace(done.trajectory, ending=ending, error=self.error)
            return replace(done, trajectory=broken)

    for error, ended in (("writer_cut_off", None), ("writer_prose", "writer_prose")):
        answer(tmp_path / error, 1, strategy=Ends(error))
        tool = Painter()
        (done,), _ = answer(tmp_path / error, 1, tool, Ends(None))
        assert (done.trajectory.error, tool.calls) == (ended, [])


def test_a_tool_that_draws_nothing_at_all_is_a_failure(tmp_path: Path):
    class Dead(Painter):
        def generate(self, prompts, seeds):
            raise ToolError("no memory")

    with pytest.raises(ToolError, match="drew none of 2 pictures; the last: no memory"):
        answer(tmp_path, 2, Dead())


def test_a_broken_line_is_named(tmp_path: Path):
    answer(tmp_path, 1, strategy=BestOfN(2))
    path = tmp_path / "cell" / "answers.jsonl"
    path.write_text('{"turns": []}\n' + path.read_text())
    with pytest.raises(ValueError, match=r"answers.jsonl:1: no answer .*; move the folder away"):
        answer(tmp_path, 1)


def test_those_that_a_tool_will_not_draw_are_no_outage_by_themselves(tmp_path: Path):
    asked = [Request(id=name, prompt=words) for name, words in WORDS.items()]
    kept = AnswerFolder(folder=tmp_path / "cell", pictures=PictureStore(tmp_path / "pictures"))

    def endings() -> list[str]:
        answers = answer_kept(
            Plain(), Painter(), asked, kept, about={}, seed=7, progress=lambda done, total: None
        )
        # What is kept needs no pixels in memory.
        drawn = [picture for one in answers for picture in one.trajectory.pictures]
        assert all(picture.is_stored for picture in drawn)
        return [one.trajectory.ending for one in answers]

    for _ in range(2):
        assert endings() == ["tool_failure", "fixed", "tool_failure"]
